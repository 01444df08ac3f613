"""What happens when messages come faster than they are worked, or replies faster than they are read."""

from __future__ import annotations

from typing import ClassVar

from relaytw.messages import CloseReason
from relaytw.protocols.wire.phone import PingPacket
from tests.unit.relay.harness import RelayTestCase, Sections
from tests.unit.relay.phones import CHUNK, Phone


class PauseTests(RelayTestCase):
    sections: ClassVar[Sections] = {"limits": {"backlog_per_connection": 50}}

    def flood(self, phone: Phone, count: int, room: str = "room") -> None:
        """Send so many messages whose handlers wait, in one read."""
        lines = [phone.line(f"# wait {n}", auth=phone.sign(), room=room) for n in range(count)]
        phone.send(b"".join(lines))

    def work_off(self) -> None:
        """Let every handler end, until nothing waits."""
        while self.waiting:
            self.let_go()
            self.advance(0)

    def test_pauses(self) -> None:
        """A phone with fifty unfinished messages is not read any further; nothing is lost of what is left."""
        phone = self.proven()
        self.flood(phone, 80)
        self.assertEqual(self.stages.intake.unfinished, 50)
        self.assertEqual(phone.wire.producerState, "paused")
        self.assertEqual(self.stages.metrics.pauses, 1)
        phone.say("one more")
        self.assertEqual(len(phone.bridge._waiting), 30)
        self.assertGreater(len(phone.wire.unread), 0)
        self.work_off()
        self.assertEqual(self.heard_texts(), [*(f"# wait {n}" for n in range(80)), "one more"])
        self.assertEqual((phone.wire.producerState, len(phone.wire.unread)), ("producing", 0))

    def test_resumes(self) -> None:
        """It is read again when four fifths are left, not before."""
        phone = self.proven()
        self.flood(phone, 50)
        unfinished = self.stages.intake
        while unfinished.unfinished > 41:
            self.let_go(number=1)
            self.advance(0)
            self.assertFalse(phone.bridge.reading)
        self.let_go(number=2)
        self.assertEqual(unfinished.unfinished, 39)
        self.assertTrue(phone.bridge.reading)
        self.advance(0)
        self.assertEqual(phone.wire.producerState, "producing")

    def test_others(self) -> None:
        """What a flooded phone costs the others is nothing."""
        phone, other = self.proven(), self.proven("phone-2")
        self.flood(phone, 80)
        other.say("# echo 1")
        self.assertEqual(other.texts, ["에코: 1"])

    def test_other_rooms(self) -> None:
        """Other rooms of the same phone go on as long as it is read."""
        phone = self.proven()
        self.flood(phone, 40)
        phone.say("# echo 1", room="other")
        self.assertEqual(phone.texts, ["에코: 1"])

    def test_pings(self) -> None:
        """Neither pings nor pongs stand behind messages that wait."""
        phone = self.proven(answers=True)
        self.flood(phone, 40)
        self.advance(6)
        self.assertEqual(phone.pings, 1)
        self.assertIsNotNone(phone.conversation.round_trip_ms)

    def test_pings_while_paused(self) -> None:
        """A phone that is not read is still pinged, and its pongs are heard when it is read again."""
        phone = self.proven(answers=True)
        self.flood(phone, 80)
        self.advance(40)
        pings = phone.pings
        self.assertGreaterEqual(pings, 2)
        pongs = self.stages.metrics.pongs
        self.work_off()
        self.advance(0)
        self.assertEqual(self.stages.metrics.pongs, pongs + pings)
        self.assertTrue(all(isinstance(p, PingPacket) for p in phone.packets))

    def test_lost_while_paused(self) -> None:
        """What was read from a phone that is lost meanwhile is worked all the same."""
        phone = self.proven()
        self.flood(phone, 80)
        phone.vanish()
        self.assertEqual(self.stages.intake.unfinished, 80)
        self.work_off()
        self.assertEqual(len(self.messages), 80)

    def test_hung_up_while_paused(self) -> None:
        """A phone that is hung up on is read again, so that its own goodbye is noticed."""
        phone = self.proven()
        self.flood(phone, 80)
        self.relay.operator.disconnect(self.key())
        self.assertEqual(phone.wire.producerState, "producing")
        self.assertClosed(phone, CloseReason.OPERATOR)
        self.work_off()
        self.assertEqual(len(self.messages), 50)

    def test_bytes(self) -> None:
        """Bytes count as well as messages."""
        self.start({"limits": {"backlog_bytes": 20_000}})
        phone = self.proven()
        for n in range(30):
            phone.say(f"# wait {n} " + "x" * 1000)
        self.assertFalse(phone.bridge.reading)
        self.assertLess(self.stages.intake.unfinished_bytes, 22_000)
        self.work_off()
        self.assertEqual(len(self.messages), 30)


class SmallQueueTests(RelayTestCase):
    sections: ClassVar[Sections] = {"limits": {"queue": 20, "per_room": 1}}

    def test_nothing_dropped(self) -> None:
        """With a queue far too small for them, phones wait; every message is worked, rooms in order."""
        phones = [self.proven(f"phone-{number}") for number in range(5)]
        for phone in phones:
            lines = (phone.line(f"# wait {n}", auth=phone.sign(), room=f"room-{n % 3}") for n in range(40))
            phone.send(b"".join(lines))
        self.assertEqual(self.stages.intake.unfinished, 20 + 4 * 10)
        while self.waiting:
            self.let_go()
            self.advance(0)
        self.assertEqual(len(self.messages), 200)
        for phone in phones:
            for room in ("room-0", "room-1", "room-2"):
                heard = [
                    m.text for m in self.messages if (m.client, m.room) == (phone.conversation.key, room)
                ]
                self.assertEqual(heard, [f"# wait {n}" for n in range(40) if room == f"room-{n % 3}"])

    def test_order_on_the_way_back(self) -> None:
        """So are the replies of a room that runs one at a time."""
        phone = self.proven()
        for n in range(30):
            phone.say(f"# wait {n}")
        number = 0
        while self.waiting:
            self.let_go(str(number), 1)
            self.advance(0)
            number += 1
        self.assertEqual(phone.texts, [str(n) for n in range(30)])


class SlowPeerTests(RelayTestCase):
    def deaf(self) -> Phone:
        """A phone that is on and has stopped reading."""
        phone = self.proven()
        phone.wire.deaf = True
        return phone

    def chatter(self, phone: Phone, seconds: int) -> None:
        """Ask for 10 kB a second."""
        for _ in range(seconds):
            if not phone.closed:
                phone.say("# echo " + "x" * 10_000)
            self.advance(1)

    def test_closed(self) -> None:
        """A phone that goes on asking and takes no answer for 90 s is closed."""
        phone = self.deaf()
        self.chatter(phone, 90)
        self.assertOpen(phone)
        self.chatter(phone, 10)
        self.assertClosed(phone, CloseReason.SLOW_PEER)
        self.assertTrue(phone.wire.aborted)

    def test_bounded(self) -> None:
        """What is kept for it is bounded, in the transport and in the outbox; the rest is dropped."""
        self.start({"limits": {"outbox_bytes": 100_000}})
        phone = self.deaf()
        self.chatter(phone, 80)
        self.assertLess(len(phone.wire.unsent), CHUNK + 12_000)
        self.assertLessEqual(self.stages.outbox.waiting_bytes, 100_000)
        self.assertGreater(self.stages.metrics.replies_dropped["outbox_full"], 0)

    def test_burst(self) -> None:
        """Nor does one read full of questions write much more than the transport takes."""
        phone = self.deaf()
        phone.send(b"".join(phone.line("# wait", auth=phone.sign(), room=str(n)) for n in range(30)))
        self.let_go("x" * 60_000)
        self.assertLess(len(phone.wire.unsent), 2 * CHUNK)

    def test_catches_up(self) -> None:
        """One that catches up in time gets everything, in order."""
        phone = self.deaf()
        for n in range(20):
            phone.say(f"# echo {n} " + "x" * 10_000)
        self.assertLess(phone.wire.unsent.count(b"\n"), 10)
        self.advance(60)
        phone.wire.listen()
        self.assertEqual([text and text.split()[1] for text in phone.texts], [str(n) for n in range(20)])
        self.advance(29)
        self.assertOpen(phone)

    def test_refused(self) -> None:
        """One that is hung up on and does not read that either is cut off after a moment."""
        phone = self.connect()
        phone.wire.deaf = True
        phone.send(b"nonsense\n")
        self.advance(4.9)
        self.assertFalse(phone.wire.gone)
        self.advance(0.2)
        self.assertTrue(phone.wire.gone)
        self.assertClosed(phone, CloseReason.BAD_HANDSHAKE)


class HalfCloseTests(RelayTestCase):
    def test_owed(self) -> None:
        """A phone that has finished sending still gets what it is owed, and is closed then."""
        phone = self.proven()
        phone.say("# wait")
        phone.finish()
        self.assertOpen(phone)
        self.advance(1)
        self.let_go("here you are")
        self.assertEqual(phone.texts, ["here you are"])
        self.advance(5)
        self.assertClosed(phone, CloseReason.PHONE_CLOSED)

    def test_owed_nothing(self) -> None:
        """One that is owed nothing is closed at once."""
        phone = self.proven()
        phone.say("# echo 1")
        phone.finish()
        self.assertEqual(phone.texts, ["에코: 1"])
        self.assertClosed(phone, CloseReason.PHONE_CLOSED)

    def test_owed_for_long(self) -> None:
        """It is not waited for longer than five seconds; the answer waits for the phone's return."""
        phone = self.proven()
        phone.say("# wait")
        phone.finish()
        self.advance(5)
        self.assertClosed(phone, CloseReason.PHONE_CLOSED)
        self.let_go("late")
        self.assertEqual(phone.texts, [])
        self.assertEqual(self.connected_again().texts, ["late"])

    def test_waiting_lines(self) -> None:
        """Lines that wait for their turn when the end is heard of are read first."""
        phone = self.proven()
        phone.send(b"".join(phone.line(f"# echo {n}", auth=phone.sign()) for n in range(100)))
        phone.finish()
        self.advance(0)
        self.assertEqual(len(phone.texts), 100)

    def test_mid_line(self) -> None:
        """Half a line at the end is nothing."""
        phone = self.proven()
        phone.send(phone.line("# echo 1", auth=phone.sign())[:-1])
        phone.finish()
        self.advance(0)
        self.assertEqual(phone.texts, [])
        self.assertClosed(phone, CloseReason.PHONE_CLOSED)

    def test_reads_no_more(self) -> None:
        """A phone that will read no more is of no use, and is closed."""
        phone = self.proven()
        phone.bridge.writeConnectionLost()
        self.advance(0)
        self.assertClosed(phone, CloseReason.CONNECTION_LOST)

    def connected_again(self) -> Phone:
        phone = self.connect().hello()
        phone.pong()
        return phone
