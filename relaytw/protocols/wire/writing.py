"""What the relay says to a phone, in the phone's dialect.  Every function gives one whole line."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from relaytw.messages import Dialect, ErrorCode, Media, Reply, Text
from relaytw.protocols.wire.lenient import mend
from relaytw.protocols.wire.v40_writing import BETWEEN_SOURCES, IMAGE_BASE64, MEDIA_URL, encode_reply_v40

#: Characters of a URL that may stay as they are; braces may not, for the header ends at the last one.
_URL_SAFE = "%/:?#[]@!$&'()*+,;=~-._"

#: Looking a member up in its enumeration takes ten times as long as looking up a name.
_V32 = Dialect.V32
_V40 = Dialect.V40
_encoder = msgspec.json.Encoder()
_RESPONSE = b'{"event":"messageResponse","data":'


class _Envelope(msgspec.Struct):
    event: str
    data: Any


class _TextAnswer(msgspec.Struct):
    room: str
    text: str
    channel_id: str | None
    bot_name: str


class _Answer(_TextAnswer, omit_defaults=True):
    media_wait_time: int | msgspec.UnsetType = msgspec.UNSET


def encode_handshake_complete(*, success: bool, approved: bool, message: str, server_version: str) -> bytes:
    """The answer to a handshake; `message` is shown in the script's log."""
    data = {"success": success, "approved": approved, "message": message, "server_version": server_version}
    return _line("handshakeComplete", data)


def encode_error(code: ErrorCode, message: str, timestamp_ms: int) -> bytes:
    """What was wrong with something the phone said; old scripts ignore it, people read it."""
    return _line("error", {"code": code.value, "message": message, "timestamp": timestamp_ms})


def encode_ping(bot: str, server_timestamp_ms: int) -> bytes:
    """A ping; the phone echoes the timestamp (ms)."""
    return _line("ping", {"bot_name": bot, "server_timestamp": server_timestamp_ms})


def encode_reply(dialect: Dialect, reply: Reply, now: float, timezone: str = "Asia/Seoul") -> bytes:
    """A reply.  `now` in seconds since the epoch.

    Raises ValueError for what the dialect cannot carry: an empty text, media without a source, and
    in 3.2 file contents that are no image.
    """
    if dialect is not _V32:
        return encode_reply_v40(reply) if dialect is _V40 else _line_33(reply, now, timezone)
    part = reply.part
    if type(part) is Text and part.text:
        answer = _TextAnswer(reply.room, part.text, reply.channel_id, reply.client.bot)
    else:
        answer = _answer_32(reply)
    try:
        return _RESPONSE + _encoder.encode(answer) + b"}\n"
    except UnicodeEncodeError:
        return _line("messageResponse", answer)


def _answer_32(reply: Reply) -> _Answer:
    part = reply.part
    bot = reply.client.bot
    if isinstance(part, Text) or not part.sources:
        raise ValueError("an empty text and media without a source cannot be sent")
    urls = [source for source in part.sources if isinstance(source, str)]
    if len(urls) == len(part.sources):
        text = MEDIA_URL + BETWEEN_SOURCES.join(urls)
    elif part.kind != "image":
        raise ValueError(f"dialect 3.2 carries {part.kind} by URL only")
    else:
        text = IMAGE_BASE64 + BETWEEN_SOURCES.join(_base64(part))
    wait = part.wait_ms if part.wait_ms is not None else msgspec.UNSET
    return _Answer(reply.room, text, reply.channel_id, bot, wait)


def _line_33(reply: Reply, now: float, timezone: str) -> bytes:
    part = _as_media(reply.part) if isinstance(reply.part, Text) else reply.part
    data: dict[str, Any] = {
        "room": reply.room,
        "channel_id": reply.channel_id,
        "bot_name": reply.client.bot,
    }
    if isinstance(part, Text):
        raw = [b64encode(mend(part.text).encode()).decode()]
        data |= {"message_type": "text", "content_encoding": "base64"}
    else:
        raw = _sources_33(part)
        data |= {"message_type": part.kind, "message_format": part.format}
        if part.wait_ms is not None:
            data["media_wait_time"] = part.wait_ms
    positions = [0]
    for piece in raw:
        positions.append(positions[-1] + len(piece))
    if not positions[-1]:
        raise ValueError("nothing to send: the phone ignores an empty message")
    data["message_positions"] = positions
    data["timestamp"] = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    data["timezone"] = timezone
    return _line(reply.kind.value, data)[:-1] + "".join(raw).encode("ascii") + b"\n"


def _as_media(part: Text) -> Text | Media:
    """Text that carries media in the 3.2 way is media in 3.3."""
    if part.text.startswith(MEDIA_URL):
        return Media(tuple(part.text.removeprefix(MEDIA_URL).split(BETWEEN_SOURCES)))
    if part.text.startswith(IMAGE_BASE64):
        return Media(tuple(part.text.removeprefix(IMAGE_BASE64).split(BETWEEN_SOURCES)))
    return part


def _sources_33(part: Media) -> list[str]:
    if all(isinstance(source, bytes) for source in part.sources):
        return _base64(part)
    return [quote(mend(str(source)), safe=_URL_SAFE) for source in part.sources]


def _base64(part: Media) -> list[str]:
    return [b64encode(source).decode() for source in part.sources if isinstance(source, bytes)]


def _line(event: str, data: Any) -> bytes:
    try:
        return _encoder.encode(_Envelope(event, data)) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(_mended({"event": event, "data": msgspec.to_builtins(data)})) + b"\n"


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, dict):
        return {key: _mended(item) for key, item in value.items()}
    return value
