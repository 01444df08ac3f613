"""Which rooms somebody means who has something said to them: by id, by name, by bot or by tag.

A room counts only where it and its device are approved.  A text is typed into the room that a phone shows
under a name: one whose name two rooms of the same phone share cannot be told from the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select

from relaytw.messages import ClientKey, Status
from relaytw.store import devices
from relaytw.store.rooms import ID_CHARS, table_id
from relaytw.store.schema import devices as devices_table
from relaytw.store.schema import room_tags, rooms
from relaytw.store.statements import Insert, Statement, Transaction

#: How many rows are looked at for one name, and for a whole bot at a time.
_SAME, _PAGE = 200, 1_000

_c, _t, _d = rooms.c, room_tags.c, devices_table.c
_COLUMNS = (_c.room_id, _c.bot_name, _c.device_id, _c.room_name, _c.status)


def _rooms_where(*conditions: ColumnElement[bool]) -> Statement:
    return Statement(
        select(*_COLUMNS)
        .where(*conditions)
        .order_by(_c.room_id, _c.bot_name, _c.device_id)
        .limit(bindparam("limit"))
    )


_BY_ID = _rooms_where(_c.room_id == bindparam("room"))
_BY_OLD_ID = _rooms_where(_c.room_id == bindparam("room"), _c.bot_name == bindparam("bot"))
_BY_NAME = _rooms_where(_c.bot_name == bindparam("bot"), _c.room_name == bindparam("name"))
_OF_BOT = _rooms_where(
    _c.bot_name == bindparam("bot"),
    _c.status == Status.APPROVED.value,
    or_(
        _c.room_id > bindparam("room"),
        and_(_c.room_id == bindparam("room"), _c.device_id > bindparam("device")),
    ),
)
_TAGGED = Statement(select(_t.bot_name, _t.device_id, _t.room_id).where(_t.tag == bindparam("tag")))
_TAGS_OF = Statement(
    select(_t.tag)
    .where(_t.bot_name == bindparam("bot"), _t.device_id == bindparam("device"))
    .where(_t.room_id == bindparam("room"))
    .order_by(_t.tag)
)
_UNTAG = Statement(
    delete(room_tags)
    .where(_t.tag == bindparam("tag"), _t.bot_name == bindparam("bot"))
    .where(_t.device_id == bindparam("device"), _t.room_id == bindparam("room"))
)
_TAG = Insert(room_tags, ("tag", "bot_name", "device_id", "room_id"))
_APPROVED_OF_BOT = Statement(
    select(_d.bot_name, _d.device_id)
    .where(_d.bot_name == bindparam("bot"), _d.status == Status.APPROVED.value)
    .order_by(_d.id)
    .limit(bindparam("limit"))
)


class Wanted(NamedTuple):
    """A room as somebody names it: by `room_id`, or by what it is called; the rest narrows it down."""

    room_id: str | None = None
    name: str | None = None
    bot: str | None = None
    device: str | None = None

    def __str__(self) -> str:
        where = " of ".join(filter(None, (self.device, self.bot)))
        return f"{self.room_id or self.name}{' of ' + where if where else ''}"


class Target(NamedTuple):
    """A room of a phone.  `channel_id` is None where the phone has named none."""

    client: ClientKey
    room_id: str
    name: str
    channel_id: str | None
    approved: bool


class Choice(NamedTuple):
    """What a name may mean: the approved rooms of approved devices; how many others there are."""

    rooms: list[Target]
    refused: int


def choose(transaction: Transaction, wanted: Wanted) -> Choice:
    """Every room that somebody may mean."""
    found = list(dict.fromkeys(_targets(transaction, _rows_for(transaction, wanted), wanted)))
    approved = [target for target in found if target.approved]
    return Choice(approved, len(found) - len(approved))


def of_bot(transaction: Transaction, bot: str, most: int) -> list[Target]:
    """The approved rooms of a bot, at most so many and one."""
    rows: list[tuple[Any, ...]] = []
    place = ("", "")
    while len(rows) <= most:
        page = transaction.all(_OF_BOT, bot=bot, room=place[0], device=place[1], limit=_PAGE)
        rows += page
        if len(page) < _PAGE:
            break
        place = (page[-1][0], page[-1][2] or "")
    found = dict.fromkeys(_targets(transaction, rows, Wanted(bot=bot)))
    return [target for target in found if target.approved][: most + 1]


def tagged(transaction: Transaction, tag: str, bot: str | None, most: int) -> list[Target]:
    """The approved rooms that bear a tag, of one bot or of any; at most so many and one."""
    found: dict[Target, None] = {}
    for owner, device, room_id in transaction.all(_TAGGED, tag=tag):
        if bot in (None, owner) and len(found) <= most:
            found |= dict.fromkeys(choose(transaction, Wanted(room_id, None, owner, device or None)).rooms)
    return list(found)


def set_tags(
    transaction: Transaction, client: ClientKey, room_id: str, add: Iterable[str], remove: Iterable[str]
) -> list[str]:
    """Give a room tags and take others away; those that it has then."""
    about = {"bot": client.bot, "device": client.device, "room": table_id(room_id)}
    for tag in {*add, *remove}:
        transaction.run(_UNTAG, tag=tag, **about)
    _TAG.run(transaction, [(tag, *client, about["room"]) for tag in sorted(set(add) - set(remove))])
    return [tag for (tag,) in transaction.all(_TAGS_OF, **about)]


def shared_name(transaction: Transaction, target: Target) -> bool:
    """Does another room of the same phone, with a channel of its own, bear the same name?"""
    rows = transaction.all(_BY_NAME, bot=target.client.bot, name=target.name, limit=_SAME)
    same = {
        _channel(row[0], row[1], row[3] or "")
        for row in rows
        if row[3] == target.name and row[1] == target.client.bot and row[2] in (None, target.client.device)
    }
    return len(same - {None, target.channel_id}) > 0


def approved_clients(transaction: Transaction, clients: Iterable[ClientKey]) -> set[ClientKey]:
    """Those of these devices that are approved in the table."""
    found = devices.find(transaction, set(clients))
    return {client for client, row in found.items() if row.word == Status.APPROVED.value}


def _rows_for(transaction: Transaction, wanted: Wanted) -> list[tuple[Any, ...]]:
    if wanted.room_id is not None:
        room = table_id(wanted.room_id)
        rows = transaction.all(_BY_ID, room=room, limit=_SAME)
        if wanted.bot is not None and len(old := f"{room}_{wanted.bot}") <= ID_CHARS:
            rows += transaction.all(_BY_OLD_ID, room=old, bot=wanted.bot, limit=_SAME)
        ids = {room, f"{room}_{wanted.bot}"}
        return [row for row in rows if row[0] in ids]
    rows = transaction.all(_BY_NAME, bot=wanted.bot, name=wanted.name, limit=_SAME)
    return [row for row in rows if row[3] == wanted.name]


def _targets(transaction: Transaction, rows: Sequence[tuple[Any, ...]], wanted: Wanted) -> list[Target]:
    """The rows as rooms of phones; a row without a device is a room of every phone of its bot."""
    named: list[tuple[ClientKey, tuple[Any, ...]]] = []
    phones: dict[str, list[ClientKey]] = {}
    for row in rows:
        bot, device = row[1], row[2]
        if wanted.bot not in (None, bot):
            continue
        if device is None or not transaction.layout.rooms_per_device:
            if bot not in phones:
                phones[bot] = _phones(transaction, bot, wanted.device)
            named += [(client, row) for client in phones[bot]]
        elif wanted.device in (None, device):
            named.append((ClientKey(bot, device), row))
    approved = approved_clients(transaction, {client for client, _ in named})
    # What a phone has a row of its own for is not what counts for every phone.
    own = {(client, _what(row)) for client, row in named if row[2] is not None}
    return [
        _target(client, row, approved=client in approved)
        for client, row in named
        if row[2] is not None or (client, _what(row)) not in own
    ]


def _what(row: tuple[Any, ...]) -> str:
    return _channel(row[0], row[1], row[3] or row[0]) or row[0]


def _phones(transaction: Transaction, bot: str, device: str | None) -> list[ClientKey]:
    if device is not None:
        return [ClientKey(bot, device)]
    rows = transaction.all(_APPROVED_OF_BOT, bot=bot, limit=_SAME)
    return [ClientKey(*row) for row in rows if row[0] == bot]


def _target(client: ClientKey, row: tuple[Any, ...], *, approved: bool) -> Target:
    room_id, bot, _, name, word = row
    name = name or room_id
    return Target(
        client, room_id, name, _channel(room_id, bot, name), approved and word == Status.APPROVED.value
    )


def _channel(room_id: str, bot: str, name: str) -> str | None:
    """The channel id in a row's id; None where a room is known by its name alone."""
    plain = room_id.removesuffix(f"_{bot}")
    return plain if plain.isdigit() or plain != table_id(name) else None
