"""Reading what no script should send: damage, strange text, and lines made to hurt."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BadLine
from relaytw.messages import Dialect, Packet, Pong, Unknown
from relaytw.protocols.wire import decode
from tests.unit.protocols.wire.lines import NO_AUTH, ReadingTests, analyze, analyze_raw, line, message
from tests.unit.protocols.wire.strategies import first_outcome, mutated_lines, outcome, unhurried, values


class AnyBytesTests(SynchronousTestCase):
    def check(self, line: bytes) -> None:
        first, packet = first_outcome(line), outcome(line)
        if isinstance(first, BadLine):
            assert isinstance(packet, BadLine)
            self.assertIs(packet.code, first.code)
        else:
            self.assertEqual(packet, first[0])
            self.assertIsInstance(packet, Packet)
            self.assertIsInstance(first[1], Dialect)

    @settings(unhurried, max_examples=300)
    @given(st.binary())
    def test_any_bytes(self, line: bytes) -> None:
        """Bytes from a stranger give a packet or BadLine, the same in every dialect: nothing else."""
        self.check(line)

    @settings(unhurried, max_examples=500)
    @given(mutated_lines())
    def test_nearly_valid_bytes(self, line: bytes) -> None:
        """A valid packet with damage in it gives a packet or BadLine, and nothing else."""
        self.check(line)

    @unhurried
    @given(
        st.sampled_from(["analyze", "message", "ping", "pong", "handshake", "other", None, 1]),
        values,
    )
    def test_any_object(self, event: str | int | None, data: Any) -> None:
        """Well-formed JSON with values of the wrong kind gives a packet or BadLine, and nothing else."""
        self.check(json.dumps({"event": event, "data": data}).encode())


class StrangeTextTests(ReadingTests):
    def test_lone_surrogates(self) -> None:
        """Half an emoji becomes U+FFFD wherever it stands, and whole ones stay."""
        for text, read in (
            ("\ud83d", "\ufffd"),
            ("a\ude00\ud83db", "a\ufffd\ufffdb"),
            ("\U0001f600", "\U0001f600"),
        ):
            chat = self.chat(analyze(room=text, text=text, sender=text, logId=text, unknown={text: [text]}))
            self.assertEqual((chat.room, chat.text, chat.sender, chat.log_id), (read,) * 4)
        self.assertEqual(self.chat(message(room="\ud83d")).room, "\ufffd")
        auth = self.chat(analyze(auth={"botName": "\ud83d"})).auth
        self.assertEqual(auth, NO_AUTH._replace(bot="\ufffd"))
        self.assertEqual(decode(line({"event": "\ud83d"})), Unknown("\ufffd", None))

    def test_surrogates_anywhere(self) -> None:
        """They do no harm in what nobody reads, however deep; a name that has one is no name of ours."""
        fields = {"room": "room", "text": "\ud83d", "other": ["\ud83d", {"a": "\ude00"}]}
        self.assertEqual(self.chat(line({"event": "analyze", "data": fields})).text, "\ufffd")
        with contextlib.suppress(BadLine):
            decode(line({"event": "analyze", "data": fields | {"\ud83d": 1}}))

    def test_raw_characters_in_strings(self) -> None:
        """Control characters and exotic line ends inside a string are text, escaped or not."""
        for character in (
            "\x00",
            "\x01",
            "\t",
            "\r",
            "\x1f",
            "\x7f",
            "\u0085",
            "\u2028",
            "\u2029",
            "\u202e",
            "\ufeff",
        ):
            text = f"a{character}b"
            self.assertEqual(self.chat(analyze(text=text)).text, text)
            self.assertEqual(self.chat(analyze_raw(b'"text":"' + text.encode() + b'"')).text, text)
            self.assertEqual(self.chat(message(sender=text)).sender, text)

    def test_invalid_utf8(self) -> None:
        """Strings that are not UTF-8 are refused, surrogates in bytes and overlong forms among them."""
        for bad in (b"\xff", b"\xed\xa0\xbd", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xec\x95"):
            self.refused(analyze_raw(b'"sender":"' + bad + b'"'))

    def test_byte_order_mark(self) -> None:
        """A line with a byte order mark before it, or in UTF-16, is no packet."""
        self.refused(b"\xef\xbb\xbf" + analyze())
        self.refused(analyze().decode().encode("utf-16"))

    def test_line_ends(self) -> None:
        """What a line that ended in CR LF leaves behind disturbs no kind of packet."""
        self.assertEqual(decode(analyze() + b"\r"), decode(analyze()))
        self.assertEqual(decode(message() + b"\r"), decode(message()))
        self.assertEqual(decode(b'{"event":"pong","data":{}}\r'), Pong(None, None, None))


class HostileTests(ReadingTests):
    def test_no_packets(self) -> None:
        """Emptiness, other JSON values and other protocols are refused."""
        for bad in (
            b"",
            b" ",
            b"\0",
            b"}",
            b"{",
            b"{}",
            b"[]",
            b"1",
            b"null",
            b'"event"',
            b"GET / HTTP/1.1\r",
        ):
            self.refused(bad)
        for bad in (
            b'{"event":1}',
            b'{"event":["analyze"]}',
            b'{"event":"analyze"}',
            b'{"event":"pong","data":[]}',
        ):
            self.refused(bad)

    def test_deep_nesting(self) -> None:
        """A hundred thousand brackets are refused, not a fault of ours, wherever they stand."""
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            nested = opening * 100_000
            whole = nested + b"1" + closing * 100_000
            for bad in (nested, whole, analyze_raw(b'"x":' + whole), analyze_raw(b'"auth":' + whole)):
                self.refused(bad)
            self.refused(b'{"event":"other","data":{"auth":' + whole + b"}}")
            self.assertIsInstance(outcome(b'{"botName":' + whole), BadLine)

    def test_huge_numbers(self) -> None:
        """No field takes a number that no clock shows and no id has."""
        for digits in (b"9" * 50, b"9" * 5_000, b"9" * 100_000, b"-" + b"9" * 50):
            for name in (b"channelId", b"logId", b"userHash"):
                self.refused(analyze_raw(b'"%s":%s' % (name, digits)))
            self.refused(analyze_raw(b'"auth":{"timestamp":%s}' % digits))
            self.refused(analyze_raw(b'"auth":{"timestamp":"%s"}' % digits))
        self.refused(analyze_raw(b'"auth":{"timestamp":1e300}'))
        self.refused(b'{"event":"pong","data":{"monitoring":{"total_memory":%s}}}' % (b"9" * 400))

    def test_numbers_that_are_none(self) -> None:
        """NaN and infinities are refused, as words, as text and as an overflow."""
        for bad in (
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"1e999",
            b'"NaN"',
            b'"Infinity"',
            b'"1e3"',
            b'"x"',
            b"-1",
            b"true",
        ):
            self.refused(analyze_raw(b'"auth":{"timestamp":%s}' % bad))
        for bad in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
            self.refused(b'{"event":"pong","data":{"monitoring":{"memory_usage":%s}}}' % bad)

    def test_duplicate_keys(self) -> None:
        """The last of two equal names counts, in the fast way and in the slow; two events are refused."""
        self.assertEqual(self.chat(analyze_raw(b'"room":"second"')).room, "second")
        self.assertEqual(self.chat(analyze_raw(b'"room":"second\x01"')).room, "second\x01")
        twice = b'{"event":"analyze","data":{"room":"room","text":"text"},"event":"ping"}'
        self.refused(twice)

    def test_wrong_kinds(self) -> None:
        """A field of the wrong kind makes no packet."""
        wrong: tuple[tuple[str, Any], ...] = (
            ("room", None),
            ("text", 1),
            ("sender", []),
            ("channelId", 1.5),
            ("logId", True),
            ("auth", ""),
        )
        for name, value in wrong:
            self.refused(analyze(**{name: value}))
