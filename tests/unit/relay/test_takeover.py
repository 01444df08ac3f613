"""Two connections of one client: who is believed, who goes, and where the replies go."""

from __future__ import annotations

from typing import cast

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from relaytw.messages import CloseReason, Media
from tests.unit.relay.harness import RelayTestCase
from tests.unit.relay.phones import Phone


class UnprovenTests(RelayTestCase):
    def test_pinged_at_once(self) -> None:
        """A newcomer under the name of somebody who is on is asked for proof at once, and only once."""
        self.proven()
        newcomer = self.connect().hello()
        self.assertEqual((newcomer.greetings, newcomer.pings), ([(True, True)], 1))
        self.advance(20)
        self.assertEqual(newcomer.pings, 1)

    def test_cannot_throw_out(self) -> None:
        """Without a signature it gets nothing, and the phone that is on does not notice."""
        phone = self.proven(answers=True)
        stranger = self.connect(secret="other").hello()
        stranger.say("# echo mine")
        stranger.pong()
        stranger.send(stranger.line("# echo mine", auth=None))
        phone.say("# echo still here")
        self.assertEqual(phone.texts, ["에코: still here"])
        self.assertEqual(stranger.texts, [])
        self.assertEqual(stranger.errors, ["bad_signature", "bad_signature", "no_auth"])
        self.assertOpen(phone, stranger)
        self.advance(29.9)
        self.assertOpen(phone, stranger)
        self.advance(0.1)
        self.assertClosed(stranger, CloseReason.UNPROVEN, *["bad_signature"] * 2, "no_auth", "no_auth")
        self.assertOpen(phone)
        self.assertEqual(self.stages.metrics.takeovers, 0)

    def test_keeps_nobody_alive(self) -> None:
        """What a stranger says is no sign of life of the phone that is on."""
        phone = self.proven()
        for _ in range(4):
            self.connect(secret="other").hello()
            self.advance(22.5)
        self.assertClosed(phone, CloseReason.ZOMBIE)

    def test_too_many_bad_packets(self) -> None:
        """A newcomer that keeps guessing is closed."""
        self.proven()
        stranger = self.connect(secret="other").hello()
        for _ in range(20):
            stranger.pong()
        self.assertClosed(stranger, CloseReason.BAD_SIGNATURE, *["bad_signature"] * 20)

    def test_holds_too_much(self) -> None:
        """What it may keep for after its proof is bounded, even if the phone itself once signed it."""
        self.start({"limits": {"held_lines": 10}})
        phone = self.proven()
        lines = [phone.say(str(number)) for number in range(11)]
        stranger = self.connect(secret="other").hello()
        stranger.send(b"".join(lines[:10]))
        self.assertOpen(phone, stranger)
        stranger.send(lines[10])
        self.assertClosed(stranger, CloseReason.HELD_TOO_MUCH, "held_too_much")
        self.assertOpen(phone)

    def test_at_most_two(self) -> None:
        """Two may wait to be believed; the third makes the oldest of them go."""
        phone = self.proven()
        first, second, third = (self.connect(secret="other").hello() for _ in range(3))
        self.assertClosed(first, CloseReason.SUPERSEDED)
        self.assertOpen(phone, second, third)
        self.assertEqual(self.stages.registry.provisional, 2)

    def test_other_left(self) -> None:
        """When the phone that was on leaves, a newcomer still has to prove itself, and can."""
        phone = self.proven()
        newcomer = self.connect().hello()
        phone.hang_up()
        newcomer.say("# echo proof")
        self.assertEqual(newcomer.texts, ["에코: proof"])
        self.assertIs(self.stages.registry.live(self.key()), newcomer.conversation)
        self.assertEqual(self.stages.metrics.takeovers, 0)

    def test_media_time(self) -> None:
        """A phone that was just given media over its dead connection has that much longer to answer."""
        phone = self.proven()
        phone.say("# wait")
        self.let_go(Media(("https://example.org/1.jpg",), wait_ms=40_000))
        newcomer = self.connect().hello()
        self.advance(69.9)
        self.assertOpen(newcomer)
        self.advance(0.1)
        self.assertClosed(newcomer, CloseReason.UNPROVEN, "no_auth")


class ProvenTests(RelayTestCase):
    def takeover(self) -> tuple[Phone, Phone]:
        """A phone whose connection was taken over by its next one."""
        old = self.proven()
        new = self.connect().hello()
        new.pong()
        new.heard()
        return old, new

    def test_replaced(self) -> None:
        """The first valid signature closes the older connection, without a word."""
        old, new = self.takeover()
        self.assertClosed(old, CloseReason.REPLACED)
        self.assertTrue(old.wire.aborted)
        self.assertOpen(new)
        self.assertIs(self.stages.registry.live(self.key()), new.conversation)
        self.assertEqual((self.stages.metrics.takeovers, len(self.stages.registry)), (1, 1))

    def test_late_clean_up(self) -> None:
        """When the older one's end is heard of at last, the newer one stays what it is."""
        old, new = self.takeover()
        old.vanish()
        self.advance(10)
        self.assertIs(self.stages.registry.live(self.key()), new.conversation)
        self.assertEqual((self.relay.sessions.connections, len(self.stages.pings)), (1, 1))
        new.say("# echo here")
        self.assertEqual((old.texts, new.texts), ([], ["에코: here"]))

    def test_replies(self) -> None:
        """What the older connection asked is answered over the newer one."""
        old = self.proven()
        old.say("# wait 1")
        old.say("# wait 2")
        new = self.connect().hello()
        self.let_go("first", 1)
        self.assertEqual((old.texts, new.texts), (["first"], []))
        new.pong()
        self.let_go("second")
        self.assertEqual((old.texts, new.texts), (["first"], ["first", "second"]))

    def test_resent(self) -> None:
        """Chat that the dead socket swallowed proves nothing when it comes again, and is run once."""
        old = self.proven()
        line = old.say("# echo 1")
        lost = old.line("# echo 2", auth=old.sign())
        new = self.connect().hello()
        new.send(line)
        self.assertOpen(old)
        self.assertEqual(new.texts, [])
        new.send(lost)
        self.assertClosed(old, CloseReason.REPLACED)
        self.assertEqual(self.stages.metrics.duplicates, 1)
        self.assertEqual(new.texts, ["에코: 1", "에코: 2"])

    def test_held_chat(self) -> None:
        """What a newcomer said before its proof is worked after it, in order."""
        old = self.proven()
        queued = [old.say("again"), old.say("and again")]
        new = self.connect().hello()
        new.send(b"".join(queued))
        new.say("# echo 1")
        new.say("# echo 2")
        self.assertEqual(new.texts, ["에코: 1", "에코: 2"])
        self.assertEqual(self.heard_texts(), ["again", "and again"])

    def test_at_full_length(self) -> None:
        """Phones whose network keeps changing take over as often as they like."""
        phones = [self.proven()]
        for _ in range(10):
            self.advance(30)
            phones.append(self.proven())
        self.assertEqual(self.stages.metrics.takeovers, 10)
        self.assertOpen(phones[-1])

    def test_fight(self) -> None:
        """Two phones with one identity are noticed, and both are named."""
        told: list[LogEvent] = []
        note = cast("ILogObserver", told.append)
        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        for number in range(6):
            self.proven(host=f"10.0.0.{7 + number % 2}")
            self.advance(4)
        fights = [event for event in told if "fought over" in str(event.get("log_format"))]
        self.assertEqual(len(fights), 1)
        self.assertEqual({fights[0]["one"][:8], fights[0]["other"][:8]}, {"10.0.0.7", "10.0.0.8"})

    def test_read_first(self) -> None:
        """Lines that were read from the older connection come before the newer one's."""
        self.start({"limits": {"backlog_per_connection": 10, "per_room": 1}})
        old = self.proven()
        old.send(b"".join(old.line(f"# wait {n}", auth=old.sign()) for n in range(15)))
        self.assertEqual(self.stages.intake.unfinished, 10)
        new = self.connect().hello()
        new.say("# wait 15")
        self.assertClosed(old, CloseReason.REPLACED)
        self.assertEqual(self.stages.intake.unfinished, 16)
        while self.waiting:
            self.let_go()
        self.assertEqual(self.heard_texts(), [f"# wait {n}" for n in range(16)])
