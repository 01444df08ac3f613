"""Brings a database to the tables that this version works with, and says beforehand what that takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, insert
from sqlalchemy.exc import DBAPIError

from relaytw import __version__
from relaytw.store.connections import ConnectionSettings, in_words
from relaytw.store.database import Unfit
from relaytw.store.inspection import Found, inspect_database
from relaytw.store.judgement import refusals
from relaytw.store.migrations import MIGRATIONS, Step, remaining
from relaytw.store.opening import alone, opened
from relaytw.store.schema import migrations as migrations_table
from relaytw.store.urls import DatabaseUrl, Engine

#: Seconds to wait for another relay, or another `relayctl`, that is changing the same database.
LOCK_PATIENCE = 60.0

Progress = Callable[[str], None]


class NotUnderstood(Unfit):
    """The database holds what the relay does not know, and is left alone; the text says what."""


class StepFailed(Exception):
    """A step was refused by the database; the text says which, why, and what was done before it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is, why it is not understood, and what is left to do where it is."""

    found: Found
    refusals: tuple[str, ...]
    steps: tuple[Step, ...]

    @property
    def fit(self) -> bool:
        """Can the relay work with it as it is?"""
        return not self.refusals and not self.steps


def plan(connection: Connection) -> Plan:
    """Look at a database; changes nothing."""
    found = inspect_database(connection)
    refused = tuple(refusals(found))
    steps = () if refused else tuple(step for _, steps in remaining(found) for step in steps)
    return Plan(found, refused, steps)


def upgrade(
    url: DatabaseUrl,
    settings: ConnectionSettings,
    now: Callable[[], float],
    progress: Progress,
    patience: float = LOCK_PATIENCE,
) -> Found:
    """Do what is left to do; what is then there.  Blocks for as long as it takes.

    Raises NotUnderstood with nothing changed, StepFailed, Busy, and Unreachable.
    """
    with opened(url, settings) as connection, alone(connection, url, patience):
        found = inspect_database(connection)
        if refused := refusals(found):
            raise NotUnderstood(not_understood(url, refused))
        done: list[Step] = []
        for migration in MIGRATIONS:
            for step in migration.steps(found):
                _apply(connection, step, done, now, progress)
            found = inspect_database(connection)
        _note(connection, found, now)
        return inspect_database(connection)


def _apply(
    connection: Connection, step: Step, done: list[Step], now: Callable[[], float], progress: Progress
) -> None:
    begun = now()
    try:
        for statement in step.statements:
            connection.exec_driver_sql(statement)
    except DBAPIError as error:
        raise StepFailed(_failed(connection, step, done, error)) from error
    done.append(step)
    progress(f"{step.words} ({now() - begun:.1f} s)")


def _failed(connection: Connection, step: Step, done: list[Step], error: DBAPIError) -> str:
    why = f"could not {step.words}: {in_words(error.orig or error)}."
    if connection.dialect.name == "sqlite":
        return f"{why}  Nothing was changed."
    before = "; ".join(step.words for step in done) or "nothing"
    return f"{why}  Done before it: {before}.  Run `relayctl db upgrade` again to go on from there."


def _note(connection: Connection, found: Found, now: Callable[[], float]) -> None:
    for migration in MIGRATIONS:
        if migration.number not in found.migrations:
            connection.execute(
                insert(migrations_table).values(
                    number=migration.number,
                    name=migration.name,
                    applied_at_ms=int(now() * 1000),
                    relay_version=__version__,
                )
            )


def not_understood(url: DatabaseUrl, refused: list[str] | tuple[str, ...]) -> str:
    """The sentences of a refusal as one text."""
    listed = "\n  ".join(refused)
    return f"the database {url} is not understood, and nothing in it was changed:\n  {listed}"


def wanting(url: DatabaseUrl, steps: tuple[Step, ...]) -> str:
    """What to do about a database that needs an upgrade, as one text."""
    listed = "\n  ".join(step.words for step in steps)
    backup = "a copy of the file" if url.engine is Engine.SQLITE else "a dump"
    return (
        f"the database {url} lacks what this version works with, and is not changed without being asked:\n"
        f"  {listed}\n"
        f"`relayctl db upgrade` does it; nothing that is there is altered.  Make {backup} before.  "
        "(Or set database.auto_upgrade.)"
    )
