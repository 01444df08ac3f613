"""Rooms in their table: found by many keys at once, registered, given a status.

A room is known by its channel id, or by its name where there is none.  Old installations wrote ids as
`<channel>_<bot>`, and rows without a device, which count for every device of their bot.  As with
devices a row counts only if its names are, letter by letter, those that were asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from relaytw.messages import ClientKey, Status
from relaytw.store.connections import COLLISIONS
from relaytw.store.devices import Conflict, fault_of, reason_for
from relaytw.store.layout import Layout
from relaytw.store.schema import rooms
from relaytw.store.statements import Insert, Statement, Transaction, any_of, chunks, keys_of
from relaytw.store.urls import Engine

#: The longest id that the table holds, in characters.
ID_CHARS = 100
_DIGEST_BYTES = 16
_SHORTENED = re.compile(
    rf".{{{ID_CHARS - 1 - 2 * _DIGEST_BYTES}}}~[0-9a-f]{{{2 * _DIGEST_BYTES}}}", re.DOTALL
)
#: How many ids one statement asks for; of a few it asks with a shorter one.
_CHUNK, _FEW = 100, 2
_PAGE = 200

_c = rooms.c
_COLUMNS = (
    _c.room_id, _c.bot_name, _c.device_id, _c.room_name, _c.status, _c.rejection_reason, _c.log_settings,
    _c.per_room, _c.ordered, _c.muted, _c.created_at, _c.updated_at,
)  # fmt: skip
_ROW = select(*_COLUMNS)
_OWN, _COMMON = (_c.room_id, _c.bot_name, _c.device_id), (_c.room_id, _c.bot_name)
_FIND = {size: Statement(_ROW.where(any_of(_OWN, size))) for size in (_FEW, _CHUNK)}
_FIND_COMMON = {
    size: Statement(_ROW.where(any_of(_COMMON, size), _c.device_id.is_(None))) for size in (_FEW, _CHUNK)
}
_LIKE = _ROW.where(_c.room_id == bindparam("room")).limit(20)
_HOLDERS = Statement(_LIKE, {Engine.MYSQL: _LIKE.with_for_update(read=True)})
_FIND_ANY = {size: Statement(_ROW.where(any_of(_COMMON, size))) for size in (_FEW, _CHUNK)}
_INSERT = Insert(
    rooms, ("room_id", "bot_name", "device_id", "room_name", "status", "created_at", "updated_at")
)
#: Is a row the one of this key?
THIS_ROW = and_(
    _c.room_id == bindparam("room"),
    _c.bot_name == bindparam("bot"),
    or_(_c.device_id == bindparam("device"), and_(_c.device_id.is_(None), bindparam("device").is_(None))),
)
_RENAME = Statement(update(rooms).where(THIS_ROW).values({_c.room_name: bindparam("name")}))
_DECIDED: dict[Any, Any] = {
    _c.status: bindparam("status"),
    _c.rejection_reason: bindparam("reason"),
    _c.updated_at: bindparam("at"),
}
_DECIDE = {
    approved: Statement(
        update(rooms)
        .where(THIS_ROW)
        .values({**_DECIDED, **({_c.approved_at: bindparam("at")} if approved else {})})
    )
    for approved in (True, False)
}
_COUNT_PENDING = Statement(select(func.count()).select_from(rooms).where(_c.status == Status.PENDING.value))
_OLDEST = Statement(
    select(_c.room_id, _c.bot_name, _c.device_id)
    .where(_c.status == Status.PENDING.value, _c.approved_at.is_(None))
    .order_by(_c.created_at, _c.room_id)
    .limit(_PAGE)
    .offset(bindparam("skipped"))
)
_DELETE_PENDING = Statement(delete(rooms).where(THIS_ROW, _c.status == Status.PENDING.value))
#: Does a row come after this key in the order of the keys?  Without a device it comes first.
_LATER = func.coalesce(_c.device_id, "").op(">")(bindparam("device"))
_AFTER = or_(
    _c.room_id > bindparam("room"),
    and_(
        _c.room_id == bindparam("room"),
        or_(_c.bot_name > bindparam("bot"), and_(_c.bot_name == bindparam("bot"), _LATER)),
    ),
)
_CHANGED = Statement(
    select(*_OWN, _c.updated_at)
    .where(
        _c.updated_at >= bindparam("since"),
        or_(_c.updated_at > bindparam("since"), and_(_c.updated_at == bindparam("since"), _AFTER)),
    )
    .order_by(_c.updated_at, *_OWN)
    .limit(bindparam("limit"))
)
_PAGES = {
    filtered: Statement(
        _ROW.where(
            _c.room_id >= bindparam("room"),
            _AFTER,
            *([_c.status == bindparam("status")] if filtered else []),
        )
        .order_by(_c.room_id, _c.bot_name, _c.device_id)
        .limit(bindparam("limit"))
    )
    for filtered in (True, False)
}


class RowKey(NamedTuple):
    """What tells a row from all others; without a device it counts for every device of its bot."""

    room_id: str
    bot: str
    device: str | None


class StoredRoom(NamedTuple):
    """A row; `word` is what stands there for its status, the rest as the driver gives it."""

    key: RowKey
    name: str | None
    word: str | None
    reason: str | None
    log_settings: object
    per_room: object
    ordered: object
    muted: object
    created_at: object
    updated_at: object


class AskedRoom(NamedTuple):
    """A room that is looked up by its table's id, and registered with the status `if_new`, if it has one.

    `name` is what it is called now; "" where nobody knows.
    """

    client: ClientKey
    room_id: str
    if_new: Status | None = None
    name: str = ""


RoomKey = tuple[ClientKey, str]
Found = StoredRoom | Conflict | None


class Answers(NamedTuple):
    """What was found, in the order of what was asked, and which rows were deleted for new ones."""

    found: list[Found]
    dropped: list[RowKey]


def table_id(room_id: str) -> str:
    """The id by which the table knows a room: itself if it fits, else its beginning and a digest.

    No two ids have the same: one that looks as if it had been shortened is shortened too.
    """
    if len(room_id) < ID_CHARS or (len(room_id) == ID_CHARS and not _SHORTENED.fullmatch(room_id)):
        return room_id
    digest = blake2b(room_id.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{room_id[: ID_CHARS - 1 - len(digest)]}~{digest}"


def id_given(room_id: str) -> str:
    """The table's id for what an operator calls a room: its id, or what a list shows for it."""
    return room_id if _SHORTENED.fullmatch(room_id) else table_id(room_id)


def rows_of(client: ClientKey, room_id: str) -> Iterator[RowKey]:
    """The rows that may speak for a room, the first that there is counts."""
    bot, device = client
    ids = [room_id, old] if len(old := f"{room_id}_{bot}") <= ID_CHARS else [room_id]
    for owner in (device, None):
        for one in ids:
            yield RowKey(one, bot, owner)


def find(transaction: Transaction, wanted: Collection[RoomKey]) -> dict[RoomKey, StoredRoom]:
    """The rows of these rooms, of those that have one."""
    # To ask an old table for letters that it does not know is an error to the database.
    layout = transaction.layout
    candidates = {key: list(rows_of(*key)) for key in wanted if not _fault_of(*key, layout)}
    there = _rows(transaction, candidates.values())
    found = {}
    for key, some in candidates.items():
        row = next((there[row] for row in some if row in there), None)
        if row is not None:
            found[key] = row
    return found


def _fault_of(client: ClientKey, room_id: str, layout: Layout) -> str | None:
    if not layout.holds(f"{rooms.name}.room_id", room_id):
        return f"{rooms.name} cannot store its id as it is: it has too many or strange letters"
    return fault_of(client, layout, rooms.name)


def _rows(transaction: Transaction, candidates: Iterable[Sequence[RowKey]]) -> dict[RowKey, StoredRoom]:
    if not transaction.layout.rooms_per_device:
        # Whatever device a row names, it is the only one for its room, and so everybody's.
        named = {(row.room_id, row.bot) for some in candidates for row in some}
        rows = _read(transaction, _FIND_ANY, sorted(named))
        return {key._replace(device=None): row for key, row in rows.items()}
    some = list(candidates)
    own = {row for each in some for row in each if row.device is not None}
    there = _read(transaction, _FIND, list(own))
    left = {(row.room_id, row.bot) for each in some if not any(row in there for row in each) for row in each}
    return there | _read(transaction, _FIND_COMMON, sorted(left))


def look_up(transaction: Transaction, asked: Sequence[AskedRoom], most: int, at: str) -> Answers:
    """What is known of each of these, those registered that shall be; at most so many rows are pending."""
    known = find(transaction, {(one.client, one.room_id) for one in asked})
    new: dict[RoomKey, AskedRoom] = {
        (one.client, one.room_id): one
        for one in asked
        if one.if_new is not None and (one.client, one.room_id) not in known
    }
    layout = transaction.layout
    waiting = [
        key for key, one in new.items() if one.if_new is Status.PENDING and not _fault_of(*key, layout)
    ]
    spared = {row.key for row in known.values()}
    fitting, dropped = make_room(transaction, len(waiting), most, spared) if waiting else (0, [])
    left_out = set(waiting[fitting:])
    answers: dict[RoomKey, Found] = dict(known)
    for key, one in new.items():
        if one.if_new is not None and key not in left_out:
            answers[key] = register(transaction, one, one.if_new, at)
    for one in asked:
        if (row := known.get((one.client, one.room_id))) is not None and one.name:
            _rename(transaction, row, _fitting(transaction, one.name))
    return Answers([answers.get((one.client, one.room_id)) for one in asked], dropped)


def register(transaction: Transaction, new: AskedRoom, status: Status, at: str) -> StoredRoom | Conflict:
    """Give a room its row, or say why that cannot be."""
    if why := _fault_of(new.client, new.room_id, transaction.layout):
        return Conflict(why)
    name = _fitting(transaction, new.name or new.room_id)
    key = _new_key(transaction, new)
    try:
        _INSERT.run(transaction, [(*key, name, status.value, at, at)])
    except COLLISIONS:
        return _holder(transaction, new, key)
    return StoredRoom(key, name, status.value, None, None, None, 0, 0, at, at)


def decide(
    transaction: Transaction, stored: StoredRoom, status: Status, reason: str | None, at: str
) -> StoredRoom:
    """Give a room this status."""
    told = reason_for("kb_rooms", transaction, reason)
    transaction.run(
        _DECIDE[status is Status.APPROVED], **named(stored.key), status=status.value, reason=told, at=at
    )
    return stored._replace(word=status.value, reason=reason, updated_at=at)


def make_room(
    transaction: Transaction, wanted: int, most: int, spared: Collection[RowKey]
) -> tuple[int, list[RowKey]]:
    """Delete, oldest first, so many pending rows that `wanted` more fit below `most`.

    None of those `spared`, none that was ever approved, and never more than are wanted.  How many fit
    then, and what was deleted.
    """
    count = transaction.one(_COUNT_PENDING)
    pending = int(count[0]) if count is not None else 0
    needed = max(0, min(wanted, pending + wanted - most))
    dropped: list[RowKey] = []
    kept = 0
    while len(dropped) < needed:
        rows = transaction.all(_OLDEST, skipped=kept)
        for key in map(RowKey._make, rows):
            if len(dropped) == needed:
                break
            if key not in spared and transaction.run(_DELETE_PENDING, **named(key)):
                dropped.append(key)
            else:
                kept += 1
        if len(rows) < _PAGE:
            break
    return wanted - needed + len(dropped), dropped


class Since(NamedTuple):
    """Where a look for changes begins: after this row of this second."""

    at: str
    room_id: str = ""
    bot: str = ""
    device: str = ""


def changed(transaction: Transaction, since: Since, limit: int) -> tuple[list[RowKey], Since | None]:
    """Which rows were changed, in the order of their times; where to go on if there were more."""
    rows = transaction.all(
        _CHANGED, since=since.at, room=since.room_id, bot=since.bot, device=since.device, limit=limit
    )
    keys = [RowKey._make(row[:3]) for row in rows]
    if len(rows) < limit:
        return keys, None
    return keys, Since(str(rows[-1][3]), keys[-1].room_id, keys[-1].bot, keys[-1].device or "")


def page(
    transaction: Transaction, status: Status | None, after: RowKey | None, limit: int
) -> list[StoredRoom]:
    """Rows in the order of their keys, from the one after `after`."""
    room, bot, device = after or RowKey("", "", "")
    given = {} if status is None else {"status": status.value}
    rows = transaction.all(
        _PAGES[status is not None], room=room, bot=bot, device=device or "", limit=limit, **given
    )
    return [_stored(row) for row in rows]


def _rename(transaction: Transaction, stored: StoredRoom, name: str) -> None:
    if stored.name != name:
        transaction.run(_RENAME, **named(stored.key), name=name)


def _read(
    transaction: Transaction, statements: dict[int, Statement], keys: Sequence[tuple[Any, ...]]
) -> dict[RowKey, StoredRoom]:
    found = {}
    for some in chunks(keys, _CHUNK):
        size = _FEW if len(some) <= _FEW else _CHUNK
        for row in transaction.all(statements[size], **keys_of(some, size)):
            stored = _stored(row)
            found[stored.key] = stored
    return found


def named(key: RowKey) -> dict[str, Any]:
    """The values of `THIS_ROW`."""
    return {"room": key.room_id, "bot": key.bot, "device": key.device}


def _fitting(transaction: Transaction, name: str) -> str:
    return transaction.layout.fit("kb_rooms.room_name", name)[0]


def _new_key(transaction: Transaction, new: AskedRoom) -> RowKey:
    """The key of a new row; where rooms are keyed by less it is as the servers before wrote it."""
    layout = transaction.layout
    bot, device = new.client
    if layout.rooms_per_device:
        return RowKey(new.room_id, bot, device)
    *_, common = rows_of(new.client, new.room_id)
    return common if layout.room_key == ("room_id",) else RowKey(new.room_id, bot, None)


def _holder(transaction: Transaction, new: AskedRoom, own: RowKey) -> StoredRoom | Conflict:
    held = [_stored(row) for row in transaction.all(_HOLDERS, room=own.room_id)]
    for stored in held:
        if stored.key == own:
            return stored
    for stored in held:
        if stored.key.room_id == own.room_id:
            owner = f"{stored.key.bot}@{stored.key.device}" if stored.key.device else f"bot {stored.key.bot}"
            return Conflict(
                f"room {new.room_id} is {owner}'s in this database, which allows each room once; make its "
                "key cover bot_name and device_id too (relayctl db check), or add a row "
                f"{new.room_id}_{new.client.bot}"
            )
    return Conflict(
        f"the database takes room {new.room_id} for another one; "
        "give the columns of its key the collation utf8mb4_bin"
    )


def _stored(row: tuple[Any, ...]) -> StoredRoom:
    room_id, bot, device, name, word, reason, *rest = row
    return StoredRoom(RowKey(room_id, bot, device), name, word, reason or None, *rest)
