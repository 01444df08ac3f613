"""The simulated phone, byte by byte."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BadLine
from relaytw.messages import (
    Chat,
    ClientKey,
    Dialect,
    ErrorCode,
    Handshake,
    Media,
    Packet,
    Pong,
    Reply,
    Text,
)
from relaytw.phone import Identity, SimulatedPhone
from relaytw.protocols import wire
from relaytw.protocols.wire.phone import ErrorPacket, HandshakeComplete, ReplyPacket

NOW = 1_700_000_000.25
SECRET = b"s3cret"


class Screen:
    """Whoever looks at the phone: remembers what there was to see."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def greeted(self, phone: SimulatedPhone, answer: HandshakeComplete) -> None:
        self.seen.append(answer)

    def replied(self, phone: SimulatedPhone, reply: ReplyPacket) -> None:
        self.seen.append(reply)

    def scolded(self, phone: SimulatedPhone, error: ErrorPacket) -> None:
        self.seen.append(error)

    def lost(self, phone: SimulatedPhone) -> None:
        self.seen.append("lost")


class PhoneTestCase(SynchronousTestCase):
    dialect = Dialect.V32

    def setUp(self) -> None:
        self.screen = Screen()
        self.now = NOW

    def connect(self, secret: bytes | None = SECRET) -> SimulatedPhone:
        """A phone on a transport in memory."""
        identity = Identity("봇", "phone-1", self.dialect, secret, "salt")
        phone = SimulatedPhone(identity, self.screen, lambda: self.now)
        self.transport = StringTransport()
        phone.makeConnection(self.transport)
        return phone

    def said(self) -> list[Packet | BadLine]:
        """What the relay reads of what the phone wrote since it was last asked."""
        *lines, rest = self.transport.value().split(b"\n")
        self.assertEqual(rest, b"")
        self.transport.clear()
        return [self._read(line) for line in lines]

    def _read(self, line: bytes) -> Packet | BadLine:
        packet, dialect = wire.decode_first(line)
        return packet if isinstance(packet, Handshake) and dialect else wire.decode(line)


class SpeakingTests(PhoneTestCase):
    def test_handshake(self) -> None:
        """A phone introduces itself as soon as it is connected."""
        self.connect()
        (handshake,) = self.said()
        assert isinstance(handshake, Handshake)
        self.assertEqual(handshake.key, ClientKey("봇", "phone-1"))
        self.assertIs(handshake.dialect, self.dialect)

    def test_say(self) -> None:
        """What a phone says is a chat message, signed for this moment."""
        phone = self.connect()
        self.said()
        phone.say("가족", "# echo 안녕 🙂", channel_id="100", sender="Ada", user_hash="hash")
        (chat,) = self.said()
        assert isinstance(chat, Chat)
        self.assertEqual((chat.room, chat.text, chat.sender), ("가족", "# echo 안녕 🙂", "Ada"))
        self.assertEqual((chat.channel_id, chat.user_hash), ("100", "hash"))
        assert chat.auth is not None
        self.assertEqual((chat.auth.bot, chat.auth.device), ("봇", "phone-1"))
        self.assertEqual(chat.auth.timestamp, int(NOW * 1000))
        self.assertEqual(wire.Verifier((SECRET,), "salt").verify(chat.auth), 0)
        self.assertIsNone(wire.Verifier((b"other",), "salt").verify(chat.auth))

    def test_log_ids(self) -> None:
        """No two messages look like one, not even within the same moment."""
        phone = self.connect()
        self.said()
        for _ in range(3):
            phone.say("room", "again")
        ids = [chat.log_id for chat in self.said() if isinstance(chat, Chat)]
        self.assertEqual(len(set(ids)), 3)
        self.assertEqual(phone.said, 3)

    def test_unsigned(self) -> None:
        """Without a secret nothing is signed."""
        phone = self.connect(secret=None)
        phone.say("room", "hello")
        chat = self.said()[-1]
        assert isinstance(chat, Chat)
        self.assertIsNone(chat.auth)

    def test_hang_up(self) -> None:
        """A phone can hang up, and its user learns when the connection is over."""
        phone = self.connect()
        phone.hang_up()
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.screen.seen, [])
        phone.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.screen.seen, ["lost"])


class Speaking33Tests(SpeakingTests):
    dialect = Dialect.V33


class HearingTests(PhoneTestCase):
    def reply(self, part: Text | Media) -> bytes:
        """A reply as the relay writes it."""
        reply = Reply(ClientKey("봇", "phone-1"), "가족", "100", part, "trace")
        return wire.encode_reply(self.dialect, reply, NOW)

    def test_ping(self) -> None:
        """A ping is echoed, signed and with figures, and nobody need look at it."""
        phone = self.connect()
        phone.say("one", "x")
        phone.say("other", "x")
        self.said()
        phone.dataReceived(wire.encode_ping("봇", 1234567890123))
        (pong,) = self.said()
        assert isinstance(pong, Pong)
        self.assertEqual(pong.server_timestamp, 1234567890123)
        assert pong.auth is not None
        assert pong.monitoring is not None
        self.assertEqual(wire.Verifier((SECRET,), "salt").verify(pong.auth), 0)
        self.assertEqual(pong.monitoring.active_rooms, 2)
        self.assertEqual((phone.pings, self.screen.seen), (1, []))

    def test_greeting(self) -> None:
        """The answer to the handshake is shown."""
        phone = self.connect()
        phone.dataReceived(
            wire.encode_handshake_complete(success=True, approved=False, message="wait", server_version="x")
        )
        self.assertEqual(self.screen.seen, [HandshakeComplete(True, False, "wait")])

    def test_error(self) -> None:
        """What the relay did not like is shown."""
        phone = self.connect()
        phone.dataReceived(wire.encode_error(ErrorCode.STALE, "the clock is off", 5))
        self.assertEqual(self.screen.seen, [ErrorPacket("stale", "the clock is off", 5)])

    def test_reply(self) -> None:
        """Texts and media are shown, with the room they are for."""
        phone = self.connect()
        phone.dataReceived(
            self.reply(Text("안녕\n🙂")) + self.reply(Media(("https://a/1.jpg", "https://a/2.jpg")))
        )
        text, media = self.screen.seen
        assert isinstance(text, ReplyPacket)
        assert isinstance(media, ReplyPacket)
        self.assertEqual((text.room, text.channel_id, text.text), ("가족", "100", "안녕\n🙂"))
        self.assertIsNone(media.text)
        self.assertEqual(len(media.media), 2)

    def test_pieces(self) -> None:
        """A line may come in any pieces, and several in one."""
        phone = self.connect()
        data = self.reply(Text("하나")) + self.reply(Text("둘"))
        for position in range(len(data)):
            phone.dataReceived(data[position : position + 1])
        self.assertEqual([getattr(reply, "text", None) for reply in self.screen.seen], ["하나", "둘"])

    def test_nonsense(self) -> None:
        """What is no packet is skipped, and what follows it is heard."""
        phone = self.connect()
        nonsense = b"\n[]\nnonsense\n{}\n" + b'{"event":"ping","data":{}}\n\xff\xfe\n'
        phone.dataReceived(nonsense + self.reply(Text("still here")))
        (reply,) = self.screen.seen
        self.assertEqual(getattr(reply, "text", None), "still here")
        self.assertFalse(self.transport.disconnecting)


class Hearing33Tests(HearingTests):
    dialect = Dialect.V33
