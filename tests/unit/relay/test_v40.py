"""Phones of dialect 4.0 on a whole relay: proof, acknowledgements, and nothing lost or said twice."""

from __future__ import annotations

from typing import ClassVar

from relaytw.messages import CloseReason, Status
from relaytw.phone import Identity
from relaytw.protocols import wire
from relaytw.protocols.wire import v40_phone as v40
from relaytw.protocols.wire.phone import encode_handshake
from tests.unit.relay.harness import BOT, Sections
from tests.unit.relay.v40 import V40TestCase


class HandshakeTests(V40TestCase):
    def test_let_in(self) -> None:
        """The relay says nothing before hello, then a challenge, and after the proof a sealed welcome."""
        phone = self.arrive()
        self.assertEqual(phone.heard_lines, [])
        phone.greet()
        self.assertEqual(len(phone.heard_lines), 1)
        self.assertEqual(phone.greetings, [])
        phone.prove()
        self.assertEqual(phone.greetings, [(True, True)])
        self.assertTrue(phone.conversation.proven)
        phone.say_as("1", "# echo hi")
        self.assertEqual(phone.texts, ["에코: hi"])

    def test_wrong_secret(self) -> None:
        """Who does not know the secret is told so in the open, and nothing else happens to the client."""
        real = self.on()
        thief = self.arrive(secret="guess").greet().prove()
        self.assertClosed(thief, CloseReason.BROKEN_SEAL, "bad_signature")
        self.assertOpen(real)
        self.assertEqual(len(self.stages.registry), 1)

    def test_replayed(self) -> None:
        """What a phone has said on one connection opens no other."""
        phone = self.on()
        said = phone._hello_line + b"\n" + wire.Sealer(b"").seal(v40.encode_proof())
        thief = self.arrive()
        thief.send(said)
        self.assertClosed(thief, CloseReason.BROKEN_SEAL, "bad_signature")
        self.assertOpen(phone)

    def test_no_proof(self) -> None:
        """After the challenge anything but the proof ends it: chat, another hello, a 3.2 handshake."""
        second_hello = self.arrive().greet()
        second_hello.greet()
        self.assertClosed(second_hello, CloseReason.BROKEN_SEAL, "no_auth")
        older = self.arrive().greet()
        older.send(encode_handshake(Identity(BOT, "phone-1").handshake()))
        self.assertClosed(older, CloseReason.BROKEN_SEAL, "no_auth")
        unsealed = self.arrive()
        unsealed.send(wire.leave_open(v40.encode_proof()))
        self.assertClosed(unsealed, CloseReason.BAD_HANDSHAKE, "bad_handshake")

    def test_patience(self) -> None:
        """The proof is due within the time of the handshake."""
        phone = self.arrive().greet()
        self.advance(9.9)
        self.assertOpen(phone)
        self.advance(0.2)
        self.assertClosed(phone, CloseReason.HANDSHAKE_TIMEOUT, "handshake_timeout")

    def test_versions(self) -> None:
        """A phone of versions unknown here is told which ones are known; one of several is enough."""
        phone = self.arrive().greet(versions=(5, 6))
        self.assertClosed(phone, CloseReason.UNSUPPORTED_VERSION, "unsupported_version")
        self.assertIn(b'"versions":[4]', phone.heard_lines[0])
        self.assertEqual(self.arrive("phone-2").greet(versions=(9, 4)).prove().greetings, [(True, True)])

    def test_take_over(self) -> None:
        """Who has proven itself takes over at once, and gets what was not acknowledged before."""
        old = self.on()
        old.say_as("1", "# echo hi")
        new = self.on()
        self.assertClosed(old, CloseReason.REPLACED)
        self.assertEqual(new.pushed, ["1/0"])

    def test_pinned(self) -> None:
        """A device is the installation that was approved, and no other with the same name."""
        self.on()
        other = self.arrive().greet(uuid="another").prove()
        self.assertClosed(other, CloseReason.WRONG_IDENTITY, "wrong_identity")

    def test_refused(self) -> None:
        """A blocked device is told so in a sealed welcome; one that waits is let in and not answered."""
        self.set_device(Status.BLOCKED)
        blocked = self.arrive().greet().prove()
        self.assertEqual(blocked.greetings, [(False, False)])
        self.assertTrue(blocked.closed)
        self.set_device(Status.PENDING, "phone-2")
        waiting = self.arrive("phone-2").greet().prove()
        self.assertEqual(waiting.greetings, [(True, False)])
        waiting.say_as("1", "# echo hi")
        self.assertEqual((waiting.texts, waiting.acks), ([], ["1"]))

    def test_full(self) -> None:
        """Without a slot a stranger is turned away before anything is computed for it."""
        self.start({"limits": {"connections": 1, "overflow": 0}})
        on = self.on()
        late = self.arrive("phone-2").greet()
        self.advance(1.1)
        self.assertTrue(late.closed)
        self.assertOpen(on)
        twin = self.arrive().greet().prove()
        self.assertEqual(twin.greetings, [(True, True)])
        self.assertClosed(on, CloseReason.REPLACED)

    def test_tampered(self) -> None:
        """A line that was changed, left out or is not sealed ends the connection; the next one is welcome."""
        for meddle in (
            lambda phone, line: line.replace(b"# echo", b"# Echo"),
            lambda phone, line: phone.sealer.seal(phone.chat("2", "# echo 2")),
            lambda phone, line: line + line,
            lambda phone, line: wire.leave_open(phone.chat("2", "# echo 2")),
        ):
            phone = self.on()
            line = phone.sealer.seal(phone.chat("1", "# echo hi")) if phone.sealer else b""
            phone.send(meddle(phone, line))
            self.assertTrue(phone.closed)
            row = self.stages.closes.rows()[-1]
            self.assertEqual(row.reason, CloseReason.BROKEN_SEAL)
        self.on()

    def test_good_seal_bad_line(self) -> None:
        """A sealed line that makes no sense is reproached; the phone is who it is, and stays."""
        phone = self.on()
        phone.tell(b'{"event":"chat","data":7}\n', b'{"event":"news","data":{}}\n')
        self.assertEqual(phone.errors, ["bad_line"])
        phone.say_as("1", "# echo hi")
        self.assertEqual(phone.texts, ["에코: hi"])


class AckTests(V40TestCase):
    def test_once_durable(self) -> None:
        """A message runs at once, and is acknowledged when the disk has it."""
        phone, held = self.on(), self.hold_syncs()
        phone.tell(phone.chat("1", "# echo 1"), phone.chat("2", "# echo 2"))
        self.assertEqual((phone.texts, phone.acks), (["에코: 1", "에코: 2"], []))
        self.assertEqual(len(held), 1)
        held[0].callback(None)
        self.assertEqual(phone.acks, ["1", "2"])
        phone.typed("1/0", "2/0")

    def test_synced_first(self) -> None:
        """Where nothing runs before the disk has it, one sync is waited for, and then both happen."""
        self.start({"journal": {"sync": "full"}})
        phone, held = self.on(), self.hold_syncs()
        phone.say_as("1", "# echo 1")
        self.assertEqual((phone.texts, phone.acks, len(held)), ([], [], 1))
        held[0].callback(None)
        self.assertEqual((phone.texts, phone.acks, len(held)), (["에코: 1"], ["1"], 1))
        phone.typed("1/0")

    def test_failed_sync(self) -> None:
        """What the disk has perhaps lost is written anew, and acknowledged after that alone."""
        phone, held = self.on(), self.hold_syncs()
        phone.say_as("1", "# wait")
        held[0].errback(OSError(5, "Input/output error"))
        self.assertEqual(phone.acks, [])
        self.advance(2)
        self.assertEqual([len(held), phone.acks], [2, []])
        held[1].callback(None)
        self.assertEqual(phone.acks, ["1"])
        self.assertEqual(self.look().unfinished_messages, 1)
        self.let_go("done")
        self.assertEqual(phone.texts, ["done"])
        phone.typed("1/0")
        self.assertEqual(self.look().unfinished_messages, 0)
        self.flushLoggedErrors()

    def test_again(self) -> None:
        """A message that comes again is acknowledged again, and not run: on this connection or another."""
        phone = self.on()
        phone.say_as("1", "# echo hi").say_as("1", "# echo hi", resent=True).typed("1/0")
        phone.vanish()
        phone = self.on()
        phone.say_as("1", "# echo hi", resent=True)
        self.assertEqual((phone.texts, phone.acks), ([], ["1"]))
        self.assertEqual(self.heard_texts(), [])

    def test_again_after_a_kill(self) -> None:
        """Nor is it run twice when the relay was killed in between."""
        phone = self.on()
        phone.say_as("1", "# echo hi").typed("1/0")
        self.look()
        self.restart()
        phone = self.on(resume="1/0")
        phone.say_as("1", "# echo hi", resent=True)
        self.assertEqual((phone.texts, phone.acks), ([], ["1"]))

    def test_unfinished_after_a_kill(self) -> None:
        """What was accepted and not finished is run after a kill, under the same ids."""
        phone = self.on()
        phone.say_as("1", "# wait")
        self.restart()
        self.advance(0)
        phone = self.on()
        self.assertEqual([message.redelivered for message in self.messages], [False, True])
        self.let_go("done")
        self.assertEqual(phone.pushed, ["1/0"])
        phone.typed("1/0")

    def test_old_and_resent(self) -> None:
        """One that comes again later than anybody remembers may have run: its handler is told so."""
        phone = self.on()
        for number, (age, resent) in enumerate([(299, True), (301, True), (301, False)]):
            phone.say_as(str(number), "# wait", age=age, resent=resent)
        self.assertEqual([message.redelivered for message in self.messages], [False, True, False])
        self.let_go()

    def test_too_old(self) -> None:
        """One that is too old is not answered but written down, and then acknowledged."""
        phone = self.on()
        phone.say_as("1", "# echo hi", age=3601)
        self.advance(0)
        self.assertEqual((phone.texts, phone.acks), ([], ["1"]))
        letters = self.database.rows("SELECT reason, message_id FROM relaytw_dead_letters")
        self.assertEqual(letters, [("too_old", "1")])

    def test_refused(self) -> None:
        """What can never be accepted is refused under its name, and its phone told why."""
        self.start({"limits": {"text_chars": 5}})
        phone = self.on()
        phone.say_as("1", "too long")
        phone.tell(b'{"event":"chat","data":{"id":"2 3","room":"r","text":"t"}}\n')
        self.assertEqual(phone.refusals, [("1", "text_too_long"), ("2 3", "bad_chat")])
        self.assertEqual((phone.acks, phone.errors), ([], []))

    def test_not_run(self) -> None:
        """What will not be run is acknowledged too: in a room that is not approved, of a paused bot."""
        phone = self.on()
        self.set_room(Status.DENIED, "secret room")
        phone.say_as("1", "# echo hi", room="secret room")
        self.assertEqual((phone.texts, phone.acks), ([], ["1"]))

    def test_a_phone_that_left(self) -> None:
        """An acknowledgement for a connection that is gone is not written to anybody."""
        phone, held = self.on(), self.hold_syncs()
        phone.say_as("1", "# wait")
        phone.vanish()
        held[0].callback(None)
        self.assertEqual(phone.acks, [])
        self.let_go()


class DirectTests(V40TestCase):
    sections: ClassVar[Sections] = {"relay": {"mode": "direct"}}

    def test_at_the_end(self) -> None:
        """Without a journal a message is acknowledged when its handler has ended."""
        phone = self.on()
        phone.say_as("1", "# wait")
        self.assertEqual(phone.acks, [])
        self.let_go("done")
        self.assertEqual((phone.texts, phone.acks), (["done"], ["1"]))
        phone.typed("1/0")

    def test_memory_begins_at_the_start(self) -> None:
        """What comes again from before the start may have run: its handler is told so."""
        self.advance(10)
        phone = self.on()
        phone.say_as("1", "# wait", age=20, resent=True)
        self.assertTrue(self.messages[0].redelivered)
        self.let_go()


class ReplyTests(V40TestCase):
    def test_kept_until_acknowledged(self) -> None:
        """A reply is written again on every connection until the phone has typed it, and never after."""
        phone = self.on()
        phone.say_as("1", "# echo hi")
        for _ in range(2):
            self.assertEqual(phone.pushed, ["1/0"])
            phone.vanish()
            phone = self.on()
        phone.typed("1/0").vanish()
        self.assertEqual(self.on().pushed, [])

    def test_kept_through_a_kill(self) -> None:
        """Also when the relay is killed."""
        phone = self.on()
        phone.say_as("1", "# echo hi")
        self.look()
        self.restart()
        phone = self.on()
        self.assertEqual(phone.pushed, ["1/0"])
        phone.typed("1/0")

    def test_resume(self) -> None:
        """What the phone has come to is not written again, though the acknowledgement got lost."""
        phone = self.on()
        phone.tell(*[phone.chat(str(number), f"# echo {number}") for number in (1, 2, 3)])
        phone.vanish()
        phone = self.on(resume="2/0")
        self.assertEqual(phone.pushed, ["3/0"])
        phone.typed("3/0")

    def test_could_not(self) -> None:
        """A reply that the phone cannot type has failed, and is not written again."""
        phone = self.on()
        phone.say_as("1", "# echo hi").tell(v40.encode_failed("1/0", "no_room", "nobody has written there"))
        phone.vanish()
        self.assertEqual(self.on().pushed, [])
        self.assertEqual(self.stages.metrics.outcomes["failed"], 1)
