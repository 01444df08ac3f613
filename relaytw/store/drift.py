"""How a database differs from one that the relay has made, where it can live with that; in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from relaytw.messages import Status
from relaytw.store.inspection import Found, FoundTable, Kind
from relaytw.store.judgement import OTHER_NAMES, layout_of
from relaytw.store.layout import MEDIUM, MESSAGE
from relaytw.store.schema import metadata
from relaytw.store.urls import Engine

#: Names on which trust depends: to the relay `Bot` and `bot` are two.
_NAMES = {"kb_bot_devices": ("bot_name", "device_id"), "kb_rooms": ("room_id", "bot_name", "device_id")}
_SUFFIXED = {
    Engine.MYSQL: "RIGHT(room_id, CHAR_LENGTH(bot_name) + 1) = CONCAT('_', bot_name)",
    Engine.SQLITE: "substr(room_id, -length(bot_name) - 1) = '_' || bot_name",
}
#: As the server compares or as bytes: a status is another where its capitals are.
_EXACT = {Engine.MYSQL: "CAST(status AS CHAR) COLLATE utf8mb4_bin", Engine.SQLITE: "status COLLATE BINARY"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: a `code` for programs, the table, and a sentence on what it means."""

    code: str
    table: str
    text: str
    rows: int | None = None


def differences(found: Found) -> list[Finding]:
    """What the shape of the tables shows."""
    if found.fresh:
        return []
    findings = [*_missing(found)]
    for table in found.tables.values():
        if not table.view:
            findings += [*_renamed(table), *_compared(table), *_narrow(table), *_owed(found, table)]
    return [*findings, *_keys(found), *_short(found)]


def differences_in_rows(connection: Connection, found: Found) -> list[Finding]:
    """What only the rows show; reads the whole of the small tables."""
    findings: list[Finding] = []
    for name, noun in (("kb_bot_devices", "device"), ("kb_rooms", "room")):
        table = found.tables.get(name)
        if table is not None and not table.view and "status" in table.columns:
            findings += _unknown_statuses(connection, found.engine, name, noun)
    rooms = found.tables.get("kb_rooms")
    if rooms is not None and {"room_id", "bot_name"} <= rooms.columns.keys():
        findings += _suffixed(connection, found.engine)
        if "room_concurrency" in rooms.columns:
            findings += _concurrency(connection)
    return findings


def _missing(found: Found) -> Iterator[Finding]:
    for name in metadata.tables:
        if name not in found.tables and name.startswith("kb_"):
            yield Finding("missing_table", name, f"there is no {name}")


def _renamed(table: FoundTable) -> Iterator[Finding]:
    for (name, ours), theirs in OTHER_NAMES.items():
        if name == table.name and theirs in table.columns and ours not in table.columns:
            what = "is read in its place" if ours == "id" else "is left alone, and none is added"
            yield Finding(theirs, name, f"{name} has {theirs} instead of {ours}, which {what}")


def _compared(table: FoundTable) -> Iterator[Finding]:
    names = [
        name
        for name in _NAMES.get(table.name, ())
        if (column := table.columns.get(name)) is not None and column.caseless
    ]
    if names:
        yield Finding(
            "case_insensitive", table.name,
            f"{table.name} compares {', '.join(names)} without regard to capitals: "
            "names that differ in them only are one row there",
        )  # fmt: skip


def _narrow(table: FoundTable) -> Iterator[Finding]:
    charsets = {
        column.charset
        for column in table.columns.values()
        if column.kind is Kind.TEXT and column.charset not in (None, "utf8mb4", "ascii", "binary")
    }
    if charsets:
        held = " and ".join(sorted(str(charset) for charset in charsets))
        lost = "emoji" if charsets <= {"utf8mb3", "utf8"} else "what it has no letter for, Korean perhaps,"
        yield Finding(
            "not_utf8mb4", table.name, f"{table.name} is kept in {held}: {lost} is stored as a mark there"
        )


def _owed(found: Found, table: FoundTable) -> Iterator[Finding]:
    ours = metadata.tables[table.name].columns
    owed = layout_of(found).owed.get(table.name, {})
    names = [name for name in owed if name not in ours and name not in OTHER_NAMES.values()]
    if names:
        yield Finding(
            "columns_owed", table.name,
            f"{table.name} wants {', '.join(names)} in each row, which the relay does not know: "
            "it writes nothing, 0 or the first word allowed there",
        )  # fmt: skip


def _keys(found: Found) -> Iterator[Finding]:
    layout = layout_of(found)
    devices = found.tables.get("kb_bot_devices")
    if not layout.bots_per_device:
        yield Finding(
            "device_id_unique", "kb_bot_devices",
            "kb_bot_devices has a unique key on device_id alone: one phone can serve one bot only, and is "
            "refused for a second one until that key is dropped",
        )  # fmt: skip
    if devices is not None and not devices.view and not any(
        set(key) <= {"bot_name", "device_id"} for key in devices.keys if key
    ):  # fmt: skip
        yield Finding(
            "no_client_key", "kb_bot_devices",
            "kb_bot_devices has no unique key on (bot_name, device_id): nothing keeps a phone from "
            "having several rows, perhaps with different statuses",
        )  # fmt: skip
    rooms = found.tables.get("kb_rooms")
    if rooms is not None and not rooms.view and not layout.rooms_per_device:
        key = ", ".join(layout.room_key)
        yield Finding(
            "rooms_not_per_device", "kb_rooms",
            f"kb_rooms is keyed by ({key}): a room is approved for every device of its bot at once",
        )  # fmt: skip


def _short(found: Found) -> Iterator[Finding]:
    limit = layout_of(found).texts[MESSAGE].bytes
    if limit < MEDIUM:
        yield Finding(
            "short_message", "kb_chat_logs",
            f"kb_chat_logs.message holds {limit:,} bytes: longer messages are stored cut, and marked so",
        )  # fmt: skip


def _unknown_statuses(connection: Connection, engine: Engine, name: str, noun: str) -> Iterator[Finding]:
    exact = _EXACT[engine]
    known = ", ".join(f"'{status}'" for status in Status)
    rows = connection.exec_driver_sql(
        f"SELECT {exact}, COUNT(*) FROM {name} WHERE {exact} NOT IN ({known}) "  # noqa: S608 (names of ours)
        f"GROUP BY {exact} ORDER BY {exact}"
    ).fetchall()
    for status, count in rows:
        several = f"{count:,} {noun}{'s' if count != 1 else ''}"
        yield Finding(
            "unknown_status", name,
            f"{several} of {name} with the status {str(status)!r}, which is none: not approved", int(count),
        )  # fmt: skip


def _suffixed(connection: Connection, engine: Engine) -> Iterator[Finding]:
    count = _count(connection, f"SELECT COUNT(*) FROM kb_rooms WHERE {_SUFFIXED[engine]}")  # noqa: S608
    if count:
        yield Finding(
            "room_id_suffix", "kb_rooms",
            f"{count:,} room ids are written <channel>_<bot>, and are read as that channel of that bot",
            count,
        )  # fmt: skip


def _concurrency(connection: Connection) -> Iterator[Finding]:
    count = _count(connection, "SELECT COUNT(*) FROM kb_rooms WHERE room_concurrency IS NOT NULL")
    if count:
        yield Finding(
            "room_concurrency", "kb_rooms",
            f"{count:,} rooms have a room_concurrency, which no server has ever read; the relay reads its "
            "own column per_room", count,
        )  # fmt: skip


def _count(connection: Connection, query: str) -> int:
    return int(connection.exec_driver_sql(query).scalar() or 0)
