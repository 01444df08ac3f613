"""Who did what, and when: written down, and read page by page, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, select

from relaytw.store.schema import audit
from relaytw.store.statements import Insert, Statement, Transaction

_COLUMNS = ("at_ms", "actor", "act", "bot_name", "device_id", "room_id", "detail")
_WIDTHS = (None, 100, 50, 30, 100, 100, 2000)
_INSERT = Insert(audit, _COLUMNS)
_PAGE = Statement(
    select(audit.c.id, *(audit.c[name] for name in _COLUMNS))
    .where(audit.c.id < bindparam("before"))
    .order_by(audit.c.id.desc())
    .limit(bindparam("limit"))
)
_NEWEST = 2**63 - 1


class Act(NamedTuple):
    """One thing that somebody did; `at_ms` in milliseconds since the epoch."""

    at_ms: int
    actor: str
    act: str
    bot: str | None = None
    device: str | None = None
    room_id: str | None = None
    detail: str | None = None


class StoredAct(NamedTuple):
    """An act as it was written down, under its number."""

    number: int
    act: Act


def write(transaction: Transaction, acts: Sequence[Act]) -> None:
    """Write these down, cut to what the table holds."""
    _INSERT.run(
        transaction,
        [
            tuple(
                value[:width] if isinstance(value, str) else value
                for value, width in zip(act, _WIDTHS, strict=True)
            )
            for act in acts
        ],
    )


def page(transaction: Transaction, before: int | None, limit: int) -> list[StoredAct]:
    """The newest acts, or the newest of those before this number."""
    rows = transaction.all(_PAGE, before=_NEWEST if before is None else before, limit=limit)
    return [StoredAct(row[0], Act(*row[1:])) for row in rows]
