"""Can the relay work with the tables that were found, and what must it know of them?

What is not understood is left alone: every sentence of `refusals` is a reason to change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, DateTime, Integer, Numeric, Table, types

from relaytw.store.inspection import Found, FoundColumn, FoundTable, Kind
from relaytw.store.layout import FRESH, MEDIUM, MESSAGE, Layout, TextColumn
from relaytw.store.schema import VERSION, metadata
from relaytw.store.urls import Engine

#: Columns of the `kb_` tables without which their rows mean nothing, beside those that no upgrade can add.
NEEDED: dict[str, tuple[str, ...]] = {
    "kb_bot_devices": ("bot_name", "device_id", "status"),
    "kb_rooms": ("room_id", "bot_name", "status"),
    "kb_chat_logs": ("channel_id", "message"),
    "kb_ping_monitor": ("bot_name",),
    "kb_system_monitor": ("server_name",),
    "kb_servers": ("server_name",),
    "kb_schedule": ("target_bot_name", "target_room_id", "schedule_type", "status"),
    "kb_schedule_logs": ("schedule_id", "status"),
}
#: What stands for a column of ours under another name, which old installations have.
OTHER_NAMES = {
    ("kb_bot_devices", "description"): "descryption",
    ("kb_server_processes", "id"): "process_id",
}
#: Part of a key of ours, and added all the same where it is missing: NULL is any device of the bot.
_ADDED = {("kb_rooms", "device_id")}
_INSTEAD = {Kind.TEXT: "", Kind.NUMBER: 0, Kind.TIME: "1970-01-02 00:00:00", Kind.OTHER: ""}


def refusals(found: Found) -> list[str]:
    """Why this database is not understood, one sentence each; none when it is."""
    newest = max(found.migrations, default=0)
    if newest > VERSION:
        newer = f"it has been through migration {newest} of relaytw {found.newest}"
        return [f"{newer}, and this version knows {VERSION}: use that version, or a newer one"]
    return [reason for table in found.tables.values() for reason in _refused(table, found.engine)]


def _refused(table: FoundTable, engine: Engine) -> Iterator[str]:
    if table.view:
        yield f"{table.name} is a view, and the relay has to write into it"
        return
    ours = metadata.tables[table.name]
    missing = [name for name in needed(ours) if name not in table.columns and not _other(table, name)]
    if missing:
        yield f"{table.name} has no {', '.join(missing)}: it is another table of that name, or half of one"
    for column in ours.columns:
        there = table.columns.get(column.name)
        if there is not None and not _fits(column, there, engine):
            yield f"{table.name}.{column.name} is {there.type}, which does not hold {_wanted(column)}"


def needed(table: Table) -> list[str]:
    """The columns without which a table of this name is not understood."""
    must = [
        column.name
        for column in table.columns
        if not column.nullable and column.server_default is None and (table.name, column.name) not in _ADDED
    ]
    return list(dict.fromkeys([*must, *NEEDED.get(table.name, ())]))


def has(table: FoundTable, name: str) -> bool:
    """Does the table have this column, under whatever name?"""
    return name in table.columns or _other(table, name)


def _other(table: FoundTable, name: str) -> bool:
    return OTHER_NAMES.get((table.name, name)) in table.columns


def _wanted(column: Column[object]) -> Kind:
    if isinstance(column.type, (DateTime, types.Date, types.Time)):
        return Kind.TIME
    return (
        Kind.NUMBER if isinstance(column.type, (Integer, Numeric, types.Float, types.Boolean)) else Kind.TEXT
    )


def _fits(column: Column[object], there: FoundColumn, engine: Engine) -> bool:
    wanted = _wanted(column)
    if there.kind is wanted:
        return True
    # Text holds what is written into it; SQLite has no times but texts.
    by_hand = column.name in needed(column.table)
    return there.kind is Kind.TEXT and (not by_hand or (wanted is Kind.TIME and engine is Engine.SQLITE))


def layout_of(found: Found) -> Layout:
    """What the relay must know of these tables; of those that are missing, as it makes them."""
    if found.fresh:
        return FRESH
    rooms, devices = found.tables.get("kb_rooms"), found.tables.get("kb_bot_devices")
    processes = found.tables.get("kb_server_processes")
    texts = {**FRESH.texts, **dict(_texts(found))}
    keys = rooms.keys if rooms is not None else (FRESH.room_key,)
    return Layout(
        texts=texts,
        nulls=_required(found, owed=False),
        owed=_required(found, owed=True),
        rooms_per_device=all("device_id" in key for key in keys),
        room_key=min(keys, key=len, default=()),
        bots_per_device=devices is None or ("device_id",) not in devices.keys,
        process_key="process_id" if processes is not None and "id" not in processes.columns else "id",
    )


def _texts(found: Found) -> Iterator[tuple[str, TextColumn]]:
    for table in found.tables.values():
        for column in table.columns.values():
            name = f"{table.name}.{column.name}"
            if column.kind is not Kind.TEXT or column.words:
                continue
            if column.chars is not None or column.bytes is not None or name == MESSAGE:
                chars = column.chars or MEDIUM
                yield (
                    name,
                    TextColumn(chars, column.bytes or min(4 * chars, MEDIUM), column.charset or "utf8mb4"),
                )


def _required(found: Found, *, owed: bool) -> dict[str, dict[str, object]]:
    required = {}
    for table in found.tables.values():
        columns = {
            column.name: column.words[0] if column.words else _INSTEAD[column.kind]
            for column in table.columns.values()
            if not column.nullable and not (owed and column.given) and not _numbered(table, column)
        }
        if columns and table.name.startswith("kb_"):
            required[table.name] = columns
    return required


def _numbered(table: FoundTable, column: FoundColumn) -> bool:
    return column.given and table.primary_key == (column.name,) and column.kind is Kind.NUMBER
