"""The documents say what is so: the wire's examples, links, and the names of reasons, keys and figures."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaytw import __version__, texts
from relaytw.admin.view import Overview
from relaytw.bots import Bot
from relaytw.cli.main import relayctl
from relaytw.config import Config
from relaytw.errors import BadLine
from relaytw.messages import (
    Auth,
    Chat,
    ClientKey,
    CloseReason,
    Dialect,
    ErrorCode,
    Handshake,
    Media,
    Packet,
    Pong,
    Reply,
    Text,
    Unknown,
)
from relaytw.metrics import Metrics
from relaytw.protocols import wire
from relaytw.protocols.wire.phone import (
    ErrorPacket,
    HandshakeComplete,
    PingPacket,
    decode_from_relay,
    encode_chat,
    encode_handshake,
    encode_pong,
)
from relaytw.protocols.wire.signatures import signed_text
from relaytw.store.schema import metadata
from tests.unit.test_documentation import DOCS, ROOT, blocks, read, rows

README = ROOT / "README.md"
SECRET, SALT = b"demo-secret", "demo-salt"
CLIENT = ClientKey("demo-bot", "a1b2c3d4e5f60718")
#: What the replies of the examples say, in order, in each dialect.
PARTS = (
    Text("에코: hi"),
    Media(("https://example.org/a.jpg", "https://example.org/b.jpg"), wait_ms=8000),
    Media((b"\x89PNG",), format="png"),
)
_LINK = re.compile(r"\]\(([\w./:-]*)(?:#([\w-]+))?\)")
_PATH = re.compile(r"`((?:relaytw|tests|twisted|benchmarks)/[\w./]*)`")


def lines(language: str) -> list[bytes]:
    """The lines of the wire in the blocks of this kind, in order."""
    found = blocks(read("protocol.md"), language)
    return [line.encode() for block in found for line in block.splitlines()]


def documents() -> Iterator[tuple[Path, str]]:
    """Every document with its text."""
    for path in (README, ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))):
        yield path, path.read_text(encoding="utf-8")


#: The dialects of docs/protocol.md; 4.0 has a document and vectors of its own.
UNSEALED = (Dialect.V32, Dialect.V33)


def anchors(text: str) -> set[str]:
    """What a link can point to in a document: its headings, in lower case and hyphened."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def auth_of(packet: Packet) -> Auth | None:
    """The `auth` of a packet."""
    return packet.auth if isinstance(packet, (Chat, Pong)) else None


class PhoneLineTests(SynchronousTestCase):
    """What a phone says."""

    def setUp(self) -> None:
        self.read = [(line, *wire.decode_first(line)) for line in lines("phone")]

    def test_kinds(self) -> None:
        """The examples hold every kind of packet, in both dialects where they differ."""
        found = {(type(packet), dialect) for _, packet, dialect in self.read}
        for kind in (Handshake, Chat, Pong):
            for dialect in UNSEALED:
                self.assertIn((kind, dialect), found)
        self.assertIn((Unknown, Dialect.V32), found)

    def test_as_scripts_write_them(self) -> None:
        """Each signed example and each handshake is, byte for byte, what a script of its dialect writes."""
        written = 0
        for line, packet, dialect in self.read:
            match packet:
                case Handshake():
                    again = encode_handshake(packet)
                case Chat() if packet.auth is not None:
                    again = encode_chat(dialect, packet, packet.auth.bot)
                case Pong(int(sent), figures, Auth() as auth):
                    again = encode_pong(dialect, auth.bot, sent, figures, auth)
                case _:
                    continue
            self.assertEqual(again.rstrip(b"\n").decode(), line.decode())
            written += 1
        self.assertEqual(written, 6)

    def test_signatures(self) -> None:
        """Every signature of the examples is valid, and theirs."""
        verifier = wire.Verifier((SECRET,), SALT)
        signed = [auth for _, packet, _ in self.read if (auth := auth_of(packet)) is not None]
        self.assertEqual(len(signed), 4)
        for auth in signed:
            self.assertEqual((verifier.verify(auth), auth.bot, auth.device), (0, *CLIENT))

    def test_tolerated(self) -> None:
        """What is said to be tolerated is read, and mended."""
        (chat,) = (p for _, p, _ in self.read if isinstance(p, Chat) and p.auth is None)
        self.assertEqual((chat.text, chat.channel_id), ("cut \ufffd", "18000000000000001"))

    def test_refused(self) -> None:
        """What is said to be refused is refused, for the reason given."""
        codes = []
        for line in lines("refused"):
            with self.assertRaises(BadLine) as caught:
                wire.decode_first(line)
            codes.append(caught.exception.code)
        handshakes = [ErrorCode.BAD_HANDSHAKE, ErrorCode.UNKNOWN_DIALECT]
        self.assertEqual(codes, [ErrorCode.BAD_LINE] * (len(codes) - 2) + handshakes)


class SignatureTests(SynchronousTestCase):
    def test_worked_example(self) -> None:
        """The worked example is that of the chat packets, and anybody's Python agrees."""
        text, signature = (block.strip() for block in blocks(read("protocol.md"), "text"))
        chats = [p for p, _ in map(wire.decode_first, lines("phone")) if isinstance(p, Chat) and p.auth]
        self.assertEqual(len(chats), len(UNSEALED))
        for chat in chats:
            assert chat.auth is not None
            self.assertEqual(signed_text(chat.auth, SALT).decode(), text)
            self.assertEqual(
                (chat.auth.signature, wire.sign(SECRET, SALT, chat.auth)), (signature, signature)
            )
        (program,) = blocks(read("protocol.md"), "python")
        names: dict[str, Any] = {}
        exec(compile(program, "docs/protocol.md", "exec"), names)  # noqa: S102 (that is the test)
        self.assertEqual(names["signature"], signature)

    def test_fields(self) -> None:
        """Just the fields that are said to be signed are signed."""
        ((_, fields),) = [(h, r) for h, r in rows(read("protocol.md")).items() if h.startswith("`auth`")]
        (line,) = [line for line in lines("phone") if b'"analyze"' in line and b'"auth"' in line]
        shown = json.loads(line)["data"]["auth"]
        self.assertEqual(list(fields), list(shown))
        for name, (signed, _) in fields.items():
            if name == "signature":
                continue
            changed = json.loads(line)
            changed["data"]["auth"][name] = 1 if name == "timestamp" else "other"
            auth = auth_of(wire.decode(json.dumps(changed).encode()))
            assert auth is not None
            self.assertEqual(
                wire.Verifier((SECRET,), SALT).verify(auth) is None, signed.startswith("yes"), name
            )


class RelayLineTests(SynchronousTestCase):
    """What the relay says."""

    def test_as_the_relay_writes_them(self) -> None:
        """Each example is, byte for byte, what the relay writes."""
        replies = [
            wire.encode_reply(dialect, Reply(CLIENT, "Friends", "18000000000000001", part, "t"), 1752570000.0)
            for dialect in UNSEALED
            for part in PARTS
        ]
        for line in lines("relay"):
            match decode_from_relay(line):
                case HandshakeComplete(success, approved, message):
                    version = re.sub(
                        r"relaytw .*", f"relaytw {__version__}", json.loads(line)["data"]["server_version"]
                    )
                    line = re.sub(rb"relaytw [^\"]*", version.encode(), line)  # noqa: PLW2901
                    again = wire.encode_handshake_complete(
                        success=success, approved=approved, message=message, server_version=version
                    )
                case ErrorPacket(code, message, timestamp):
                    again = wire.encode_error(ErrorCode(code), message, timestamp)
                case PingPacket(bot, sent):
                    again = wire.encode_ping(bot, sent)
                case _:
                    again = replies.pop(0)
            self.assertEqual(again.rstrip(b"\n").decode(), line.decode())
        self.assertEqual(replies, [])

    def test_handshake_messages(self) -> None:
        """The answers to a handshake are those there are."""
        said = [
            packet.message
            for packet in map(decode_from_relay, lines("relay"))
            if isinstance(packet, HandshakeComplete)
        ]
        known = {
            text.format(code="K7QXM", reason="분실 신고")
            for name, text in vars(texts).items()
            if name.startswith("HANDSHAKE_")
        }
        self.assertEqual((set(said), len(said)), (known, len(known)))


class RunningTests(SynchronousTestCase):
    def test_closes(self) -> None:
        """Every reason for a close has its row, and no row is of the past."""
        self.assertEqual(
            list(rows(read("running.md"))["Every close"]), [str(reason) for reason in CloseReason]
        )

    def test_errors(self) -> None:
        """Every error code has its row, and no row is of the past."""
        self.assertEqual(list(rows(read("running.md"))["Every error"]), [str(code) for code in ErrorCode])


class NameTests(SynchronousTestCase):
    """What the documents name exists."""

    def test_links(self) -> None:
        """Every link leads to a file of the project, and to a heading in it if it names one."""
        followed = 0
        for path, text in documents():
            for target, anchor in _LINK.findall(text):
                if "://" in target:
                    continue
                led = (path.parent / target).resolve() if target else path
                self.assertTrue(led.is_file(), f"{path.name}: {target}")
                if anchor:
                    self.assertIn(anchor, anchors(led.read_text(encoding="utf-8")), f"{path.name}: {anchor}")
                followed += 1
        self.assertGreater(followed, 10)

    def test_paths(self) -> None:
        """Every file or folder of ours that is named is there."""
        named = [(document.name, path) for document, text in documents() for path in _PATH.findall(text)]
        self.assertGreater(len(named), 10)
        self.assertEqual([(name, path) for name, path in named if not (ROOT / path).exists()], [])

    def test_commands(self) -> None:
        """Every command of `relayctl` that is named exists."""
        for document, text in documents():
            named = set(re.findall(r"`relayctl ([a-z]+(?:-[a-z]+)*)", text))
            self.assertLessEqual(named, set(relayctl.list_commands(None)), document.name)  # type: ignore[arg-type]

    def test_figures(self) -> None:
        """Every figure of `/metrics` that is named exists; tables of ours are called alike."""
        tables = {name.removeprefix("relaytw_") for name in metadata.tables}
        known = {*Metrics.__slots__, *Overview._fields, "ready", "webhook_closed", *tables}
        for document, text in documents():
            named = set(re.findall(r"\brelaytw_([a-z_]+?)(?:_total|_seconds)?\b", text))
            self.assertLessEqual(named - {""}, known, document.name)

    def test_limits(self) -> None:
        """Every key that the table of what can go wrong names exists."""
        table = (
            README.read_text(encoding="utf-8").partition("## When things go wrong")[2].partition("\n## ")[0]
        )
        cells = [line.split(" | ")[-1] for line in table.splitlines() if line.startswith("|")]
        keys = re.findall(r"`([^`]+)`", " ".join(cells))
        known = {*Config().limits.model_dump(), *(f"[{name}]" for name in Config.model_fields)}
        self.assertGreater(len(keys), 10)
        self.assertLessEqual(set(keys), known)

    def test_first_bot(self) -> None:
        """The bot of the README is one, and its configuration is valid."""
        text = README.read_text(encoding="utf-8")
        (program,), (configuration,) = blocks(text, "python"), blocks(text, "toml")
        names: dict[str, Any] = {"__name__": "greeter"}
        exec(compile(program, "README.md", "exec"), names)  # noqa: S102 (that is the test)
        self.assertIsInstance(names["bot"], Bot)
        self.assertIn("greeter", Config.model_validate(tomllib.loads(configuration)).bots.load)
