"""What may go wrong between a 4.0 message and its acknowledgement: disks, databases, stops and kills."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from twisted.internet.defer import Deferred

from relaytw.messages import CloseReason
from relaytw.protocols.wire import v40_phone as v40
from relaytw.services import dead_letters
from tests.unit.relay.harness import Sections
from tests.unit.relay.journals import FOLDER
from tests.unit.relay.sealed import Sealed, SealedJournalTestCase, SealedTestCase


class SlowDisk:
    """Syncs when a test lets it, or fails."""

    def __init__(self, journal: Any) -> None:
        self._held: list[tuple[Deferred[Any], Any]] = []
        journal._syncs._in_thread = self

    def __call__(self, function: Any) -> Any:
        done: Deferred[Any] = Deferred()
        self._held.append((done, function))
        return done

    def sync(self) -> None:
        """What is asked for until now is safe."""
        held, self._held = self._held, []
        for done, function in held:
            done.callback(function())

    def fail(self) -> None:
        """It could not be made safe."""
        held, self._held = self._held, []
        for done, _ in held:
            done.errback(OSError(5, "Input/output error"))


class AckTests(SealedJournalTestCase):
    def test_after_the_sync(self) -> None:
        """A message runs at once, but is acknowledged only when the disk has it; one line for many."""
        phone = self.sealed().on()
        disk = SlowDisk(self.journal)
        phone.tell(*(phone.chat(f"a-{n}", f"say {n}") for n in range(3)))
        self.assertEqual((self.heard_texts(), phone.acks), (["say 0", "say 1", "say 2"], []))
        disk.sync()
        self.assertEqual(phone.acks, ["a-0", "a-1", "a-2"])
        self.assertEqual(phone.events("ack"), 1)

    def test_sync_fails(self) -> None:
        """What the disk could not sync is written anew, run once, and acknowledged when that is safe."""
        phone = self.sealed().on()
        disk = SlowDisk(self.journal)
        phone.tell(phone.chat("a-1", "# wait"))
        disk.fail()
        self.assertEqual((phone.acks, len(self.messages)), ([], 1))
        self.advance(1)
        self.assertEqual(phone.acks, [])
        disk.sync()
        self.assertEqual((phone.acks, len(self.messages)), (["a-1"], 1))
        self.assertEqual(self.look().unfinished_messages, 1)
        self.let_go()

    def test_ended_before_the_sync(self) -> None:
        """One that had ended before the sync failed is acknowledged too, and not kept."""
        phone = self.sealed().on()
        disk = SlowDisk(self.journal)
        phone.tell(phone.chat("a-1", "say it"))
        disk.fail()
        self.advance(1)
        disk.sync()
        self.assertEqual((phone.acks, self.heard_texts()), (["a-1"], ["say it"]))
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_duplicate(self) -> None:
        """What comes again is acknowledged and not run, but no earlier than the first is safe."""
        phone = self.sealed().on()
        disk = SlowDisk(self.journal)
        phone.tell(phone.chat("a-1", "say it"))
        phone.tell(phone.chat("a-1", "say it", resent=True))
        self.assertEqual(phone.acks, [])
        disk.sync()
        disk.sync()
        self.assertEqual((phone.acks, self.heard_texts()), (["a-1", "a-1"], ["say it"]))
        self.assertEqual(self.stages.metrics.duplicates, 1)

    def test_connection_gone(self) -> None:
        """An acknowledgement that got lost is given on the next connection, for the same message."""
        phone = self.sealed().on()
        disk = SlowDisk(self.journal)
        phone.tell(phone.chat("a-1", "say it"))
        phone.vanish()
        disk.sync()
        again = self.sealed().on()
        again.tell(again.chat("a-1", "say it", resent=True))
        disk.sync()
        self.assertEqual((phone.acks, again.acks, self.heard_texts()), ([], ["a-1"], ["say it"]))

    def test_full_disk(self) -> None:
        """While the disk takes nothing nothing is acknowledged; then everything, in order, run once."""
        full = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, full)
        phone = self.sealed().on()
        (*_, segment) = self.journal._shelf.segments
        good, segment._fd = segment._fd, full
        phone.tell(phone.chat("a-1", "one"))
        phone.tell(phone.chat("a-2", "two"))
        self.advance(3)
        self.assertEqual((phone.acks, self.heard_texts(), phone.bridge.reading), ([], [], False))
        segment._fd = good
        self.advance(1)
        self.assertEqual((phone.acks, self.heard_texts()), (["a-1", "a-2"], ["one", "two"]))

    def test_refused(self) -> None:
        """What can never be accepted is refused by its id, and the phone stays on."""
        self.start({"limits": {"text_chars": 10}})
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "x" * 11), phone.chat("no good", "say"), phone.chat("a-2", "say"))
        self.assertEqual(phone.refusals, [("a-1", "text_too_long"), ("no good", "bad_chat")])
        self.assertEqual((phone.acks, self.heard_texts()), (["a-2"], ["say"]))
        self.assertOpen(phone)

    def test_many_refusals(self) -> None:
        """However many messages are refused, the connection stays: the phone drops them one by one."""
        phone = self.sealed().on()
        phone.tell(*(phone.chat("no good", "say") for _ in range(30)))
        self.assertOpen(phone)
        self.assertEqual(len(phone.refusals), 30)


class NoSyncTests(SealedTestCase):
    sections: ClassVar[Sections] = {"journal": {"sync": "none"}}

    def test_at_once(self) -> None:
        """Without a journal accepted is what is in memory, and acknowledged at once."""
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "# wait"))
        self.assertEqual(phone.acks, ["a-1"])
        self.let_go()


class DirectTests(SealedTestCase):
    sections: ClassVar[Sections] = {"relay": {"mode": "direct"}}

    def test_handlers_end(self) -> None:
        """In direct mode a message is acknowledged when its handler has ended, and not before."""
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "# wait", room="one"), phone.chat("a-2", "say it", room="two"))
        self.assertEqual(phone.acks, ["a-2"])
        self.let_go()
        self.assertEqual(phone.acks, ["a-2", "a-1"])

    def test_again(self) -> None:
        """One that comes again while it is run is acknowledged at its end, on the newest connection."""
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "# wait"))
        phone.vanish()
        again = self.sealed().on()
        again.tell(again.chat("a-1", "# wait", resent=True))
        self.assertEqual(again.acks, [])
        self.let_go()
        self.assertEqual((again.acks, len(self.messages)), (["a-1"], 1))
        again.tell(again.chat("a-1", "# wait", resent=True))
        self.assertEqual((again.acks, len(self.messages)), (["a-1", "a-1"], 1))

    def test_stopped(self) -> None:
        """A message whose handler is given up by a stop is not acknowledged: the next run may have it."""
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "# wait"))
        self.stop()
        self.advance(60)
        self.assertEqual(phone.acks, [])


class AgeTests(SealedJournalTestCase):
    def letters(self) -> list[Any]:
        """The dead letters that are stored."""
        return self.database.rows("SELECT reason, text FROM relaytw_dead_letters")

    def test_database_away(self) -> None:
        """While it cannot be written down it is not acknowledged, however often it comes."""
        phone = self.sealed().on()
        self.database.go_away()
        phone.tell(phone.chat("a-1", "stale", age=3601, resent=True))
        phone.tell(phone.chat("a-1", "stale", age=3602, resent=True))
        self.advance(5)
        self.assertEqual(phone.acks, [])
        self.database.come_back()
        self.advance(90)
        self.assertEqual(phone.acks, ["a-1"])
        self.assertEqual(self.letters(), [("too_old", "stale")])

    def test_letters_full(self) -> None:
        """While as many letters wait as may, such a message is left with its phone."""
        phone = self.sealed().on()
        letters: Any = self.relay.getServiceNamed("dead letters")
        letters._waiting.extend([(None, None)] * dead_letters.WAITING)
        phone.tell(phone.chat("a-1", "stale", age=3601, resent=True))
        self.assertEqual(phone.acks, [])
        letters._waiting.clear()
        phone.tell(phone.chat("a-1", "stale", age=3601, resent=True))
        self.advance(1)
        self.assertEqual(phone.acks, ["a-1"])

    def test_perhaps_run_before(self) -> None:
        """A resent message is marked when it is older than what the relay remembers, else it is new."""
        phone = self.sealed().on()
        self.advance(400)
        phone = self.sealed().on()
        phone.tell(
            phone.chat("a-1", "old", age=301, resent=True),
            phone.chat("a-2", "young", age=10, resent=True),
            phone.chat("a-3", "first", age=301),
        )
        marks = {message.text: message.redelivered for message in self.messages}
        self.assertEqual(marks, {"old": True, "young": False, "first": False})


class RestartTests(SealedJournalTestCase):
    def test_known_again(self) -> None:
        """After a kill what was accepted is run again from the journal, and what is resent is not."""
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "# wait"), phone.chat("a-2", "say it"))
        self.advance(0)
        self.messages.clear()
        self.restart()
        self.advance(0)
        (message,) = self.messages
        self.assertEqual((message.id, message.redelivered), ("a-1", True))
        phone = self.sealed().on()
        phone.tell(*(phone.chat(f"a-{n}", "# wait", age=1, resent=True) for n in (1, 2, 3)))
        self.assertEqual([message.id for message in self.messages], ["a-1", "a-3"])
        self.assertEqual(phone.acks, ["a-1", "a-2", "a-3"])
        self.let_go("answer")
        self.assertEqual(phone.replies, [("a-1/0", "answer"), ("a-3/0", "answer")])
        self.settle(phone)

    def test_replies(self) -> None:
        """A reply that is not acknowledged is written again under its id, over connections and kills."""
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "# echo 1"), phone.chat("a-2", "# echo 2"))
        expected = [("a-1/0", "에코: 1"), ("a-2/0", "에코: 2")]
        self.assertEqual(phone.replies, expected)
        phone.vanish()
        phone = self.sealed().on()
        self.assertEqual(phone.replies, expected)
        self.advance(0)
        self.restart()
        self.advance(0)
        phone = self.sealed().on()
        self.assertEqual(phone.replies, expected)
        self.settle(phone)
        self.assertEqual(self.look().unfinished_replies, 0)
        self.assertEqual(self.sealed().on().replies, [])

    def test_forgotten(self) -> None:
        """What was said in 4.0 is blanked too, and known again when it is resent."""
        phone = self.sealed().on()
        line = phone.chat("a-1", "mine", user_hash="ada")
        phone.tell(line)
        self.advance(0)
        forgotten = Deferred.fromCoroutine(self.relay.operator.forget("ada"))
        self.advance(5)
        self.assertEqual(self.successResultOf(forgotten)[0], 2)  # a row, and a line of the journal
        self.assertNotIn(b"mine", b"".join(path.read_bytes() for path in FOLDER.glob("*.log")))
        self.restart()
        self.messages.clear()
        phone = self.sealed().on().tell(line)
        self.assertEqual((phone.acks, self.heard_texts()), (["a-1"], []))

    def settle(self, phone: Sealed) -> None:
        """Have the phone acknowledge what it was given."""
        phone.tell(v40.encode_typed([name for name, _ in phone.replies]))
        self.assertEqual(phone.errors, [])


class BrokenTests(SealedTestCase):
    def test_acks_before(self) -> None:
        """What came before a broken line is run and acknowledged; what comes behind it is not."""
        phone = self.sealed().on()
        assert phone.sealer is not None
        good, bad, after = (phone.sealer.seal(phone.chat(f"a-{n}", f"say {n}")) for n in range(3))
        phone.send(good + bad.replace(b"say", b"pay") + after)
        self.assertClosed(phone, CloseReason.BROKEN_SEAL, "bad_signature")
        self.assertEqual(self.heard_texts(), ["say 0"])
