"""Broadcasts: one text for many rooms, whose pieces are pushes that are due one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func, or_, select, update

from relaytw.store import pushes as pieces
from relaytw.store.pushes import NewPush, State
from relaytw.store.schema import broadcasts, pushes
from relaytw.store.statements import Insert, Statement, Transaction

_b, _p = broadcasts.c, pushes.c
_FIELDS = (
    "id", "target", "body", "parts", "rooms", "per_minute", "state", "actor", "created_ms", "changed_ms",
)  # fmt: skip


class BroadcastState(StrEnum):
    """What a broadcast is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


class StoredBroadcast(NamedTuple):
    """A broadcast as it stands; `counts` are its rooms by what has become of them."""

    id: str
    target: str
    rooms: int
    per_minute: float
    state: BroadcastState
    actor: str
    created_ms: int
    changed_ms: int
    counts: dict[str, int]
    last_due_ms: int | None


_SHOWN = (_b.id, _b.target, _b.rooms, _b.per_minute, _b.state, _b.actor, _b.created_ms, _b.changed_ms)
_INSERT = Insert(broadcasts, _FIELDS)
_GET = Statement(select(*_SHOWN).where(_b.id == bindparam("id")))
_NEWEST = Statement(select(*_SHOWN).order_by(_b.created_ms.desc(), _b.id.desc()).limit(bindparam("limit")))
_COUNTS = Statement(select(_p.state, func.count()).where(_p.origin == bindparam("id")).group_by(_p.state))
_LAST = Statement(
    select(func.max(_p.due_ms)).where(_p.origin == bindparam("id"), _p.state == State.WAITING.value)
)
_FIRST = Statement(
    select(func.min(_p.due_ms)).where(_p.origin == bindparam("id"), _p.state == State.WAITING.value)
)
_RUNNING = Statement(select(_b.id).where(_b.state == BroadcastState.RUNNING.value))
_CHANGE = Statement(
    update(broadcasts)
    .where(_b.id == bindparam("id"), _b.state == bindparam("was"))
    .values({_b.state: bindparam("to"), _b.changed_ms: bindparam("now")})
)
_MOVE = Statement(
    update(pushes)
    .where(_p.origin == bindparam("id"), _p.state == bindparam("was"))
    .values({_p.state: bindparam("to"), _p.due_ms: _p.due_ms + bindparam("later")})
)
_DROP = Statement(
    update(pushes)
    .where(
        and_(
            _p.origin == bindparam("id"),
            or_(_p.state == State.WAITING.value, _p.state == State.PAUSED.value),
        )
    )
    .values({_p.state: State.CANCELLED.value, _p.done_ms: bindparam("now")})
)
#: By how many milliseconds a broadcast may be late before the rest of it is put off.
LATE = 2_000


def insert(
    transaction: Transaction, new: StoredBroadcast, body: str, parts: int, rooms: Sequence[NewPush]
) -> None:
    """Keep a broadcast and its pieces."""
    row = (
        new.id, new.target, body, parts, new.rooms, new.per_minute, new.state.value, new.actor[:100],
        new.created_ms, new.changed_ms,
    )  # fmt: skip
    _INSERT.run(transaction, [row])
    pieces.insert(transaction, rooms)


def get(transaction: Transaction, id: str) -> StoredBroadcast | None:  # noqa: A002 (the column's name)
    """One broadcast."""
    row = transaction.one(_GET, id=id)
    return None if row is None else _stored(transaction, row)


def newest(transaction: Transaction, limit: int) -> list[StoredBroadcast]:
    """The newest, newest first."""
    return [_stored(transaction, row) for row in transaction.all(_NEWEST, limit=limit)]


def pause(transaction: Transaction, id: str, now_ms: int) -> bool:  # noqa: A002 (the column's name)
    """Send no more for now; False if it does not run."""
    if not _turn(transaction, id, BroadcastState.RUNNING, BroadcastState.PAUSED, now_ms):
        return False
    transaction.run(_MOVE, id=id, was=State.WAITING.value, to=State.PAUSED.value, later=0)
    return True


def resume(transaction: Transaction, id: str, now_ms: int) -> bool:  # noqa: A002 (the column's name)
    """Go on, with what was left put off by as long as it was paused; False if it is not paused."""
    row = transaction.one(_GET, id=id)
    if row is None or not _turn(transaction, id, BroadcastState.PAUSED, BroadcastState.RUNNING, now_ms):
        return False
    transaction.run(
        _MOVE, id=id, was=State.PAUSED.value, to=State.WAITING.value, later=max(0, now_ms - row[7])
    )
    return True


def cancel(transaction: Transaction, id: str, now_ms: int) -> bool:  # noqa: A002 (the column's name)
    """Send no more for ever; False if it is over."""
    if not any(
        _turn(transaction, id, state, BroadcastState.CANCELLED, now_ms)
        for state in (BroadcastState.RUNNING, BroadcastState.PAUSED)
    ):
        return False
    transaction.run(_DROP, id=id, now=now_ms)
    return True


def keep_pace(transaction: Transaction, now_ms: int) -> None:
    """Put off the rest of what is late, so that it does not come all at once; end what has nothing left."""
    for (number,) in transaction.all(_RUNNING):
        first = transaction.one(_FIRST, id=number)
        due = first[0] if first is not None else None
        if due is not None and due < now_ms - LATE:
            later = now_ms - due
            transaction.run(_MOVE, id=number, was=State.WAITING.value, to=State.WAITING.value, later=later)
        elif due is None and not _open(transaction, number):
            _turn(transaction, number, BroadcastState.RUNNING, BroadcastState.DONE, now_ms)


def _open(transaction: Transaction, id: str) -> int:  # noqa: A002 (the column's name)
    counts = dict(transaction.all(_COUNTS, id=id))
    return sum(counts.get(state.value, 0) for state in (State.WAITING, State.PAUSED, State.HANDED))


def _turn(
    transaction: Transaction, number: str, was: BroadcastState, to: BroadcastState, now_ms: int
) -> bool:
    return transaction.run(_CHANGE, id=number, was=was.value, to=to.value, now=now_ms) > 0


def _stored(transaction: Transaction, row: tuple[Any, ...]) -> StoredBroadcast:
    number, target, rooms, pace, state, actor, created, changed = row
    counts: dict[str, int] = {}
    for word, count in transaction.all(_COUNTS, id=number):
        told = State(word).told
        counts[told] = counts.get(told, 0) + count
    last = transaction.one(_LAST, id=number)
    return StoredBroadcast(
        number, target, rooms, pace, BroadcastState(state), actor, created, changed, counts,
        last[0] if last is not None else None,
    )  # fmt: skip
