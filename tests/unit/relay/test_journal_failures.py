"""What the journal does when something keeps failing: messages that kill, disks that are full or break."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.defer import fail as failed

from tests.unit.relay.harness import Sections
from tests.unit.relay.journals import JournalTestCase


class PoisonTests(JournalTestCase):
    def test_dead_letter(self) -> None:
        """A message that never finishes is run three times, and then lies in the table to be seen."""
        self.proven().say("# wait poison")
        for deliveries in (2, 3):
            self.restart()
            self.advance(0)
            self.assertEqual(len(self.messages), deliveries)
        self.restart()
        self.advance(0)
        self.assertEqual(len(self.messages), 3)
        rows = self.database.rows("select reason, text, deliveries, room_id from relaytw_dead_letters")
        self.assertEqual(rows, [("max_deliveries", "# wait poison", 3, "room")])
        self.assertEqual(self.stages.metrics.dead_letters, {"max_deliveries": 1})
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_bystander(self) -> None:
        """A message that waited and was not started is not counted as delivered."""
        self.start({"limits": {"per_room": 1}})
        phone = self.proven()
        phone.say("# wait poison")
        phone.say("# wait bystander")
        for _ in range(3):
            self.restart({"limits": {"per_room": 1}})
            self.advance(0)
        self.assertEqual(self.heard_texts()[-1], "# wait bystander")
        self.let_go()

    def test_too_old(self) -> None:
        """A message that is older than an hour is not answered any more, but recorded."""
        self.proven().say("# wait")
        self.messages.clear()
        self.kill()
        self.clock.rightNow += 3601
        self.start({})
        self.advance(0)
        self.assertEqual(self.messages, [])
        self.assertEqual(self.database.rows("select reason from relaytw_dead_letters"), [("too_old",)])

    def test_database_away(self) -> None:
        """While the letter cannot be stored the message stays in the journal, whatever happens."""
        self.proven().say("# wait")
        self.kill()
        self.clock.rightNow += 3601
        self.database.go_away()
        self.start({})
        self.advance(5)
        self.assertEqual(self.look().unfinished_messages, 1)
        self.database.come_back()
        self.advance(60)
        self.assertEqual(self.database.rows("select reason from relaytw_dead_letters"), [("too_old",)])
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_requeue(self) -> None:
        """A dead letter can be taken up again, and is then run like a new message; or be forgotten."""
        phone = self.proven()
        phone.say("# wait 1")
        phone.say("# wait 2")
        self.kill()
        self.messages.clear()
        self.clock.rightNow += 3601
        self.start({})
        self.advance(0)
        phone = self.proven()
        operator = self.relay.operator
        self.successResultOf(self.coroutine(operator.dead_letters(10)))
        newer, older = self.successResultOf(self.coroutine(operator.dead_letters(10)))
        self.assertTrue(self.successResultOf(self.coroutine(operator.requeue(older.id))))
        self.assertEqual(self.heard_texts(), ["# wait 1"])
        self.let_go("at last")
        self.assertEqual(phone.texts, ["at last"])
        self.assertTrue(self.successResultOf(self.coroutine(operator.drop_dead_letter(newer.id))))
        self.assertFalse(self.successResultOf(self.coroutine(operator.drop_dead_letter(newer.id))))
        self.assertFalse(self.successResultOf(self.coroutine(operator.requeue(newer.id))))
        self.assertEqual(self.look().unfinished_messages, 0)

    def coroutine(self, work: Any) -> Any:
        """Start it."""
        return Deferred.fromCoroutine(work)


class FullDiskTests(JournalTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.full = os.open("/dev/full", os.O_WRONLY)
        self.addCleanup(os.close, self.full)

    def fill(self) -> None:
        """Let the disk take nothing any more."""
        (*_, self.segment) = self.journal._shelf.segments
        self.good, self.segment._fd = self.segment._fd, self.full

    def free(self) -> None:
        """Let it take something again."""
        self.segment._fd = self.good
        self.advance(1)

    def test_nothing_is_lost(self) -> None:
        """Nothing is accepted, nobody who sends is read, everybody is told; then all goes on in order."""
        phone, other = self.proven(), self.proven("phone-2")
        phone.say("# wait before")
        self.fill()
        for number in range(5):
            phone.say(f"say {number}")
        self.assertEqual(self.heard_texts(), ["# wait before"])
        self.assertFalse(phone.bridge.reading)
        self.assertTrue(other.bridge.reading)
        self.assertIn("No space left on device", str(self.relay.operator.ready()))
        late = self.connect("phone-3").hello()
        late.say("late")
        self.let_go("still answered")
        self.assertEqual(phone.texts, ["still answered"])
        self.advance(5)
        self.assertFalse(phone.bridge.reading)
        self.assertGreater(self.stages.metrics.journal_errors, 2)
        self.free()
        self.advance(0)
        self.assertIsNone(self.relay.operator.ready())
        self.assertEqual(self.heard_texts(), ["# wait before", *(f"say {n}" for n in range(5)), "late"])
        self.assertTrue(phone.bridge.reading and late.bridge.reading)
        self.assertEqual(self.look().unfinished_messages, 0)
        self.assertEqual(sum(file.bad + file.torn for file in self.look().files), 0)

    def test_killed_meanwhile(self) -> None:
        """What was accepted before is taken up after a kill on a full disk, and what was not never ran."""
        phone = self.proven()
        phone.say("# wait before")
        self.fill()
        phone.say("not accepted")
        self.segment._fd = self.good
        self.messages.clear()
        self.restart()
        self.advance(0)
        self.assertEqual(self.heard_texts(), ["# wait before"])
        self.let_go()

    def test_stopped_meanwhile(self) -> None:
        """A relay can be stopped on a full disk."""
        phone = self.proven()
        self.fill()
        phone.say("say something")
        self.leftovers = True
        stopped = self.stop()
        self.segment._fd = os.dup(self.full)
        self.advance(0)
        self.successResultOf(stopped)


class SyncTests(JournalTestCase):
    sections: ClassVar[Sections] = {"journal": {"sync": "full"}}

    def test_waits_for_the_disk(self) -> None:
        """With sync = "full" a message runs when the disk has it; what comes meanwhile runs after it."""
        held: list[Any] = []
        journal = self.journal
        run, journal._syncs._in_thread = journal._syncs._in_thread, self.slowly(held)
        phone = self.proven()
        phone.say("say 1")
        phone.say("say 2")
        self.assertEqual(self.heard_texts(), [])
        held.pop(0)()
        self.assertEqual(self.heard_texts(), ["say 1"])
        held.pop(0)()
        self.assertEqual(self.heard_texts(), ["say 1", "say 2"])
        journal._syncs._in_thread = run

    def test_sync_fails(self) -> None:
        """What the disk could not sync is written anew to another file before it runs."""
        phone = self.proven()
        run = self.journal._syncs._in_thread

        def fail(_function: Any) -> Any:

            self.journal._syncs._in_thread = run
            return failed(OSError(5, "Input/output error"))

        self.journal._syncs._in_thread = fail
        phone.say("say 1")
        self.assertEqual(self.heard_texts(), [])
        self.assertIn("Input/output error", str(self.relay.operator.ready()))
        self.advance(1)
        self.assertEqual(self.heard_texts(), ["say 1"])
        self.assertEqual(len(self.look().files), 2)
        self.assertEqual(self.look().unfinished_messages, 0)

    def slowly(self, held: list[Any]) -> Any:
        """A thread that does its work when it is told to."""

        def run(function: Any) -> Any:
            done: Any = Deferred()
            held.append(lambda: done.callback(function()))
            return done

        return run
