"""The two ends of the wire against each other: what the phone's side says, the relay reads."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BadLine
from relaytw.messages import Auth, Chat, Dialect, Handshake, Monitoring, Pong
from relaytw.protocols.wire import LineBuffer, decode, decode_first
from relaytw.protocols.wire.phone import (
    ErrorPacket,
    HandshakeComplete,
    PingPacket,
    ReplyPacket,
    decode_from_relay,
    encode_chat,
    encode_handshake,
    encode_pong,
)
from tests.unit.protocols.wire.strategies import (
    auths,
    chats,
    dialects,
    handshakes,
    milliseconds,
    monitorings,
    texts,
    unhurried,
)

CHAT = Chat(
    "room", "안녕 }", "sender", "18000000000000001", None, None, True, False, "2025-07-15 12:00:00", None
)


class RoundTripTests(SynchronousTestCase):
    def one_line(self, written: bytes) -> bytes:
        """The line without its end; it is one line, and stays so on its way through a buffer."""
        (line,) = LineBuffer(len(written)).feed(written)
        self.assertEqual(line + b"\n", written)
        return line

    @unhurried
    @given(handshakes)
    def test_handshakes(self, handshake: Handshake) -> None:
        """A handshake of either dialect is read back whole, and tells its dialect."""
        line = self.one_line(encode_handshake(handshake))
        self.assertEqual(decode_first(line), (handshake, handshake.dialect))
        self.assertEqual(decode(line), handshake)

    @unhurried
    @given(dialects, chats, texts)
    def test_chat(self, dialect: Dialect, chat: Chat, bot: str) -> None:
        """Chat of either dialect is read back whole, whatever characters it is made of."""
        line = self.one_line(encode_chat(dialect, chat, bot))
        self.assertEqual(decode_first(line), (chat, dialect))
        self.assertEqual(decode(line + b"\r"), chat)

    @unhurried
    @given(dialects, texts, milliseconds, st.none() | monitorings, st.none() | auths)
    def test_pongs(
        self, dialect: Dialect, bot: str, sent: int, figures: Monitoring | None, auth: Auth | None
    ) -> None:
        """The answer to a ping is read back whole, the echoed time to the millisecond."""
        line = self.one_line(encode_pong(dialect, bot, sent, figures, auth))
        self.assertEqual(decode(line), Pong(sent, figures, auth))

    @unhurried
    @given(dialects, milliseconds, auths)
    def test_a_pong_tells_its_dialect(self, dialect: Dialect, sent: int, auth: Auth) -> None:
        """A signed pong can be the first line of a phone: its version tells the dialect."""
        signed = auth._replace(version=f"{dialect}.1")
        for written in (Dialect.V32, Dialect.V33):
            line = encode_pong(written, "bot", sent, None, signed)
            self.assertEqual(decode_first(line), (Pong(sent, None, signed), dialect))


class PhoneTests(SynchronousTestCase):
    def test_the_client_type_of_a_handshake(self) -> None:
        """A phone that was given no client type says the one that scripts have."""
        packet = decode(encode_handshake(Handshake(Dialect.V32, "bot", "device", "3.2.2")))
        assert isinstance(packet, Handshake)
        self.assertEqual(packet.client_type, "MessengerBotR")

    def test_chat_as_the_dialects_spell_it(self) -> None:
        """The phone's side writes the field names of its dialect, and 3.3 puts the text behind."""
        data = json.loads(encode_chat(Dialect.V32, CHAT, "bot"))["data"]
        self.assertEqual(
            (data["channelId"], data["text"], data["botName"]), ("18000000000000001", "안녕 }", "bot")
        )
        header, brace, raw = encode_chat(Dialect.V33, CHAT, "bot").rpartition(b"}")
        data = json.loads(header + brace)["data"]
        self.assertEqual(
            (data["channel_id"], data["bot_name"], data["log_id"]), ("18000000000000001", "bot", None)
        )
        self.assertNotIn("text", data)
        self.assertEqual(raw, b"7JWI64WVIH0=\n")

    def test_pongs_as_the_dialects_name_them(self) -> None:
        """A script of 3.2 answers a ping with `ping`, one of 3.3 with `pong`."""
        for dialect, event in ((Dialect.V32, "ping"), (Dialect.V33, "pong")):
            packet = json.loads(encode_pong(dialect, "bot", 5))
            self.assertEqual(packet, {"event": event, "data": {"bot_name": "bot", "server_timestamp": 5}})

    def test_half_an_emoji(self) -> None:
        """Half an emoji in a text of 3.3 is the `?` that it becomes on the phone."""
        packet = decode(encode_chat(Dialect.V33, CHAT._replace(text="a\ud83d"), "bot").rstrip())
        assert isinstance(packet, Chat)
        self.assertEqual(packet.text, "a?")


class FromRelayTests(SynchronousTestCase):
    def refused(self, line: bytes) -> None:
        with self.assertRaises(BadLine):
            decode_from_relay(line)

    def test_the_documented_packets(self) -> None:
        """The packets of the protocol's description are read as it means them."""
        packets = (
            (
                b'{"event":"handshakeComplete","data":{"success":true,"approved":false,"message":"m","server_version":"1"}}',
                HandshakeComplete(success=True, approved=False, message="m"),
            ),
            (
                b'{"event":"error","data":{"code":"server_full","message":"m","timestamp":1752570000000}}',
                ErrorPacket("server_full", "m", 1752570000000),
            ),
            (
                b'{"event":"ping","data":{"bot_name":"demo-bot","server_timestamp":1752570000000}}',
                PingPacket("demo-bot", 1752570000000),
            ),
            (
                b'{"event":"messageResponse","data":{"room":"r","text":"MEDIA_URL:a|||b","channel_id":null,"media_wait_time":8000}}',
                ReplyPacket("messageResponse", "r", None, None, ("a", "b"), 8000),
            ),
            (
                b'{"event":"scheduleMessage","data":{"room":"r","channel_id":"1","message_type":"text","message_positions":[0,4]}}dGV4dA==',
                ReplyPacket("scheduleMessage", "r", "1", "tex", (), None),
            ),
            (
                b'{"event":"messageResponse","data":{"room":"r","channel_id":"1","message_type":"audio","message_positions":[0,2,5]}}aabbb\r\n',
                ReplyPacket("messageResponse", "r", "1", None, ("aa", "bbb"), None),
            ),
        )
        for line, packet in packets:
            self.assertEqual(decode_from_relay(line), packet)

    def test_what_a_script_ignores(self) -> None:
        """A reply without positions, or with [0,0], is none to a script: nor to this side."""
        for positions in (
            b"",
            b',"message_positions":[0,0]',
            b',"message_positions":null',
            b',"message_positions":["x"]',
        ):
            self.refused(
                b'{"event":"messageResponse","data":{"room":"r","channel_id":"1","message_type":"text"%s}}dGV4dA=='
                % positions
            )

    def test_no_packets(self) -> None:
        """What is no packet of the relay is refused, whatever is missing of it."""
        for bad in (
            b"",
            b"{}",
            b"[]",
            b'{"event":1,"data":{}}',
            b'{"event":"ping"}',
            b'{"event":"ping","data":{}}',
            b"\xff}",
        ):
            self.refused(bad)

    @unhurried
    @given(st.binary())
    def test_any_bytes(self, line: bytes) -> None:
        """Bytes from a stranger give the phone's side a packet or BadLine, and nothing else."""
        try:
            packet = decode_from_relay(line)
        except BadLine:
            return
        self.assertIsInstance(packet, HandshakeComplete | ErrorPacket | PingPacket | ReplyPacket)
