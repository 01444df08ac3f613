"""Devices in their table: found by many names at once, registered, given a status, pinned.

Every function here works within one transaction.  Old tables compare names by collations that take
different ones for equal (every emoji is every other): a row counts only if its names are, letter by
letter, those that were asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, func, null, select, update

from relaytw.messages import ClientKey, Status
from relaytw.pins import follows
from relaytw.store.connections import COLLISIONS
from relaytw.store.layout import Layout
from relaytw.store.schema import devices
from relaytw.store.statements import Insert, Statement, Transaction, any_of, chunks, keys_of
from relaytw.store.urls import Engine

#: The longest names that the table holds, in characters.
BOT_CHARS = 30
DEVICE_CHARS = 100
#: What existing tables say of a device that nobody has set anything for.
_USUAL_LINE_BYTES, _USUAL_WIDTH = 1_048_576, 900
#: How many devices one statement asks for; of one alone it asks with a shorter one.
_CHUNK = 100
#: How many rows are looked at in one go for one that may be deleted.
_PAGE = 200

_c = devices.c
#: 0 where pictures for the device shall stay as wide as they are.
_WIDTH = _c.image_resize_width * _c.image_resize_enabled
_COLUMNS = (
    _c.id, _c.bot_name, _c.device_id, _c.status, _c.device_uuid, _c.rejection_reason, _c.ip_address,
    _c.client_type, _c.client_version, _c.max_message_size, _WIDTH, _c.created_at,
    _c.updated_at,
)  # fmt: skip
_ROW = select(*_COLUMNS)
_KEY = (_c.bot_name, _c.device_id)
_FIND = {size: Statement(_ROW.where(any_of(_KEY, size))) for size in (1, _CHUNK)}
_LIKE = _ROW.where(_c.device_id == bindparam("device")).limit(20)
#: Locking, so that what another connection has just written is seen.
_HOLDERS = Statement(_LIKE, {Engine.MYSQL: _LIKE.with_for_update(read=True)})
_BY_NUMBER = Statement(_ROW.where(_c.id == bindparam("number")))
_INSERT = Insert(
    devices,
    (
        "bot_name", "device_id", "ip_address", "client_type", "client_version", "status", "created_at",
        "updated_at",
    ),
)  # fmt: skip
_SEEN = Statement(
    update(devices)
    .where(_c.id == bindparam("number"))
    .values(
        ip_address=bindparam("address"), client_type=bindparam("kind"), client_version=bindparam("version")
    )
)
_DECIDED: dict[Any, Any] = {
    _c.status: bindparam("status"),
    _c.rejection_reason: bindparam("reason"),
    _c.device_uuid: null(),
    _c.updated_at: bindparam("at"),
}
_DECIDE = {
    approved: Statement(
        update(devices)
        .where(_c.id == bindparam("number"))
        .values({**_DECIDED, **({_c.approved_at: bindparam("at")} if approved else {})})
    )
    for approved in (True, False)
}
_PIN = Statement(
    update(devices)
    .where(
        _c.id == bindparam("number"),
        _c.status == Status.APPROVED.value,
        _c.device_uuid.is_(None) | (_c.device_uuid == bindparam("before")),
    )
    .values({_c.device_uuid: bindparam("uuid")})
)
_COUNT_PENDING = Statement(select(func.count()).select_from(devices).where(_c.status == Status.PENDING.value))
_OLDEST = Statement(
    select(_c.id, _c.bot_name, _c.device_id)
    .where(_c.status == Status.PENDING.value, _c.approved_at.is_(None))
    .order_by(_c.created_at, _c.id)
    .limit(_PAGE)
    .offset(bindparam("skipped"))
)
_DELETE_PENDING = Statement(
    delete(devices).where(_c.id == bindparam("number"), _c.status == Status.PENDING.value)
)
_DELETE_UNPROVEN = Statement(
    delete(devices).where(
        _c.id == bindparam("number"), _c.status == Status.APPROVED.value, _c.device_uuid.is_(None)
    )
)
_CHANGED = Statement(
    select(_c.bot_name, _c.device_id, _c.updated_at, _c.id)
    .where(
        _c.updated_at >= bindparam("since"),
        (_c.updated_at > bindparam("since"))
        | and_(_c.updated_at == bindparam("since"), _c.id > bindparam("number")),
    )
    .order_by(_c.updated_at, _c.id)
    .limit(bindparam("limit"))
)
_PAGES = {
    filtered: Statement(
        _ROW.where(_c.id > bindparam("after"), *([_c.status == bindparam("status")] if filtered else []))
        .order_by(_c.id)
        .limit(bindparam("limit"))
    )
    for filtered in (True, False)
}


class StoredDevice(NamedTuple):
    """A row; `word` is what stands there for its status, times are as the driver gives them."""

    number: int
    client: ClientKey
    word: str | None
    uuid: str | None
    reason: str | None
    address: str | None
    kind: str | None
    version: str | None
    line_bytes: int | None
    image_width: int | None
    created_at: object
    updated_at: object


class AskedDevice(NamedTuple):
    """A device that is looked up; registered with the status `if_new`, if it has one, where it has no row.

    What a phone has said of itself is written down; `address` is None where nobody has connected.
    """

    client: ClientKey
    if_new: Status | None = None
    address: str | None = None
    kind: str = ""
    version: str = ""


class Conflict(NamedTuple):
    """Why there can be no row of this name, in words for the operator."""

    why: str


Found = StoredDevice | Conflict | None


class Answers(NamedTuple):
    """What was found, in the order of what was asked; who was registered, and who deleted for that."""

    found: list[Found]
    created: list[ClientKey]
    dropped: list[ClientKey]


def find(transaction: Transaction, clients: Collection[ClientKey]) -> dict[ClientKey, StoredDevice]:
    """The rows of these clients, of those who have one."""
    # To ask an old table for letters that it does not know is an error to the database.
    wanted, found = {client for client in clients if not fault_of(client, transaction.layout)}, {}
    for some in chunks(wanted, _CHUNK):
        size = 1 if len(some) == 1 else _CHUNK
        for row in transaction.all(_FIND[size], **keys_of(some, size)):
            stored = _stored(row)
            if stored.client in wanted:
                found[stored.client] = stored
    return found


def look_up(
    transaction: Transaction, asked: Sequence[AskedDevice], most: int, spared: Collection[ClientKey], at: str
) -> Answers:
    """What is known of each of these, those registered that shall be; at most so many rows are pending."""
    known = find(transaction, {one.client for one in asked})
    new = {one.client: one for one in asked if one.if_new is not None and one.client not in known}
    layout = transaction.layout
    waiting = [
        client for client, one in new.items() if one.if_new is Status.PENDING and not fault_of(client, layout)
    ]
    fitting, dropped = make_room(transaction, len(waiting), most, {*spared, *known}) if waiting else (0, [])
    left_out = set(waiting[fitting:])
    answers: dict[ClientKey, Found] = dict(known)
    for client, one in new.items():
        if one.if_new is not None and client not in left_out:
            answers[client] = register(transaction, one, one.if_new, at)
    for one in asked:
        if (row := known.get(one.client)) is not None:
            _note_seen(transaction, row, one)
    created = [client for client in new if isinstance(answers.get(client), StoredDevice)]
    return Answers([answers.get(one.client) for one in asked], created, dropped)


def register(transaction: Transaction, new: AskedDevice, status: Status, at: str) -> StoredDevice | Conflict:
    """Give a device its row, or say why that cannot be."""
    bot, device = new.client
    if why := fault_of(new.client, transaction.layout):
        return Conflict(why)
    address, kind, version = _about(transaction, new)
    try:
        _INSERT.run(transaction, [(bot, device, address, kind, version, status.value, at, at)])
    except COLLISIONS:
        return _holder(transaction, new.client)
    return StoredDevice(
        transaction.last_id, new.client, status.value, None, None, address, kind, version, None, None, at, at
    )


def decide(
    transaction: Transaction, stored: StoredDevice, status: Status, reason: str | None, at: str
) -> StoredDevice:
    """Give a device this status; its next valid signature pins it anew."""
    told = reason_for("kb_bot_devices", transaction, reason)
    transaction.run(
        _DECIDE[status is Status.APPROVED], number=stored.number, status=status.value, reason=told, at=at
    )
    return stored._replace(word=status.value, reason=reason, uuid=None, updated_at=at)


def pin(transaction: Transaction, pins: Mapping[ClientKey, str]) -> None:
    """Bind approved devices that are bound to nothing yet, or to what this pin follows."""
    for client, stored in find(transaction, pins.keys()).items():
        if follows(pins[client], stored.uuid):
            transaction.run(_PIN, number=stored.number, uuid=pins[client], before=stored.uuid or "")


def make_room(
    transaction: Transaction, wanted: int, most: int, spared: Collection[ClientKey]
) -> tuple[int, list[ClientKey]]:
    """Delete, oldest first, so many pending rows that `wanted` more fit below `most`.

    None of those `spared`, none that was ever approved, and never more than are wanted.  How many fit
    then, and who was deleted.
    """
    count = transaction.one(_COUNT_PENDING)
    pending = int(count[0]) if count is not None else 0
    needed = max(0, min(wanted, pending + wanted - most))
    dropped: list[ClientKey] = []
    kept = 0
    while len(dropped) < needed:
        rows = transaction.all(_OLDEST, skipped=kept)
        for number, bot, device in rows:
            client = ClientKey(bot, device)
            if len(dropped) == needed:
                break
            if client not in spared and transaction.run(_DELETE_PENDING, number=number):
                dropped.append(client)
            else:
                kept += 1
        if len(rows) < _PAGE:
            break
    return wanted - needed + len(dropped), dropped


def forget_unproven(transaction: Transaction, numbers: Iterable[int]) -> None:
    """Delete devices that were approved unseen and have never shown a valid signature."""
    for number in numbers:
        transaction.run(_DELETE_UNPROVEN, number=number)


class Since(NamedTuple):
    """Where a look for changes begins: after this row of this second."""

    at: str
    number: int = 0


def changed(transaction: Transaction, since: Since, limit: int) -> tuple[list[ClientKey], Since | None]:
    """Whose rows were changed, in the order of their times; where to go on if there were more."""
    rows = transaction.all(_CHANGED, since=since.at, number=since.number, limit=limit)
    more = Since(str(rows[-1][2]), rows[-1][3]) if len(rows) == limit else None
    return [ClientKey(row[0], row[1]) for row in rows], more


def page(transaction: Transaction, status: Status | None, after: int, limit: int) -> list[StoredDevice]:
    """Rows in the order of their numbers, from the one after `after`."""
    given = {} if status is None else {"status": status.value}
    rows = transaction.all(_PAGES[status is not None], after=after, limit=limit, **given)
    return [_stored(row) for row in rows]


def fault_of(client: ClientKey, layout: Layout, table: str = devices.name) -> str | None:
    """Why these names fit into no row of a table, or None."""
    for name, value, most in (("bot", client.bot, BOT_CHARS), ("device", client.device, DEVICE_CHARS)):
        if len(value) > most:
            return f"the name of its {name} has {len(value)} characters, and the table holds {most}"
        if not layout.holds(f"{table}.{name}_{'name' if name == 'bot' else 'id'}", value):
            return f"{table} cannot store the name of its {name} as it is: it has too many or strange letters"
    return None


def reason_for(table: str, transaction: Transaction, reason: str | None) -> object:
    """A reason as this table can store it: some take no NULL."""
    if reason is None:
        return transaction.layout.nulls.get(table, {}).get("rejection_reason")
    return transaction.layout.fit(f"{table}.rejection_reason", reason)[0]


def _note_seen(transaction: Transaction, stored: StoredDevice, asked: AskedDevice) -> None:
    if asked.address is None:
        return
    address, kind, version = _about(transaction, asked)
    if (stored.address, stored.kind, stored.version) != (address, kind, version):
        transaction.run(_SEEN, number=stored.number, address=address, kind=kind, version=version)


def _about(transaction: Transaction, asked: AskedDevice) -> tuple[str, str, str]:
    fit = transaction.layout.fit
    address, _ = fit("kb_bot_devices.ip_address", asked.address or "")
    kind, _ = fit("kb_bot_devices.client_type", asked.kind)
    return address, kind, fit("kb_bot_devices.client_version", asked.version)[0]


def _holder(transaction: Transaction, client: ClientKey) -> StoredDevice | Conflict:
    held = [_stored(row) for row in transaction.all(_HOLDERS, device=client.device)]
    for stored in held:
        if stored.client == client:
            return stored
    alike = [_stored(row) for row in transaction.all(_FIND[1], **keys_of([client], 1))]
    for stored in held:
        if stored.client.device == client.device and not alike:
            return Conflict(
                f"device {client.device} serves bot {stored.client.bot} in this database, which allows one "
                "bot a device; remove that row, or make the key cover bot_name too (relayctl db check)"
            )
    taken = alike or held
    like = f"takes its name for that of {taken[0].client}" if taken else "does not take its row"
    return Conflict(
        f"the database {like}; give the device another id, or its columns the collation utf8mb4_bin"
    )


def _stored(row: tuple[Any, ...]) -> StoredDevice:
    (number, bot, device, word, uuid, reason, address, kind, version, line_bytes, width, created, updated) = (
        row
    )
    return StoredDevice(
        number, ClientKey(bot or "", device or ""), word, uuid or None, reason or None, address, kind,
        version,
        _number(line_bytes, _USUAL_LINE_BYTES), 0 if width == 0 else _number(width, _USUAL_WIDTH),
        created, updated,
    )  # fmt: skip


def _number(value: object, usual: int) -> int | None:
    return value if isinstance(value, int) and value > 0 and value != usual else None
