"""Puts a backup into the tables and the state folder of a relay that does not run, on either engine.

Everything is checked before anything is changed; then each table is replaced in one transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from pymysql.err import MySQLError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from relaytw.maintenance.access import Access, MaintenanceError
from relaytw.maintenance.archive import Archive, Manifest
from relaytw.maintenance.checking import apply, unreachable
from relaytw.maintenance.fitting import Fitting
from relaytw.maintenance.rows import decode_row
from relaytw.store.connections import Unreachable, in_words
from relaytw.store.judgement import layout_of
from relaytw.store.opening import Busy, knock, locked, opened
from relaytw.store.schema import VERSION
from relaytw.store.statements import chunks
from relaytw.store.upgrade import Plan, plan
from relaytw.store.urls import Engine

#: Rows that are handed to the driver at once.
_ROWS = 200
_BUSY_MS = 500

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """What of an archive is wanted, and what may be lost by it.

    `replace` gives up what is there; `drop_unknown` leaves out columns that the tables there do not have.
    """

    tables: Sequence[str]
    replace: bool = False
    drop_unknown: bool = False


def restore(access: Access, path: Path, choice: Choice, progress: Progress) -> Counter[str]:
    """Restore; what had to be changed on the way, each with how often.  Raises MaintenanceError."""
    with closing(Archive(path)) as archive:
        manifest = archive.verify()
        progress(f"{path} is whole: {manifest.engine}, relaytw {manifest.relay_version}, {manifest.made_at}")
        if manifest.schema > VERSION:
            raise MaintenanceError(
                f"{path} is of schema {manifest.schema}, and this version knows {VERSION}: use relaytw "
                f"{manifest.relay_version} or newer"
            )
        tables = [name for name in choice.tables if name in manifest.tables]
        files = _files(archive) if manifest.files else {}
        _guard_files(access, files, choice)
        try:
            notes = _restore_tables(access, archive, manifest, tables, choice, progress)
        except Unreachable as error:
            raise unreachable(access, error) from error
        for name, data in files.items():
            _put(access.state_dir / name, data)
            progress(f"{name}: restored to {access.state_dir}")
    return notes


def _restore_tables(
    access: Access,
    archive: Archive,
    manifest: Manifest,
    tables: Sequence[str],
    choice: Choice,
    progress: Progress,
) -> Counter[str]:
    _make_ready(access)
    with ExitStack() as stack:
        connection = stack.enter_context(opened(access.url, access.settings))
        stack.enter_context(_alone(access, connection))
        there = plan(connection)
        connection.rollback()
        fittings = _fittings(access, there, manifest, tables)
        _guard_columns(fittings, choice)
        _guard_rows(connection, there, choice)
        for table, row in _rows(archive, fittings):
            fittings[table].row(row)
        progress("every row fits")
        notes: Counter[str] = Counter()
        for fitting in fittings.values():
            notes.update(fitting.notes)
        _fill(connection, archive, manifest, fittings, progress)
    return notes


def _make_ready(access: Access) -> None:
    knock(access.url, access.settings)
    if access.url.engine is Engine.SQLITE and not access.url.path.exists():
        apply(access, lambda _: None)
    with opened(access.url, access.settings) as connection:
        there = plan(connection)
    if there.found.fresh:
        apply(access, lambda _: None)
    elif not there.fit:
        raise MaintenanceError(
            f"the database {access.url} is not ready for it: run `relayctl db check`, "
            "then `relayctl db upgrade`"
        )


@contextmanager
def _alone(access: Access, connection: Connection) -> Iterator[None]:
    """Keep relays, and others who restore, out meanwhile."""
    if access.url.engine is Engine.SQLITE:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_MS}")
        connection.exec_driver_sql("PRAGMA locking_mode = EXCLUSIVE")
        try:
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        except DBAPIError as error:
            raise MaintenanceError(
                f"{access.url.path} is in use ({in_words(error.orig or error)}): stop the relay first"
            ) from error
        connection.exec_driver_sql("COMMIT")
        yield
        return
    try:
        with locked(connection, access.url, 0):
            connection.exec_driver_sql("SET foreign_key_checks = 0")
            connection.exec_driver_sql("SET time_zone = %s", (access.offset,))
            yield
    except Busy as error:
        raise MaintenanceError(str(error)) from error


def _fittings(access: Access, there: Plan, manifest: Manifest, tables: Sequence[str]) -> dict[str, Fitting]:
    layout, found = layout_of(there.found), there.found.tables
    return {
        name: Fitting(found[name], manifest.tables[name].columns, layout, access.url.engine)
        for name in tables
    }


def _guard_columns(fittings: dict[str, Fitting], choice: Choice) -> None:
    left_out = [f"{table}.{name}" for table, fitting in fittings.items() for name in fitting.left_out]
    if left_out and not choice.drop_unknown:
        raise MaintenanceError(
            f"the tables there have no {', '.join(left_out)}; nothing was changed.  "
            "With --drop-unknown these are left out"
        )


def _guard_rows(connection: Connection, there: Plan, choice: Choice) -> None:
    if choice.replace:
        return
    for name in choice.tables:
        if (
            name in there.found.tables
            and connection.exec_driver_sql(
                f"SELECT 1 FROM {name} LIMIT 1"  # noqa: S608 (a name of ours)
            ).fetchall()
        ):
            raise MaintenanceError(f"{name} has rows, and nothing was changed.  --replace gives them up")
    connection.rollback()


def _guard_files(access: Access, files: dict[str, bytes], choice: Choice) -> None:
    for name, data in files.items():
        path = access.state_dir / name
        if not choice.replace and path.exists() and path.read_bytes() != data:
            raise MaintenanceError(
                f"{path} is another one than in the backup, and nothing was changed.  --replace gives it up"
            )


def _files(archive: Archive) -> dict[str, bytes]:
    named = {}
    for part in archive.parts():
        folder, _, name = part.name.partition("/")
        if folder == "files" and name and Path(name).name == name:
            named[name] = part.data
    return named


def _rows(archive: Archive, fittings: dict[str, Fitting]) -> Iterator[tuple[str, Sequence[Any]]]:
    for part in archive.parts():
        if part.table in fittings:
            for line in part.data.split(b"\n"):
                try:
                    yield str(part.table), decode_row(line)
                except ValueError as error:
                    raise MaintenanceError(f"{part.name} cannot be read: {error}") from error


def _fill(
    connection: Connection,
    archive: Archive,
    manifest: Manifest,
    fittings: dict[str, Fitting],
    progress: Progress,
) -> None:
    done: list[str] = []
    empty = ((table, ()) for table in fittings if not manifest.tables[table].rows)
    full = groupby(_rows(archive, fittings), itemgetter(0))
    for table, rows in chain(empty, full):
        try:
            count = _replace(connection, table, fittings[table], (row for _, row in rows))
        except (sqlite3.Error, MySQLError) as error:
            raise MaintenanceError(
                f"{table} could not be restored, and is as it was: {in_words(error)}.  "
                f"Restored before it: {', '.join(done) or 'nothing'}.  Run it again with --replace"
            ) from error
        done.append(table)
        progress(f"{table}: {count:,} rows")


def _replace(connection: Connection, table: str, fitting: Fitting, rows: Iterable[Sequence[Any]]) -> int:
    """Replace the rows of one table, in one transaction; how many there are then."""
    driver: Any = connection.connection.dbapi_connection
    quote = connection.dialect.identifier_preparer.quote_identifier
    sqlite = connection.dialect.name == "sqlite"
    names = ", ".join(quote(name).replace("%", "%%") for name in fitting.columns)
    marks = ", ".join(["?" if sqlite else "%s"] * len(fitting.columns))
    insert = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 (quoted)
    count = 0
    try:
        with closing(driver.cursor()) as cursor:
            if sqlite:
                cursor.execute("BEGIN IMMEDIATE")
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 (a name of ours)
            for some in chunks(map(fitting.row, rows), _ROWS):
                cursor.executemany(insert, some)
                count += len(some)
        driver.commit()
    except BaseException:
        with suppress(Exception):
            driver.rollback()
        raise
    return count


def _put(path: Path, data: bytes) -> None:
    """Write a secret, for its owner alone, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
