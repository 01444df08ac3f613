"""The files in tests/vectors, which others check themselves against, and the codec say the same."""

from __future__ import annotations

import hashlib
import json
import runpy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BadLine, BrokenSeal
from relaytw.messages import (
    Chat,
    ClientKey,
    CouldNot,
    Dialect,
    ErrorCode,
    Hello,
    Media,
    Monitoring,
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
from relaytw.protocols.wire.phone import HandshakeComplete, PingPacket, ReplyPacket

ROOT = Path(__file__).parents[4]
VECTORS = ROOT / "tests" / "vectors"
KINDS = {
    "response": ReplyKind.RESPONSE,
    "schedule": ReplyKind.SCHEDULE,
    "broadcast": ReplyKind.BROADCAST,
}


def load(name: str) -> Any:
    """What stands in a file of vectors."""
    return json.loads((VECTORS / name).read_text(encoding="ascii"))


def opened(key: str, lines: list[str]) -> Iterator[bytes]:
    """The lines of one direction of a connection, once the seal of each was found good."""
    opener = wire.Opener([bytes.fromhex(key)])
    for line in lines:
        opener.check(line.encode())
        yield line.encode()


def meant(event: str, data: dict[str, Any] | None) -> Any:
    """The value that a phone's line has to be read as."""
    if data is None:
        return Unknown(event, None)
    if event == "ack":
        return Typed(tuple(data["ids"]))
    if event == "failed":
        return CouldNot(data["id"], data["code"], data["message"])
    if event == "pong":
        return Pong(data["server_timestamp"], Monitoring(**data["monitoring"]), None)
    sent_at = "" if data["sent_at"] is None else str(data["sent_at"])
    return Chat(
        data["room"], data["text"], data["sender"], data["channel_id"], data["log_id"], data["user_hash"],
        data["is_group_chat"], data["is_mention"], sent_at, None, data["id"], data["age"],
        data["resent"],
    )  # fmt: skip


class FileTests(SynchronousTestCase):
    def test_made(self) -> None:
        """The files are exactly what the tool makes of the specification; nobody has edited them."""
        tool = runpy.run_path(str(ROOT / "tools" / "make-vectors"))
        with tempfile.TemporaryDirectory() as name:
            tool["write"](Path(name))
            made = {path.name: path.read_bytes() for path in Path(name).iterdir()}
        self.assertEqual(made, {path.name: path.read_bytes() for path in VECTORS.glob("*.json")})

    def test_described(self) -> None:
        """Every file is described, so that others can read it."""
        text = (VECTORS / "README.md").read_text(encoding="utf-8")
        for path in VECTORS.glob("*.json"):
            self.assertIn(f"## {path.name}\n", text)


class SealTests(SynchronousTestCase):
    def test_keys(self) -> None:
        """Both keys come out of the secret, the nonces and the bytes of the two lines."""
        for case in load("keys.json")["cases"]:
            nonces = bytes.fromhex(case["phone_nonce"]), bytes.fromhex(case["relay_nonce"])
            said = case["hello"].encode(), case["challenge"].encode()
            self.assertEqual(b"".join(nonces).hex(), case["salt"])
            self.assertEqual(hashlib.sha256(b"\n".join(said)).hexdigest(), case["transcript"])
            keys = wire.derive(case["secret"].encode(), *nonces, *said)
            self.assertEqual((keys.phone.hex(), keys.relay.hex()), (case["phone_key"], case["relay_key"]))

    def test_sealed(self) -> None:
        """An open line becomes the sealed one, under the key of its writer, and is taken in its turn."""
        file = load("seals.json")
        for case in file["lines"]:
            key, line = bytes.fromhex(file[case["from"] + "_key"]), case["open"].encode() + b"\n"
            inner = b"{" + line.removeprefix(b'{"v":4,')
            self.assertEqual(wire.leave_open(inner), line)
            sealer, opener = wire.Sealer(key), wire.Opener([key])
            sealer._next = opener._next = case["seq"]
            self.assertEqual(sealer.seal(inner), case["sealed"].encode() + b"\n")
            opener.check(case["sealed"].encode())

    def test_refused(self) -> None:
        """A line that is changed, out of turn or not sealed is refused, for the reason the file gives."""
        file = load("seals.json")
        codes = set()
        for case in file["refused"]:
            opener = wire.Opener([bytes.fromhex(file[case["from"] + "_key"])])
            opener._next = case["due"]
            error = self.assertRaises(BrokenSeal, opener.check, case["line"].encode())
            self.assertEqual((case["name"], error.code), (case["name"], case["code"]))
            codes.add(error.code)
        self.assertEqual(codes, {ErrorCode.BAD_SIGNATURE, ErrorCode.BAD_SEQUENCE, ErrorCode.NO_AUTH})


class HandshakeTests(SynchronousTestCase):
    def test_handshake(self) -> None:
        """A whole connection is read line by line, by the end that hears it, with keys of its own."""
        file = load("handshake.json")
        hello_line, challenge_line = (line["line"].encode() for line in file["lines"][:2])
        hello, dialect = wire.decode_first(hello_line)
        challenge = phone.decode_from_relay_v40(challenge_line)
        assert isinstance(hello, Hello)
        assert isinstance(challenge, phone.Challenge)
        self.assertEqual((dialect, hello.versions), (Dialect.V40, (4,)))
        nonces = hello.nonce, challenge.nonce
        self.assertEqual([n.hex() for n in nonces], [file["phone_nonce"], file["relay_nonce"]])
        keys = wire.derive(file["secret"].encode(), *nonces, hello_line, challenge_line)
        self.assertEqual((keys.phone.hex(), keys.relay.hex()), (file["phone_key"], file["relay_key"]))
        openers = {"phone": wire.Opener([keys.phone]), "relay": wire.Opener([keys.relay])}
        read: dict[str, Any] = {"phone": wire.decode_v40, "relay": phone.decode_from_relay_v40}
        heard = []
        for line in file["lines"][2:]:
            openers[line["from"]].check(line["line"].encode())
            heard.append(read[line["from"]](line["line"].encode()))
        proof, welcome, chat, ack, pushed, typed, ping, pong = heard
        self.assertEqual(proof, Proof())
        self.assertEqual(welcome, HandshakeComplete(success=True, approved=True, message="어서 오세요"))
        self.assertEqual(ack, phone.Ack((chat.id,)))
        self.assertEqual((pushed.id, typed), (f"{chat.id}/0", Typed((pushed.id,))))
        assert isinstance(ping, PingPacket)
        self.assertEqual(pong.server_timestamp, ping.server_timestamp)


class ChatTests(SynchronousTestCase):
    def test_meaning(self) -> None:
        """What a phone says is read as what it means, in every field."""
        file = load("chat.json")
        lines = opened(file["phone_key"], [case["line"] for case in file["lines"]])
        for case, line in zip(file["lines"], lines, strict=True):
            self.assertEqual(wire.decode_v40(line), meant(case["event"], case["means"]))

    def test_refused(self) -> None:
        """Chat that is none is refused under its id, or a bad line where it has none."""
        file = load("chat.json")
        every = [case["line"] for case in file["lines"] + file["refused"]]
        lines = list(opened(file["phone_key"], every))[-len(file["refused"]) :]
        for case, line in zip(file["refused"], lines, strict=True):
            if case["answer"] == "refused":
                packet = wire.decode_v40(line)
                assert isinstance(packet, Unacceptable), case["name"]
                self.assertEqual((packet.id, case["code"]), (case["id"], ErrorCode.BAD_CHAT))
            else:
                error = self.assertRaises(BadLine, wire.decode_v40, line)
                self.assertEqual(error.code, case["code"])


class ReplyTests(SynchronousTestCase):
    def written(self, event: str, data: dict[str, Any]) -> bytes:
        """What the relay writes to say this."""
        if event == "ack":
            return wire.encode_ack(data["ids"])
        if event == "refused":
            return wire.encode_refused(data["id"], ErrorCode(data["code"]), data["message"])
        client, kind = ClientKey("bot", "device"), KINDS[data["kind"]]
        reply = Reply(client, data["room"], data["channel_id"], Text(data["text"]), "t", kind, data["id"])
        return wire.encode_reply(Dialect.V40, reply, 0.0)

    def test_meaning(self) -> None:
        """A phone reads in the relay's lines what the file says, and the relay writes the same members."""
        file = load("replies.json")
        lines = opened(file["relay_key"], [case["line"] for case in file["lines"]])
        for case, line in zip(file["lines"], lines, strict=True):
            event, data = case["event"], case["means"]
            own = self.written(event, data)
            self.assertEqual(json.loads(own), {"event": event, "data": data})
            heard = phone.decode_from_relay_v40(line)
            self.assertEqual(heard, phone.decode_from_relay_v40(own))
            if event == "reply":
                packet = ReplyPacket(data["kind"], data["room"], data["channel_id"], data["text"], (), None)
                self.assertEqual(heard, phone.Pushed(data["id"], packet))


class MediaTests(SynchronousTestCase):
    def collected(self, lines: list[bytes]) -> tuple[bytes, ...] | None:
        """The contents of media, once they are complete."""
        collector, contents = None, None
        for line in lines:
            heard = phone.decode_from_relay_v40(line)
            if isinstance(heard, phone.MediaHead):
                collector = phone.Collector(heard)
            elif isinstance(heard, phone.Chunk):
                assert collector is not None
                contents = collector.take(heard)
        return contents

    def test_cases(self) -> None:
        """Media are put together from their chunks, and the relay cuts them into the same ones."""
        file = load("media.json")
        for case in file["cases"]:
            lines = list(opened(file["relay_key"], case["lines"]))
            contents = self.collected(lines) or ()
            found = [{"bytes": len(one), "sha256": hashlib.sha256(one).hexdigest()} for one in contents]
            self.assertEqual(found, case["contents"])
            said = [json.loads(line) for line in lines]
            packets = [{"event": p["event"], "data": p["data"]} for p in said if p["event"] != "ping"]
            data = packets[0]["data"]
            self.assertEqual(data["id"], case["id"])
            part = Media(contents or tuple(case["urls"]), data["media"], data["format"], data["wait_ms"])
            reply = Reply(ClientKey("b", "d"), data["room"], data["channel_id"], part, "t", id=case["id"])
            written = wire.encode_reply(Dialect.V40, reply, 0.0).splitlines()
            self.assertEqual([json.loads(line) for line in written], packets)

    def test_urls(self) -> None:
        """Media by URL are complete with their first line."""
        file = load("media.json")
        (case,) = (case for case in file["cases"] if case["urls"])
        (line,) = opened(file["relay_key"], case["lines"])
        heard = phone.decode_from_relay_v40(line)
        assert isinstance(heard, phone.Pushed)
        self.assertEqual((heard.id, heard.reply.media), (case["id"], tuple(case["urls"])))

    def test_bad(self) -> None:
        """Chunks out of order, and contents other than announced, are noticed."""
        file = load("media.json")
        for case in file["bad"]:
            lines = list(opened(file["relay_key"], case["lines"]))
            with self.assertRaises(BadLine, msg=case["name"]):
                self.collected(lines)
