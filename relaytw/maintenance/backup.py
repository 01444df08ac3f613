"""Copies a relay's tables and secrets into one file, as they were at one moment, while it runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymysql.cursors import SSCursor
from sqlalchemy import Connection

from relaytw import __version__
from relaytw.maintenance.access import Access, MaintenanceError
from relaytw.maintenance.archive import FORMAT, PART, ArchiveWriter, Manifest, TableEntry, part_name
from relaytw.maintenance.checking import unreachable
from relaytw.maintenance.rows import encode_row
from relaytw.store.connections import Unreachable
from relaytw.store.inspection import FoundTable, inspect_database
from relaytw.store.judgement import refusals
from relaytw.store.opening import knock, opened
from relaytw.store.schema import VERSION, metadata
from relaytw.store.upgrade import not_understood
from relaytw.store.urls import Engine

#: What records the state of one database and not of a relay.
NOT_COPIED = frozenset({"relaytw_migrations"})
#: Files of the state folder that are copied, as patterns, and the largest of them in bytes.
FILES = ("secret*", "admin-token")
_LARGEST_FILE = 65_536
_FETCHED = 500

Progress = Callable[[str], None]


def chosen_tables(wanted: str | None) -> list[str]:
    """The tables of a list such as "kb_rooms,kb_bot_devices", or "-kb_chat_logs" for all but that.

    Raises MaintenanceError for names that are none.
    """
    every = [table.name for table in metadata.sorted_tables if table.name not in NOT_COPIED]
    if not wanted:
        return every
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    unknown = sorted({name.removeprefix("-") for name in names} - set(every))
    if unknown:
        raise MaintenanceError(f"there is no table {', '.join(unknown)}; there are {', '.join(every)}")
    left_out = {name.removeprefix("-") for name in names if name.startswith("-")}
    named = {name for name in names if not name.startswith("-")}
    return [name for name in every if name not in left_out and (not named or name in named)]


def back_up(access: Access, path: Path, tables: Sequence[str], random: str, progress: Progress) -> Manifest:
    """Write the archive; what is in it.  `random` names the file while it is incomplete.

    Raises MaintenanceError, with whatever was at `path` still there.
    """
    writer = ArchiveWriter(path, random)
    try:
        manifest = _written(access, writer, tables, progress)
        writer.finish(manifest)
    except Unreachable as error:
        raise unreachable(access, error) from error
    except OSError as error:
        raise MaintenanceError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        writer.abandon()
    return manifest


def _written(access: Access, writer: ArchiveWriter, tables: Sequence[str], progress: Progress) -> Manifest:
    files = [file for pattern in FILES for file in sorted(access.state_dir.glob(pattern)) if _small(file)]
    for file in files:
        writer.add(f"files/{file.name}", file.read_bytes())
    if access.url.engine is Engine.SQLITE and not access.url.path.exists():
        raise MaintenanceError(f"there is no database at {access.url} yet")
    knock(access.url, access.settings)
    with opened(access.url, access.settings) as connection:
        found = inspect_database(connection)
        if refused := refusals(found):
            raise MaintenanceError(not_understood(access.url, refused))
        entries = {}
        with _moment(access, connection):
            for name in tables:
                if name in found.tables:
                    entries[name] = _copy(connection, found.tables[name], writer)
                    progress(f"{name}: {entries[name].rows:,} rows")
    return Manifest(
        format=FORMAT,
        relay_version=__version__,
        schema=VERSION,
        engine=str(access.url.engine),
        made_at=datetime.fromtimestamp(access.now(), UTC).isoformat(timespec="seconds"),
        tables=entries,
        files=[file.name for file in files],
        members={},
    )


def _small(file: Path) -> bool:
    return file.is_file() and file.stat().st_size <= _LARGEST_FILE


@contextmanager
def _moment(access: Access, connection: Connection) -> Iterator[None]:
    """See the tables as they are now, whatever is written to them meanwhile."""
    connection.rollback()
    if access.url.engine is Engine.SQLITE:
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.exec_driver_sql("SET time_zone = %s", (access.offset,))
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT")
    yield
    connection.rollback()


def _copy(connection: Connection, table: FoundTable, writer: ArchiveWriter) -> TableEntry:
    columns = [column.name for column in table.columns.values() if not column.computed]
    quote = connection.dialect.identifier_preparer.quote_identifier
    query = f"SELECT {', '.join(map(quote, columns))} FROM {quote(table.name)}"  # noqa: S608 (quoted)
    lines, size, parts, rows = [], 0, 0, 0
    for row in _rows(connection, query):
        line = encode_row(row)
        lines.append(line)
        size += len(line) + 1
        rows += 1
        if size >= PART:
            parts += 1
            writer.add(part_name(table.name, parts), b"\n".join(lines))
            lines, size = [], 0
    if lines:
        writer.add(part_name(table.name, parts + 1), b"\n".join(lines))
    return TableEntry(columns, rows)


def _rows(connection: Connection, query: str) -> Iterator[Sequence[Any]]:
    driver: Any = connection.connection.dbapi_connection
    # What the server keeps back is not held here: the driver's own cursor would fetch the whole table.
    cursor = driver.cursor() if isinstance(driver, sqlite3.Connection) else driver.cursor(SSCursor)
    with closing(cursor):
        cursor.execute(query)
        while rows := cursor.fetchmany(_FETCHED):
            yield from rows
