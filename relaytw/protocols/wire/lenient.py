"""The slow way to read a line, for what the fast one refuses.

Scripts cut strings in the middle of an emoji and put raw control characters into them.  Such a line
is read by the standard library and mended; what is no JSON to anybody is a `BadLine`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from relaytw.errors import BadLine

_SURROGATES = re.compile("[\ud800-\udfff]")


def parse(text: bytes) -> dict[str, Any]:
    """One JSON object; its strings may hold lone surrogates.  Raises BadLine, and nothing else."""
    try:
        value = json.loads(text.decode("utf-8"), strict=False, parse_constant=_no_number, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise BadLine("nested too deeply") from error
    except ValueError as error:
        raise BadLine(f"not JSON: {str(error)[:80]}") from error
    if not isinstance(value, dict):
        raise BadLine(f"a packet is an object, not a {type(value).__name__}")
    return value


def mend(text: str) -> str:
    """The text with its lone surrogates replaced by U+FFFD, so that UTF-8 can carry it."""
    return _SURROGATES.sub("\ufffd", text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number is out of range")
    return value
