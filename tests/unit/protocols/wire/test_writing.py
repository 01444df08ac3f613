"""Writing to a phone: what the relay says is one line, and reads as it was meant."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Dialect, ErrorCode, Media, Part, Reply, ReplyKind, Text
from relaytw.protocols.wire import encode_error, encode_handshake_complete, encode_ping, encode_reply
from relaytw.protocols.wire.lenient import mend
from relaytw.protocols.wire.phone import (
    ErrorPacket,
    HandshakeComplete,
    PingPacket,
    RelayPacket,
    ReplyPacket,
    decode_from_relay,
)
from tests.unit.protocols.wire.strategies import (
    broken_texts,
    dialects,
    files,
    media,
    milliseconds,
    replies,
    unhurried,
    urls,
    written,
)

NOW = 1753099931.0
PREFIXES = ("MEDIA_URL:", "IMAGE_BASE64:")
URL = "https://example.org/a b/고양이.jpg?x={1}"


def reply(part: Part, **changes: Any) -> Reply:
    return Reply(ClientKey("bot", "device"), "room", "1", part, "t1")._replace(**changes)


def halves(line: bytes) -> tuple[dict[str, Any], bytes]:
    """The header's data and the raw content of a 3.3 line, without the line's end."""
    header, brace, raw = line.rpartition(b"}")
    return json.loads(header + brace)["data"], raw.removesuffix(b"\n")


class WritingTests(SynchronousTestCase):
    def read(self, line: bytes) -> RelayPacket:
        """What a phone reads of this, which is one line in UTF-8."""
        self.assertEqual(line.count(b"\n"), 1)
        self.assertTrue(line.endswith(b"\n"))
        line.decode("utf-8")
        return decode_from_relay(line)


class PacketTests(WritingTests):
    @unhurried
    @given(st.booleans(), st.booleans(), broken_texts, broken_texts)
    def test_handshake_complete(self, success: bool, approved: bool, message: str, version: str) -> None:
        """The answer to a handshake says what it was told to, in any characters."""
        line = encode_handshake_complete(
            success=success, approved=approved, message=message, server_version=version
        )
        self.assertEqual(self.read(line), HandshakeComplete(success, approved, mend(message)))
        self.assertEqual(json.loads(line)["data"]["server_version"], mend(version))

    @unhurried
    @given(st.sampled_from(ErrorCode), broken_texts, milliseconds)
    def test_error(self, code: ErrorCode, message: str, timestamp: int) -> None:
        """An error carries its code, its words and its time."""
        self.assertEqual(
            self.read(encode_error(code, message, timestamp)), ErrorPacket(code, mend(message), timestamp)
        )

    @unhurried
    @given(broken_texts, milliseconds)
    def test_ping(self, bot: str, timestamp: int) -> None:
        """A ping carries the time that the phone shall echo, as an integer."""
        line = encode_ping(bot, timestamp)
        self.assertEqual(self.read(line), PingPacket(mend(bot), timestamp))
        self.assertIs(type(json.loads(line)["data"]["server_timestamp"]), int)


class ReplyTests(WritingTests):
    def read_reply(self, dialect: Dialect, said: Reply) -> ReplyPacket:
        packet = self.read(encode_reply(dialect, said, NOW))
        assert isinstance(packet, ReplyPacket)
        event = "messageResponse" if dialect is Dialect.V32 else said.kind.value
        channel_id = None if said.channel_id is None else mend(said.channel_id)
        self.assertEqual((packet.event, packet.room, packet.channel_id), (event, mend(said.room), channel_id))
        return packet

    @unhurried
    @given(dialects, replies(written))
    def test_texts(self, dialect: Dialect, said: Reply) -> None:
        """Whatever text a bot says, the phone reads it; halves of emoji become U+FFFD."""
        assert isinstance(said.part, Text)
        packet = self.read_reply(dialect, said)
        self.assertEqual((packet.text, packet.media), (mend(said.part.text), ()))

    @unhurried
    @given(dialects, replies(media))
    def test_media(self, dialect: Dialect, said: Reply) -> None:
        """URLs and files arrive one by one and in order, with the time they may take."""
        assert isinstance(said.part, Media)
        packet = self.read_reply(dialect, said)
        self.assertEqual((packet.text, packet.media_wait_time), (None, said.part.wait_ms))
        for shown, source in zip(packet.media, said.part.sources, strict=True):
            if isinstance(source, bytes):
                self.assertEqual(b64decode(shown, validate=True), source)
            else:
                self.assertEqual(shown, source)

    @unhurried
    @given(replies(st.one_of(written, media)))
    def test_positions(self, said: Reply) -> None:
        """Positions of 3.3 start at 0, rise, end at the end of an ASCII raw, and are never [0,0]."""
        data, raw = halves(encode_reply(Dialect.V33, said, NOW))
        self.assertTrue(raw.isascii())
        self.assertEqual(raw.strip(), raw)
        positions = data["message_positions"]
        self.assertEqual((positions[0], positions[-1]), (0, len(raw)))
        self.assertTrue(all(start < end for start, end in pairwise(positions)))

    @unhurried
    @given(dialects, st.sampled_from(PREFIXES), broken_texts)
    def test_any_text_after_a_prefix(self, dialect: Dialect, prefix: str, rest: str) -> None:
        """Text that looks like media is written, or refused where nothing is left to send."""
        said = reply(Text(prefix + rest))
        if dialect is Dialect.V33 and not rest.replace("|||", ""):
            with self.assertRaises(ValueError):
                encode_reply(dialect, said, NOW)
            return
        packet = self.read(encode_reply(dialect, said, NOW))
        assert isinstance(packet, ReplyPacket)
        self.assertEqual(
            [unquote(source) for source in packet.media], [unquote(s) for s in mend(rest).split("|||")]
        )


class FormTests(WritingTests):
    def test_text_in_32(self) -> None:
        """A text of 3.2 has the documented fields, and no word of media."""
        line = encode_reply(Dialect.V32, reply(Text("안녕"), kind=ReplyKind.BROADCAST), NOW)
        data = {"room": "room", "text": "안녕", "channel_id": "1", "bot_name": "bot"}
        self.assertEqual(json.loads(line), {"event": "messageResponse", "data": data})

    def test_text_in_33(self) -> None:
        """A text of 3.3 has the documented header with the text behind it."""
        data, raw = halves(encode_reply(Dialect.V33, reply(Text("안녕")), NOW))
        self.assertEqual(raw, b64encode("안녕".encode()))
        self.assertEqual(
            data,
            {
                "room": "room",
                "channel_id": "1",
                "bot_name": "bot",
                "message_type": "text",
                "content_encoding": "base64",
                "message_positions": [0, 8],
                "timestamp": "2025-07-21T12:12:11Z",
                "timezone": "Asia/Seoul",
            },
        )

    def test_media_in_33(self) -> None:
        """Media of 3.3 name their kind and format, and are no text."""
        part = Media((b"abc", b"defg"), kind="audio", format="mp3", wait_ms=9000)
        data, raw = halves(encode_reply(Dialect.V33, reply(part), NOW, "Europe/Paris"))
        self.assertEqual(raw, b"YWJjZGVmZw==")
        self.assertEqual(data["message_positions"], [0, 4, 12])
        self.assertEqual((data["message_type"], data["message_format"]), ("audio", "mp3"))
        self.assertEqual((data["media_wait_time"], data["timezone"]), (9000, "Europe/Paris"))
        self.assertNotIn("content_encoding", data)

    def test_the_kind_of_a_reply(self) -> None:
        """Dialect 3.3 names what prompted a reply."""
        for kind in ReplyKind:
            line = encode_reply(Dialect.V33, reply(Text("x"), kind=kind), NOW)
            self.assertTrue(line.startswith(b'{"event":"%s"' % kind.value.encode()))

    def test_a_null_channel_id_stays_null(self) -> None:
        """A chat without an id is answered without one, not with a word."""
        for dialect in Dialect:
            line = encode_reply(dialect, reply(Text("x"), channel_id=None), NOW)
            self.assertIn(b'"channel_id":null', line)

    def test_urls_are_ascii_in_33(self) -> None:
        """Characters of a URL that a header's end or an offset would stumble over are quoted."""
        data, raw = halves(encode_reply(Dialect.V33, reply(Media((URL,))), NOW))
        self.assertEqual(raw, b"https://example.org/a%20b/%EA%B3%A0%EC%96%91%EC%9D%B4.jpg?x=%7B1%7D")
        self.assertEqual(data["message_positions"], [0, len(raw)])

    def test_half_an_emoji_in_a_url(self) -> None:
        """A URL that was cut within an emoji is sent all the same, in either dialect."""
        for part in (Media(("https://example.org/\ud83d",)), Text("MEDIA_URL:https://example.org/\ud83d")):
            for dialect in (Dialect.V32, Dialect.V33):
                packet = self.read(encode_reply(dialect, reply(part), NOW))
                assert isinstance(packet, ReplyPacket)
                self.assertEqual([unquote(source) for source in packet.media], ["https://example.org/\ufffd"])

    @unhurried
    @given(dialects, st.lists(urls, min_size=1, max_size=3), st.lists(files, min_size=1, max_size=3))
    def test_media_written_as_text(self, dialect: Dialect, links: list[str], contents: list[bytes]) -> None:
        """A bot that writes media the 3.2 way is understood in both dialects."""
        coded = [b64encode(content).decode() for content in contents]
        for prefix, sources in zip(PREFIXES, (links, coded), strict=True):
            packet = self.read(encode_reply(dialect, reply(Text(prefix + "|||".join(sources))), NOW))
            assert isinstance(packet, ReplyPacket)
            self.assertEqual(packet.media, tuple(sources))


class RefusalTests(SynchronousTestCase):
    def refused(self, dialect: Dialect, part: Part) -> None:
        with self.assertRaises(ValueError):
            encode_reply(dialect, reply(part), NOW)

    def test_nothing_to_say(self) -> None:
        """An empty text and media without a source are refused, not sent as [0,0]."""
        for dialect in Dialect:
            self.refused(dialect, Text(""))
            self.refused(dialect, Media(()))

    def test_files_that_32_cannot_carry(self) -> None:
        """Dialect 3.2 takes file contents of images alone; everything by URL is welcome."""
        for kind in ("audio", "video", "document"):
            self.refused(Dialect.V32, Media((b"abc",), kind=kind))
            line = encode_reply(Dialect.V32, reply(Media(("https://example.org/a",), kind=kind)), NOW)
            self.assertIn(b'"MEDIA_URL:https://example.org/a"', line)
