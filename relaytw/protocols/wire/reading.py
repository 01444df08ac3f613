"""One line from a phone to one packet, whichever dialect it is in.

The fast way is one typed decode.  What is JSON but no known packet is told apart by a second one: a
bare handshake, an unknown event, a mistake.  Only what is no JSON to it is read again leniently, for
that costs twenty times as much, and a stranger chooses what is sent.
"""

from __future__ import annotations

import binascii
from typing import Any

import msgspec

from relaytw.errors import BadLine
from relaytw.messages import Auth, Chat, Dialect, ErrorCode, Hello, Packet, Unknown
from relaytw.protocols.wire import shapes
from relaytw.protocols.wire.lenient import mend, parse
from relaytw.protocols.wire.seals import HEAD as SEALED
from relaytw.protocols.wire.v40_reading import decode_v40

_envelope = msgspec.json.Decoder(shapes.Envelope)
_probe = msgspec.json.Decoder(shapes.Probe)
_handshake = msgspec.json.Decoder(shapes.HandshakeShape)
_signed = msgspec.json.Decoder(shapes.ProbeData)
_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ABANDONED = "this script version is no longer spoken; install a script of dialect 3.2 or 3.3"
_NEITHER = "neither a handshake nor a packet with an event"


def decode(line: bytes) -> Packet:
    """Read one line of either dialect.  Raises BadLine, and nothing else, for any bytes."""
    if not line.endswith(b"}"):
        return decode_first(line)[0]
    try:
        envelope = _envelope.decode(line)
    except _REFUSALS as error:
        return _refused(error, line, b"")[0]
    data = envelope.data
    return shapes.chat(data, data.text) if type(data) is shapes.AnalyzeShape else _packet(envelope, b"")[0]


def decode_kept(line: bytes) -> Packet:
    """Read a line again that was let in before, whatever its dialect.  Raises BadLine."""
    return decode_v40(line) if line.startswith(SEALED) else decode(line)


def decode_first(line: bytes) -> tuple[Packet, Dialect]:
    """Read one line of a phone whose dialect is not known, and tell the dialect.  Raises BadLine."""
    header, raw = _split(line)
    try:
        envelope = _envelope.decode(header)
    except _REFUSALS as error:
        return _refused(error, header, raw)
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


def _refused(error: Exception, header: bytes, raw: bytes) -> tuple[Packet, Dialect]:
    if not isinstance(error, msgspec.ValidationError):
        return _slowly(header, raw)
    try:
        probe = _probe.decode(header)
        if probe.event is None:
            return _bare(probe, header), Dialect.V32
    except msgspec.ValidationError:
        # Its event is no string: what was said first is the better explanation.
        raise BadLine(str(error)[:200]) from error
    except _REFUSALS:
        return _slowly(header, raw)
    if bytes(probe.v):
        return _hello(header), Dialect.V40
    if probe.event not in shapes.ENVELOPES:
        return Unknown(probe.event[:50], _auth_in(probe.data)), Dialect.V32
    code = ErrorCode.BAD_HANDSHAKE if probe.event == "handshake" else ErrorCode.BAD_LINE
    raise BadLine(str(error)[:200], code) from error


def _hello(line: bytes) -> Hello:
    """A 4.0 phone's first line; what it says later is sealed, and is not read here."""
    packet = decode_v40(line)
    if not isinstance(packet, Hello):
        raise BadLine("a conversation in dialect 4.0 begins with hello", ErrorCode.BAD_HANDSHAKE)
    return packet


def _bare(probe: shapes.Probe, header: bytes) -> Packet:
    """A 3.2 handshake has no envelope."""
    if bytes(probe.type) == b'"handshake"':
        raise BadLine(_ABANDONED, ErrorCode.UNKNOWN_DIALECT)
    if not any(map(bytes, (probe.botName, probe.deviceID, probe.clientType))):
        raise BadLine(_NEITHER)
    try:
        shape = _handshake.decode(header)
    except msgspec.ValidationError as error:
        raise BadLine(str(error)[:200], ErrorCode.BAD_HANDSHAKE) from error
    return shape.value(Dialect.V32)


def _slowly(header: bytes, raw: bytes) -> tuple[Packet, Dialect]:
    """Read what the typed decoder takes for no JSON, and mend the strings that are kept of it."""
    value = parse(header)
    event = value.get("event")
    if "v" in value and event is not None:
        return _hello(header), Dialect.V40
    if event is None:
        if not value.keys() & {"botName", "deviceID", "clientType"}:
            raise BadLine(_NEITHER)
        bare: shapes.HandshakeShape = _convert(value, shapes.HandshakeShape, ErrorCode.BAD_HANDSHAKE)
        return _mended(bare.value(Dialect.V32)), Dialect.V32
    if not isinstance(event, str):
        raise BadLine("event is not a string")
    shape = shapes.ENVELOPES.get(event)
    if shape is None:
        return Unknown(mend(event)[:50], None), Dialect.V32
    code = ErrorCode.BAD_HANDSHAKE if event == "handshake" else ErrorCode.BAD_LINE
    packet, dialect = _packet(_convert(value, shape, code), raw)
    return _mended(packet), dialect


def _mended(packet: Any) -> Any:
    """The same values, no string of theirs with half a character."""
    fields = (
        mend(field) if type(field) is str else _mended(field) if isinstance(field, tuple) else field
        for field in packet
    )
    return type(packet)._make(fields)


def _convert(value: dict[str, Any], shape: type[Any], code: ErrorCode) -> Any:
    try:
        return msgspec.convert(value, shape)
    except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeEncodeError) as error:
        raise BadLine(str(error)[:200], code) from error


def _auth_in(data: msgspec.Raw) -> Auth | None:
    """Who signed a packet we do not know, as far as that can be read."""
    try:
        auth = _signed.decode(data).auth
        return auth.value() if auth is not None else None
    except (*_REFUSALS, BadLine):
        return None
