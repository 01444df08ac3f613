"""What is in a database, how it differs, and what an upgrade would do; and the upgrade."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec
from sqlalchemy import Connection

from relaytw.maintenance.access import Access, MaintenanceError
from relaytw.store.connections import Unreachable
from relaytw.store.database import Unfit
from relaytw.store.drift import differences, differences_in_rows
from relaytw.store.inspection import Found
from relaytw.store.opening import Busy, knock, make_file, opened
from relaytw.store.upgrade import Plan, StepFailed, plan, upgrade
from relaytw.store.urls import Engine


class Verdict(StrEnum):
    """What a relay would make of a database."""

    FIT = "fit"
    EMPTY = "empty"
    NEEDS_UPGRADE = "needs_upgrade"
    NOT_UNDERSTOOD = "not_understood"


class TableRows(msgspec.Struct, frozen=True):
    """A table and how many rows it has: on MySQL what the server estimates."""

    name: str
    rows: int


class Difference(msgspec.Struct, frozen=True):
    """Something that is otherwise than a relay makes it, and with which it can live."""

    code: str
    table: str
    text: str
    rows: int | None = None


class Report(msgspec.Struct, frozen=True):
    """All that a look at a database showed; `steps` is what an upgrade would do."""

    database: str
    version: str
    verdict: Verdict
    migrations: list[int]
    tables: list[TableRows]
    differences: list[Difference]
    refusals: list[str]
    steps: list[str]


def check(access: Access) -> Report:
    """Look at a database; changes nothing.  Raises MaintenanceError when it cannot be reached."""
    if access.url.engine is Engine.SQLITE and not access.url.path.exists():
        return Report(str(access.url), "no file yet", Verdict.EMPTY, [], [], [], [], [])
    try:
        knock(access.url, access.settings)
        with opened(access.url, access.settings) as connection:
            return _report(access, connection, plan(connection))
    except Unreachable as error:
        raise unreachable(access, error) from error


def apply(access: Access, progress: Callable[[str], None]) -> None:
    """Bring a database to what this version works with.  Raises MaintenanceError."""
    try:
        knock(access.url, access.settings)
        if access.url.engine is Engine.SQLITE:
            make_file(access.url)
        upgrade(access.url, access.settings, access.now, progress)
    except Unreachable as error:
        raise unreachable(access, error) from error
    except (Unfit, Busy, StepFailed, OSError) as error:
        raise MaintenanceError(str(error)) from error


def unreachable(access: Access, error: Exception) -> MaintenanceError:
    """That the database cannot be reached, as it is told."""
    return MaintenanceError(f"the database {access.url} cannot be used: {error}")


def _report(access: Access, connection: Connection, looked: Plan) -> Report:
    found = looked.found
    rows = [] if looked.refusals else differences_in_rows(connection, found)
    return Report(
        database=str(access.url),
        version=found.version,
        verdict=_verdict(looked),
        migrations=list(found.migrations),
        tables=[TableRows(name, rows) for name, rows in _counts(connection, found).items()],
        differences=[
            Difference(finding.code, finding.table, finding.text, finding.rows)
            for finding in [*differences(found), *rows]
        ],
        refusals=list(looked.refusals),
        steps=[step.words for step in looked.steps],
    )


def _verdict(looked: Plan) -> Verdict:
    if looked.refusals:
        return Verdict.NOT_UNDERSTOOD
    if looked.found.fresh:
        return Verdict.EMPTY
    return Verdict.FIT if looked.fit else Verdict.NEEDS_UPGRADE


def _counts(connection: Connection, found: Found) -> dict[str, int]:
    names = [table.name for table in found.tables.values() if not table.view]
    if found.engine is Engine.SQLITE:
        query = "SELECT COUNT(*) FROM {}"
        return {name: int(connection.exec_driver_sql(query.format(name)).scalar() or 0) for name in names}
    rows = connection.exec_driver_sql(
        "SELECT table_name, table_rows FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    known = {row[0]: int(row[1] or 0) for row in rows}
    return {name: known.get(name, 0) for name in names}
