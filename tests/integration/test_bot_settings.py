"""Bots' settings in a real table, on both engines."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import create_engine

from relaytw.settings import BotSettings, ChatLogPolicy
from relaytw.store.bot_settings import change, read_all, understand
from relaytw.store.connections import ConnectionSettings, mysql_arguments
from relaytw.store.schema import bots, metadata
from relaytw.store.statements import Insert, Transaction
from relaytw.store.urls import Engine, parse

AT = 1_700_000_000_000
Run = Callable[..., Any]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Iterator[Run]:
    """Runs a transaction function on a database with all tables."""
    url = parse(database_url, tmp_path)
    alchemy = database_url.replace("mysql://", "mysql+pymysql://").replace("sqlite:", "sqlite:///")
    engine = create_engine(alchemy)
    metadata.create_all(engine)
    engine.dispose()
    connection: Any = (
        sqlite3.connect(url.path)
        if url.engine is Engine.SQLITE
        else pymysql.connect(**mysql_arguments(url, ConnectionSettings()))
    )
    with closing(connection):

        def run(function: Callable[..., Any], *arguments: Any) -> Any:
            with closing(connection.cursor()) as cursor:
                result = function(Transaction(cursor, url.engine), *arguments)
            connection.commit()
            return result

        yield run


def everyone(run: Run, *new: str) -> list[BotSettings]:
    """What the table says of everybody, once these bots were seen."""
    return [understand(row).settings for row in run(read_all, new, 100, AT)]


def test_made_once(run: Run) -> None:
    """A bot gets its row at first sight and keeps it; names are told apart letter by letter."""
    names = ["bot", "Bot", "bót", "가족 👨‍👩‍👧‍👦", "x" * 30]
    assert {one.bot for one in everyone(run, *names)} == set(names)
    run(change, "bot", {"prefix": "!"}, "ada", 100, AT)
    found = everyone(run, *names)
    assert len(found) == len(names)
    assert [one for one in found if one != BotSettings(one.bot)] == [BotSettings("bot", "!")]


def test_everything(run: Run) -> None:
    """What is set is what is read, of every setting, and back to what is usual."""
    wanted = BotSettings(
        "봇", "🤖", frozenset({"ada", "봇", "x" * 100}), 7, 3, ChatLogPolicy.METADATA, 4096, 640, paused=True
    )
    values = {name: getattr(wanted, name) for name in BotSettings.__slots__ if name != "bot"}
    row = run(change, "봇", values, "operator", 100, AT)
    assert understand(row) == (wanted, {})
    assert everyone(run) == [wanted]
    usual = {name: getattr(BotSettings("봇"), name) for name in values}
    assert understand(run(change, "봇", usual, "operator", 100, AT)) == (BotSettings("봇"), {})


def test_rows_compare(run: Run) -> None:
    """A row that nobody has touched is read equal to itself, so that it is not understood again and again."""
    run(change, "a", {"admins": frozenset({"y", "x"}), "paused": True}, "ada", 100, AT)
    run(change, "b", {}, "ada", 100, AT)
    assert run(read_all, [], 100, AT) == run(read_all, [], 100, AT)
    assert run(change, "a", {}, "ada", 100, AT) == run(read_all, [], 100, AT)[0]


def test_a_thousand(run: Run) -> None:
    """A table of a thousand rows is read whole."""
    insert = Insert(bots, ("bot_name", "created_at_ms", "updated_at_ms"))
    run(lambda transaction: insert.run(transaction, [(str(n), n, n) for n in range(1000)]))
    assert len(run(read_all, [], 1000, AT)) == 1000
