"""Dialect 4.0 on the wire: what one end writes the other reads, and any other bytes are refused."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BadLine
from relaytw.messages import (
    Chat,
    ClientKey,
    CouldNot,
    Dialect,
    ErrorCode,
    Handshake,
    Hello,
    Media,
    Pong,
    Proof,
    Reply,
    ReplyKind,
    Text,
    Typed,
    Unacceptable,
    Unknown,
)
from relaytw.protocols import wire
from relaytw.protocols.wire import v40_phone as phone
from relaytw.protocols.wire.lenient import mend
from relaytw.protocols.wire.phone import ReplyPacket
from relaytw.protocols.wire.v40_writing import CHUNK

names = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
words = st.text(max_size=30)
strings = st.text(max_size=30).map(mend)
maybe = st.none() | strings
handshakes = st.builds(
    Handshake, st.just(Dialect.V40), strings.filter(lambda s: bool(s.strip())), strings, strings, strings,
    st.just(""), strings,
)  # fmt: skip
hellos = st.builds(
    Hello, st.tuples(st.just(4)), handshakes, strings, st.binary(min_size=16, max_size=16), maybe
)
chats = st.builds(
    Chat, strings, strings, strings, maybe, maybe, maybe, st.booleans(), st.booleans(),
    st.integers(0, 2**52).map(str), st.none(), names, st.integers(0, 2**52), st.booleans(),
)  # fmt: skip
parts = st.builds(Text, words.filter(bool)) | st.builds(
    Media,
    st.lists(st.binary(min_size=1, max_size=3 * CHUNK), min_size=1, max_size=3).map(tuple)
    | st.lists(words.filter(bool), min_size=1, max_size=3).map(tuple),
    wait_ms=st.none() | st.integers(0, 10_000),
)
replies = st.builds(
    Reply, st.just(ClientKey("bot", "device")), words, st.none() | words, parts, st.just("trace"),
    st.sampled_from(ReplyKind), names,
)  # fmt: skip


class FromPhoneTests(SynchronousTestCase):
    @given(hellos)
    def test_hello(self, hello: Hello) -> None:
        """A phone's first line is read as what it is, and tells the dialect."""
        line = wire.leave_open(phone.encode_hello(hello)).removesuffix(b"\n")
        self.assertEqual(wire.decode_first(line), (hello, Dialect.V40))

    @given(chats)
    def test_chat(self, chat: Chat) -> None:
        """A message comes through whole, sealed or not."""
        line = phone.encode_chat_v40(chat, age_ms=chat.age_ms, resent=chat.resent)
        self.assertEqual(wire.decode_v40(line), chat)
        sealed = wire.Sealer(b"key").seal(line).removesuffix(b"\n")
        self.assertEqual(wire.decode_v40(sealed), chat)
        self.assertEqual(wire.decode_kept(sealed), chat)

    def test_others(self) -> None:
        """So do a proof, acknowledgements, failures and pongs; an unknown event is no mistake."""
        self.assertEqual(wire.decode_v40(phone.encode_proof()), Proof())
        self.assertEqual(wire.decode_v40(phone.encode_typed(["a/0", "b/1"])), Typed(("a/0", "b/1")))
        self.assertEqual(
            wire.decode_v40(phone.encode_failed("a/0", "no_room", "x")), CouldNot("a/0", "no_room", "x")
        )
        self.assertEqual(wire.decode_v40(phone.encode_pong_v40(7)), Pong(7, None, None))
        self.assertEqual(wire.decode_v40(b'{"event":"news","data":[]}'), Unknown("news", None))

    def test_half_a_character(self) -> None:
        """A lone surrogate, which no phone should send, is mended."""
        chat = wire.decode_v40(rb'{"event":"chat","data":{"id":"1","room":"r","text":"a\ud83d"}}')
        assert isinstance(chat, Chat)
        self.assertEqual(chat.text, "a\ufffd")

    def test_refusable(self) -> None:
        """Chat that cannot be accepted can be refused under its name; without one it is a bad line."""
        wrong: list[dict[str, object]] = [{"id": "a b", "room": "r", "text": "t"}, {"id": "1", "room": 7}]
        for data in wrong:
            packet = wire.decode_v40(json.dumps({"event": "chat", "data": data}).encode())
            self.assertIsInstance(packet, Unacceptable)
        nameless: list[dict[str, object]] = [{"room": "r", "text": "t"}, {"id": "x" * 81}, {"id": 7}]
        for data in nameless:
            line = json.dumps({"event": "chat", "data": data}).encode()
            self.assertRaises(BadLine, wire.decode_v40, line)

    def test_bad_hellos(self) -> None:
        """A hello that is none says what is wrong with it, as a bad handshake."""
        good = {"versions": [4], "bot": "b", "device": "d", "uuid": "u", "version": "4", "nonce": "0" * 32}
        for change in (
            {"nonce": "0" * 31}, {"nonce": "x" * 32}, {"bot": " "}, {"bot": "b" * 31}, {"device": 7},
            {"versions": "4"}, {"uuid": None},
        ):  # fmt: skip
            line = json.dumps({"v": 4, "event": "hello", "data": good | change}).encode()
            error = self.assertRaises(BadLine, wire.decode_first, line)
            self.assertEqual(error.code, ErrorCode.BAD_HANDSHAKE)

    def test_sealed_first(self) -> None:
        """Nothing but hello begins a conversation in 4.0."""
        line = wire.Sealer(b"key").seal(phone.encode_proof()).removesuffix(b"\n")
        error = self.assertRaises(BadLine, wire.decode_first, line)
        self.assertEqual(error.code, ErrorCode.BAD_HANDSHAKE)

    @given(st.binary() | st.binary().map(lambda inside: b'{"event":"chat","data":{%b}}' % inside))
    def test_any_bytes(self, line: bytes) -> None:
        """Bytes from a stranger give a packet or BadLine: there is no third outcome."""
        with contextlib.suppress(BadLine):
            wire.decode_v40(line)
        with contextlib.suppress(BadLine):
            wire.decode_first(line)


class FromRelayTests(SynchronousTestCase):
    @given(replies)
    def test_reply(self, reply: Reply) -> None:
        """Texts and media arrive as they were said, and no line is longer than a chunk needs."""
        lines = wire.encode_reply(Dialect.V40, reply, 0.0).split(b"\n")
        self.assertEqual(lines.pop(), b"")
        self.assertLess(max(map(len, lines)), CHUNK * 2)
        first = phone.decode_from_relay_v40(lines.pop(0))
        if isinstance(first, phone.MediaHead):
            collector, contents = phone.Collector(first), None
            for line in lines:
                self.assertIsNone(contents)
                chunk = phone.decode_from_relay_v40(line)
                assert isinstance(chunk, phone.Chunk)
                contents = collector.take(chunk)
            assert isinstance(reply.part, Media)
            self.assertEqual(contents, reply.part.sources)
            return
        assert isinstance(first, phone.Pushed)
        heard, part = first.reply, reply.part
        self.assertEqual((first.id, heard.room), (reply.id, mend(reply.room)))
        said = (
            (mend(part.text), ())
            if isinstance(part, Text)
            else (None, tuple(map(mend, map(str, part.sources))))
        )
        self.assertEqual((heard.text, heard.media), said)

    def test_media_texts(self) -> None:
        """Text that carries media in the 3.2 way is media in 4.0 too; pictures that are none are refused."""
        reply = Reply(ClientKey("b", "d"), "r", None, Text("MEDIA_URL:https://a|||https://b"), "t", id="1/0")
        pushed = phone.decode_from_relay_v40(wire.encode_reply(Dialect.V40, reply, 0.0))
        expected = ReplyPacket("response", "r", None, None, ("https://a", "https://b"), None)
        self.assertEqual(pushed, phone.Pushed("1/0", expected))
        picture = reply._replace(part=Text("IMAGE_BASE64:aGk="))
        head = phone.decode_from_relay_v40(wire.encode_reply(Dialect.V40, picture, 0.0).split(b"\n")[0])
        assert isinstance(head, phone.MediaHead)
        self.assertEqual(head.contents[0][0], 2)
        for part in (Text("IMAGE_BASE64:%%"), Text(""), Media(()), Media((b"",))):
            self.assertRaises(ValueError, wire.encode_reply, Dialect.V40, reply._replace(part=part), 0.0)

    def test_chunks(self) -> None:
        """Chunks out of order, of something else, or of other content are noticed."""
        reply = Reply(ClientKey("b", "d"), "r", None, Media((b"x" * (CHUNK + 1),)), "t", id="1/0")
        head, *chunks = (
            phone.decode_from_relay_v40(line)
            for line in wire.encode_reply(Dialect.V40, reply, 0.0).split(b"\n")[:-1]
        )
        assert isinstance(head, phone.MediaHead)
        one, two = (chunk for chunk in chunks if isinstance(chunk, phone.Chunk))
        for wrong in ([two], [one, one], [one._replace(id="2/0")], [one, two._replace(data=b"y")]):
            collector = phone.Collector(head)
            with self.assertRaises(BadLine):
                for chunk in wrong:
                    collector.take(chunk)
