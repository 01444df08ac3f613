"""Reads what a database has into plain values; decides nothing and changes nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Enum, inspect, types
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import SAWarning

from relaytw.store.layout import MEDIUM
from relaytw.store.schema import metadata
from relaytw.store.urls import Engine

#: What ends with this ignores case; SQLite has a word of its own.
_CASELESS = ("_ci", "nocase")


class Kind(StrEnum):
    """What a column holds, as far as it matters to whoever writes into it."""

    TEXT = "text"
    NUMBER = "a number"
    TIME = "a time"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column as it is.

    `given` says that a row which leaves it out gets a value all the same, `computed` that it always does.
    `chars` and `bytes` are None where nothing limits them; `words` are those of an enumeration or a set.
    """

    name: str
    kind: Kind
    type: str
    nullable: bool = True
    given: bool = False
    computed: bool = False
    chars: int | None = None
    bytes: int | None = None
    charset: str | None = None
    collation: str | None = None
    words: tuple[str, ...] = ()

    @property
    def caseless(self) -> bool:
        """Are names here the same that differ in capitals only?"""
        return (self.collation or "").lower().endswith(_CASELESS)


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table or view; `indexes` are the columns of every index, keys among them, by its name."""

    name: str
    view: bool = False
    columns: Mapping[str, FoundColumn] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def indexed(self, columns: tuple[str, ...]) -> bool:
        """Does an index begin with these columns?"""
        every = (self.primary_key, *self.uniques, *self.indexes.values())
        return any(index[: len(columns)] == columns for index in every)

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """The sets of columns that are unique together."""
        return (self.primary_key, *self.uniques) if self.primary_key else self.uniques


@dataclass(frozen=True, slots=True)
class Found:
    """What of ours is in a database; `migrations` are the numbers it says it has been through.

    `newest` names the relay's version that noted the highest of them.
    """

    engine: Engine
    version: str
    tables: Mapping[str, FoundTable] = field(default_factory=dict)
    migrations: tuple[int, ...] = ()
    newest: str = ""

    @property
    def fresh(self) -> bool:
        """Is none of the relay's tables there?"""
        return not self.tables


def inspect_database(connection: Connection) -> Found:
    """Look at every table that the relay knows, and at no other."""
    engine = Engine.MYSQL if connection.dialect.name == "mysql" else Engine.SQLITE
    inspector = inspect(connection)
    views = set(inspector.get_view_names())
    there = (set(inspector.get_table_names()) | views) & set(metadata.tables)
    extras = _mysql_columns(connection) if engine is Engine.MYSQL else {}
    tables = {
        name: FoundTable(name, view=True) if name in views else _table(inspector, connection, name, extras)
        for name in metadata.tables
        if name in there
    }
    migrations, newest = _migrations(connection, tables)
    return Found(engine, _version(connection, engine), tables, migrations, newest)


def _table(inspector: Inspector, connection: Connection, name: str, extras: _Extras) -> FoundTable:
    with warnings.catch_warnings():
        # Types and defaults that SQLAlchemy has no name for are none of ours.
        warnings.simplefilter("ignore", SAWarning)
        read = inspector.get_columns(name)
        indexes = inspector.get_indexes(name)
        uniques = [tuple(unique["column_names"]) for unique in inspector.get_unique_constraints(name)]
        key = tuple(inspector.get_pk_constraint(name)["constrained_columns"])
    uniques += [_plain(index["column_names"]) for index in indexes if index["unique"]]
    collations = _sqlite_collations(connection, name) if connection.dialect.name == "sqlite" else {}
    columns = {
        str(column["name"]): _column(column, key, extras.get((name, str(column["name"]))), collations)
        for column in read
    }
    found = {str(index["name"]): _plain(index["column_names"]) for index in indexes}
    return FoundTable(name, False, columns, key, tuple(dict.fromkeys(uniques)), found)


def _plain(names: Iterable[str | None]) -> tuple[str, ...]:
    # An index on an expression has None there, which is no column.
    return tuple(name or "" for name in names)


def _column(
    column: Any, key: tuple[str, ...], extra: _Extra | None, collations: Mapping[str, str]
) -> FoundColumn:
    name, kind = str(column["name"]), column["type"]
    numbered = key == (name,) and isinstance(kind, types.Integer) and column.get("autoincrement", True)
    given = column.get("default") is not None or bool(numbered) or "computed" in column
    chars = getattr(kind, "length", None) if isinstance(kind, types.String) else None
    charset, collation, size = extra or (None, collations.get(name), None)
    if size is not None:
        size = min(size, MEDIUM)
        chars = size if isinstance(kind, types.Text) or chars is None else chars
    return FoundColumn(
        name=name,
        kind=_kind(kind),
        type=str(kind),
        nullable=bool(column["nullable"]),
        given=given,
        computed="computed" in column,
        chars=chars,
        bytes=size,
        charset=charset,
        collation=collation,
        words=_words(kind),
    )


def _words(kind: types.TypeEngine[Any]) -> tuple[str, ...]:
    if isinstance(kind, Enum):
        return tuple(kind.enums)
    return tuple(kind.values) if isinstance(kind, mysql.SET) else ()


def _kind(kind: types.TypeEngine[Any]) -> Kind:
    if isinstance(kind, (types.LargeBinary, types.BINARY, types.VARBINARY, types.NullType)):
        return Kind.OTHER
    if isinstance(kind, (types.String, types.JSON)):
        return Kind.TEXT
    if isinstance(kind, (types.Numeric, types.Float, types.Integer, types.Boolean, mysql.BIT)):
        return Kind.NUMBER
    if isinstance(kind, (types.DateTime, types.Date, types.Time)):
        return Kind.TIME
    return Kind.OTHER


_Extra = tuple[str | None, str | None, int | None]
_Extras = dict[tuple[str, str], _Extra]


def _mysql_columns(connection: Connection) -> _Extras:
    rows = connection.exec_driver_sql(
        "SELECT table_name, column_name, character_set_name, collation_name, character_octet_length "
        "FROM information_schema.columns WHERE table_schema = DATABASE()"
    )
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


def _sqlite_collations(connection: Connection, name: str) -> dict[str, str]:
    """How the columns of a table's keys are compared."""
    found: dict[str, str] = {}
    for index in connection.exec_driver_sql(f'PRAGMA index_list("{name}")').fetchall():
        for row in connection.exec_driver_sql(f'PRAGMA index_xinfo("{index[1]}")').fetchall():
            if row[2] is not None and row[5]:
                found[row[2]] = row[4]
    return found


def _migrations(connection: Connection, tables: Mapping[str, FoundTable]) -> tuple[tuple[int, ...], str]:
    table = tables.get("relaytw_migrations")
    if table is None or not {"number", "relay_version"} <= table.columns.keys():
        return (), ""
    rows = connection.exec_driver_sql(
        "SELECT number, relay_version FROM relaytw_migrations ORDER BY number"
    ).fetchall()
    return tuple(row[0] for row in rows), str(rows[-1][1]) if rows else ""


def _version(connection: Connection, engine: Engine) -> str:
    if engine is Engine.SQLITE:
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar()}"
    version = str(connection.exec_driver_sql("SELECT VERSION()").scalar())
    return f"{'MariaDB' if 'MariaDB' in version else 'MySQL'} {version.removesuffix('-MariaDB')}"
