"""The phone's side of dialects 3.2 and 3.3: for the simulated phone, for tests and benchmarks."""

from __future__ import annotations

from base64 import b64decode, b64encode
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from relaytw.errors import BadLine
from relaytw.messages import Auth, Chat, Dialect, Handshake, Monitoring
from relaytw.protocols.wire.lenient import parse
from relaytw.protocols.wire.v40_writing import BETWEEN_SOURCES, IMAGE_BASE64, MEDIA_URL


class HandshakeComplete(NamedTuple):
    """The relay's answer to a handshake."""

    success: bool
    approved: bool
    message: str


class ErrorPacket(NamedTuple):
    """The relay did not like something.  `timestamp` in ms."""

    code: str
    message: str
    timestamp: int


class PingPacket(NamedTuple):
    """The relay asks for a sign of life.  `server_timestamp` in ms, to be echoed."""

    bot: str
    server_timestamp: int


class ReplyPacket(NamedTuple):
    """Something to type into a room: a text, or media sources.  `media_wait_time` in ms."""

    event: str
    room: str
    channel_id: str | None
    text: str | None
    media: tuple[str, ...]
    media_wait_time: int | None


RelayPacket = HandshakeComplete | ErrorPacket | PingPacket | ReplyPacket


def encode_handshake(handshake: Handshake) -> bytes:
    """A phone's first line."""
    data = {
        "clientType": handshake.client_type or "MessengerBotR",
        "botName": handshake.bot,
        "version": handshake.version,
        "deviceID": handshake.device,
        "deviceIP": handshake.device_ip,
        "deviceInfo": handshake.device_info,
    }
    if handshake.dialect is Dialect.V32:
        return _line(data)
    return _line({"event": "handshake", "data": data})


def encode_chat(dialect: Dialect, chat: Chat, bot: str) -> bytes:
    """One chat message."""
    if dialect is Dialect.V32:
        data: dict[str, Any] = {
            "room": chat.room,
            "text": chat.text,
            "sender": chat.sender,
            "isGroupChat": chat.is_group_chat,
            "channelId": chat.channel_id,
            "logId": chat.log_id,
            "userHash": chat.user_hash,
            "isMention": chat.is_mention,
            "timestamp": chat.timestamp,
            "botName": bot,
            "clientType": "MessengerBotR",
        }
        return _line({"event": "analyze", "data": data | _auth(chat.auth)})
    raw = b64encode(chat.text.encode("utf-8", "replace"))
    data = {
        "room": chat.room,
        "sender": chat.sender,
        "channel_id": chat.channel_id,
        "log_id": chat.log_id,
        "user_hash": chat.user_hash,
        "is_mention": chat.is_mention,
        "is_group_chat": chat.is_group_chat,
        "bot_name": bot,
        "client_type": "MessengerBotR",
        "message_type": "text",
        "content_encoding": "base64",
        "message_positions": [0, len(chat.text)],
        "timestamp": chat.timestamp,
        "timezone": "Asia/Seoul",
    }
    return _line({"event": "message", "data": data | _auth(chat.auth)})[:-1] + raw + b"\n"


def encode_pong(
    dialect: Dialect,
    bot: str,
    server_timestamp: int,
    monitoring: Monitoring | None = None,
    auth: Auth | None = None,
) -> bytes:
    """The answer to a ping: event `ping` in 3.2, `pong` in 3.3."""
    data: dict[str, Any] = {"bot_name": bot, "server_timestamp": server_timestamp}
    if monitoring is not None:
        data["monitoring"] = monitoring._asdict()
    event = "ping" if dialect is Dialect.V32 else "pong"
    return _line({"event": event, "data": data | _auth(auth)})


def decode_from_relay(line: bytes) -> RelayPacket:
    """Read a line of the relay as the old scripts do.  Raises BadLine for what they would not read."""
    header_end = line.rfind(b"}") + 1
    packet = parse(line[:header_end])
    raw = line[header_end:].strip().decode("ascii", "replace")
    event, data = packet.get("event"), packet.get("data")
    if not isinstance(event, str) or not isinstance(data, dict):
        raise BadLine("not a packet of the relay")
    try:
        return _read(event, data, raw)
    except (KeyError, TypeError, ValueError) as error:
        raise BadLine(f"{event}: {error!r}") from error


def _read(event: str, data: dict[str, Any], raw: str) -> RelayPacket:
    if event == "handshakeComplete":
        return HandshakeComplete(data["success"], data["approved"], data["message"])
    if event == "error":
        return ErrorPacket(data["code"], data["message"], data["timestamp"])
    if event == "ping":
        return PingPacket(data["bot_name"], data["server_timestamp"])
    text, media = _content(data, raw)
    return ReplyPacket(event, data["room"], data["channel_id"], text, media, data.get("media_wait_time"))


def _content(data: dict[str, Any], raw: str) -> tuple[str | None, tuple[str, ...]]:
    if "text" in data:
        text = str(data["text"])
        for prefix in (MEDIA_URL, IMAGE_BASE64):
            if text.startswith(prefix):
                return None, tuple(text.removeprefix(prefix).split(BETWEEN_SOURCES))
        return text, ()
    positions = [int(position) for position in data["message_positions"]]
    if positions == [0, 0]:
        raise ValueError("an empty message is ignored")
    pieces = [raw[start:end] for start, end in pairwise(positions)]
    if data["message_type"] == "text":
        return b64decode("".join(pieces), validate=True).decode(), ()
    return None, tuple(pieces)


def _auth(auth: Auth | None) -> dict[str, Any]:
    if auth is None:
        return {}
    return {
        "auth": {
            "clientType": auth.client_type,
            "botName": auth.bot,
            "deviceUUID": auth.device_uuid,
            "deviceID": auth.device,
            "macAddress": auth.mac,
            "ipAddress": auth.ip,
            "timestamp": auth.timestamp,
            "version": auth.version,
            "signature": auth.signature,
        }
    }


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"
