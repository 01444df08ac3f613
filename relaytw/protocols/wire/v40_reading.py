"""One line of a 4.0 phone to one packet; whether its seal is good is not looked at here.

As with the older dialects the fast way is one typed decode, and only what that refuses is read again.
"""

from __future__ import annotations

from typing import Any

import msgspec

from relaytw.errors import BadLine
from relaytw.messages import ErrorCode, Packet, Unacceptable, Unknown
from relaytw.protocols.wire import v40_shapes as shapes
from relaytw.protocols.wire.lenient import mend, parse

_envelope = msgspec.json.Decoder(shapes.Envelope)
_REFUSALS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_v40(line: bytes) -> Packet:
    """Read one line.  Raises BadLine, and nothing else, for any bytes."""
    try:
        packet: Packet = _envelope.decode(line).data.value()
    except (BadLine, *_REFUSALS):
        return _closely(line)
    return packet


def _closely(line: bytes) -> Packet:
    """Say what is wrong with a line, mend it, or find that it means nothing to us."""
    value = parse(line)
    event = value.get("event")
    if not isinstance(event, str):
        raise BadLine("event is not a string")
    shape = shapes.ENVELOPES.get(event)
    if shape is None:
        return Unknown(mend(event)[:50], None)
    try:
        packet: Packet = msgspec.convert(_mended(value), shape).data.value()
    except BadLine as error:
        return _refused(event, value, error.why, error.code)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        return _refused(event, value, str(error)[:200], ErrorCode.BAD_LINE)
    return packet


def _refused(event: str, value: dict[str, Any], why: str, code: ErrorCode) -> Packet:
    data = value.get("data")
    name = data.get("id") if event == "chat" and isinstance(data, dict) else None
    if isinstance(name, str) and 0 < len(name) <= shapes.REPLY_ID_CHARS:
        return Unacceptable(mend(name), why)
    raise BadLine(why, ErrorCode.BAD_HANDSHAKE if event in ("hello", "proof") else code)


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, dict):
        return {mend(key): _mended(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mended(item) for item in value]
    return value
