"""What was accepted outlives the relay: kills, restarts, full disks, and what follows from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from relaytw.errors import ConfigError
from relaytw.lanes import LaneKey
from relaytw.messages import ClientKey, Status
from relaytw.store.inspection import Inspection, inspect
from tests.unit.relay.harness import BOT, RelayTestCase

FOLDER = Path("relay-state/journal")


class JournalTestCase(RelayTestCase):
    def restart(self, sections: Any = None) -> None:
        """Kill the relay and start another in its place."""
        self.kill()
        self.start(sections or self.sections)

    def look(self) -> Inspection:
        """What the files hold, once what has ended is written."""
        self.advance(0)
        return inspect(FOLDER)

    @property
    def journal(self) -> Any:
        """The relay's journal."""
        return self.relay.getServiceNamed("journal")


class RestartTests(JournalTestCase):
    def test_unfinished(self) -> None:
        """A message whose handler had not ended is given to it again, marked as such, and answered once."""
        phone = self.proven()
        phone.say("# wait")
        (first,) = self.messages
        self.restart()
        self.advance(0)
        first, again = self.messages
        self.assertEqual((first.redelivered, again.redelivered), (False, True))
        same = ("id", "trace", "client", "room", "text", "sender", "received_at")
        self.assertEqual([getattr(first, name) for name in same], [getattr(again, name) for name in same])
        self.let_go("late")
        phone = self.connect().hello()
        phone.pong()
        self.assertEqual(phone.texts, ["late"])
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_finished(self) -> None:
        """A message that was answered is not run again."""
        phone = self.proven()
        phone.say("# echo 1")
        self.assertEqual(self.look().unfinished_messages, 0)
        self.restart()
        self.advance(1)
        self.assertEqual(len(self.messages), 0)
        self.assertEqual(self.stages.metrics.redelivered, 0)

    def test_answered_but_not_sent(self) -> None:
        """Until the kernel has the reply the message counts as unfinished; it is answered again."""
        phone = self.proven()
        phone.say("# echo 1")
        self.restart()
        self.advance(0)
        self.assertEqual(self.stages.metrics.redelivered, 1)

    def test_order(self) -> None:
        """Rooms go on in their order, oldest first, and what comes meanwhile waits behind."""
        self.start({"limits": {"per_room": 1}})
        phone = self.proven()
        for number in range(30):
            phone.say(f"# wait {number}")
        self.kill()
        self.messages.clear()
        self.start({"limits": {"per_room": 1}})
        phone = self.connect().hello()
        phone.say("# wait new")
        self.advance(0)
        for _ in range(31):
            self.let_go(number=1)
            self.advance(0)
        self.assertEqual(self.heard_texts(), [f"# wait {number}" for number in range(30)] + ["# wait new"])
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_resent(self) -> None:
        """A phone that sends again after the restart what was accepted before is not heard twice."""
        phone = self.proven()
        done, waits = phone.line("# echo 1", auth=phone.sign()), phone.line("# wait", auth=phone.sign())
        bare = phone.line("no log id", auth=phone.sign(), log_id=None)
        for line in (done, waits, bare):
            phone.send(line)
        self.advance(0)
        self.messages.clear()
        self.restart()
        phone = self.connect().hello()
        for line in (done, waits, bare):
            phone.send(line)
        self.advance(0)
        self.assertEqual(self.heard_texts(), ["# wait"])
        self.assertEqual((self.stages.metrics.duplicates, phone.errors), (3, []))
        self.let_go()

    def test_replay(self) -> None:
        """A signature that was used before the restart is still known: other content under it is refused."""
        phone = self.proven()
        auth = phone.sign()
        phone.say("hello", auth=auth)
        self.advance(61)
        phone.pong()
        self.restart()
        thief = self.connect().hello()
        thief.say("# echo stolen", auth=auth)
        self.assertEqual(thief.errors, ["replay"])

    def test_not_approved_any_more(self) -> None:
        """Messages of a device or a room that may not talk any more are not run, and are done with."""
        for sections in ({"auth": {"approve_new_devices": False}}, {"auth": {"approve_new_rooms": False}}):
            self.start({})
            self.proven().say("# wait")
            self.messages.clear()
            self.restart(sections)
            self.advance(0)
            self.assertEqual(self.messages, [])
            self.assertEqual(self.look().unfinished_messages, 0)
            self.assertEqual(self.stages.intake.unfinished, 0)

    def test_pressure(self) -> None:
        """What waits in the journal fills the queue like anything else."""
        limits = {"queue": 40, "per_room": 1, "backlog_per_connection": 40}
        self.start({"limits": limits})
        phone = self.proven()
        for number in range(40):
            phone.say(f"# wait {number}")
        self.restart({"limits": limits})
        self.assertEqual(self.stages.intake.unfinished, 40)
        self.advance(0)
        self.assertEqual(self.stages.intake.unfinished, 40)
        lanes = dict((key, waiting) for key, waiting, _ in self.relay.dispatcher.lanes.snapshot())
        self.assertLess(lanes[LaneKey(BOT, "phone-1", "room")], 20)
        other = self.proven("phone-2")
        for number in range(20):
            other.say(f"# wait {number}")
        self.assertFalse(other.bridge.reading)
        while self.waiting:
            self.let_go(number=1)
            self.advance(0)
        self.assertTrue(other.bridge.reading)

    def test_pages(self) -> None:
        """Many rooms with many messages are fed in pages, each room in its order."""
        phone = self.proven()
        self.relay.dispatcher.lanes.consumers.tokens = 0  # nothing runs in this one
        expected: dict[str, list[str]] = {}
        for number in range(600):
            room = f"room-{number % 40}"
            phone.say(f"say {number}", room=room)
            expected.setdefault(room, []).append(f"say {number}")
        self.messages.clear()
        self.restart()
        self.advance(0)
        heard: dict[str, list[str]] = {}
        for message in self.messages:
            heard.setdefault(message.room, []).append(message.text)
        self.assertEqual(heard, expected)
        self.assertEqual(self.look().unfinished_messages, 0)


class PoisonTests(JournalTestCase):
    def test_dead_letter(self) -> None:
        """A message that never finishes is run three times, and then lies in the table for somebody to see."""
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
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(work)


class ReplyTests(JournalTestCase):
    def test_waiting(self) -> None:
        """Replies to a phone that is away survive, in their order, and are written when it comes."""
        phone = self.proven()
        for number in range(3):
            phone.say(f"# wait {number}")
        phone.vanish()
        for number in range(3):
            self.let_go(f"reply {number}", number=1)
        self.assertEqual(self.look().unfinished_replies, 3)
        self.restart()
        self.assertEqual(self.stages.outbox.waiting, 3)
        phone = self.connect().hello()
        phone.pong()
        self.assertEqual(phone.texts, ["reply 0", "reply 1", "reply 2"])
        phone.pong()
        self.assertEqual(self.look().unfinished_replies, 0)

    def test_age(self) -> None:
        """They are no younger for the restart."""
        phone = self.proven()
        phone.say("# wait")
        phone.vanish()
        self.let_go("reply")
        self.advance(200)
        self.restart()
        self.advance(99)
        self.assertEqual(self.stages.outbox.waiting, 1)
        self.advance(2)
        self.assertEqual(self.stages.outbox.waiting, 0)
        self.assertEqual(self.stages.metrics.replies_dropped, {"expired": 1})
        self.assertEqual(self.look().unfinished_replies, 0)

    def test_of_the_unfinished(self) -> None:
        """What a handler said before it was killed is not said twice: it will say it again."""
        phone = self.proven()
        phone.say("# wait")
        phone.vanish()
        self.messages[0].reply("meanwhile")
        self.advance(0)
        self.restart()
        self.assertEqual(self.stages.outbox.waiting, 0)
        self.advance(0)
        self.assertEqual(self.look().unfinished_replies, 0)
        self.let_go()

    def test_swallowed(self) -> None:
        """What a dead connection may have swallowed goes in front of what has waited, after a restart too."""
        phone = self.proven()
        texts = ("# echo --repeat=2 said", "# echo other")
        phone.send(b"".join(phone.line(text, auth=phone.sign()) for text in texts))
        phone.vanish()
        self.advance(0)
        self.restart()
        phone = self.connect().hello()
        phone.pong()
        self.advance(2)
        self.assertEqual(phone.texts, ["[1/2] 에코: said", "[2/2] 에코: said", "에코: other"])

    def test_deaf(self) -> None:
        """A message is not finished while its reply waits in this process for a phone that reads nothing."""
        phone = self.proven()
        phone.wire.deaf = True
        phone.say("# echo 1")
        self.advance(1)
        self.assertEqual(self.look().unfinished_messages, 1)
        phone.wire.listen()
        self.advance(1)
        self.assertEqual(self.look().unfinished_messages, 0)


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


class StopTests(JournalTestCase):
    def test_rest(self) -> None:
        """At a stop running handlers finish, and what has not started is taken up at the next start."""
        self.start({"limits": {"per_room": 1}})
        phone = self.proven()
        phone.say("# wait 1")
        phone.say("# wait 2")
        stopped = self.relay.stopService()
        self.let_go("one")
        self.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(phone.texts, ["one"])
        self.assertEqual(inspect(FOLDER).unfinished_messages, 1)
        self.clock.calls.clear()
        self.start({})
        self.advance(0)
        self.assertEqual(self.heard_texts(), ["# wait 1", "# wait 2"])
        self.let_go()

    def test_cancelled(self) -> None:
        """A handler that does not finish in time is cancelled, and its message taken up at the next start."""
        self.proven().say("# wait")
        stopped = self.relay.stopService()
        self.advance(30)
        self.successResultOf(stopped)
        self.assertEqual(inspect(FOLDER).unfinished_messages, 1)
        self.clock.calls.clear()
        self.waiting.clear()
        self.start({})
        self.advance(0)
        self.assertEqual(len(self.messages), 2)
        self.let_go()

    def test_one_relay(self) -> None:
        """A second relay does not start in the same folder, and says whose it is."""
        first = self.relay
        self.kill()
        self.start({})
        relay = self.relay
        lock: Any = first.getServiceNamed("state folder")
        refused = self.assertRaises(ConfigError, lock._lock.take)
        self.assertIn(f"another relay (process {os.getpid()}) works in the state folder", str(refused))
        self.successResultOf(relay.stopService())
        lock._lock.take()
        lock._lock.give_back()
        self.clock.calls.clear()
        self.start({})


class SyncTests(JournalTestCase):
    sections = {"journal": {"sync": "full"}}

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
            from twisted.internet.defer import fail as failed

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
        from twisted.internet.defer import Deferred

        def run(function: Any) -> Any:
            done: Any = Deferred()
            held.append(lambda: done.callback(function()))
            return done

        return run


class NoJournalTests(JournalTestCase):
    def test_none(self) -> None:
        """Without a journal there is no folder, and in direct mode neither."""
        for sections in ({"journal": {"sync": "none"}}, {"relay": {"mode": "direct"}}):
            self.successResultOf(self.relay.stopService())
            self.clock.calls.clear()
            for path in FOLDER.glob("*"):
                path.unlink()
            if FOLDER.exists():
                FOLDER.rmdir()
            self.start(sections)
            phone = self.proven()
            phone.say("# echo 1")
            self.assertEqual(phone.texts, ["에코: 1"])
            self.assertFalse(FOLDER.exists())
            self.assertEqual(self.relay.operator.journal().sync, "none")
            phone.vanish()
