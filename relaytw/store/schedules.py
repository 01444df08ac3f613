"""Schedules in the tables of the back office: read as they stand, run once each, with an honest log.

A run is claimed by the ids of the pushes that it consists of: they name the schedule and the moment, so that
nobody can make a second one.  `next_send_at` is what is not decided yet; whatever lies before it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, update

from relaytw.recurrence import Columns
from relaytw.store import pushes
from relaytw.store.connections import COLLISIONS
from relaytw.store.pushes import NewPush, State, whole
from relaytw.store.schema import pushes as pushes_table
from relaytw.store.schema import schedule_logs, schedules
from relaytw.store.statements import Insert, Statement, Transaction

_c, _l, _p = schedules.c, schedule_logs.c, pushes_table.c
#: What stands in a log, by what has become of a run exactly.  Written to a phone is not arrived.
_LOGGED = {State.CONFIRMED: "success", State.EXPIRED: "failed", State.FAILED: "failed"}
_ERROR_CHARS = 1_000


class Plan(NamedTuple):
    """What of an active schedule says when it is due.  Times are as the driver gives them."""

    id: int
    columns: Columns
    next_send_at: object
    last_sent_at: object
    created_at: object


class Content(NamedTuple):
    """To whom a schedule says what; images are JSON, waits in ms, the interval in seconds."""

    id: int
    bot: str
    device: str | None
    room_id: str
    text: str | None
    images_1: str | None
    images_2: str | None
    storage: str
    interval: int
    wait_1: int
    wait_2: int


class Shown(NamedTuple):
    """A schedule as it is listed."""

    plan: Plan
    content: Content
    title: str
    status: str
    send_count: int
    last_error: str | None


class LogLine(NamedTuple):
    """One run, as it stands in the log.  `outcome` is None in rows of older servers."""

    id: int
    schedule_id: int
    room_id: str
    components: str | None
    status: str
    outcome: str | None
    error: str | None
    scheduled_at: object
    started_at: object
    completed_at: object


class Run(NamedTuple):
    """A moment at which a schedule is due, and what is to be done then.

    `why` says why nothing can be sent; then there are no `pushes`.  Times are wall times of the table;
    without `next_at` it is over.
    """

    id: str
    content: Content
    components: str
    pushes: Sequence[NewPush]
    why: str | None
    scheduled_at: str
    started_at: str
    next_at: str | None
    moves: bool = True


_PLAN = (
    _c.id, _c.schedule_type, _c.schedule_date, _c.schedule_time, _c.schedule_times, _c.schedule_weekdays,
    _c.valid_from, _c.valid_until, _c.next_send_at, _c.last_sent_at, _c.created_at,
)  # fmt: skip
_CONTENT = (
    _c.id, _c.target_bot_name, _c.target_device_id, _c.target_room_id, _c.message_text, _c.message_images_1,
    _c.message_images_2, _c.image_storage_mode, _c.send_interval_seconds, _c.media_wait_time_1,
    _c.media_wait_time_2,
)  # fmt: skip
_REST = (_c.title, _c.status, _c.send_count, _c.last_error)
_ACTIVE = Statement(select(*_PLAN).where(_c.status == "active").order_by(_c.id).limit(bindparam("limit")))
_CONTENT_OF = Statement(select(*_CONTENT, _c.status).where(_c.id == bindparam("number")))
_SHOW = Statement(
    select(*_PLAN, *_CONTENT, *_REST)
    .where(_c.id > bindparam("after"))
    .order_by(_c.id)
    .limit(bindparam("limit"))
)
_SHOW_ONE = Statement(select(*_PLAN, *_CONTENT, *_REST).where(_c.id == bindparam("number")))
_MOVE = Statement(
    update(schedules)
    .where(_c.id == bindparam("number"), _c.status == "active")
    .values({_c.next_send_at: bindparam("next_at")})
)
_ENDED = Statement(
    update(schedules)
    .where(_c.id == bindparam("number"), _c.status == "active")
    .values({_c.next_send_at: bindparam("next_at"), _c.status: "completed"})
)
_RAN = Statement(
    update(schedules)
    .where(_c.id == bindparam("number"))
    .values({_c.last_sent_at: bindparam("at"), _c.send_count: func.coalesce(_c.send_count, 0) + 1})
)
_BAD = Statement(
    update(schedules)
    .where(_c.id == bindparam("number"), _c.status == "active")
    .values({_c.status: "error", _c.last_error: bindparam("reason")})
)
_STATUS = Statement(
    update(schedules)
    .where(_c.id == bindparam("number"))
    .values(
        {
            _c.status: bindparam("to"), _c.next_send_at: bindparam("next_at"), _c.updated_at: bindparam("at"),
            _c.last_error: bindparam("reason"),
        }
    )
)  # fmt: skip
_DELETE = Statement(delete(schedules).where(_c.id == bindparam("number")))
_NEW = (
    "title", "created_by_type", "created_by_mb_id", "target_bot_name", "target_device_id", "target_room_id",
    "message_text", "message_images_1", "message_images_2", "image_storage_mode", "send_interval_seconds",
    "media_wait_time_1", "media_wait_time_2", "schedule_type", "schedule_date", "schedule_time",
    "schedule_times", "schedule_weekdays", "valid_from", "valid_until", "status", "next_send_at",
    "created_at", "updated_at",
)  # fmt: skip
_INSERT = Insert(schedules, _NEW)
_LOG = Insert(
    schedule_logs,
    (
        "schedule_id", "target_room_id", "sent_message_text", "send_components", "status", "error_message",
        "scheduled_at", "started_at", "completed_at", "outcome", "run_id",
    ),
)  # fmt: skip
_LOG_OF = Statement(select(_l.id).where(_l.run_id == bindparam("run_id_")).limit(1))
_LOG_DONE = Statement(
    update(schedule_logs)
    .where(_l.run_id == bindparam("run_id_"))
    .values(
        {
            _l.status: bindparam("word"), _l.outcome: bindparam("exact"), _l.error_message: bindparam("why"),
            _l.completed_at: bindparam("at"), _l.duration_ms: bindparam("took"),
        }
    )
)  # fmt: skip
_STARTED = Statement(select(_p.created_ms).where(_p.origin == bindparam("run_id_")).limit(1))
_LOGS = Statement(
    select(
        _l.id, _l.schedule_id, _l.target_room_id, _l.send_components, _l.status, _l.outcome, _l.error_message,
        _l.scheduled_at, _l.started_at, _l.completed_at,
    )
    .where(_l.schedule_id == bindparam("number"))
    .order_by(_l.id.desc())
    .limit(bindparam("limit"))
)  # fmt: skip


def active(transaction: Transaction, limit: int) -> list[Plan]:
    """When every active schedule is due, at most so many of them."""
    return [_plan(row) for row in transaction.all(_ACTIVE, limit=limit)]


def content(transaction: Transaction, number: int, *, any_status: bool = False) -> Content | None:
    """What an active schedule says, or one of any status; None if it is not there."""
    row = transaction.one(_CONTENT_OF, number=number)
    return _content(row[:-1]) if row is not None and (any_status or row[-1] == "active") else None


def page(transaction: Transaction, after: int, limit: int) -> list[Shown]:
    """Some schedules, by their ids."""
    return [_shown(row) for row in transaction.all(_SHOW, after=after, limit=limit)]


def get(transaction: Transaction, number: int) -> Shown | None:
    """One schedule."""
    row = transaction.one(_SHOW_ONE, number=number)
    return None if row is None else _shown(row)


def log(transaction: Transaction, number: int, limit: int) -> list[LogLine]:
    """The newest runs of a schedule, newest first."""
    return [LogLine(*row) for row in transaction.all(_LOGS, number=number, limit=limit)]


def move(transaction: Transaction, moves: Sequence[tuple[int, str | None]]) -> None:
    """Write down when schedules are due next; one that never is again is completed."""
    for number, next_at in moves:
        transaction.run(_ENDED if next_at is None else _MOVE, number=number, next_at=next_at)


def spoil(transaction: Transaction, number: int, why: str, at: str) -> None:
    """Mark a schedule that cannot be understood, in its row and in the log."""
    told = content(transaction, number)
    if told is not None and transaction.run(_BAD, number=number, reason=why[:_ERROR_CHARS]):
        _write_log(transaction, told, "", "failed", why, at, at, at, State.FAILED, None)


def miss(
    transaction: Transaction, number: int, why: str, scheduled_at: str, at: str, next_at: str | None
) -> None:
    """Log what was missed, and go on to what comes next."""
    told = content(transaction, number)
    if told is not None:
        _write_log(transaction, told, "", "failed", why, scheduled_at, at, at, State.EXPIRED, None)
        move(transaction, [(number, next_at)])


def begin(transaction: Transaction, run: Run) -> bool:
    """Claim a run, keep what it sends, log it and move its schedule on; False if it was begun before."""
    number = run.content.id
    if transaction.one(_LOG_OF, run_id_=run.id) is None:
        try:
            pushes.insert(transaction, run.pushes)
        except COLLISIONS:
            return False
        status, outcome = ("partial", State.WAITING) if run.pushes else ("failed", State.FAILED)
        _write_log(
            transaction, run.content, run.components, status, run.why, run.scheduled_at, run.started_at,
            None if run.pushes else run.started_at, outcome, run.id,
        )  # fmt: skip
        transaction.run(_RAN, number=number, at=run.started_at)
    if run.moves:
        move(transaction, [(number, run.next_at)])
    return True


def conclude(transaction: Transaction, run_id: str, at: str, now_ms: int) -> None:
    """Write into the log what has become of a run, once all of it is decided."""
    pieces = pushes.of_origin(transaction, run_id)
    state, why = whole(pieces)
    if not pieces or state.told == State.WAITING:
        return
    sent = sum(piece in (State.SENT, State.CONFIRMED) for piece, _ in pieces)
    word = "partial" if 0 < sent < len(pieces) else _LOGGED.get(state, "partial")
    started = transaction.one(_STARTED, run_id_=run_id)
    took = max(0, now_ms - started[0]) if started is not None else 0
    told = why if state is not State.SENT or why else "written to the phone, which cannot say that it arrived"
    transaction.run(
        _LOG_DONE, run_id_=run_id, word=word, exact=state.value, why=told, at=at, took=min(took, 2**31 - 1)
    )


def add(transaction: Transaction, values: dict[str, object]) -> int:
    """Make a schedule of these columns; its number."""
    _INSERT.run(transaction, [tuple(values.get(name) for name in _NEW)])
    return transaction.last_id


def set_status(transaction: Transaction, number: int, status: str, next_at: str | None, at: str) -> bool:
    """Pause a schedule, or let it go on; False if there is none."""
    if get(transaction, number) is None:
        return False
    transaction.run(_STATUS, number=number, to=status, next_at=next_at, at=at, reason=None)
    return True


def drop(transaction: Transaction, number: int) -> bool:
    """Delete a schedule; False if there is none.  Its log stays where the database lets it."""
    return transaction.run(_DELETE, number=number) > 0


def _write_log(
    transaction: Transaction,
    told: Content,
    components: str,
    status: str,
    why: str | None,
    scheduled_at: str,
    started_at: str,
    completed_at: str | None,
    outcome: State,
    run_id: str | None,
) -> None:
    text, _ = transaction.layout.fit(f"{schedule_logs.name}.sent_message_text", told.text or "")
    row = (
        told.id, told.room_id, text or None, components, status, why[:_ERROR_CHARS] if why else None,
        scheduled_at, started_at, completed_at, outcome.value, run_id,
    )  # fmt: skip
    _LOG.run(transaction, [row])


def _plan(row: Sequence[Any]) -> Plan:
    number, *rest = row
    return Plan(number, Columns(*rest[:7]), *rest[7:])


def _content(row: Sequence[Any]) -> Content:
    number, bot, device, room, text, one, two, storage, interval, wait_1, wait_2 = row
    return Content(
        number, str(bot or ""), device or None, str(room or ""), text or None, _json(one), _json(two),
        str(storage or "file"), _count(interval, 1), _count(wait_1, 0), _count(wait_2, 0),
    )  # fmt: skip


def _shown(row: Sequence[Any]) -> Shown:
    plan, told = row[: len(_PLAN)], row[len(_PLAN) : len(_PLAN) + len(_CONTENT)]
    title, status, count, error = row[len(_PLAN) + len(_CONTENT) :]
    return Shown(_plan(plan), _content(told), str(title or ""), str(status), _count(count, 0), error)


def _json(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value)


def _count(value: object, usual: int) -> int:
    return value if isinstance(value, int) and value >= 0 else usual
