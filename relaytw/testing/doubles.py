"""Doubles of what is slow or far away, for tests of the relay and of what is built on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import uuid4

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed

from relaytw.services.machine import Usage
from relaytw.store.connections import in_words, means_away
from relaytw.store.database import DatabaseAway
from relaytw.store.layout import FRESH, Layout
from relaytw.store.schema import metadata
from relaytw.store.statements import Transaction
from relaytw.store.systems import MachineFigures
from relaytw.store.urls import Engine

P = ParamSpec("P")
T = TypeVar("T")


class FakeMachine(Service):
    """A machine whose figures are what a test says."""

    name = "machine"

    def __init__(self) -> None:
        self.percent = 50.0
        self.now = Usage(10.0, 100.0)
        self.measured = MachineFigures(25.0, 8_000, 4_000, 50.0, 60.0)

    def figures(self) -> Deferred[MachineFigures]:
        """The machine as a whole."""
        return succeed(self.measured)

    def memory_percent(self) -> float:
        """How much of its memory is in use, in percent."""
        return self.percent

    def usage(self) -> Usage:
        """What the process takes."""
        return self.now


class MemoryDatabase(Service):
    """A database in memory whose transactions run at once, in the thread of whoever asks.

    `hold` makes it slow: transactions wait until `let_go`.  `go_away` makes it fail until `come_back`.
    `ran` counts the transactions that were asked for.
    """

    name = "database"
    engine = Engine.SQLITE

    def __init__(self) -> None:
        # One connection for the relay and one for everybody else, for the relay tells them apart.
        where = f"file:relaytw-{uuid4().hex}?mode=memory&cache=shared"
        self.connection, self._others = (
            sqlite3.connect(where, uri=True, isolation_level=None, check_same_thread=False) for _ in range(2)
        )
        metadata.create_all(create_engine("sqlite://", creator=lambda: self.connection, poolclass=StaticPool))
        self.away: str | None = None
        self.errors = 0
        self.layout: Layout = FRESH
        self.ran = 0
        self._gone: str | None = None
        self._held: list[Callable[[], None]] | None = None

    def run(
        self, function: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a function as one transaction; fires with its result, or fails with `DatabaseAway`."""
        done: Deferred[T] = Deferred()
        self.ran += 1

        def work() -> None:
            try:
                result = self.now(function, *args, **kwargs)
            except Exception:
                done.errback()
            else:
                done.callback(result)

        if self._held is None:
            work()
        else:
            self._held.append(work)
        return done

    def now(
        self, function: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function as one transaction and return its result, or raise what it raises."""
        if self._gone is not None:
            self.away = self._gone
            self.errors += 1
            raise DatabaseAway(self._gone)
        cursor = self.connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            result = function(Transaction(cursor, self.engine, self.layout), *args, **kwargs)
        except Exception as error:
            self.connection.rollback()
            if means_away(error):
                raise DatabaseAway(in_words(error)) from error
            raise
        self.connection.commit()
        self.away = None
        return result

    def hold(self) -> None:
        """Let every transaction wait from now on."""
        self._held = self._held or []

    def let_go(self, number: int | None = None) -> None:
        """Run this many of the transactions that wait; without `number` all, and be quick again."""
        held = self._held or []
        if number is None:
            self._held = None
        else:
            held, self._held = held[:number], held[number:]
        for work in held:
            work()

    def go_away(self, why: str = "it was unplugged") -> None:
        """Fail every transaction from now on."""
        self._gone = why

    def come_back(self) -> None:
        """Work again."""
        self._gone = None

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds, for looking at what was written."""
        return self.connection.execute(sql, values).fetchall()

    def change(self, sql: str, *values: Any) -> int:
        """Change rows behind the relay's back; how many."""
        return self._others.execute(sql, values).rowcount
