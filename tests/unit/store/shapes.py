"""SQLite files to look at and to change, as somebody else may have left them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from relaytw.store.connections import ConnectionSettings
from relaytw.store.inspection import Found
from relaytw.store.opening import make_file, opened
from relaytw.store.upgrade import Plan, plan, upgrade
from relaytw.store.urls import DatabaseUrl, Engine
from tests.unit.folders import OwnFolder

SETTINGS = ConnectionSettings(query_timeout=0.2)
NOW = 1_700_000_000.0


class DatabaseFile(OwnFolder):
    """A test with a database file of its own, empty at first."""

    def setUp(self) -> None:
        self.url = DatabaseUrl(Engine.SQLITE, Path(self.mktemp()))
        make_file(self.url)
        self.told: list[str] = []

    def sql(self, script: str) -> None:
        """Run statements in it."""
        with closing(sqlite3.connect(self.url.path)) as connection:
            connection.executescript(script)

    def rows(self, query: str) -> list[Any]:
        """What a query finds."""
        with closing(sqlite3.connect(self.url.path)) as connection:
            return connection.execute(query).fetchall()

    @contextmanager
    def opened(self) -> Iterator[Connection]:
        """A connection for looking at it."""
        with opened(self.url, SETTINGS) as connection:
            yield connection

    def plan(self) -> Plan:
        """What would be done."""
        with self.opened() as connection:
            return plan(connection)

    def upgrade(self) -> Found:
        """Do it; `told` are the steps."""
        return upgrade(self.url, SETTINGS, lambda: NOW, self.told.append)

    def shape(self) -> set[tuple[str, str]]:
        """Everything there is, with the SQL of it."""
        return {(name, sql) for name, sql in self.rows("SELECT name, sql FROM sqlite_master")}
