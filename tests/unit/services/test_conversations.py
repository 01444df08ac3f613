"""State as handlers see it: a mapping that outlives them, within bounds, whatever the disk does."""

from __future__ import annotations

import errno
import random
import shutil
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import execute
from twisted.internet.task import Clock

from relaytw.admin.state import StateFilter
from relaytw.errors import StateFull
from relaytw.messages import ClientKey, Message, State
from relaytw.metrics import Metrics
from relaytw.services.audit import AuditWriter
from relaytw.services.conversations import Conversations, StateSettings
from relaytw.services.state_desk import StateDesk
from relaytw.services.state_views import state_of
from relaytw.store.state_log import StateLog
from relaytw.testing import MemoryDatabase
from tests.unit.bots.messages import said
from tests.unit.folders import OwnFolder


class Disk:
    """A log whose disk is full while a test says so."""

    def __init__(self, log: StateLog) -> None:
        self.full = False
        write = log._write

        def may_write(*arguments: Any) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(*arguments)

        vars(log)["_write"] = may_write  # the log of this test alone


class ConversationsTestCase(OwnFolder):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.clock = Clock()
        self.clock.advance(1000)
        self.metrics = Metrics()
        self.salts = count(1)
        self.made = self.make()

    def make(self, folder: Path | None = None, **about: Any) -> Conversations:
        """Conversations that are started, on a folder."""
        self.log = StateLog(folder or self.folder, lambda: next(self.salts))
        self.disk = Disk(self.log)
        made = Conversations(
            log=self.log, settings=StateSettings(**about), clock=self.clock, now=self.clock.seconds,
            in_thread=execute, pool=None, metrics=self.metrics,
        )  # fmt: skip
        made.startService()
        return made

    def again(self, **about: Any) -> Conversations:
        """The same after a kill."""
        self.clock.calls.clear()
        self.made = self.make(**about)
        return self.made

    def state(self, *, of_room: bool = False, **about: Any) -> State:
        """The state that a handler of a message gets."""
        message: Message = said("hi", **{"user_hash": "ada", **about})
        return state_of(self.made, message, of_room=of_room)


class StateTests(ConversationsTestCase):
    def test_mapping(self) -> None:
        """It is a mapping of JSON values, which survive a kill."""
        state = self.state()
        state["step"] = 2
        state["name"] = "한글 \ud800"
        state.update({"list": [1, {"a": None}], "gone": True})
        del state["gone"]
        self.assertEqual(state.setdefault("step", 9), 2)
        expected = {"step": 2, "name": "한글 \ud800", "list": [1, {"a": None}]}
        self.assertEqual(dict(state), expected)
        self.again()
        self.assertEqual(dict(self.state()), expected)
        self.assertEqual(self.state().pop("step"), 2)
        self.state().clear()
        self.assertEqual((len(self.state()), len(self.made)), (0, 0))
        self.again()
        self.assertEqual(dict(self.state()), {})

    def test_missing(self) -> None:
        """A name that is not there is a KeyError, and leaves all as it was."""
        state = self.state()
        self.assertRaises(KeyError, lambda: state["x"])
        self.assertRaises(KeyError, state.__delitem__, "x")
        self.assertIsNone(state.get("x"))
        self.assertFalse(self.folder.exists())

    def test_no_json(self) -> None:
        """What is no JSON is refused, as are names that are no text and times that are none."""
        state = self.state()
        for value, kind in ((object(), TypeError), (float("nan"), ValueError), ({1, 2}, TypeError)):
            self.assertRaises(kind, state.__setitem__, "k", value)
        names: Any = state
        self.assertRaises(TypeError, names.__setitem__, 1, "x")
        for seconds in (0, -1, float("inf"), float("nan")):
            self.assertRaises(ValueError, state.expire, seconds)
            self.assertRaises(ValueError, state.set, "k", 1, seconds)
        self.assertEqual(dict(state), {})

    def test_whose(self) -> None:
        """Everybody has one of his own in every room, and no name gets at another's by being like a hash."""
        self.state()["k"] = 1
        others: list[dict[str, Any]] = [
            {"user_hash": "bob"}, {"user_hash": None, "sender": "#ada"}, {"user_hash": None, "sender": "ada"},
            {"channel_id": "8"}, {"client": ClientKey("bot", "other")}, {"of_room": True},
        ]  # fmt: skip
        for other in others:
            self.assertEqual(dict(self.state(**other)), {}, other)
        self.state(of_room=True)["k"] = 2
        self.assertEqual(dict(self.state(of_room=True, user_hash="bob")), {"k": 2})
        self.assertEqual(dict(self.state(sender="another name")), {"k": 1})

    def test_copy(self) -> None:
        """What was got is a copy: changing it changes nothing that is remembered."""
        state = self.state()
        state["k"] = [1]
        state["k"].append(2)
        self.assertEqual(state["k"], [1])

    def test_times(self) -> None:
        """A value is forgotten after its own time, or the conversation's, or the usual one."""
        state = self.state()
        state["usual"] = 1
        state.set("short", 2, 10)
        self.clock.advance(10)
        self.assertEqual(list(state), ["usual"])
        state.expire(20)
        state["later"] = 3
        self.clock.advance(19.5)
        self.assertEqual(list(state), ["usual", "later"])
        self.clock.advance(0.5)
        self.assertEqual(dict(state), {})
        state["usual"] = 4  # a conversation of its own, with the usual time
        self.clock.advance(86_399)
        self.assertEqual(dict(state), {"usual": 4})
        self.clock.advance(1)
        self.assertEqual(dict(state), {})
        self.assertEqual(self.made.forget_expired(), 1)

    def test_bounds(self) -> None:
        """More than is allowed is refused with the name of the limit; what has expired makes room."""
        self.again(conversations=2, conversation_bytes=1024, total_bytes=1500)
        self.state().set("k", 1, 10)
        self.state(user_hash="bob")["k"] = 1
        third = self.state(user_hash="eve")
        self.assertIn("state.conversations", str(self.assertRaises(StateFull, third.__setitem__, "k", 1)))
        with self.assertRaisesRegex(StateFull, "state.conversation_bytes"):
            self.state()["k"] = "x" * 1100
        self.state(user_hash="bob")["k"] = "x" * 900
        with self.assertRaisesRegex(StateFull, "state.total_bytes"):
            self.state()["k"] = "x" * 900
        self.state(user_hash="bob")["k"] = "y" * 900
        self.assertEqual(self.state()["k"], 1)
        self.clock.advance(10)
        third["k"] = 1
        self.assertEqual(third["k"], 1)


class DiskTests(ConversationsTestCase):
    def test_full(self) -> None:
        """While the disk is full changes hold in memory; they are written as soon as it takes them."""
        self.state()["k"] = 1
        self.disk.full = True
        self.state()["k"] = 2
        self.state(user_hash="bob")["k"] = 3
        self.assertIn("No space", str(self.made.problem))
        self.assertEqual(self.state()["k"], 2)
        self.assertEqual(len(self.flushLoggedErrors()), 0)
        self.clock.advance(1)
        self.disk.full = False
        self.clock.advance(1)
        self.assertIsNone(self.made.problem)
        self.assertEqual(self.metrics.state_errors, 3)
        self.again()
        self.assertEqual((self.state()["k"], self.state(user_hash="bob")["k"]), (2, 3))

    def test_stop(self) -> None:
        """A stop writes what could not be written, and leaves no timer."""
        self.disk.full = True
        self.state()["k"] = 1
        self.disk.full = False
        self.successResultOf(self.made.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.again()
        self.assertEqual(self.state()["k"], 1)

    def test_shrinks_by_itself(self) -> None:
        """Files that hold much of what is over are written anew, while changes go on."""
        for number in range(1000):
            self.state(user_hash=str(number % 400))["k"] = "x" * 400
            if number % 10 == 0:
                self.clock.advance(0)
        self.clock.pump([0.0] * 10)
        self.assertLess(self.log.size, 2 * self.log.live_bytes + 70_000)
        self.assertEqual(len(list(self.folder.iterdir())), 1)
        self.again()
        self.assertEqual(len(self.made), 400)

    def test_forget(self) -> None:
        """What is remembered of a person is gone from the files too; the rest is not."""
        for number in range(300):
            self.state(user_hash=str(number))["k"] = f"secret of {number}."
        self.state(user_hash="7", channel_id="8")["k"] = "secret of 7."
        self.state(user_hash=None, sender="7")["k"] = "not of that hash"
        forgotten = self.made.forget("7")
        self.assertNoResult(forgotten)
        again = self.made.forget("8")
        self.clock.pump([0.0] * 10)
        self.assertEqual((self.successResultOf(forgotten), self.successResultOf(again)), (2, 1))
        data = b"".join(path.read_bytes() for path in self.folder.iterdir())
        self.assertNotIn(b"secret of 7.", data)
        self.assertNotIn(b"secret of 8.", data)
        self.assertIn(b"secret of 9.", data)
        self.again()
        self.assertEqual(len(self.made), 299)

    def test_forget_fails(self) -> None:
        """Whoever has somebody forgotten is told when the disk, or a stop, keeps that from being done."""
        self.state()["k"] = 1
        self.folder.chmod(0o500)
        self.addCleanup(self.folder.chmod, 0o700)
        self.patch(self.log, "rewrite", _no_space)
        self.failureResultOf(self.made.forget("ada"), OSError)
        self.assertIsNotNone(self.made.problem)

    def test_synced(self) -> None:
        """With `full` the file is synced after a change, once for many of them."""
        self.again(full=True)
        self.state()["k"] = 1
        synced: list[str] = []
        segment = type(self.log.segments[0])
        self.patch(segment, "sync", lambda one: synced.append(one.path.name))
        self.state()["k"] = 2
        self.assertEqual(synced, ["00000001.log"])

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 2**32))
    def test_like_a_dict(self, seed: int) -> None:
        """Whatever is done, in whatever order, with kills in between, it is what dicts would hold."""
        chance = random.Random(seed)
        self.clock.calls.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.again(ttl=50.0)
        model: dict[tuple[str, str], tuple[int, float]] = {}
        deadlines: dict[str, float] = {}
        for step in range(80):
            now, who, key = self.clock.seconds(), chance.choice("abc"), chance.choice("xyz")
            model = {one: kept for one, kept in model.items() if kept[1] > now}
            deadlines = {u: at for u, at in deadlines.items() if any(one[0] == u for one in model)}
            state = self.state(user_hash=who)
            self.assertEqual(dict(state), {k: v for (u, k), (v, _) in model.items() if u == who})
            match chance.randrange(8):
                case 0 | 1:
                    state[key] = step
                    model[who, key] = step, deadlines.get(who, now + 50.0)
                case 2:
                    state.set(key, step, 7)
                    model[who, key] = step, now + 7
                case 3:
                    state.expire(20)
                    model = {one: (v, now + 20 if one[0] == who else at) for one, (v, at) in model.items()}
                    if state:
                        deadlines[who] = now + 20
                case 4:
                    self.assertEqual(state.pop(key, None), model.pop((who, key), (None, 0))[0])
                case 5:
                    self.clock.advance(chance.choice((0, 1, 10, 30)))
                case 6:
                    self.again(ttl=50.0)
                case 7:
                    self.made._rewrite()
                    self.clock.advance(0)


class DeskTests(ConversationsTestCase):
    def test_operator(self) -> None:
        """The operator sees whose it is, what it is only on record, and may have it forgotten."""
        database = MemoryDatabase()
        desk = StateDesk(self.made, AuditWriter(database, self.clock, self.clock.seconds, 10))
        self.state(user_hash="abcdefghij")["step"] = 2
        self.state(of_room=True)["k"] = 1
        which = StateFilter(bot="bot", device="phone", user="abcdefghij")
        (row,) = desk.conversations(which)
        self.assertEqual((row.user, row.names, row.until, row.values), ("#abcdefghij", 1, 87_400.0, None))
        self.assertEqual(len(desk.conversations(StateFilter(room="7"))), 2)
        self.assertEqual(database.rows("SELECT * FROM relaytw_audit"), [])
        self.assertEqual([row.values for row in desk.with_values(which, "eve")], [{"step": 2}])
        self.assertEqual((desk.clear(which, "eve"), desk.clear(which, "eve")), (1, 0))
        self.assertEqual(
            database.rows("SELECT actor, act, bot_name, detail FROM relaytw_audit ORDER BY id"),
            [("eve", "read state", "bot", "of abcdef…"),
             ("eve", "clear state", "bot", "1 conversations, of abcdef…")],
        )  # fmt: skip
        self.assertEqual(len(self.made), 1)


def _no_space() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
