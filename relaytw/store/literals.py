"""Values written into the text of a statement for MySQL and MariaDB.

Its driver does so for every statement, one slow call a value; rows come by the thousand and hold plain
values only.  Connections are made with an `sql_mode` of ours, in which a backslash escapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import Any

#: About how many characters of text one statement holds, well below any server's `max_allowed_packet`.
STATEMENT_CHARS = 200_000


def literal(value: object) -> str:
    """The value as SQL text.  Raises TypeError for what is not text, a number or None."""
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, str):
        return _text(str(value))
    raise TypeError(f"{type(value).__name__} is no value of a row")


def statements_of(head: str, rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    """Statements that begin with `head` and hold every row, each of a size that a server takes."""
    written: list[str] = []
    chars = 0
    for row in rows:
        text = f"({','.join([literal(value) for value in row])})"
        if written and chars + len(text) > STATEMENT_CHARS:
            yield head + ",".join(written)
            written, chars = [], 0
        written.append(text)
        chars += len(text)
    if written:
        yield head + ",".join(written)


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_WRITERS: dict[type, Callable[[Any], str]] = {
    str: _text,
    int: int.__repr__,
    bool: lambda value: "1" if value else "0",
    float: float.__repr__,
    NoneType: lambda _: "NULL",
}
