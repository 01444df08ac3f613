"""Numbered migrations: each looks at what was found and says what is still to do.

The databases they meet have drifted apart and keep no record of how, so none relies on where it should
stand: what a migration finds done it leaves alone.  Nothing that exists is dropped, renamed or altered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import Column, Index, MetaData, Table, UniqueConstraint
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement

from relaytw.store.inspection import Found, FoundTable, Kind
from relaytw.store.judgement import has
from relaytw.store.schema import metadata
from relaytw.store.urls import Engine

#: Characters of a column without a limit that an index of MySQL takes.
_PREFIX = 100


@dataclass(frozen=True, slots=True)
class Step:
    """One change: what it does, in words, and its statements, one after the other."""

    words: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Migration:
    """A number, a name, and what of it remains to be done where this was found."""

    number: int
    name: str
    steps: Callable[[Found], list[Step]]


def _their_tables(found: Found) -> list[Step]:
    return [
        _create(table, found.engine)
        for table in metadata.sorted_tables
        if table.name.startswith("kb_") and table.name not in found.tables
    ]


def _our_own(found: Found) -> list[Step]:
    steps = [
        _create(table, found.engine)
        for table in metadata.sorted_tables
        if not table.name.startswith("kb_") and table.name not in found.tables
    ]
    for there in found.tables.values():
        steps += [*_columns(there, found.engine), *_indexes(there, found.engine)]
    return steps


MIGRATIONS = (
    Migration(1, "the tables of existing installations", _their_tables),
    Migration(2, "the relay's own tables, columns and indexes", _our_own),
)


def remaining(found: Found) -> list[tuple[Migration, list[Step]]]:
    """What each migration has left to do, without those that have nothing."""
    every = [(migration, migration.steps(found)) for migration in MIGRATIONS]
    return [(migration, steps) for migration, steps in every if steps]


def _dialect(engine: Engine) -> mysql.dialect | sqlite.dialect:  # type: ignore[valid-type]
    return mysql.dialect() if engine is Engine.MYSQL else sqlite.dialect()


def _create(table: Table, engine: Engine) -> Step:
    dialect = _dialect(engine)
    clauses: list[ClauseElement] = [CreateTable(table), *(CreateIndex(index) for index in _sorted(table))]
    return Step(
        f"create table {table.name}", tuple(str(clause.compile(dialect=dialect)) for clause in clauses)
    )


def _sorted(table: Table) -> list[Index]:
    return sorted(table.indexes, key=lambda index: str(index.name))


def _columns(there: FoundTable, engine: Engine) -> Iterator[Step]:
    missing = [column for column in metadata.tables[there.name].columns if not has(there, column.name)]
    if not missing:
        return
    parts = [f"ADD COLUMN {_definition(column, engine)}" for column in missing]
    # An old MySQL copies the whole table for each statement; SQLite takes one column at a time.
    each = [", ".join(parts)] if engine is Engine.MYSQL else parts
    yield Step(
        f"add to {there.name} the column{'s' if len(missing) > 1 else ''} "
        f"{', '.join(column.name for column in missing)}",
        tuple(f"ALTER TABLE {there.name} {part}" for part in each),
    )


def _definition(column: Column[object], engine: Engine) -> str:
    if column.primary_key:
        # Part of our key, but not of theirs: NULL in every row there is.
        column = Column(column.name, column.type, nullable=True)
        Table(column.name, MetaData(), column)
    return str(CreateColumn(column).compile(dialect=_dialect(engine)))


def _indexes(there: FoundTable, engine: Engine) -> Iterator[Step]:
    table = metadata.tables[there.name]
    wanted = {str(index.name): tuple(column.name for column in index.columns) for index in _sorted(table)}
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        if isinstance(constraint, UniqueConstraint):
            # Rows that are there may contradict it: as an index it finds them all the same.
            name = str(constraint.name).replace("uq_", "ix_", 1)
            wanted[name] = tuple(column.name for column in constraint.columns)
    for name, columns in wanted.items():
        if not there.indexed(columns):
            free = name if name not in there.indexes else f"{name}_relaytw"
            parts = ", ".join(_part(there, column, engine) for column in columns)
            yield Step(
                f"add index {free} to {there.name} ({', '.join(columns)})",
                (f"CREATE INDEX {free} ON {there.name} ({parts})",),
            )


def _part(there: FoundTable, name: str, engine: Engine) -> str:
    column = there.columns.get(name)
    wide = column is not None and column.kind is Kind.TEXT and (column.chars or 0) > 4 * _PREFIX
    return f"{name}({_PREFIX})" if engine is Engine.MYSQL and wide else name
