"""What was accepted outlives the relay: kills, restarts, full disks, and what follows from them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from relaytw.errors import ConfigError
from relaytw.lanes import LaneKey
from relaytw.messages import ClientKey, Dialect, Status
from relaytw.phone import Identity
from relaytw.store.journal_files import inspect
from tests.unit.relay.harness import BOT, Sections
from tests.unit.relay.journals import FOLDER, JournalTestCase


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
        for table in ("kb_bot_devices", "kb_rooms"):
            self.start({})
            self.proven().say("# wait")
            self.messages.clear()
            self.kill()
            self.assertEqual(self.database.change(f"update {table} set status = 'denied'"), 1)
            self.start({})
            self.advance(0)
            self.assertEqual(self.messages, [])
            self.assertEqual(self.look().unfinished_messages, 0)
            self.assertEqual(self.stages.intake.unfinished, 0)
            self.database.change(f"update {table} set status = 'approved'")

    def test_pressure(self) -> None:
        """What waits in the journal fills the queue like anything else."""
        limits: dict[str, object] = {"queue": 40, "per_room": 1, "backlog_per_connection": 40}
        self.start({"limits": limits})
        phone = self.proven()
        for number in range(40):
            phone.say(f"# wait {number}")
        self.restart({"limits": limits})
        self.assertEqual(self.stages.intake.unfinished, 40)
        self.advance(0)
        self.assertEqual(self.stages.intake.unfinished, 40)
        lanes = {key: waiting for key, waiting, _ in self.relay.dispatcher.lanes.snapshot()}
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


class NoJournalTests(JournalTestCase):
    def test_none(self) -> None:
        """Without a journal there is no folder, and in direct mode neither."""
        cases: tuple[Sections, ...] = ({"journal": {"sync": "none"}}, {"relay": {"mode": "direct"}})
        for sections in cases:
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


class SlowApprovals:
    """The relay's approvals, whose answers are late; `asked` fires them."""

    def __init__(self, real: Any) -> None:
        self.real = real
        self.asked: list[Deferred[Any]] = []

    def code_of(self, *about: Any) -> str:
        """No code."""
        return ""

    def known_device(self, client: ClientKey) -> None:
        """Nobody is known without asking."""

    def device(self, handshake: Any, address: str) -> Deferred[Any]:
        """Answers when the test says so."""
        self.asked.append(Deferred())
        return self.asked[-1]

    def room(self, *about: Any) -> Deferred[Any]:
        """Likewise."""
        self.asked.append(Deferred())
        return self.asked[-1]


class LookupTests(JournalTestCase):
    def setUp(self) -> None:
        super().setUp()
        phone = self.proven()
        phone.say("# wait 1")
        phone.say("# wait 2", room="other")
        self.messages.clear()
        self.restart()
        self.redelivery: Any = self.relay.getServiceNamed("redelivery")
        self.slow = SlowApprovals(self.redelivery._approvals)
        self.device = self.slow.real.device(self.identity.handshake(), "")

    @property
    def identity(self) -> Identity:
        """Who the phone is."""
        return Identity(BOT, "phone-1", Dialect.V32)

    def test_device(self) -> None:
        """A device is asked for once, and its messages wait for the answer, as new ones do behind them."""
        self.redelivery._approvals = self.slow
        self.advance(1)
        self.assertEqual((self.messages, len(self.slow.asked)), ([], 1))
        self.proven().say("# wait 3")
        self.assertEqual(self.messages, [])
        self.redelivery._approvals = self.slow.real
        self.slow.asked[0].callback(self.device)
        self.advance(0)
        self.assertEqual(sorted(self.heard_texts()), ["# wait 1", "# wait 2", "# wait 3"])
        self.assertLess(self.heard_texts().index("# wait 1"), self.heard_texts().index("# wait 3"))

    def test_no_answer(self) -> None:
        """Without an answer, or one that no database stands behind, they wait and it is asked again."""
        self.redelivery._approvals = self.slow
        self.advance(0)
        self.slow.asked[0].errback(RuntimeError("the database is away"))
        self.advance(2)
        self.database.away = "it was unplugged"
        pending = replace(self.device, status=Status.PENDING)
        self.slow.asked[1].callback(pending)
        self.advance(2)
        self.assertEqual((self.messages, len(self.slow.asked)), ([], 3))
        self.database.away = None
        self.slow.asked[2].callback(pending)
        self.advance(0)
        self.assertEqual(self.messages, [])
        self.assertEqual(self.stages.metrics.restricted, 2)
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_room(self) -> None:
        """A room that must be looked up holds its own messages only, until it is known."""
        acceptance: Any = self.stages.acceptance
        acceptance._approvals = self.slow
        self.advance(0)
        self.assertEqual((self.messages, len(self.slow.asked)), ([], 2))
        first = self.slow.real.room(self.device.client, "room", "room")
        self.slow.asked[0].callback(first)
        self.assertEqual(self.heard_texts(), ["# wait 1"])
        self.slow.asked[1].callback(replace(first, status=Status.DENIED))
        self.assertEqual(self.heard_texts(), ["# wait 1"])
        self.let_go()
        self.assertEqual(self.look().unfinished_messages, 0)
        acceptance._approvals = self.slow.real
