"""Rows that really arrive, on both engines, and are all there after a stop and after an outage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater

from relaytw.store import chat_logs, expiry
from relaytw.store.literals import literal
from relaytw.store.schema import metadata
from relaytw.store.urls import Engine
from tests.integration.conftest import OPEN
from tests.integration.relay_process import Site, eventually, eventually_asked, scenario
from tests.mariadb import MariaDB

reactor: Any = _reactor
DATABASE = "relay_rows"
#: How a relay ends that was asked to, and was not killed.
TERMINATED = -15
EMOJI = "👩‍👩‍👧 안녕 'q' \\ \" %s ; -- \r\n\ttab"


def read_sqlite(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in the file, or changes there."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(query).fetchall()


class Books:
    """A database that a relay writes to, and what is in it."""

    def __init__(self, url: str, mariadb: MariaDB | None) -> None:
        self.url = url
        self._mariadb = mariadb

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        if self._mariadb is not None:
            return list(self._mariadb.execute(query, DATABASE))
        return read_sqlite(Path(self.url.removeprefix("sqlite:")), query)


def make_tables(url: str) -> None:
    """Make the relay's tables where an empty database is."""
    engine = create_engine(url.replace("mysql:", "mysql+pymysql:", 1).replace("sqlite:", "sqlite:///", 1))
    metadata.create_all(engine)
    engine.dispose()


@pytest.fixture
def maria_books(mariadb: MariaDB) -> Iterator[Books]:
    """Books in MariaDB."""
    url = mariadb.create(DATABASE)
    make_tables(url)
    yield Books(url, mariadb)
    mariadb.drop(DATABASE)


@pytest.fixture(params=list(Engine))
def books(request: pytest.FixtureRequest, tmp_path: Path) -> Books:
    """Books on each engine."""
    if request.param is Engine.SQLITE:
        return Books(f"sqlite:{tmp_path / 'books.db'}", None)
    found: Books = request.getfixturevalue("maria_books")
    return found


@scenario(60)
async def test_arrive_and_flush(site: Site, books: Books) -> None:
    """Emoji, quotes and 65,000 characters come back as they were said; a stop writes what was said last."""
    site.configure({**OPEN, "database.url": books.url, "relay.name": "relay-it", "ping.interval": 1})
    relay = await site.start()
    phone = await site.phone("phone-1")
    long = "👍" * 60_000
    for text in (EMOJI, long):
        phone.wire.say("room 🏠", f"# echo {text}")
        await phone.hears(f"에코: {text}", 30)
    await eventually(lambda: books.rows("SELECT id FROM kb_ping_monitor"), "a row of a pong")
    phone.wire.say("room 🏠", "# echo last")
    await phone.hears("에코: last")
    assert await relay.end() == TERMINATED
    found = books.rows("SELECT message, is_bot, is_cut, room_name FROM kb_chat_logs ORDER BY id")
    assert [(row[0], row[1]) for row in found] == [
        (f"# echo {EMOJI}", 0), (f"에코: {EMOJI}", 1),
        (f"# echo {long}", 0), (f"에코: {long}", 1), ("# echo last", 0), ("에코: last", 1),
    ]  # fmt: skip
    assert {row[2:] for row in found} == {(0, "room 🏠")}
    (process,) = books.rows("SELECT process_name, port, status FROM kb_server_processes")
    assert process == ("relay-it", site.port, "stopped")


@scenario(120)
async def test_outage(site: Site, maria_books: Books, mariadb: MariaDB) -> None:
    """With MariaDB killed everybody is answered, and once it is back every row is there, once."""
    site.configure({**OPEN, "database.url": maria_books.url})
    await site.start()
    phone = await site.phone("phone-1")
    said = 0

    async def talk(count: int) -> None:
        nonlocal said
        for _ in range(count):
            await phone.echoes("room", f"{said}", 2.0)
            said += 1

    await talk(20)
    mariadb.kill()
    await talk(50)
    await eventually(lambda: b"the database" in site.children[0].out, "a line on the outage", 20)
    status = await site.status()
    assert (status.database_up, status.rows_waiting >= 100) == (False, True)
    mariadb.start()
    await talk(20)
    query = "SELECT COUNT(*), COUNT(DISTINCT message) FROM kb_chat_logs"
    await eventually(lambda: maria_books.rows(query)[0][1] >= 2 * said, "every row", 30)
    await eventually_asked(
        site.status, lambda now: now.database_up and not now.rows_waiting, "a relay that has written all"
    )
    ((rows, different),) = maria_books.rows(query)
    # A batch of which nobody knows whether it was committed is written again.
    assert different == 2 * said
    assert rows - different <= 40
    metrics = await site.ask_metrics()
    assert 'relaytw_rows_dropped_total{table="kb_chat_logs"} 0.0' in metrics


@scenario(60)
async def test_hanging(site: Site, maria_books: Books, mariadb: MariaDB) -> None:
    """A database that hangs holds up nobody, and a stop waits for it only a little."""
    site.configure({**OPEN, "database.url": maria_books.url})
    relay = await site.start()
    phone = await site.phone("phone-1")
    await phone.echoes("room", "before")
    await deferLater(reactor, 0.5)
    mariadb.pause()
    try:
        for number in range(20):
            assert await phone.echoes("room", f"{number}") < 1.0
        assert await relay.end(30) == TERMINATED
    finally:
        mariadb.resume()


@scenario(60)
async def test_bad_rows(site: Site, maria_books: Books) -> None:
    """A table that refuses every row of one kind keeps no other from being written."""
    maria_books.rows("ALTER TABLE kb_ping_monitor ADD CONSTRAINT none_of_ours CHECK (bot_name = 'theirs')")
    site.configure({**OPEN, "database.url": maria_books.url, "ping.interval": 0.2})
    await site.start()
    phone = await site.phone("phone-1")
    await phone.echoes("room", "hello")
    await eventually(lambda: len(maria_books.rows("SELECT id FROM kb_chat_logs")) == 2, "the chat's rows")
    await eventually(lambda: b"refused" in site.children[0].out, "a line on the refusal")
    assert maria_books.rows("SELECT COUNT(*) FROM kb_ping_monitor") == [(0,)]


@scenario(60)
async def test_forget(site: Site, books: Books) -> None:
    """`relayctl forget` deletes what somebody said and was answered, and says how much that was."""
    site.configure({**OPEN, "database.url": books.url})
    await site.start()
    phone = await site.phone("phone-1")
    await phone.echoes("room", "hello")
    await eventually(lambda: len(books.rows("SELECT id FROM kb_chat_logs")) == 2, "both rows")
    # The simulated phone gives no hash.
    books.rows("UPDATE kb_chat_logs SET user_hash = 'somebody' WHERE is_bot = 0")
    said = await site.relayctl("forget", "somebody", "--yes")
    assert said.code == 0, said.err
    assert "Deleted 1 messages" in said.out
    assert "1 answers" in said.out
    assert books.rows("SELECT COUNT(*) FROM kb_chat_logs") == [(0,)]


def test_plans(maria_books: Books, mariadb: MariaDB) -> None:
    """MariaDB looks for old rows, for a room's and for a person's by an index."""
    fill = ", ".join(
        f"({number}, '2025-01-{number % 28 + 1:02d} 00:00:00', 'u{number}', '{number % 50}')"
        for number in range(1, 5000)
    )
    insert = "INSERT INTO kb_chat_logs (id, created_at, user_hash, channel_id) VALUES {}"
    mariadb.execute(insert.format(fill), DATABASE)
    mariadb.execute("INSERT INTO kb_ping_monitor (created_at) SELECT created_at FROM kb_chat_logs", DATABASE)
    mariadb.execute("ANALYZE TABLE kb_chat_logs, kb_ping_monitor", DATABASE)
    time = "2025-01-02 00:00:00"
    for statement, values in (
        (chat_logs._OF_PERSON, {"user_hash": "u7", "limit": 100}),
        (chat_logs._ANSWERS, {"channel_id": "7", "since": time, "until": time, "trace_id": "t", "ours": 1}),
        (expiry.PINGS.find, {"before": time, "limit": 100}),
        (expiry._OLD_CHAT, {"since": time, "before": "2025-01-03 00:00:00", "id": 0, "limit": 100}),
        (
            expiry._OLD_CHAT_OF_ROOM,
            {"channel_id": "7", "before": time, "bot": "b", "device": "d", "room_name": "r", "limit": 100},
        ),
    ):
        text = statement.text(Engine.MYSQL)
        for value in statement.values(Engine.MYSQL, values):
            text = text.replace("%s", literal(value), 1)
        for row in mariadb.execute(f"EXPLAIN {text}", DATABASE):
            assert row[5] is not None, f"{row}: {text}"
            assert row[3] != "ALL", f"{row}: {text}"
