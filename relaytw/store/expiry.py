"""Deleting what is old, a few rows at a time, always found by an index on their time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, and_, bindparam, delete, or_, select

from relaytw.store.schema import audit, chat_logs, pings, rooms, systems
from relaytw.store.statements import Statement, Transaction

#: Rooms looked at in one query.
_ROOMS = 1000
#: Earlier than any row.
_EARLIEST = "1000-01-01 00:00:00"
#: Rows deleted with one statement; the ids of a chunk are filled up to a multiple of it.
_BY_IDS = 100
#: The shortest and the longest time that a room's chat may be set to be kept, in days.
LEAST_DAYS, MOST_DAYS = 1, 36_500


class Expiry:
    """Deletes the oldest rows of a table whose `time` column is below a limit."""

    def __init__(self, table: Table, time: str) -> None:
        at, key = table.c[time], table.c.id
        self.table = table.name
        self.find = Statement(
            select(key).where(at < bindparam("before")).order_by(at).limit(bindparam("limit"))
        )
        self.delete = delete_by_id(table)

    def run(self, transaction: Transaction, before: str | int, limit: int) -> int:
        """Delete up to `limit` rows from before that time; how many."""
        ids = [row[0] for row in transaction.all(self.find, before=before, limit=limit)]
        return run_by_id(transaction, self.delete, ids)


class Kept(NamedTuple):
    """A room whose chat is kept for a time of its own.

    Without a device it is that of every device of its bot but those that have a row for it themselves.
    """

    bot: str
    device: str | None
    room_id: str
    days: int
    without: frozenset[str] = frozenset()


class Spared(NamedTuple):
    """Rooms, by bot, device and id, that keep their chat longer than usual: those `but` these."""

    rooms: frozenset[tuple[str, str | None, str]] = frozenset()
    but: frozenset[tuple[str, str | None, str]] = frozenset()

    def has(self, bot: str, device: str | None, room_id: str) -> bool:
        """Is this room one of them?  What was said before phones were kept is everybody's."""
        if (bot, device or "", room_id) in self.rooms:
            return True
        return (bot, None, room_id) in self.rooms and (bot, device, room_id) not in self.but


class Place(NamedTuple):
    """How far a look through the old rows has come: past this row."""

    created_at: str
    id: int


#: Before every row.
BEGINNING = Place("", 0)


def delete_by_id(table: Table) -> Statement:
    """Deletes rows by their ids, for `run_by_id`."""
    return Statement(delete(table).where(table.c.id.in_([bindparam(f"id_{n}") for n in range(_BY_IDS)])))


def run_by_id(transaction: Transaction, statement: Statement, ids: Sequence[Any]) -> int:
    """Delete the rows of these ids; how many there were."""
    deleted = 0
    for start in range(0, len(ids), _BY_IDS):
        part = ids[start : start + _BY_IDS]
        full = [*part, *[part[-1]] * (_BY_IDS - len(part))]
        deleted += transaction.run(statement, **{f"id_{n}": key for n, key in enumerate(full)})
    return deleted


PINGS = Expiry(pings, "created_at")
SYSTEMS = Expiry(systems, "created_at")
AUDIT = Expiry(audit, "at_ms")

_KEPT = Statement(
    select(rooms.c.room_id, rooms.c.bot_name, rooms.c.device_id, rooms.c.log_settings)
    .where(
        or_(
            rooms.c.room_id > bindparam("room_id"),
            and_(rooms.c.room_id == bindparam("room_id"), rooms.c.bot_name > bindparam("bot")),
            and_(
                rooms.c.room_id == bindparam("room_id"),
                rooms.c.bot_name == bindparam("bot"),
                rooms.c.device_id > bindparam("device"),
            ),
        )
    )
    .order_by(rooms.c.room_id, rooms.c.bot_name, rooms.c.device_id)
    .limit(bindparam("limit"))
)
_OWNERS = Statement(
    select(rooms.c.device_id).where(
        rooms.c.room_id.in_([bindparam("room_id"), bindparam("old_id")]),
        rooms.c.bot_name == bindparam("bot"),
        rooms.c.device_id.is_not(None),
    )
)
_OLD_CHAT = Statement(
    select(
        chat_logs.c.id, chat_logs.c.created_at, chat_logs.c.bot_name, chat_logs.c.device_id,
        chat_logs.c.channel_id, chat_logs.c.room_name,
    )
    .where(chat_logs.c.created_at >= bindparam("since"))
    .where(chat_logs.c.created_at < bindparam("before"))
    .where(or_(chat_logs.c.created_at > bindparam("since"), chat_logs.c.id > bindparam("id")))
    .order_by(chat_logs.c.created_at, chat_logs.c.id)
    .limit(bindparam("limit"))
)  # fmt: skip
_OLD_CHAT_OF_ROOM = Statement(
    select(chat_logs.c.id)
    .where(chat_logs.c.channel_id == bindparam("channel_id"))
    .where(chat_logs.c.created_at < bindparam("before"))
    .where(chat_logs.c.bot_name == bindparam("bot"))
    .where(or_(chat_logs.c.device_id == bindparam("device"), chat_logs.c.device_id.is_(None)))
    .where(or_(chat_logs.c.channel_id != "", chat_logs.c.room_name == bindparam("room_name")))
    .order_by(chat_logs.c.created_at)
    .limit(bindparam("limit"))
)
_SPEAKERS = Statement(
    select(chat_logs.c.device_id)
    .distinct()
    .where(chat_logs.c.channel_id == bindparam("channel_id"))
    .where(chat_logs.c.created_at < bindparam("before"))
    .where(chat_logs.c.bot_name == bindparam("bot"))
    .where(or_(chat_logs.c.channel_id != "", chat_logs.c.room_name == bindparam("room_name")))
)
_DELETE_CHAT = delete_by_id(chat_logs)


def rooms_with_own_days(
    transaction: Transaction, after: Sequence[str]
) -> tuple[list[Kept], Sequence[str] | None]:
    """Of some rooms that come after a key those with a time of their own, and the key to go on after."""
    room_id, bot, device = after
    rows = transaction.all(_KEPT, room_id=room_id, bot=bot, device=device, limit=_ROOMS)
    kept = [_kept(transaction, row, days) for row in rows if (days := own_days(row[3])) is not None]
    if len(rows) < _ROOMS:
        return kept, None
    room_id, bot, device = rows[-1][:3]
    return kept, (room_id, bot, device or "")


def _kept(transaction: Transaction, row: Sequence[Any], days: int) -> Kept:
    room_id, bot, device = row[0].removesuffix(f"_{row[1]}"), row[1], row[2]
    if not transaction.layout.rooms_per_device:
        return Kept(bot, None, room_id, days)
    if device is not None:
        return Kept(bot, device, room_id, days)
    owners = transaction.all(_OWNERS, room_id=room_id, old_id=f"{room_id}_{bot}", bot=bot)
    return Kept(bot, None, room_id, days, frozenset(owner for (owner,) in owners))


def own_days(log_settings: object) -> int | None:
    """The days that a room's `log_settings` keep its chat; None if they do not say so sensibly."""
    if not isinstance(log_settings, (str, bytes)):
        return None
    try:
        settings = json.loads(log_settings)
    except (ValueError, RecursionError):
        return None
    days = settings.get("retention_days") if isinstance(settings, dict) else None
    if isinstance(days, bool) or not isinstance(days, int) or not LEAST_DAYS <= days <= MOST_DAYS:
        return None
    return days


def expire_chat_of_room(transaction: Transaction, room: Kept, before: str, limit: int) -> int:
    """Delete up to `limit` old rows of a room that has a channel id; how many."""
    return _expire_of_room(transaction, room, room.room_id, before, limit)


def expire_chat_of_nameless_room(transaction: Transaction, room: Kept, before: str, limit: int) -> int:
    """The same of a room that is known by its name alone."""
    return _expire_of_room(transaction, room, "", before, limit)


def _expire_of_room(transaction: Transaction, room: Kept, channel_id: str, before: str, limit: int) -> int:
    about = {"channel_id": channel_id, "room_name": room.room_id, "before": before, "bot": room.bot}
    devices = [room.device]
    if room.device is None:
        devices = [device for (device,) in transaction.all(_SPEAKERS, **about) if device not in room.without]
    deleted = 0
    for device in devices:
        if deleted == limit:
            break
        rows = transaction.all(_OLD_CHAT_OF_ROOM, **about, device=device, limit=limit - deleted)
        deleted += run_by_id(transaction, _DELETE_CHAT, [row[0] for row in rows])
    return deleted


def expire_chat(
    transaction: Transaction, place: Place, before: str, spared: Spared, limit: int
) -> tuple[int, Place | None]:
    """Look at `limit` old rows after a place and delete those of rooms that are not spared.

    How many were deleted, and where to go on; None when that was all.
    """
    since = place.created_at or _EARLIEST
    rows = transaction.all(_OLD_CHAT, since=since, id=place.id, before=before, limit=limit)
    doomed = [row[0] for row in rows if not spared.has(*_room_of(row))]
    deleted = run_by_id(transaction, _DELETE_CHAT, doomed)
    return deleted, (Place(str(rows[-1][1]), rows[-1][0]) if len(rows) == limit else None)


def _room_of(row: Sequence[Any]) -> tuple[str, str | None, str]:
    _, _, bot, device, channel_id, room_name = row
    return bot, device, channel_id or room_name
