"""Rows that nobody waits for: many of several tables, written in one transaction.

A row that the database refuses is found by halving and left out; it keeps no other from being written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from relaytw.store.connections import in_words, means_away
from relaytw.store.layout import FRESH, Layout, TextColumn
from relaytw.store.statements import Insert, Transaction

Row = tuple[Any, ...]

#: After so many rows of a batch were refused and none was taken it is the table that does not fit.
PATIENCE = 10
#: What no database takes in a text, or nobody can read back: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True, eq=False)
class RowKind:
    """A table that rows are written to; `long` is the place of the value that may be long, if one may.

    `cut` is that of the flag that says that the long value did not fit.
    """

    table: str
    insert: Insert
    long: int | None = None
    cut: int | None = None


class Refusal(NamedTuple):
    """How many rows of a table the database refused, and what it said of the last."""

    table: str
    rows: int
    why: str


Batch = Sequence[tuple[RowKind, Sequence[Row]]]


def write_rows(transaction: Transaction, batch: Batch) -> list[Refusal]:
    """Write every row that the database takes; those it does not."""
    refusals = (_write(transaction, kind, _fitting(transaction.layout, kind, rows)) for kind, rows in batch)
    return [refusal for refusal in refusals if refusal is not None]


def storable(text: str, width: int) -> str:
    """As much of the text as a column of `width` characters holds, without what cannot be stored."""
    if len(text) <= width and text.isprintable():
        return text
    return _UNSTORABLE.sub("\ufffd", text[:width])


def _fitting(layout: Layout, kind: RowKind, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows as old columns can store them, which hold less than ours or know fewer characters."""
    narrow = [
        (place, column)
        for place, name in enumerate(kind.insert.columns)
        if (column := layout.texts.get(f"{kind.table}.{name}")) != FRESH.texts.get(f"{kind.table}.{name}")
        and column is not None
    ]
    return [_fitted(kind, row, narrow) for row in rows] if narrow else rows


def _fitted(kind: RowKind, row: Row, narrow: Sequence[tuple[int, TextColumn]]) -> Row:
    values = list(row)
    for place, column in narrow:
        if isinstance(values[place], str):
            values[place], was_cut = column.fit(values[place])
            if was_cut and place == kind.long and kind.cut is not None:
                values[kind.cut] = 1
    return tuple(values)


def _write(transaction: Transaction, kind: RowKind, rows: Sequence[Row]) -> Refusal | None:
    left, refused, taken, why = [rows], 0, False, ""
    while left:
        part = left.pop()
        error = _try(transaction, kind, part)
        if error is None:
            taken = True
        elif len(part) > 1 and (taken or refused < PATIENCE):
            half = len(part) // 2
            left += [part[half:], part[:half]]
        else:
            refused += len(part)
            why = in_words(error)
    return Refusal(kind.table, refused, why) if refused else None


def _try(transaction: Transaction, kind: RowKind, rows: Sequence[Row]) -> Exception | None:
    transaction.execute("SAVEPOINT part")
    try:
        kind.insert.run(transaction, rows)
    except Exception as error:
        if means_away(error):
            raise
        transaction.execute("ROLLBACK TO SAVEPOINT part")
        return error
    transaction.execute("RELEASE SAVEPOINT part")
    return None
