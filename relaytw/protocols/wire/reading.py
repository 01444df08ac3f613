"""One line from a phone to one packet, whichever dialect it is in.

The fast way is one typed decode.  Whatever it refuses is read again leniently, which also tells a
bare handshake, an unknown event and plain rubbish apart.
"""

from __future__ import annotations

import binascii
from typing import Any

import msgspec

from relaytw.errors import BadLine
from relaytw.messages import Auth, Chat, Dialect, ErrorCode, Packet, Unknown
from relaytw.protocols.wire import shapes
from relaytw.protocols.wire.lenient import parse

_envelope = msgspec.json.Decoder(shapes.Envelope)
_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_NEITHER = "neither a handshake nor a packet with an event"


def decode(line: bytes, dialect: Dialect | None = None) -> Packet:  # noqa: ARG001 (either dialect is understood)
    """Read one line.  Raises BadLine, and nothing else, for any bytes."""
    if not line.endswith(b"}"):
        return decode_first(line)[0]
    try:
        envelope = _envelope.decode(line)
    except _REFUSALS:
        return _slowly(line, b"")[0]
    data = envelope.data
    return shapes.chat(data, data.text) if type(data) is shapes.AnalyzeShape else _packet(envelope, b"")[0]


def decode_first(line: bytes) -> tuple[Packet, Dialect]:
    """Read one line of a phone whose dialect is not known, and tell the dialect.  Raises BadLine."""
    header, raw = _split(line)
    try:
        envelope = _envelope.decode(header)
    except _REFUSALS:
        return _slowly(header, raw)
    return _packet(envelope, raw)


def _split(line: bytes) -> tuple[bytes, bytes]:
    """Header and raw content: the header ends at the last brace."""
    if line.endswith(b"}"):
        return line, b""
    end = line.rfind(b"}") + 1
    if not end:
        return line, b""
    return line[:end], line[end:].strip(b" \r")


def _packet(envelope: shapes.Envelope, raw: bytes) -> tuple[Packet, Dialect]:
    data = envelope.data
    if isinstance(data, shapes.AnalyzeShape):
        return shapes.chat(data, data.text), Dialect.V32
    if isinstance(data, shapes.MessageShape):
        return _chat_33(data, raw), Dialect.V33
    if isinstance(data, shapes.HandshakeShape):
        handshake = data.value(Dialect.V33)
        return handshake, Dialect.V33
    pong = data.value()
    guess = Dialect.V33 if isinstance(envelope, shapes.PongEvent) else Dialect.V32
    return pong, shapes.dialect_of_version(pong) or guess


def _chat_33(data: shapes.MessageShape, raw: bytes) -> Chat:
    if data.content_encoding not in (None, "base64"):
        raise BadLine(f"content_encoding {data.content_encoding[:20]!r} is not base64")
    try:
        content = binascii.a2b_base64(raw, strict_mode=True)
    except binascii.Error as error:
        raise BadLine(f"the content is not Base64: {error}") from error
    # The phone cuts long content where it likes, perhaps within a character.
    return shapes.chat(data, content.decode("utf-8", "replace"))


def _slowly(header: bytes, raw: bytes) -> tuple[Packet, Dialect]:
    value = parse(header)
    event = value.get("event")
    if event is None:
        return _bare(value), Dialect.V32
    if not isinstance(event, str):
        raise BadLine("event is not a string")
    shape = shapes.ENVELOPES.get(event)
    if shape is None:
        return Unknown(event[:50], _auth_of(value)), Dialect.V32
    code = ErrorCode.BAD_HANDSHAKE if event == "handshake" else ErrorCode.BAD_LINE
    return _packet(_convert(value, shape, code), raw)


def _bare(value: dict[str, Any]) -> Packet:
    """A 3.2 handshake has no envelope."""
    if value.get("type") == "handshake":
        why = "this script version is no longer spoken; install a script of dialect 3.2 or 3.3"
        raise BadLine(why, ErrorCode.UNKNOWN_DIALECT)
    if not value.keys() & {"botName", "deviceID", "clientType"}:
        raise BadLine(_NEITHER)
    shape: shapes.HandshakeShape = _convert(value, shapes.HandshakeShape, ErrorCode.BAD_HANDSHAKE)
    return shape.value(Dialect.V32)


def _convert(value: dict[str, Any], shape: type[Any], code: ErrorCode) -> Any:
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise BadLine(str(error)[:200], code) from error


def _auth_of(value: dict[str, Any]) -> Auth | None:
    data = value.get("data")
    auth = data.get("auth") if isinstance(data, dict) else None
    if auth is None:
        return None
    try:
        return msgspec.convert(auth, shapes.AuthShape).value()
    except (msgspec.ValidationError, BadLine):
        return None
