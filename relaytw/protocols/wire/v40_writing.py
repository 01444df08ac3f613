"""What the relay says to a 4.0 phone, as lines that are still to be sealed."""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import msgspec

from relaytw.messages import ErrorCode, Media, Reply, ReplyKind, Text
from relaytw.protocols.wire.lenient import mend

#: Bytes of content in one chunk: in Base64 and with its envelope far below the line limit.
CHUNK = 48 * 1024
#: The major versions that the relay speaks.
VERSIONS = (4,)
MEDIA_URL = "MEDIA_URL:"
IMAGE_BASE64 = "IMAGE_BASE64:"
MEDIA_PREFIXES = (MEDIA_URL, IMAGE_BASE64)
BETWEEN_SOURCES = "|||"
_KINDS = {ReplyKind.RESPONSE: "response", ReplyKind.SCHEDULE: "schedule", ReplyKind.BROADCAST: "broadcast"}
_encoder = msgspec.json.Encoder()


class _TextReply(msgspec.Struct):
    id: str
    kind: str
    room: str
    channel_id: str | None
    text: str


def encode_challenge(nonce: bytes, server_version: str) -> bytes:
    """The answer to `hello`."""
    return _line("challenge", {"version": 4, "nonce": nonce.hex(), "server_version": server_version})


def encode_unsupported(message: str, timestamp_ms: int) -> bytes:
    """The answer to a phone that speaks none of our versions: an error that names them."""
    code = ErrorCode.UNSUPPORTED_VERSION.value
    return _line("error", {"code": code, "message": message, "versions": VERSIONS, "timestamp": timestamp_ms})


def encode_welcome(
    *, success: bool, approved: bool, message: str, server_version: str, line_bytes: int, text_chars: int
) -> bytes:
    """The end of the handshake; sealed it is the relay's proof."""
    limits = {"line_bytes": line_bytes, "text_chars": text_chars}
    return _line(
        "welcome",
        {
            "success": success, "approved": approved, "message": message,
            "server_version": server_version, "limits": limits,
        },
    )  # fmt: skip


def encode_ack(ids: Sequence[str]) -> bytes:
    """The phone need not keep these messages any longer."""
    return b'{"event":"ack","data":{"ids":' + _encoder.encode(ids) + b"}}\n"


def encode_refused(name: str, code: ErrorCode, message: str) -> bytes:
    """Say of a message that it will never be accepted."""
    return _line("refused", {"id": name, "code": code.value, "message": message})


def encode_reply_v40(reply: Reply) -> bytes:
    """A reply: one line, or for media with contents one and a line for each chunk.

    Raises ValueError for an empty text, and for media without a source or with an empty one.
    """
    part = reply.part
    if isinstance(part, Text) and part.text.startswith(MEDIA_PREFIXES):
        part = _as_media(part.text)
    if isinstance(part, Text):
        if not part.text:
            raise ValueError("an empty text cannot be sent")
        text = _TextReply(reply.id, _KINDS[reply.kind], reply.room, reply.channel_id, part.text)
        try:
            return b'{"event":"reply","data":' + _encoder.encode(text) + b"}\n"
        except UnicodeEncodeError:
            return _line("reply", msgspec.to_builtins(text))
    return _media(reply, part)


def _as_media(text: str) -> Media:
    """Text that carries media in the 3.2 way.  Raises ValueError for pictures that are no Base64."""
    if text.startswith(MEDIA_URL):
        return Media(tuple(text.removeprefix(MEDIA_URL).split(BETWEEN_SOURCES)))
    sources = text.removeprefix(IMAGE_BASE64).split(BETWEEN_SOURCES)
    return Media(tuple(b64decode(source, validate=True) for source in sources))


def _media(reply: Reply, part: Media) -> bytes:
    if not part.sources or not all(part.sources):
        raise ValueError("media without a source, or with an empty one, cannot be sent")
    contents = [source for source in part.sources if isinstance(source, bytes)]
    urls = [{"url": mend(str(url))} for url in part.sources]
    lines = [
        _line(
            "media",
            {
                "id": reply.id, "kind": _KINDS[reply.kind],
                "room": reply.room, "channel_id": reply.channel_id,
                "media": part.kind, "format": part.format, "wait_ms": part.wait_ms,
                "sources": [_described(content) for content in contents] or urls,
            },
        )
    ]  # fmt: skip
    for number, content in enumerate(contents):
        lines += [
            _line(
                "chunk",
                {
                    "id": reply.id, "source": number, "index": start // CHUNK,
                    "data": b64encode(content[start : start + CHUNK]).decode(),
                },
            )
            for start in range(0, len(content), CHUNK)
        ]  # fmt: skip
    return b"".join(lines)


def _described(content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"bytes": len(content), "chunks": -(-len(content) // CHUNK), "sha256": digest}


def _line(event: str, data: dict[str, Any]) -> bytes:
    try:
        return _encoder.encode({"event": event, "data": data}) + b"\n"
    except UnicodeEncodeError:
        mended = {key: mend(value) if isinstance(value, str) else value for key, value in data.items()}
        return _encoder.encode({"event": event, "data": mended}) + b"\n"
