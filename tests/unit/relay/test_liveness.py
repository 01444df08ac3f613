"""Whether a phone is still there: pings, strikes, and what excuses silence."""

from __future__ import annotations

from typing import ClassVar

from relaytw.messages import CloseReason, Media
from tests.unit.relay.harness import RelayTestCase, Sections
from tests.unit.relay.phones import DELAY, Phone

NO_PINGS: dict[str, object] = {"interval": 100_000, "jitter": 0}


class StrikeTests(RelayTestCase):
    sections: ClassVar[Sections] = {"ping": NO_PINGS}

    def quiet(self) -> Phone:
        """A phone that is on and has had its first ping."""
        phone = self.proven()
        self.advance(1)
        phone.pong()
        phone.heard()
        return phone

    def pings_after(self, phone: Phone, *times: float) -> list[int]:
        """How many pings came in each of these stretches of time."""
        counts = []
        for seconds in times:
            phone.heard()
            self.advance(seconds)
            counts.append(phone.pings)
        return counts

    def test_zombie(self) -> None:
        """A silent phone is probed twice, 30 s apart, and thrown out at the third strike."""
        phone = self.quiet()
        self.assertEqual(self.pings_after(phone, 29.9, 0.2, 29.8, 0.2), [0, 1, 0, 1])
        self.advance(29.8)
        self.assertOpen(phone)
        self.advance(0.2)
        self.assertClosed(phone, CloseReason.ZOMBIE)
        self.assertTrue(phone.wire.aborted)

    def test_silent_from_the_start(self) -> None:
        """So is one that said nothing but its handshake."""
        phone = self.connect().hello()
        self.advance(89.9)
        self.assertOpen(phone)
        self.advance(0.1)
        self.assertClosed(phone, CloseReason.ZOMBIE)

    def test_anything_counts(self) -> None:
        """Whatever is heard, even nonsense or half a line, starts the count anew."""
        phone = self.quiet()
        for words in (b'{"event":"unheard-of","data":{}}\n', b"nonsense\n", b'{"ev', b"ent"):
            self.advance(89.9)
            phone.send(words)
        self.advance(89.9)
        self.assertOpen(phone)
        self.advance(0.1)
        self.assertClosed(phone, CloseReason.ZOMBIE, "no_auth", "bad_line")

    def test_answered(self) -> None:
        """A phone that answers the probes stays for ever."""
        phone = self.proven(answers=True)
        self.advance(3600)
        self.assertOpen(phone)

    def test_media(self) -> None:
        """A phone that was given media to send has until then, and a full interval after it."""
        phone = self.quiet()
        phone.say("# wait")
        self.let_go(Media(("https://example.org/1.jpg",), wait_ms=40_000))
        self.assertEqual(self.pings_after(phone, 69.9, 0.2, 29.8, 0.2), [0, 1, 0, 1])
        self.advance(29.8)
        self.assertOpen(phone)
        self.advance(0.2)
        self.assertClosed(phone, CloseReason.ZOMBIE)

    def test_short_media(self) -> None:
        """However short the media, 15 s are allowed for."""
        phone = self.quiet()
        phone.say("# wait")
        self.let_go(Media(("https://example.org/1.jpg",), wait_ms=10))
        self.assertEqual(self.pings_after(phone, 44.9, 0.2), [0, 1])


class PausedTests(RelayTestCase):
    sections: ClassVar[Sections] = {"ping": NO_PINGS, "limits": {"backlog_per_connection": 10}}

    def test_not_read(self) -> None:
        """While the relay does not read a phone it cannot hear it, and does not hold that against it."""
        phone = self.proven()
        for number in range(10):
            phone.say(f"# wait {number}")
        self.assertFalse(phone.bridge.reading)
        self.advance(250)
        self.assertOpen(phone)
        self.assertEqual(phone.pings, 1)
        self.let_go()
        self.let_go()
        self.assertTrue(phone.bridge.reading)

    def test_full_interval_after(self) -> None:
        """Once it is read again it has its three intervals in full."""
        phone = self.proven()
        for number in range(10):
            phone.say(f"# wait {number}")
        self.advance(100)
        while self.waiting:
            self.let_go()
        self.assertTrue(phone.bridge.reading)
        self.advance(89.9)
        self.assertOpen(phone)
        self.advance(0.1)
        self.assertClosed(phone, CloseReason.ZOMBIE)

    def test_round_trip(self) -> None:
        """A pong that lay in the kernel while the relay did not read says nothing about the network."""
        phone = self.proven()
        self.advance(0)
        for number in range(10):
            phone.say(f"# wait {number}")
        self.relay.sessions.ping(phone.conversation)
        self.answer_last_ping(phone)
        self.advance(20)
        while self.waiting:
            self.let_go()
        self.advance(1)
        self.assertEqual(self.stages.metrics.pongs, 2)
        self.assertIsNone(phone.conversation.round_trip_ms)

    def answer_last_ping(self, phone: Phone) -> None:
        phone.answer(phone.conversation.pings[-1] if phone.conversation.pings else 0)


class PingTests(RelayTestCase):
    sections: ClassVar[Sections] = {"limits": {"read_timeout": 1000}}

    def test_regular(self) -> None:
        """A phone is pinged within the first five seconds, and every thirty from then on."""
        phone = self.proven(answers=True)
        self.advance(5)
        self.assertEqual(phone.pings, 1)
        self.advance(300)
        self.assertEqual(phone.pings, 11)

    def test_apart(self) -> None:
        """Phones that came back together are not pinged together."""
        phones = [self.proven(f"phone-{n}", answers=True) for n in range(20)]
        at_once = set()
        for _ in range(50):
            self.advance(0.1)
            at_once.add(sum(phone.pings for phone in phones))
        self.assertGreater(len(at_once), 10)
        self.assertEqual([phone.pings for phone in phones], [1] * 20)

    def test_round_trip(self) -> None:
        """The round trip is measured, on our clock, by the pong that answers our ping."""
        phone = self.proven(answers=True)
        self.advance(6)
        self.assertEqual(phone.conversation.round_trip_ms, int(DELAY * 1000))
        (info,) = self.relay.operator.phones()
        self.assertEqual(info.round_trip_ms, int(DELAY * 1000))

    def test_made_up(self) -> None:
        """A pong to a ping that nobody sent measures nothing."""
        phone = self.proven()
        phone.pong(int(self.now() * 1000) - 5)
        self.assertIsNone(phone.conversation.round_trip_ms)

    def test_pings_are_not_answered(self) -> None:
        """What a phone calls a ping is its answer to ours; answering it would go on for ever."""
        phone = self.proven()
        for _ in range(3):
            phone.pong()
        self.assertEqual(phone.heard(), [])


class LineTests(RelayTestCase):
    sections: ClassVar[Sections] = {"limits": {"line_bytes": 2048}, "ping": NO_PINGS}

    def line_of(self, phone: Phone, size: int) -> bytes:
        """A chat packet whose line has this many bytes."""
        auth = phone.sign()
        short = phone.line("# echo ", auth=auth, log_id="1")
        return phone.line("# echo " + "x" * (size + 1 - len(short)), auth=auth, log_id="1")

    def test_longest(self) -> None:
        """A line of exactly the limit is taken."""
        phone = self.proven()
        line = self.line_of(phone, 2048)
        self.assertEqual(len(line), 2048 + 1)
        phone.send(line)
        self.assertEqual((phone.errors, len(phone.texts)), ([], 1))

    def test_too_long(self) -> None:
        """One byte more is told so and closed; what came before it is answered."""
        phone = self.proven()
        long = self.line_of(phone, 2049)
        phone.send(phone.line("# echo before", auth=phone.sign()) + long + b"after\n")
        self.assertEqual(phone.texts, ["에코: before"])
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")

    def test_endless(self) -> None:
        """A line that does not end is refused as soon as it is too long, and nothing of it is kept."""
        phone = self.proven()
        phone.send(b"x" * 2048)
        self.assertOpen(phone)
        phone.send(b"x")
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")
        for _ in range(10):
            phone.send(b"x" * 60_000)
        self.assertEqual((phone.bridge._lines.pending, len(phone.bridge._waiting)), (0, 0))

    def test_before_the_handshake(self) -> None:
        """It makes no difference who says it."""
        phone = self.connect()
        phone.send(b"x" * 2049)
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")

    def test_drip(self) -> None:
        """A line that comes over a slow network, byte by byte for minutes, is read like any other."""
        phone = self.proven()
        for byte in phone.line("# echo slowly", auth=phone.sign()):
            phone.send(bytes((byte,)))
            self.advance(0.5)
        self.assertOpen(phone)
        self.assertEqual(phone.texts, ["에코: slowly"])


class TurnTests(RelayTestCase):
    sections: ClassVar[Sections] = {"limits": {"lines_per_turn": 100}, "auth": {"required": False}}

    def test_flood(self) -> None:
        """Thousands of lines in one read leave others their turn after every hundred."""
        phone, other = self.proven(), self.proven("phone-2")
        phone.send(b'{"event":"x","data":{}}\n' * 2000)
        self.assertEqual(self.stages.metrics.unknown_events, 100)
        self.assertEqual(phone.wire.producerState, "paused")
        other.say("# echo between")
        self.assertEqual(other.texts, ["에코: between"])
        self.assertEqual(self.counted_turn_by_turn(20), [*range(200, 2001, 100), 2000])
        self.assertEqual(phone.wire.producerState, "producing")

    def counted_turn_by_turn(self, turns: int) -> list[int]:
        """How many lines were read when each of the next turns of the reactor was over."""
        counted: list[int] = []

        def count() -> None:
            counted.append(self.stages.metrics.unknown_events)
            if len(counted) < turns:
                self.clock.callLater(0, count)

        self.clock.callLater(0, count)
        self.advance(0)
        return counted

    def test_ends_in_between(self) -> None:
        """A phone that is lost in between leaves no turn behind, and its lines are not lost."""
        phone = self.proven()
        phone.send(b'{"event":"x","data":{}}\n' * 1000)
        phone.vanish()
        self.assertEqual(self.stages.metrics.unknown_events, 1000)

    def test_finished_in_between(self) -> None:
        """Nor are those of one whose end is heard of early."""
        phone = self.proven()
        phone.send(b'{"event":"x","data":{}}\n' * 1000)
        phone.bridge.readConnectionLost()
        self.assertEqual(self.stages.metrics.unknown_events, 1000)
        self.assertClosed(phone, CloseReason.PHONE_CLOSED)

    def test_too_long_in_the_end(self) -> None:
        """A line that is too long ends the connection when those before it have had their turn."""
        self.start({"limits": {"lines_per_turn": 100, "line_bytes": 2048}, "auth": {"required": False}})
        phone = self.proven()
        phone.send(b'{"event":"x","data":{}}\n' * 250 + b"x" * 3000)
        self.assertOpen(phone)
        self.advance(0)
        self.assertEqual(self.stages.metrics.unknown_events, 250)
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")

    def test_hung_up_in_between(self) -> None:
        """One that is hung up on in between is not listened to any further."""
        phone = self.proven()
        phone.send(b'{"event":"x","data":{}}\n' * 1000)
        self.relay.operator.disconnect(self.key())
        self.advance(0)
        self.assertEqual(self.stages.metrics.unknown_events, 100)
        self.assertClosed(phone, CloseReason.OPERATOR)
