"""What is said without a question: kept before it is promised, claimed before it is sent, settled once.

Every function here is one transaction.  A push is claimed by the run of the relay that sends it, so that
it is never sent twice; what was claimed and of which nobody has heard anything since is in doubt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, null, or_, select, update

from relaytw.messages import ClientKey, Outcome, Status
from relaytw.store import rooms
from relaytw.store.schema import broadcasts, pushes
from relaytw.store.statements import Insert, Statement, Transaction, chunks
from relaytw.store.targets import approved_clients

_c = pushes.c
_FIELDS = (
    "id", "kind", "origin", "bot_name", "device_id", "room_id", "room_name", "channel_id", "body", "parts",
    "state", "actor", "request_key", "request_hash", "due_ms", "created_ms",
)  # fmt: skip


class Kind(StrEnum):
    """Who has asked for a push."""

    PUSH = "push"
    BROADCAST = "broadcast"
    SCHEDULE = "schedule"


class State(StrEnum):
    """Where a push stands; the last six are final, though what is in doubt may still be heard of."""

    WAITING = "waiting"
    PAUSED = "paused"
    HANDED = "handed"
    CONFIRMED = "confirmed"
    SENT = "sent-unconfirmed"
    EXPIRED = "expired"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DOUBT = "in-doubt"

    @property
    def told(self) -> str:
        """What somebody is told who asks."""
        return State.WAITING.value if self in _OPEN else self.value


_OPEN = (State.WAITING, State.PAUSED, State.HANDED)
#: The outcome of a whole is that of its worst part.
WORST = (Outcome.FAILED, Outcome.EXPIRED, Outcome.SENT, Outcome.CONFIRMED)


class NewPush(NamedTuple):
    """A push as it is first kept; `body` is None where it is that of its `origin`."""

    id: str
    kind: Kind
    origin: str | None
    client: ClientKey
    room_id: str
    room: str
    channel_id: str | None
    body: str | None
    parts: int
    actor: str
    due_ms: int
    created_ms: int
    state: State = State.WAITING
    request_key: str | None = None
    request_hash: str | None = None


class StoredPush(NamedTuple):
    """A push as it stands.  Times in milliseconds since the epoch."""

    id: str
    kind: str
    origin: str | None
    client: ClientKey
    room_id: str
    room: str
    state: State
    why: str | None
    actor: str
    due_ms: int
    created_ms: int
    handed_ms: int | None
    done_ms: int | None


class Claimed(NamedTuple):
    """A push that is to be given to the outbox now."""

    id: str
    kind: Kind
    client: ClientKey
    room: str
    channel_id: str | None
    body: str
    parts: int


class Batch(NamedTuple):
    """What was claimed, whose rooms may not be told anything, and when more is due (ms, None: never)."""

    claimed: list[Claimed]
    refused: list[str]
    next_ms: int | None


class Fate(NamedTuple):
    """What has become of one part of a push."""

    push: str
    part: int
    outcome: Outcome
    why: str


_STORED = (
    _c.id, _c.kind, _c.origin, _c.bot_name, _c.device_id, _c.room_id, _c.room_name, _c.state, _c.why,
    _c.actor, _c.due_ms, _c.created_ms, _c.handed_ms, _c.done_ms,
)  # fmt: skip
_INSERT = Insert(pushes, _FIELDS)
_GET = Statement(select(*_STORED).where(_c.id == bindparam("id")))
_BY_KEY = Statement(select(_c.id, _c.request_hash, _c.created_ms).where(_c.request_key == bindparam("key")))
_FREE_KEY = Statement(update(pushes).where(_c.id == bindparam("id")).values({_c.request_key: null()}))
_DUE = Statement(
    select(
        _c.id, _c.kind, _c.bot_name, _c.device_id, _c.room_id, _c.room_name, _c.channel_id, _c.body,
        _c.origin, _c.parts,
    )
    .where(_c.state == State.WAITING.value, _c.due_ms <= bindparam("now"))
    .order_by(_c.due_ms, _c.id)
    .limit(bindparam("limit"))
)  # fmt: skip
_NEXT = Statement(select(func.min(_c.due_ms)).where(_c.state == State.WAITING.value))
_CLAIM = Statement(
    update(pushes)
    .where(_c.id == bindparam("id"), _c.state == State.WAITING.value)
    .values({_c.state: State.HANDED.value, _c.run: bindparam("run_now"), _c.handed_ms: bindparam("now")})
)
_DONE = Statement(
    update(pushes)
    .where(_c.id == bindparam("id"))
    .values({_c.state: bindparam("to"), _c.why: bindparam("reason"), _c.done_ms: bindparam("now")})
)
_PARTS = Statement(select(_c.parts, _c.settled, _c.state).where(_c.id == bindparam("id")))
_SETTLED = Statement(
    update(pushes).where(_c.id == bindparam("id")).values({_c.settled: bindparam("outcomes")})
)
_BODY = Statement(select(broadcasts.c.body).where(broadcasts.c.id == bindparam("id")))
_DOUBTFUL = Statement(
    select(_c.id)
    .where(_c.state == State.HANDED.value, or_(_c.run != bindparam("run_now"), _c.run.is_(None)))
    .limit(bindparam("limit"))
)
_OLD = Statement(
    select(_c.id)
    .where(_c.created_ms < bindparam("before"), *(_c.state != state.value for state in _OPEN))
    .limit(bindparam("limit"))
)
_DELETE = Statement(delete(pushes).where(_c.id == bindparam("id")))
_OF_ORIGIN = Statement(select(_c.state, _c.why).where(_c.origin == bindparam("origin")))
_PIECES = Statement(select(*_STORED).where(_c.origin == bindparam("origin")).order_by(_c.due_ms, _c.id))
_BOTS = Statement(select(_c.bot_name).where(_c.origin == bindparam("origin")).distinct())
_CANCEL = Statement(
    update(pushes)
    .where(_c.id == bindparam("id"), or_(_c.state == State.WAITING.value, _c.state == State.PAUSED.value))
    .values({_c.state: State.CANCELLED.value, _c.done_ms: bindparam("now")})
)
_LIST = Statement(
    select(*_STORED)
    .where(
        and_(
            _c.kind == Kind.PUSH.value,
            or_(
                _c.created_ms < bindparam("before"),
                and_(_c.created_ms == bindparam("before"), _c.id < bindparam("id")),
            ),
        )
    )
    .order_by(_c.created_ms.desc(), _c.id.desc())
    .limit(bindparam("limit"))
)
_IN_DOUBT = "the relay stopped while it was sent, and nobody has said what became of it"


def insert(transaction: Transaction, new: Sequence[NewPush]) -> None:
    """Keep these.  Raises a collision where one of their ids is taken."""
    _INSERT.run(transaction, [_row(push) for push in new])


def replayed(transaction: Transaction, key: str, since_ms: int) -> tuple[str, str] | None:
    """The id and the digest of what was asked under this key since then; an older one is given up."""
    row = transaction.one(_BY_KEY, key=key)
    if row is None:
        return None
    if row[2] < since_ms:
        transaction.run(_FREE_KEY, id=row[0])
        return None
    return row[0], row[1]


def get(transaction: Transaction, id: str) -> StoredPush | None:  # noqa: A002 (the column's name)
    """One push."""
    row = transaction.one(_GET, id=id)
    return None if row is None else _stored(row)


def newest(transaction: Transaction, before: tuple[int, str], limit: int) -> list[StoredPush]:
    """The newest pushes that are no piece of anything, newest first, from before a time and id."""
    rows = transaction.all(_LIST, before=before[0], id=before[1], limit=limit)
    return [_stored(row) for row in rows]


def cancel(transaction: Transaction, id: str, now_ms: int) -> bool:  # noqa: A002 (the column's name)
    """Take a push back that was not given to the outbox yet; False if it was, or if there is none."""
    return transaction.run(_CANCEL, id=id, now=now_ms) > 0


def claim(transaction: Transaction, now_ms: int, run: str, limit: int) -> Batch:
    """Claim what is due for this run; what may not be said any more has failed."""
    due = transaction.all(_DUE, now=now_ms, limit=limit)
    places = {row[0]: (ClientKey(row[2], row[3]), row[4]) for row in due}
    known = rooms.find(transaction, set(places.values()))
    clients = approved_clients(transaction, {client for client, _ in places.values()})
    bodies: dict[str, str] = {}
    claimed, refused = [], []
    for number, kind, bot, device, _, name, channel, body, origin, parts in due:
        place = places[number]
        room = known.get(place)
        if place[0] not in clients or room is None or room.word != Status.APPROVED.value:
            why = "the room or its device is not approved any more"
            transaction.run(_DONE, id=number, to=State.FAILED.value, reason=why, now=now_ms)
            refused.append(number)
        elif transaction.run(_CLAIM, id=number, run_now=run, now=now_ms):
            if body is None:
                body = bodies[origin] = bodies.get(origin) or _body_of(transaction, origin)  # noqa: PLW2901
            claimed.append(Claimed(number, Kind(kind), ClientKey(bot, device), name, channel, body, parts))
    following = transaction.one(_NEXT)
    return Batch(claimed, refused, following[0] if following is not None else None)


def settle(transaction: Transaction, fates: Iterable[Fate], now_ms: int) -> list[str]:
    """Note what has become of parts; the pushes that are settled by that.  Of the unknown nothing is kept."""
    by_push: dict[str, list[Fate]] = {}
    for fate in fates:
        by_push.setdefault(fate.push, []).append(fate)
    settled = []
    for number, some in by_push.items():
        row = transaction.one(_PARTS, id=number)
        if row is None or row[2] not in (State.HANDED, State.DOUBT):
            continue
        parts: dict[str, list[str]] = json.loads(row[1]) if row[1] else {}
        for fate in some:
            parts[str(fate.part)] = [fate.outcome.value, fate.why]
        transaction.run(_SETTLED, id=number, outcomes=json.dumps(parts))
        if len(parts) >= row[0]:
            state, why = whole([(State(word), why) for word, why in parts.values()])
            transaction.run(_DONE, id=number, to=state.value, reason=why, now=now_ms)
            settled.append(number)
    return settled


def whole(parts: Sequence[tuple[State, str | None]]) -> tuple[State, str | None]:
    """What has become of a whole whose parts have come to this; open as long as one of them is."""
    states = [state for state, _ in parts]
    if open_ := next((state for state in states if state in _OPEN), None):
        return open_, None
    order = (State.DOUBT, *map(State, WORST), State.CANCELLED)
    worst = min(states, key=order.index, default=State.FAILED)
    arrived = sum(state in (State.SENT, State.CONFIRMED) for state in states)
    reasons = [why for state, why in parts if state is worst and why]
    why = reasons[0] if reasons else None
    if 0 < arrived < len(states):
        why = f"{arrived} of {len(states)} parts were sent" + (f"; the rest: {why}" if why else "")
    return worst, why


def doubt(transaction: Transaction, run: str, now_ms: int, limit: int) -> list[str]:
    """Let what earlier runs have claimed, and nobody has heard of since, be in doubt; which."""
    found = [row[0] for row in transaction.all(_DOUBTFUL, run_now=run, limit=limit)]
    for number in found:
        transaction.run(_DONE, id=number, to=State.DOUBT.value, reason=_IN_DOUBT, now=now_ms)
    return found


def expire(transaction: Transaction, before_ms: int, limit: int) -> int:
    """Delete up to `limit` pushes that are settled and older than that; how many."""
    found = [row[0] for row in transaction.all(_OLD, before=before_ms, limit=limit)]
    for some in chunks(found, limit):
        for number in some:
            transaction.run(_DELETE, id=number)
    return len(found)


def pieces(transaction: Transaction, origin: str) -> list[StoredPush]:
    """The pieces of a broadcast, in the order in which they are due."""
    return [_stored(row) for row in transaction.all(_PIECES, origin=origin)]


def bots_of(transaction: Transaction, origin: str) -> set[str]:
    """The bots whose rooms a broadcast is for."""
    return {str(row[0]) for row in transaction.all(_BOTS, origin=origin)}


def of_origin(transaction: Transaction, origin: str) -> list[tuple[State, str | None]]:
    """How the pieces of a broadcast, or of a run of a schedule, stand."""
    return [(State(state), why) for state, why in transaction.all(_OF_ORIGIN, origin=origin)]


def _body_of(transaction: Transaction, origin: str) -> str:
    row = transaction.one(_BODY, id=origin)
    return str(row[0]) if row is not None else "[]"


def _row(push: NewPush) -> tuple[object, ...]:
    return (
        push.id, push.kind.value, push.origin, *push.client, push.room_id, push.room, push.channel_id,
        push.body, push.parts, push.state.value, push.actor[:100], push.request_key, push.request_hash,
        push.due_ms, push.created_ms,
    )  # fmt: skip


def _stored(row: tuple[Any, ...]) -> StoredPush:
    number, kind, origin, bot, device, room_id, room, state, *rest = row
    return StoredPush(number, kind, origin, ClientKey(bot, device), room_id, room, State(state), *rest)
