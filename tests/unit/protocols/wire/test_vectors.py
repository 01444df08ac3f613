"""The published vectors of dialect 4.0: they are what they claim, and the codec agrees with them."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BadLine, BrokenSeal
from relaytw.messages import (
    Chat,
    ClientKey,
    CouldNot,
    Dialect,
    Media,
    Pong,
    Reply,
    ReplyKind,
    Text,
    Typed,
    Unacceptable,
)
from relaytw.protocols import wire
from relaytw.protocols.wire import v40_phone as phone
from relaytw.protocols.wire.phone import HandshakeComplete
from tests.unit.folders import OwnFolder

ROOT = Path(__file__).parents[4]


def vectors(name: str) -> Any:
    """One file."""
    return json.loads((ROOT / "tests" / "vectors" / name).read_text("utf-8"))


def members(line: str | bytes) -> Any:
    """A line as JSON, without what is only a matter of form."""
    value = json.loads(line)
    value.pop("v", None)
    return value


class GeneratorTests(OwnFolder):
    def test_current(self) -> None:
        """The files are exactly what the generator makes of the specification."""
        folder = self.enter_folder()
        made = runpy.run_path(str(ROOT / "tools" / "make-vectors"))
        made["main"](folder)
        for name in made["MADE"]:
            published = (ROOT / "tests" / "vectors" / name).read_bytes()
            self.assertEqual((folder / name).read_bytes(), published, name)


class VectorTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """The keys of a connection are those of the vectors."""
        for case in vectors("keys.json"):
            phone_nonce, relay_nonce = (bytes.fromhex(case[f"{who}_nonce"]) for who in ("phone", "relay"))
            said = case["hello"].encode(), case["challenge"].encode()
            keys = wire.derive(case["secret"].encode(), phone_nonce, relay_nonce, *said)
            self.assertEqual((keys.phone.hex(), keys.relay.hex()), (case["phone_key"], case["relay_key"]))

    def test_seals(self) -> None:
        """Lines are sealed to the same bytes, open in order, and what must be refused is, with its code."""
        case = vectors("seals.json")
        key = bytes.fromhex(case["key"])
        sealer, opener = wire.Sealer(key), wire.Opener([key])
        for one in case["sealed"]:
            inner = "{" + one["open"].removeprefix('{"v":4,')
            self.assertEqual(wire.leave_open(inner.encode()).decode(), one["open"] + "\n")
            self.assertEqual(sealer.seal(inner.encode() + b"\n").decode(), one["sealed"] + "\n")
            opener.check(one["sealed"].encode())
        for one in case["refused"]:
            error = self.assertRaises(BrokenSeal, wire.Opener([key]).check, one["line"].encode())
            self.assertEqual(error.code, one["code"], one["why"])

    def test_handshake(self) -> None:
        """A handshake is understood line by line by the end that it is for."""
        case = vectors("handshake.json")
        hello_line, challenge_line, *rest = (one["line"].encode() for one in case["lines"])
        hello, dialect = wire.decode_first(hello_line)
        challenge = phone.decode_from_relay_v40(challenge_line)
        assert dialect is Dialect.V40
        assert isinstance(challenge, phone.Challenge)
        nonce = hello.nonce  # type: ignore[union-attr]  # a hello, or this fails
        keys = wire.derive(case["secret"].encode(), nonce, challenge.nonce, hello_line, challenge_line)
        openers = {"phone": wire.Opener([keys.phone]), "relay": wire.Opener([keys.relay])}
        heard = []
        for one, line in zip(case["lines"][2:], rest, strict=True):
            openers[one["from"]].check(line)
            read = wire.decode_v40 if one["from"] == "phone" else phone.decode_from_relay_v40
            heard.append(read(line))
        self.assertEqual(heard[1], HandshakeComplete(True, True, "승인된 기기입니다."))
        self.assertEqual(heard[3], phone.Ack(("m7Qx-12",)))

    def test_phone(self) -> None:
        """What a phone says is understood field by field; what can never be accepted is refused by its id."""
        case = vectors("phone.json")
        for one in case["read"]:
            packet, data = wire.decode_v40(one["line"].encode()), one["data"]
            match packet:
                case Chat():
                    for name in ("id", "room", "text"):
                        self.assertEqual(getattr(packet, name), data[name])
                    for name in ("channel_id", "log_id", "user_hash"):
                        self.assertEqual(getattr(packet, name), data.get(name))
                    for name in ("is_group_chat", "is_mention", "resent"):
                        self.assertEqual(getattr(packet, name), data.get(name, False))
                    self.assertEqual(packet.age_ms, data.get("age", 0))
                case Typed(ids):
                    self.assertEqual(list(ids), data["ids"])
                case CouldNot(name, code, why):
                    self.assertEqual((name, code, why), (data["id"], data["code"], data["message"]))
                case Pong(stamp, monitoring):
                    assert monitoring is not None
                    self.assertEqual((stamp, monitoring._asdict()), tuple(data.values()))
                case _:
                    self.fail(f"{packet} was not expected")
        for one in case["refused"]:
            packet = wire.decode_v40(one["line"].encode())
            assert isinstance(packet, Unacceptable), one["why"]
            self.assertEqual(packet.id, one["id"])

    def test_replies(self) -> None:
        """The relay says of replies what the vectors say."""
        client = ClientKey("demo-bot", "a1b2c3d4e5f60718")
        answer = Reply(client, "가족", "18000000000000001", Text("에코: 안녕 🙂"), "t", id="m7Qx-12/0")
        push = Reply(client, "가족", None, Text("공지"), "t", ReplyKind.BROADCAST, "~b-1/0")
        for reply, line in zip((answer, push), vectors("replies.json"), strict=True):
            self.assertEqual(members(wire.encode_reply(Dialect.V40, reply, 0.0)), members(line))

    def test_media(self) -> None:
        """Media are cut into the chunks of the vectors, put together to their digests, or found bad."""
        case = vectors("media.json")
        lines = [case["head"], *case["chunks"]]
        head, *chunks = (phone.decode_from_relay_v40(line.encode()) for line in lines)
        assert isinstance(head, phone.MediaHead)
        collector, contents = phone.Collector(head), None
        for chunk in chunks:
            assert isinstance(chunk, phone.Chunk)
            contents = collector.take(chunk)
        assert contents is not None
        self.assertEqual([hashlib.sha256(one).hexdigest() for one in contents], case["digests"])
        reply = Reply(
            ClientKey("demo-bot", "d"), "가족", "18000000000000001", Media(contents, "image", "png", 8000),
            "t", id="m7Qx-12/1",
        )  # fmt: skip
        made = wire.encode_reply(Dialect.V40, reply, 0.0).splitlines()
        self.assertEqual([members(line) for line in made], [members(line) for line in lines])
        for bad in case["bad"]:
            collector = phone.Collector(head)
            with self.assertRaises(BadLine):
                for number in bad["chunks"]:
                    collector.take(chunks[number])
        self.assertIsInstance(phone.decode_from_relay_v40(case["by_url"].encode()), phone.Pushed)
