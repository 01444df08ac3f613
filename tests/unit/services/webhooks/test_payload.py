"""What webhooks are sent and what they may answer."""

from __future__ import annotations

import hashlib
import hmac
import json

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Media, Text
from relaytw.messages import ClientKey
from relaytw.services.webhooks.payload import MOST_REPLIES, BadReply, decode, encode, key_of, sign
from tests.unit.bots.messages import said

MEMBERS = st.sampled_from(["text", "media", "url", "base64", "wait_ms", "format", "replies"])
WORDS = st.text(max_size=5) | st.sampled_from(["image", "https://a.b"])
LEAVES = st.none() | st.booleans() | st.integers() | WORDS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner), max_leaves=8
)


def answered(value: object) -> list[object]:
    return list(decode(json.dumps(value).encode(), "application/json"))


class SentTests(SynchronousTestCase):
    def test_message(self) -> None:
        """A webhook gets what a handler gets, and the ids that name the room."""
        told = json.loads(encode(said("# hi 안녕\ud800", room="방", redelivered=True)))
        self.assertEqual(told["text"], "# hi 안녕\ufffd")
        self.assertEqual((told["id"], told["bot"], told["device"]), ("1", "bot", "phone"))
        self.assertEqual((told["room"], told["channel_id"], told["room_id"]), ("방", "7", "7"))
        self.assertEqual((told["redelivered"], told["is_admin"], told["image_width"]), (True, False, None))
        self.assertEqual(json.loads(encode(said("", channel_id=None)))["room_id"], "room")

    def test_signature(self) -> None:
        """The signature is what anybody computes from secret, timestamp and body."""
        wanted = hmac.new(b"s3cret", b"1767225600.{}", hashlib.sha256).hexdigest()
        self.assertEqual(sign(b"s3cret", "1767225600", b"{}"), wanted)

    def test_key(self) -> None:
        """A message's key is the same each time, and differs from that of another phone's message."""
        self.assertEqual(key_of(said("a")), key_of(said("a")))
        keys = {key_of(said("a", id=i, client=ClientKey("bot", d))) for i in "12" for d in "12"}
        self.assertEqual(len(keys), 4)


class AnswerTests(SynchronousTestCase):
    def test_texts(self) -> None:
        """A text, a list, an object of either, or nothing."""
        for value in ("hi", ["hi"], {"text": "hi"}, [{"text": "hi", "more": 1}], {"replies": ["hi"]}):
            self.assertEqual(answered(value), [Text("hi")])
        for body in (b"", b" \n", b"null", b"[]", b'{"replies":null}'):
            self.assertEqual(decode(body, "application/json"), [])
        self.assertEqual(decode("안녕".encode(), "Text/Plain; charset=utf-8"), [Text("안녕")])

    def test_media(self) -> None:
        """Media by URL or content, with a wait."""
        self.assertEqual(
            answered([{"media": "image", "url": "https://example.org/a.png", "wait_ms": 5}, "b"]),
            [Media("image", "https://example.org/a.png", wait_ms=5), Text("b")],
        )
        self.assertEqual(
            answered({"media": "audio", "base64": ["aGk=", "aG8="], "format": "ogg"}),
            [Media("audio", b"hi", b"ho", format="ogg")],
        )

    def test_nonsense(self) -> None:
        """Wrong types, files of the relay's machine and too much are refused with a sentence."""
        wrong: list[object] = [
            1, True, [None], {}, {"text": 1}, {"replies": 7}, [["a"]], ["a"] * (MOST_REPLIES + 1),
            {"media": "image"}, {"media": "picture", "url": "https://a.b/c"}, {"media": 1, "url": "https://a.b/c"},
            {"media": ["image"], "url": "https://a.b/c"}, {"media": "image", "url": "/etc/passwd"},
            {"media": "image", "url": "file:///etc/passwd"}, {"media": "image", "url": ["https://a.b/c", 1]},
            {"media": "image", "url": "https://a.b/c", "base64": "aGk="}, {"media": "image", "base64": "?"},
            {"media": "image", "base64": "ü"}, {"media": "image", "base64": ""},
            {"media": "image", "base64": "aGk=", "wait_ms": "1"},
            {"media": "image", "base64": "aGk=", "format": 1},
            {"media": "image", "base64": "aGk=", "wait_ms": -1},
        ]  # fmt: skip
        for value in wrong:
            self.assertRaises(BadReply, answered, value)
        for body in (b"hi", b"\xff", b"[" * 100_000, b'"\\ud800"', b"{"):
            self.assertRaises(BadReply, decode, body, "application/json")
        self.assertRaises(BadReply, decode, b"\xff", "text/plain")

    @given(st.binary(), st.text())
    @example(b'{"replies":{"replies":[]}}', "")
    def test_any_bytes(self, body: bytes, kind: str) -> None:
        """Bytes from a stranger give replies or BadReply."""
        try:
            made = decode(body, kind)
        except BadReply:
            return
        self.assertLessEqual(len(made), MOST_REPLIES)

    @given(VALUES)
    def test_any_json(self, value: object) -> None:
        """So does JSON of any shape."""
        try:
            answered(value)
        except BadReply:
            return
