"""What strangers and bad luck may try at the edges of a session."""

from __future__ import annotations

import shlex
from dataclasses import replace

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from relaytw.messages import CloseReason, Status
from tests.unit.books import done
from tests.unit.relay.harness import RelayTestCase


class LineTests(RelayTestCase):
    sections = {"limits": {"lines_per_turn": 2}}  # noqa: RUF012 (the harness declares it)
    leftovers = True

    def test_rubbish_and_gone(self) -> None:
        """A connection that is closed while its last lines are worked leaves no timer."""
        phone = self.proven()
        phone.send(b"rubbish\n" * 40)
        phone.vanish()
        self.advance()
        self.assertNoTimers()

    def test_twin_again(self) -> None:
        """A message that came by the script's other code path is a repeat, and so is that one's repeat."""
        phone = self.proven()
        phone.say("hi", log_id="77")
        bare = phone.say("hi", log_id=None)
        self.advance(5)
        phone.send(bare)
        self.assertEqual(self.heard_texts(), ["hi"])


class StrangerTests(RelayTestCase):
    sections = {"auth": {"approve_new_devices": False}}  # noqa: RUF012 (the harness declares it)

    def test_names_in_commands(self) -> None:
        """The command that a log line asks the operator to run holds the names as single, quoted words."""
        lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if "relayctl" in str(event.get("log_format")):
                lines.append(str(event["log_format"]).format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        device = "x'; touch /tmp/owned; echo '"
        self.connect(device).hello()
        [line] = lines
        command = line.partition("(or: ")[2].rstrip(")")
        self.assertEqual(shlex.split(command), ["relayctl", "devices", "approve", "demo-bot", device])

    def test_pushed_out(self) -> None:
        """Strangers without number do not make a connected phone unknown to its operator."""
        phone = self.connect("real").hello()
        for number in range(1001):
            self.connect(f"stranger-{number}").hello().hang_up()
        self.assertTrue(done(self.relay.operator.set_device(self.key("real"), Status.APPROVED)))
        phone.say("hello")
        self.assertEqual(self.heard_texts(), ["hello"])

    def test_another_name_while_doubted(self) -> None:
        """A doubted connection that introduces itself anew as somebody else is closed."""
        self.start({"auth": {"approve_new_devices": True}})
        self.proven("a")
        doubted = self.connect("a").hello()
        doubted.heard()
        doubted.identity = replace(doubted.identity, device="b")
        doubted.hello()
        self.assertClosed(doubted, CloseReason.WRONG_IDENTITY, "wrong_identity")


class ProofTests(RelayTestCase):
    def test_sent_again_after_a_reconnect(self) -> None:
        """A phone that begins by sending something again is pinged, for its answer waits for a proof."""
        phone = self.proven()
        signature = phone.sign()
        line = phone.line("# echo x", auth=signature)
        phone.send(phone.line("first", auth=signature))
        phone.vanish()
        back = self.connect(answers=True).hello()
        back.send(line)
        self.assertEqual((back.pings, back.texts), (1, []))
        self.advance(0.1)
        self.assertEqual(back.texts, ["에코: x"])


class SquatterTests(RelayTestCase):
    sections = {"limits": {"connections": 12, "overflow": 20}}  # noqa: RUF012 (the harness declares it)

    def test_crowd_of_unproven(self) -> None:
        """Strangers who claim the names of phones that are on do not keep one of these out."""
        for number in range(12):
            self.proven(f"real-{number}", answers=True)
        self.advance(61)
        for number in range(10):
            for _ in range(2):
                self.connect(f"real-{number}", host="10.6.6.6", secret="no").hello()
        self.advance(2)
        back = self.connect("real-11", host="10.0.0.99", answers=True)
        self.advance()
        self.assertOpen(back)
        back.hello()
        self.advance(0.1)
        self.assertTrue(back.conversation.proven)


class SlotlessTests(RelayTestCase):
    sections = {"limits": {"connections": 2, "overflow": 1}}  # noqa: RUF012 (the harness declares it)

    def test_proven_without_a_slot(self) -> None:
        """A phone whose twin's slot went to somebody else is not closed for a crowd of strangers."""
        twin = self.proven("a", answers=True)
        self.proven("b", answers=True)
        self.connect("b").hello()
        self.advance(0.1)
        phone = self.connect("a", answers=True).hello()
        twin.hang_up()
        self.advance(0.1)
        self.assertTrue(phone.conversation.proven)
        self.assertIsNone(phone.conversation.seat)
        self.advance(2)
        for name in ("x", "y"):
            self.connect(name)
        self.advance()
        self.assertOpen(phone)
        self.advance(40)
        self.assertIsNotNone(phone.conversation.seat)
