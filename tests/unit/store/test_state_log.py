"""What handlers remember, in files that may be cut, damaged and full."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.store.records import HEADER_SIZE
from relaytw.store.state_log import (
    Conversation,
    Place,
    StateLog,
    Value,
    decode_conversation,
    encode_conversation,
)
from tests.unit.folders import OwnFolder

NOW = 1000.0
Shown = dict[Place, Conversation]


def place(user: str = "#ada") -> Place:
    return Place("bot", "phone", "room", user)


def worth(text: str = "1", at: float = NOW + 100) -> Conversation:
    return Conversation({"k": Value(text.encode(), at)})


def put(log: StateLog, where: Place, conversation: Conversation) -> None:
    log.put(where, conversation, encode_conversation(where, conversation))


def shown(log: StateLog) -> Shown:
    return {where: conversation for where, conversation, _ in log.items()}


class LogTestCase(OwnFolder):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self._salts = count(1)

    def open(self, folder: Path | None = None, now: float = NOW) -> StateLog:
        """The log of a folder, as after a start."""
        log = StateLog(folder or self.folder, lambda: next(self._salts))
        log.open(now)
        self.addCleanup(log.close)
        return log

    def copies(self) -> Iterator[Path]:
        """Ever new copies of the folder, as a crash would leave it."""
        for number in count():
            copy = self.folder.with_name(f"copy-{number}")
            shutil.copytree(self.folder, copy)
            yield copy
            shutil.rmtree(copy)


class StateLogTests(LogTestCase):
    def test_nothing(self) -> None:
        """A relay whose bots remember nothing makes no folder for it."""
        log = self.open()
        self.assertEqual((len(log), log.size), (0, 0))
        self.assertFalse(self.folder.exists())

    def test_survives(self) -> None:
        """What was put is there without the log having been closed; the last of each place counts."""
        log = self.open()
        put(log, place(), worth("1"))
        put(log, place("#bob"), worth("2"))
        put(log, place(), worth("3"))
        put(log, place("#bob"), Conversation())
        self.assertEqual(shown(self.open()), {place(): worth("3")})

    def test_expired(self) -> None:
        """What is past its time at the start is not remembered."""
        log = self.open()
        put(log, place(), worth(at=NOW + 10))
        put(log, place("#bob"), worth(at=NOW + 20))
        self.assertEqual(list(shown(self.open(now=NOW + 10))), [place("#bob")])
        self.assertEqual(log.forget_expired(NOW + 15), 1)
        self.assertEqual(log.forget_expired(NOW + 15), 0)

    def test_every_cut(self) -> None:
        """A file cut at any byte gives what its whole records say, and takes more."""
        log = self.open()
        ends = []
        for number in range(4):
            put(log, place(f"#{number}"), worth(str(number)))
            ends.append(log.size)
        data = log.segments[0].path.read_bytes()
        for size, folder in zip(range(len(data) + 1), self.copies(), strict=False):
            (folder / log.segments[0].path.name).write_bytes(data[:size])
            cut = self.open(folder)
            whole = sum(end <= size for end in ends)
            self.assertEqual(set(shown(cut)), {place(f"#{number}") for number in range(whole)})
            self.assertEqual(cut.bad, 0)
            self.assertEqual(cut.torn, int(size > HEADER_SIZE and size not in ends))
            put(cut, place("#new"), worth())
            self.assertEqual(set(shown(self.open(folder))), {*shown(cut)})

    def test_every_damage(self) -> None:
        """Whichever byte is damaged, at most its own record is lost, which is counted; the rest is read."""
        log = self.open()
        for number in range(3):
            put(log, place(f"#{number}"), worth(str(number)))
        data = log.segments[0].path.read_bytes()
        whole = shown(log)
        for at, folder in zip(range(len(data)), self.copies(), strict=False):
            damaged = bytearray(data)
            damaged[at] ^= 0x55
            (folder / log.segments[0].path.name).write_bytes(damaged)
            found = self.open(folder)
            left = shown(found)
            self.assertLessEqual(left.items(), whole.items())
            self.assertEqual(len(left), 0 if at < HEADER_SIZE else 2)
            self.assertEqual(found.bad + found.torn, 1)

    def test_rewriting_at_every_step(self) -> None:
        """A crash between any two steps of writing the files anew loses nothing and brings nothing back."""
        log = self.open()
        for number in range(10):
            put(log, place(f"#{number}"), worth(str(number)))
        put(log, place("#0"), Conversation())
        copies = self.copies()

        def check() -> None:
            self.assertEqual(shown(self.open(next(copies))), shown(log))

        log.rewrite()
        check()
        step = 0
        while log.carry(2):
            check()
            put(log, place(f"#{step + 3}"), worth("changed meanwhile"))
            put(log, place(f"#{9 - step}"), Conversation())
            check()
            step += 1
        self.assertGreater(step, 2)
        for segment in log.take_old():
            check()
            segment.remove()
        check()
        self.assertEqual(len(log.segments), 1)

    def test_shrinks(self) -> None:
        """Files that hold more than twice what is live are wasteful, and are not when written anew."""
        log = self.open()
        while not log.wasteful:
            put(log, place(), worth("x" * 1000))
        log.rewrite()
        self.assertFalse(log.carry(100))
        for segment in log.take_old():
            segment.remove()
        self.assertFalse(log.wasteful)
        self.assertLess(log.size, 2000)

    def test_in_memory(self) -> None:
        """Without a folder everything is remembered, and nothing is written."""
        log = StateLog(None, lambda: 1)
        log.open(NOW)
        put(log, place(), worth())
        log.rewrite()
        self.assertFalse(log.carry(1))
        self.assertEqual((shown(log), log.size, log.wasteful), ({place(): worth()}, 0, False))


class EncodingTests(SynchronousTestCase):
    @given(
        st.builds(Place, *[st.text(st.characters(exclude_categories=()))] * 4),
        st.dictionaries(st.text(), st.builds(Value, st.binary(), st.floats(0, 1e10)), max_size=4),
        st.none() | st.floats(0, 1e10),
    )
    def test_round_trip(self, where: Place, values: dict[str, Value], deadline: float | None) -> None:
        """Whatever is remembered can be read back, halves of surrogate pairs included."""
        conversation = Conversation(values, deadline)
        payload = encode_conversation(where, conversation)
        self.assertEqual(decode_conversation(payload), (where, conversation))

    @settings(max_examples=200)
    @given(st.binary())
    def test_any_bytes(self, payload: bytes) -> None:
        """Any bytes are a conversation or a ValueError; there is no third outcome."""
        try:
            decode_conversation(payload)
        except ValueError:
            return
