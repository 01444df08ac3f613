"""How a conversation begins: handshakes, said and implied, and what comes before them."""

from __future__ import annotations

from relaytw.messages import CloseReason, Dialect, Status
from relaytw.protocols.wire.phone import HandshakeComplete, PingPacket, encode_handshake
from tests.unit.relay.harness import RelayTestCase
from tests.unit.relay.phones import Phone


class HandshakeTests(RelayTestCase):
    dialect = Dialect.V32

    def test_answered_first(self) -> None:
        """The answer to the handshake is the first thing a phone hears, and pings come after it."""
        phone = self.connect(dialect=self.dialect).hello()
        (answer,) = phone.heard()
        assert isinstance(answer, HandshakeComplete)
        self.assertEqual((answer.success, answer.approved), (True, True))
        self.advance(5)
        (ping,) = phone.heard()
        assert isinstance(ping, PingPacket)
        self.assertEqual(ping.bot, "demo-bot")

    def test_answered_first_when_doubted(self) -> None:
        """A second connection of a client hears its answer first too, and the ping right after it."""
        self.proven(dialect=self.dialect)
        newcomer = self.connect(dialect=self.dialect).hello()
        self.assertEqual([type(packet) for packet in newcomer.heard()], [HandshakeComplete, PingPacket])

    def test_answered_first_when_owed(self) -> None:
        """So does a phone that replies wait for: it is pinged, and what it is owed follows its pong."""
        phone = self.proven(dialect=self.dialect)
        phone.say("# wait")
        phone.vanish()
        self.let_go("late")
        phone = self.connect(dialect=self.dialect).hello()
        self.assertEqual([type(packet) for packet in phone.packets], [HandshakeComplete, PingPacket])
        phone.pong()
        self.assertEqual(phone.texts, ["late"])

    def test_in_pieces(self) -> None:
        """A handshake may come byte by byte, with the first chat behind it."""
        phone = self.connect(dialect=self.dialect)
        handshake, chat = self._opening(phone)
        for position in range(len(handshake)):
            phone.send(handshake[position : position + 1])
        phone.send(chat)
        self.assertEqual((phone.greetings, phone.texts), ([(True, True)], ["에코: 안녕"]))

    def test_at_once(self) -> None:
        """A handshake and the first chat may come in one read."""
        phone = self.connect(dialect=self.dialect)
        phone.send(b"".join(self._opening(phone)))
        self.assertEqual((phone.greetings, phone.texts), ([(True, True)], ["에코: 안녕"]))

    def test_again(self) -> None:
        """A second handshake of the same phone changes nothing; it got its answer."""
        phone = self.proven(dialect=self.dialect).hello()
        self.assertEqual(phone.heard(), [])
        phone.say("# echo 안녕")
        self.assertEqual(phone.texts, ["에코: 안녕"])

    def test_as_somebody_else(self) -> None:
        """A second handshake under another name closes the connection, which belongs to the first."""
        phone = self.proven(dialect=self.dialect)
        phone.identity = self.connect("phone-2", self.dialect).identity
        phone.hello()
        self.assertClosed(phone, CloseReason.WRONG_IDENTITY, "wrong_identity")

    def _opening(self, phone: Phone) -> tuple[bytes, bytes]:
        return encode_handshake(phone.identity.handshake()), phone.line("# echo 안녕", auth=phone.sign())


class Handshake33Tests(HandshakeTests):
    dialect = Dialect.V33


class NoHandshakeTests(RelayTestCase):
    def test_silence(self) -> None:
        """A socket that says nothing is told after ten seconds, and closed."""
        phone = self.connect()
        self.advance(9.99)
        self.assertOpen(phone)
        self.advance(0.01)
        self.assertClosed(phone, CloseReason.HANDSHAKE_TIMEOUT, "handshake_timeout")

    def test_drip(self) -> None:
        """Bytes that make no line do not prolong that."""
        phone = self.connect()
        for _ in range(10):
            phone.send(b"{")
            self.advance(1)
        self.assertClosed(phone, CloseReason.HANDSHAKE_TIMEOUT, "handshake_timeout")

    def test_strangers_chat(self) -> None:
        """Neither does chat that proves nothing."""
        phone = self.connect(secret="other")
        for _ in range(10):
            phone.say("let me in")
            self.advance(1)
        self.assertClosed(phone, CloseReason.HANDSHAKE_TIMEOUT, "handshake_timeout")

    def test_bad_handshake(self) -> None:
        """What is no handshake, or half of one, is told so and closed at once."""
        for line, code in (
            (b"GET / HTTP/1.1\r\n", "bad_line"),
            (b"[]\n", "bad_line"),
            (b"\xff\xfe\n", "bad_line"),
            (b'{"botName":"demo-bot","version":"3.2.2"}\n', "bad_handshake"),
            (b'{"event":"handshake","data":{"botName":"demo-bot"}}\n', "bad_handshake"),
        ):
            phone = self.connect()
            phone.send(line)
            self.assertClosed(phone, CloseReason.BAD_HANDSHAKE, code)

    def test_abandoned_dialect(self) -> None:
        """A script of the version that nobody speaks any more gets one clear error."""
        phone = self.connect()
        phone.send(b'{"type":"handshake","auth":{},"info":{}}\n')
        self.assertClosed(phone, CloseReason.UNKNOWN_DIALECT, "unknown_dialect")

    def test_nothing_after_the_end(self) -> None:
        """What a phone sends after it was hung up on is not listened to."""
        phone = self.connect()
        phone.send(b"nonsense\n")
        phone.hello()
        self.assertEqual((phone.greetings, phone.errors), ([], ["bad_line"]))


class BeforeHandshakeTests(RelayTestCase):
    def test_held(self) -> None:
        """Chat before the handshake is kept, and answered in order behind the answer to the handshake."""
        self.start({"auth": {"required": False}})
        phone = self.connect()
        phone.send(phone.line("# echo 1", auth=None) + phone.line("# echo 2", auth=None))
        self.assertEqual(phone.packets, [])
        phone.hello()
        phone.send(phone.line("# echo 3", auth=None))
        self.assertIsInstance(phone.packets[0], HandshakeComplete)
        self.assertEqual(phone.texts, ["에코: 1", "에코: 2", "에코: 3"])

    def test_held_until_approved(self) -> None:
        """A phone nobody knows cannot imply its handshake; its chat counts from the real one on."""
        self.start({"auth": {"approve_new_devices": False}})
        phone = self.connect()
        phone.say("# echo early")
        self.assertEqual(phone.packets, [])
        self.set_device(Status.APPROVED)
        phone.hello()
        self.assertEqual((phone.greetings, phone.texts), ([(True, True)], ["에코: early"]))

    def test_too_many_lines(self) -> None:
        """Only so many lines are kept."""
        phone = self.connect(secret="other")
        for _ in range(64):
            phone.say("x")
        self.assertOpen(phone)
        phone.say("x")
        self.assertClosed(phone, CloseReason.HELD_TOO_MUCH, "held_too_much")

    def test_too_many_bytes(self) -> None:
        """And only so many bytes of them."""
        self.start({"limits": {"held_bytes": 10_000}})
        phone = self.connect(secret="other")
        for _ in range(3):
            phone.say("x" * 2_500)
        self.assertOpen(phone)
        phone.say("x" * 2_500)
        self.assertClosed(phone, CloseReason.HELD_TOO_MUCH, "held_too_much")


class ImplicitHandshakeTests(RelayTestCase):
    dialect = Dialect.V32

    def test_signed_chat(self) -> None:
        """The first validly signed packet of a phone we know is its handshake, answered before any reply."""
        self.proven(dialect=self.dialect).hang_up()
        phone = self.connect(dialect=self.dialect)
        for number in range(12):
            phone.say(f"# echo {number}")
        self.assertIsInstance(phone.packets[0], HandshakeComplete)
        self.assertEqual(phone.greetings, [(True, True)])
        self.assertEqual(phone.texts, [f"에코: {number}" for number in range(12)])
        self.assertTrue(phone.conversation.proven)
        self.assertIs(phone.bridge.dialect, self.dialect)

    def test_signed_pong(self) -> None:
        """So is the echo of a ping that an older connection got."""
        self.proven(dialect=self.dialect).hang_up()
        phone = self.connect(dialect=self.dialect)
        phone.pong()
        self.assertEqual(phone.greetings, [(True, True)])

    def test_handshake_behind(self) -> None:
        """The real handshake may still come, behind the chat; it is not answered twice."""
        phone = self.connect(dialect=self.dialect)
        phone.say("# echo 1")
        phone.hello()
        phone.say("# echo 2")
        self.assertEqual((phone.greetings, phone.texts), ([(True, True)], ["에코: 1", "에코: 2"]))

    def test_behind_nonsense(self) -> None:
        """Lines that prove nothing are kept until one does, and only then judged."""
        phone = self.connect(dialect=self.dialect)
        phone.send(phone.line("unsigned", auth=None))
        phone.say("# echo signed")
        self.assertEqual((phone.greetings, phone.errors), ([(True, True)], ["no_auth"]))
        self.assertEqual(phone.texts, ["에코: signed"])

    def test_not_approved(self) -> None:
        """A phone that is not approved, or has been refused, must introduce itself."""
        for status in (Status.PENDING, Status.BLOCKED):
            self.set_device(status)
            phone = self.connect(dialect=self.dialect)
            phone.say("# echo 1")
            self.assertEqual(phone.packets, [])
            phone.hello()
            self.assertEqual(phone.greetings, [(status is Status.PENDING, False)])

    def test_takes_over(self) -> None:
        """It also proves at once who is talking: the dead twin goes."""
        old = self.proven(dialect=self.dialect)
        phone = self.connect(dialect=self.dialect)
        phone.say("# echo 1")
        self.assertClosed(old, CloseReason.REPLACED)
        self.assertEqual((phone.greetings, phone.texts), ([(True, True)], ["에코: 1"]))


class Implicit33Tests(ImplicitHandshakeTests):
    dialect = Dialect.V33
