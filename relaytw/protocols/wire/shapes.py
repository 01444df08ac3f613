"""The objects that packets of dialects 3.2 and 3.3 are made of, as the phones spell them.

Field names differ between the dialects; this package is the only place that knows.
"""

from __future__ import annotations

from sys import intern
from typing import Any

from msgspec import Raw, Struct, field

from relaytw.errors import BadLine
from relaytw.messages import Auth, Chat, Dialect, ErrorCode, Handshake, Monitoring, Packet, Pong

#: A NamedTuple's own constructor takes twice as long as the tuple's it ends in.
_new: Any = tuple.__new__
#: The columns `bot_name` and `device_id` are this wide.
BOT_CHARS = 30
DEVICE_CHARS = 100


class AuthShape(Struct, rename="camel"):
    """The `auth` object, the same in both dialects."""

    bot_name: str | None = None
    device_id: str | None = field(name="deviceID", default=None)
    timestamp: int | float | str | None = None
    signature: str | None = None
    client_type: str | None = None
    device_uuid: str | None = field(name="deviceUUID", default=None)
    mac_address: str | None = None
    ip_address: str | None = None
    version: str | None = None

    def value(self) -> Auth:
        """The frozen value of it.  Raises BadLine for a timestamp that is none."""
        timestamp = self.timestamp
        if type(timestamp) is not int or not 0 <= timestamp < _LATEST:
            timestamp = _milliseconds(timestamp)
        values = (
            self.client_type or "",
            self.bot_name or "",
            self.device_uuid or "",
            self.device_id or "",
            self.mac_address or "",
            self.ip_address or "",
            timestamp,
            self.version or "",
            self.signature or "",
        )
        return _new(Auth, values)  # type: ignore[no-any-return]


#: No clock shows more milliseconds than this; larger numbers would not even print.
_LATEST = 2**53


def _milliseconds(timestamp: float | str | None) -> int:
    if timestamp is None:
        return 0
    try:
        value = timestamp if type(timestamp) is int else int(timestamp)
    except (ValueError, OverflowError) as error:
        raise BadLine("auth.timestamp is not a number of milliseconds") from error
    if not 0 <= value < _LATEST:
        raise BadLine("auth.timestamp is out of range")
    return value


def _name(value: str | int | None) -> str | None:
    """An id, which some scripts send as a number."""
    if value is None or type(value) is str:
        return value
    if not -_LATEST * _LATEST < int(value) < _LATEST * _LATEST:
        raise BadLine("an id is out of range")
    return str(value)


class HandshakeShape(Struct, rename="camel"):
    """The introduction, the same in both dialects (3.3 wraps it)."""

    bot_name: str
    version: str
    device_id: str = field(name="deviceID")
    client_type: str | None = None
    device_ip: str | None = field(name="deviceIP", default=None)
    device_info: str | None = None

    def value(self, dialect: Dialect) -> Handshake:
        """The frozen value of it.  Raises BadLine for a name that is none or too long to be kept."""
        for name, value, limit in (
            ("botName", self.bot_name, BOT_CHARS),
            ("deviceID", self.device_id, DEVICE_CHARS),
        ):
            if not value.strip() and name == "botName":
                raise BadLine("botName is empty", ErrorCode.BAD_HANDSHAKE)
            if len(value) > limit:
                raise BadLine(f"{name} is longer than {limit} characters", ErrorCode.BAD_HANDSHAKE)
        # What thousands of phones have in common is kept once.
        return Handshake(
            dialect,
            intern(self.bot_name),
            self.device_id,
            intern(self.version),
            intern(self.client_type or ""),
            self.device_ip or "",
            (self.device_info or "")[:255],
        )


class AnalyzeShape(Struct, rename="camel"):
    """Chat as 3.2 spells it."""

    room: str
    text: str
    sender: str | None = None
    channel_id: str | int | None = None
    log_id: str | int | None = None
    user_hash: str | int | None = None
    is_group_chat: bool | int | None = None
    is_mention: bool | int | None = None
    timestamp: str | int | float | None = None
    auth: AuthShape | None = None


class MessageShape(Struct):
    """Chat as 3.3 spells it; the text stands behind the header."""

    room: str
    sender: str | None = None
    channel_id: str | int | None = None
    log_id: str | int | None = None
    user_hash: str | int | None = None
    is_group_chat: bool | int | None = None
    is_mention: bool | int | None = None
    content_encoding: str | None = None
    timestamp: str | int | float | None = None
    auth: AuthShape | None = None


class MonitoringShape(Struct):
    """A phone's own figures."""

    total_memory: float | None = None
    memory_usage: float | None = None
    memory_percent: float | None = None
    message_queue_size: int | float | None = None
    active_rooms: int | float | None = None

    def value(self) -> Monitoring:
        """The frozen value of it."""
        return Monitoring(
            self.total_memory or 0.0,
            self.memory_usage or 0.0,
            self.memory_percent or 0.0,
            int(self.message_queue_size or 0),
            int(self.active_rooms or 0),
        )


class PongShape(Struct):
    """The answer to a ping, the same in both dialects."""

    server_timestamp: int | float | str | None = None
    monitoring: MonitoringShape | None = None
    auth: AuthShape | None = None

    def value(self) -> Pong:
        """The frozen value of it."""
        sent = self.server_timestamp
        return Pong(
            sent if type(sent) is int else None,
            self.monitoring.value() if self.monitoring is not None else None,
            self.auth.value() if self.auth is not None else None,
        )


class Analyze(Struct, tag_field="event", tag="analyze"):
    """The envelope of chat in 3.2."""

    data: AnalyzeShape


class MessageEvent(Struct, tag_field="event", tag="message"):
    """The envelope of chat in 3.3."""

    data: MessageShape


class PingEvent(Struct, tag_field="event", tag="ping"):
    """The envelope of a pong in 3.2 and in older 3.3 scripts."""

    data: PongShape


class PongEvent(Struct, tag_field="event", tag="pong"):
    """The envelope of a pong in 3.3.3."""

    data: PongShape


class HandshakeEvent(Struct, tag_field="event", tag="handshake"):
    """The envelope of a handshake in 3.3."""

    data: HandshakeShape


class ProbeData(Struct):
    """Of a packet we do not know, all that matters: who signed it."""

    auth: AuthShape | None = None


_ABSENT = Raw(b"")


class Probe(Struct):
    """What tells apart what is no known packet; the names of a bare handshake as it spells them."""

    event: str | None = None
    v: Raw = _ABSENT
    type: Raw = _ABSENT
    data: Raw = _ABSENT
    botName: Raw = _ABSENT  # noqa: N815 (the wire's)
    deviceID: Raw = _ABSENT  # noqa: N815 (the wire's)
    clientType: Raw = _ABSENT  # noqa: N815 (the wire's)


Envelope = Analyze | MessageEvent | PingEvent | PongEvent | HandshakeEvent
ENVELOPES: dict[str, type[Any]] = {
    "analyze": Analyze,
    "message": MessageEvent,
    "ping": PingEvent,
    "pong": PongEvent,
    "handshake": HandshakeEvent,
}


def chat(data: AnalyzeShape | MessageShape, text: str) -> Chat:
    """The frozen value of a chat packet."""
    timestamp, auth = data.timestamp, data.auth
    channel_id, log_id, user_hash = data.channel_id, data.log_id, data.user_hash
    values = (
        data.room,
        text,
        data.sender or "",
        channel_id if type(channel_id) is str else _name(channel_id),
        log_id if type(log_id) is str else _name(log_id),
        user_hash if type(user_hash) is str else _name(user_hash),
        bool(data.is_group_chat),
        bool(data.is_mention),
        timestamp if type(timestamp) is str else "",
        auth.value() if auth is not None else None,
        "",
        0,
        False,
    )
    return _new(Chat, values)  # type: ignore[no-any-return]


def dialect_of_version(packet: Packet) -> Dialect | None:
    """The dialect that a signed packet's script version names, if any."""
    auth = packet.auth if isinstance(packet, (Chat, Pong)) else None
    if auth is None:
        return None
    for dialect in (Dialect.V32, Dialect.V33):
        if auth.version.startswith(dialect):
            return dialect
    return None
