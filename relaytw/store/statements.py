"""Statements written once, as text for either engine, and the transaction they run in.

A `Statement` is built from SQLAlchemy's expressions when its module is imported and costs nothing
but its text afterwards.  Whoever runs one is a function of a `Transaction` and plain values, for it
runs in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, bindparam, or_
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.sql import ClauseElement

from relaytw.store.layout import FRESH, Layout
from relaytw.store.literals import statements_of
from relaytw.store.urls import Engine

_DIALECTS: Mapping[Engine, Any] = {
    Engine.SQLITE: sqlite.dialect(paramstyle="qmark"),
    Engine.MYSQL: mysql.dialect(paramstyle="format"),
}
_MARK = {Engine.SQLITE: "?", Engine.MYSQL: "%s"}
#: How many rows one statement inserts, largest first: each size is a text of its own, and a driver keeps few.
_SIZES = (200, 20, 1)


class Statement:
    """One statement as text for each engine; `bindparam` names in it are the values it takes.

    An expression that one engine alone understands is given in `instead`.
    """

    __slots__ = ("_text",)

    def __init__(self, clause: ClauseElement, instead: Mapping[Engine, ClauseElement] | None = None) -> None:
        self._text: dict[Engine, tuple[str, tuple[str, ...], dict[str, Any]]] = {}
        for engine, dialect in _DIALECTS.items():
            compiled: Any = (instead or {}).get(engine, clause).compile(dialect=dialect)
            self._text[engine] = (str(compiled), tuple(compiled.positiontup or ()), dict(compiled.params))

    def text(self, engine: Engine) -> str:
        """The SQL."""
        return self._text[engine][0]

    def values(self, engine: Engine, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values in their places.  Raises KeyError when one was not given."""
        _, names, fixed = self._text[engine]
        return tuple(given[name] if name in given else _fixed(fixed, name) for name in names)


def _fixed(values: Mapping[str, Any], name: str) -> Any:
    # A literal in the expression has a value already; a bindparam that nobody gave has none.
    value = values[name]
    if value is None:
        raise KeyError(name)
    return value


class Insert:
    """Inserts rows, tuples in the order of `columns`, many with one statement.

    Where the layout says that a table takes no NULL, or wants columns that the relay does not know, the
    rows are completed.  One call of the driver for many rows matters more than its price: while it runs
    no other thread waits.
    """

    __slots__ = ("_name", "_texts", "columns")

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._name = table.name
        self._texts: dict[tuple[Engine, tuple[str, ...]], tuple[str, dict[int, str]]] = {}
        for engine in Engine:
            self._write(engine, ())

    def run(self, transaction: Transaction, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert every row."""
        owed = transaction.layout.owed.get(self._name, {})
        more = tuple(name for name in owed if name not in self.columns)
        nulls = transaction.layout.nulls.get(self._name, {})
        places = [(place, nulls[name]) for place, name in enumerate(self.columns) if name in nulls]
        if places or more:
            rows = [_completed(row, places, tuple(owed[name] for name in more)) for row in rows]
        engine = transaction.engine
        head, texts = self._texts.get((engine, more)) or self._write(engine, more)
        if engine is Engine.MYSQL:
            # pymysql would write every value into the text itself, at three times the price.
            for text in statements_of(head, rows):
                transaction.execute_text(text)
            return
        start = 0
        for size in _SIZES:
            while len(rows) - start >= size:
                part = rows[start : start + size]
                transaction.execute(texts[size], [value for row in part for value in row])
                start += size

    def _write(self, engine: Engine, more: tuple[str, ...]) -> tuple[str, dict[int, str]]:
        names = (*self.columns, *more)
        quote = _DIALECTS[engine].identifier_preparer.quote
        head = f"INSERT INTO {self._name} ({', '.join(map(quote, names))}) VALUES "  # noqa: S608
        row = f"({', '.join([_MARK[engine]] * len(names))})"
        written = self._texts[engine, more] = head, {size: head + ", ".join([row] * size) for size in _SIZES}
        return written


def _completed(
    row: tuple[Any, ...], places: Sequence[tuple[int, object]], more: tuple[object, ...]
) -> tuple[Any, ...]:
    for place, instead in places:
        if row[place] is None:
            row = (*row[:place], instead, *row[place + 1 :])
    return (*row, *more) if more else row


class Transaction:
    """What is done together: a cursor of either driver within one transaction.

    `layout` says how the tables are laid out that it works on.
    """

    __slots__ = ("_cursor", "engine", "layout")

    def __init__(self, cursor: Any, engine: Engine, layout: Layout = FRESH) -> None:
        self._cursor = cursor
        self.engine = engine
        self.layout = layout

    def execute(self, text: str, values: Sequence[Any] = ()) -> int:
        """Run SQL text; how many rows it changed."""
        self._cursor.execute(text, tuple(values))
        return int(self._cursor.rowcount)

    def execute_text(self, text: str) -> int:
        """Run SQL text that holds its values itself; how many rows it changed."""
        self._cursor.execute(text)
        return int(self._cursor.rowcount)

    def run(self, statement: Statement, **values: Any) -> int:
        """Run a statement; how many rows it changed."""
        return self.execute(statement.text(self.engine), statement.values(self.engine, values))

    def all(self, statement: Statement, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        self.run(statement, **values)
        return list(self._cursor.fetchall())

    def one(self, statement: Statement, **values: Any) -> tuple[Any, ...] | None:
        """The first row of a query, None without any."""
        self.run(statement, **values)
        rows = self._cursor.fetchall()
        return rows[0] if rows else None

    def number(self, text: str) -> int:
        """The number that SQL text asks for."""
        self.execute(text)
        return int(self._cursor.fetchone()[0])

    @property
    def connection(self) -> int:
        """What tells the connection that this runs on from others."""
        return id(self._cursor.connection)

    @property
    def last_id(self) -> int:
        """The id that the last insert was given."""
        return int(self._cursor.lastrowid)


def any_of(columns: Sequence[ColumnElement[Any]], count: int) -> ColumnElement[bool]:
    """Are `columns` one of `count` keys?  The keys' parts are the values k0_0, k0_1, … of `keys_of`."""
    return or_(
        *(
            and_(*(column == bindparam(f"k{key}_{part}") for part, column in enumerate(columns)))
            for key in range(count)
        )
    )


def keys_of(keys: Sequence[Sequence[Any]], count: int) -> dict[str, Any]:
    """The values of `any_of`; fewer keys than `count` are filled up by repeating the last."""
    full = [*keys, *[keys[-1]] * (count - len(keys))]
    return {f"k{number}_{part}": value for number, key in enumerate(full) for part, value in enumerate(key)}


def chunks(items: Iterable[Any], size: int) -> Iterable[list[Any]]:
    """The items in lists of at most `size`."""
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
