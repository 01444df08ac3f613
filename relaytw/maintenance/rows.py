"""Rows of any table as lines of JSON, and back: the same on either engine."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from typing import TypeAlias

import msgspec

#: What both drivers take for a value.
Value: TypeAlias = "int | float | str | bytes | None"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_SECONDS = 60


def encode_row(row: Sequence[object]) -> bytes:
    """A row as one line, without its end."""
    return _encode([_plain(value) for value in row])


def decode_row(line: bytes) -> list[Value]:
    """The values of a line.  Raises ValueError when it is none of `encode_row`."""
    try:
        row = _decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error
    if not isinstance(row, list):
        raise ValueError("a row is a list")  # noqa: TRY004 (whatever is wrong with a line is one error)
    return [_value(value) for value in row]


def stored(value: object) -> Value:
    """A value as it is handed to a driver again: times and decimals as the text of them."""
    match value:
        case bool():
            kept: Value = int(value)
        case None | int() | float() | str() | bytes():
            kept = value
        case datetime():
            kept = value.isoformat(" ")
        case date() | time():
            kept = value.isoformat()
        case timedelta():
            kept = _clock(value)
        case Decimal():
            kept = format(value, "f")
        case _:
            raise TypeError(f"a {type(value).__name__} is no value of a table")
    return kept


def _plain(value: object) -> object:
    kept = stored(value)
    if isinstance(kept, bytes):
        return {"base64": b64encode(kept).decode("ascii")}
    if isinstance(kept, float) and not isfinite(kept):
        return {"float": repr(kept)}
    return kept


def _value(plain: object) -> Value:
    match plain:
        case {"base64": str(text)}:
            return b64decode(text, validate=True)
        case {"float": str(text)}:
            return float(text)
        case bool() | dict() | list():
            raise ValueError(f"{plain!r} is no value of a table")
    return plain  # type: ignore[return-value]  # JSON has nothing else


def _clock(span: timedelta) -> str:
    sign, span = ("-", -span) if span < timedelta() else ("", span)
    minutes, seconds = divmod(span.days * 86400 + span.seconds, _SECONDS)
    hours, minutes = divmod(minutes, _SECONDS)
    fraction = f".{span.microseconds:06}" if span.microseconds else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"
