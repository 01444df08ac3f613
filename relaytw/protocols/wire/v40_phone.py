"""The phone's side of dialect 4.0: for the simulated phone, for tests and benchmarks."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from relaytw.errors import BadLine
from relaytw.messages import Chat, Hello, Monitoring
from relaytw.protocols.wire.lenient import parse
from relaytw.protocols.wire.phone import ErrorPacket, HandshakeComplete, PingPacket, ReplyPacket


class Challenge(NamedTuple):
    """The relay asks for a proof."""

    nonce: bytes


class Ack(NamedTuple):
    """The relay has these messages; they need not be kept."""

    ids: tuple[str, ...]


class RefusedPacket(NamedTuple):
    """The relay will never accept this message."""

    id: str
    code: str
    message: str


class Pushed(NamedTuple):
    """Something to type into a room, and the id to acknowledge it by."""

    id: str
    reply: ReplyPacket


class MediaHead(NamedTuple):
    """The first line of media whose contents follow: of each its bytes, its chunks and its digest."""

    id: str
    reply: ReplyPacket
    contents: tuple[tuple[int, int, str], ...]


class Chunk(NamedTuple):
    """A piece of one content."""

    id: str
    source: int
    piece: int
    data: bytes


Heard = (
    Challenge
    | HandshakeComplete
    | Ack
    | RefusedPacket
    | Pushed
    | MediaHead
    | Chunk
    | PingPacket
    | ErrorPacket
)


def encode_hello(hello: Hello) -> bytes:
    """A phone's first line, still to be left open."""
    handshake = hello.handshake
    return _line(
        "hello",
        {
            "versions": hello.versions, "client": handshake.client_type, "bot": handshake.bot,
            "device": handshake.device, "uuid": hello.uuid, "version": handshake.version,
            "nonce": hello.nonce.hex(), "resume": hello.resume, "info": handshake.device_info,
        },
    )  # fmt: skip


def encode_proof() -> bytes:
    """The line whose seal is the proof."""
    return _line("proof", {})


def encode_chat_v40(chat: Chat, *, age_ms: int = 0, resent: bool = False) -> bytes:
    """One chat message under the id it has."""
    return _line(
        "chat",
        {
            "id": chat.id, "room": chat.room, "channel_id": chat.channel_id, "text": chat.text,
            "sender": chat.sender, "user_hash": chat.user_hash, "log_id": chat.log_id,
            "is_group_chat": chat.is_group_chat, "is_mention": chat.is_mention,
            "sent_at": int(chat.timestamp) if chat.timestamp.isdigit() else None,
            "age": age_ms, "resent": resent,
        },
    )  # fmt: skip


def encode_typed(ids: Sequence[str]) -> bytes:
    """These replies are typed out."""
    return _line("ack", {"ids": list(ids)})


def encode_failed(name: str, code: str, message: str) -> bytes:
    """Say of a reply that it cannot be typed."""
    return _line("failed", {"id": name, "code": code, "message": message})


def encode_pong_v40(server_timestamp: int, monitoring: Monitoring | None = None) -> bytes:
    """The answer to a ping."""
    data: dict[str, Any] = {"server_timestamp": server_timestamp}
    if monitoring is not None:
        data["monitoring"] = monitoring._asdict()
    return _line("pong", data)


def decode_from_relay_v40(line: bytes) -> Heard:
    """Read a line of the relay, whose seal was looked at before.  Raises BadLine for what means nothing."""
    packet = parse(line)
    event, data = packet.get("event"), packet.get("data")
    if not isinstance(event, str) or not isinstance(data, dict):
        raise BadLine("not a packet of the relay")
    try:
        return _read(event, data)
    except (KeyError, TypeError, ValueError, NoBase64) as error:
        raise BadLine(f"{event}: {error!r}") from error


def _read(event: str, data: dict[str, Any]) -> Heard:
    reader = _READERS.get(event)
    if reader is None:
        raise BadLine(f"an unknown event {event[:50]}")
    return reader(data)


def _reply(data: dict[str, Any]) -> Pushed:
    reply = ReplyPacket(data["kind"], data["room"], data["channel_id"], data["text"], (), None)
    return Pushed(data["id"], reply)


def _chunk(data: dict[str, Any]) -> Chunk:
    content = b64decode(data["data"], validate=True)
    return Chunk(data["id"], int(data["source"]), int(data["index"]), content)


def _media(data: dict[str, Any]) -> Pushed | MediaHead:
    sources = data["sources"]
    urls = tuple(str(source["url"]) for source in sources if "url" in source)
    reply = ReplyPacket(data["kind"], data["room"], data["channel_id"], None, urls, data.get("wait_ms"))
    if urls:
        return Pushed(data["id"], reply)
    contents = tuple((int(one["bytes"]), int(one["chunks"]), str(one["sha256"])) for one in sources)
    return MediaHead(data["id"], reply, contents)


_READERS: Mapping[str, Callable[[dict[str, Any]], Heard]] = {
    "challenge": lambda data: Challenge(bytes.fromhex(data["nonce"])),
    "welcome": lambda data: HandshakeComplete(data["success"], data["approved"], data["message"]),
    "ack": lambda data: Ack(tuple(map(str, data["ids"]))),
    "refused": lambda data: RefusedPacket(data["id"], data["code"], data["message"]),
    "reply": _reply,
    "media": _media,
    "chunk": _chunk,
    "ping": lambda data: PingPacket(data.get("bot_name", ""), data["server_timestamp"]),
    "error": lambda data: ErrorPacket(data["code"], data["message"], data["timestamp"]),
}


class Collector:
    """Puts media together again, chunk by chunk; one at a time, as the relay writes them."""

    def __init__(self, head: MediaHead) -> None:
        self.head = head
        self._contents: list[bytearray] = [bytearray() for _ in head.contents]
        self._expected = [
            (source, index) for source, (_, n, _d) in enumerate(head.contents) for index in range(n)
        ]
        self._expected.reverse()

    def take(self, chunk: Chunk) -> tuple[bytes, ...] | None:
        """The contents once they are complete.  Raises BadLine when they are not what was announced."""
        if (
            chunk.id != self.head.id
            or not self._expected
            or self._expected.pop() != (chunk.source, chunk.piece)
        ):
            raise BadLine("a chunk is out of order")
        self._contents[chunk.source] += chunk.data
        if self._expected:
            return None
        for content, (size, _, digest) in zip(self._contents, self.head.contents, strict=True):
            if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
                raise BadLine("media are not what was announced")
        return tuple(bytes(content) for content in self._contents)


def _line(event: str, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"event": event, "data": data}) + b"\n"
