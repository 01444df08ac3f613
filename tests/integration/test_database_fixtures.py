"""The databases that other tests rely on do what is said of them."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pymysql
import pytest

from tests.integration.legacy import ENGINES, NAMES, Engine, legacy
from tests.integration.relay_process import HOST, PATIENCE
from tests.mariadb import PASSWORD, USER, MariaDB, ask

FAMILY = "👨‍👩‍👧‍👦"
#: What each leaves out of the tables of the last version.
MISSING = {
    "domaeka": set(),
    "domaeka_oldest": {"kb_schedule_logs", "kb_system_monitor"},
    "kkobot": {"kb_schedule_logs", "kb_server_processes", "kb_servers"},
}
TABLES = re.compile(r"^CREATE TABLE `?(\w+)`?", re.MULTILINE)
ORPHAN = """
import sys
from tests.mariadb import MariaDB
server = MariaDB()
server.start()
print(server.pid, server._folder, flush=True)
sys.stdin.read()
"""
Run = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def database(mariadb: MariaDB) -> Iterator[str]:
    """The name of a database with one row in one table."""
    mariadb.create("fixture_one", "CREATE TABLE t (x int); INSERT INTO t VALUES (7)")
    yield "fixture_one"
    mariadb.drop("fixture_one")


def load(mariadb: MariaDB, engine: Engine, script: str) -> Iterator[Run]:
    """Run a script on an empty database of this engine; gives what runs statements on it."""
    if engine == "sqlite":
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(script)
            yield lambda statement, *values: connection.execute(statement, values).fetchall()
        return
    mariadb.create("fixture_legacy", script)
    try:
        with closing(mariadb.connect("fixture_legacy")) as client, client.cursor() as cursor:

            def run(statement: str, *values: object) -> list[tuple[Any, ...]]:
                cursor.execute(statement.replace("?", "%s"), values)
                return list(cursor.fetchall())

            yield run
    finally:
        mariadb.drop("fixture_legacy")


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    engine: Engine = request.param
    return engine


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each old database in turn."""
    name: str = request.param
    return name


@pytest.fixture
def run(mariadb: MariaDB, engine: Engine, name: str) -> Iterator[Run]:
    """An old database, and what runs statements on it."""
    yield from load(mariadb, engine, legacy(name, engine))


# -- MariaDB


def test_answers(mariadb: MariaDB, database: str) -> None:
    """A client gets into its database by the URL, and only into the ones that were made for it."""
    url = urlsplit(mariadb.url(database))
    assert (url.scheme, url.username, url.password) == ("mysql", USER, PASSWORD)
    assert (url.hostname, url.port, url.path) == (HOST, mariadb.port, f"/{database}")
    assert ask(mariadb.port, "SELECT x FROM fixture_one.t") == 7
    for elsewhere in ("mysql", "fixtureXone"):
        with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
            mariadb.connect(elsewhere)


def test_only_loopback(mariadb: MariaDB) -> None:
    """The server listens on one port of loopback and nowhere else."""
    mariadb.start()
    listening = [
        c.laddr for c in psutil.Process(mariadb.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN
    ]
    assert listening == [(HOST, mariadb.port)]


@pytest.mark.parametrize("how", ["stop", "kill", "restart"])
def test_survives(mariadb: MariaDB, database: str, how: str) -> None:
    """What was committed is there after a shutdown and after a crash, at the same address."""
    mariadb.execute("INSERT INTO t VALUES (8)", database)
    pid = mariadb.pid
    getattr(mariadb, how)()
    if how != "restart":
        assert mariadb.pid is None
        with pytest.raises(pymysql.err.OperationalError, match="refused"):
            ask(mariadb.port)
    mariadb.start()
    assert mariadb.pid != pid
    assert ask(mariadb.port, "SELECT sum(x) FROM fixture_one.t") == 15


def test_pause(mariadb: MariaDB, database: str) -> None:
    """A paused server answers nobody; it goes on with what it was asked meanwhile."""
    with closing(mariadb.connect(database)) as client, client.cursor() as cursor:
        mariadb.pause()
        with pytest.raises(pymysql.err.OperationalError, match="timed out"):
            ask(mariadb.port, timeout=0.2)
        with ThreadPoolExecutor(1) as threads:
            inserting = threads.submit(cursor.execute, "INSERT INTO t VALUES (9)")
            with pytest.raises(TimeoutError):
                inserting.result(0.2)
            mariadb.resume()
            assert inserting.result(PATIENCE) == 1
        cursor.execute("SELECT max(x) FROM t")
        assert cursor.fetchone() == (9,)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_paused_can_be_ended(mariadb: MariaDB, database: str, how: str) -> None:
    """A server that hangs can be shut down and killed like any other."""
    mariadb.pause()
    getattr(mariadb, how)()
    mariadb.start()
    assert ask(mariadb.port, "SELECT x FROM fixture_one.t") == 7


def test_drop_in_use(mariadb: MariaDB) -> None:
    """A database goes even while somebody is in the middle of a transaction with it."""
    mariadb.create("fixture_used", "CREATE TABLE t (x int)")
    with closing(mariadb.connect("fixture_used")) as client, client.cursor() as cursor:
        client.begin()
        cursor.execute("INSERT INTO t VALUES (1)")
        mariadb.drop("fixture_used")
        with pytest.raises(pymysql.err.OperationalError):
            cursor.execute("SELECT 1")
    assert mariadb.execute("SHOW DATABASES LIKE 'fixture_used'") == ()


def test_script_that_fails(mariadb: MariaDB) -> None:
    """A mistake in the middle of a script is not passed over."""
    try:
        with pytest.raises(pymysql.err.ProgrammingError, match="nowhere"):
            mariadb.create("fixture_bad", "SELECT 1; INSERT INTO nowhere VALUES (1); SELECT 2")
    finally:
        mariadb.drop("fixture_bad")


def test_dies_with_its_tests() -> None:
    """A server does not outlive the process that started it, however that ended."""
    child = subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", ORPHAN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child.stdin, child.stdout:
        pid, folder = child.stdout.readline().split()
        server = psutil.Process(int(pid))
        child.send_signal(signal.SIGKILL)
        child.wait()
        psutil.wait_procs([server], PATIENCE)
        assert not server.is_running()
    shutil.rmtree(folder)


def test_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was closed leaves no process and no file."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    server = MariaDB()
    server.start()
    assert list(tmp_path.iterdir())
    server.close()
    assert server.pid is None
    assert not list(tmp_path.iterdir())


# -- what people have


def test_loads(run: Run, engine: Engine, name: str) -> None:
    """Every old database loads with rows in each table, and lacks the tables that it should lack."""
    tables = set(TABLES.findall(legacy(name, engine)))
    assert tables == set(TABLES.findall(legacy("domaeka", engine))) - MISSING[name]
    for table in tables:
        assert run(f"SELECT count(*) FROM {table}")[0][0], table


def test_same_columns(name: str) -> None:
    """The shapes of a database have the same columns on both engines, in the same order."""
    shapes = [re.findall(r"^  `?([a-z]\w*)`? ", legacy(name, engine), re.MULTILINE) for engine in ENGINES]
    assert shapes[0]
    assert shapes[0] == shapes[1]


def test_emoji(run: Run) -> None:
    """Korean and emoji of several code points come back as they were, old rows and new ones."""
    insert = "INSERT INTO kb_chat_logs (channel_id, sender, message) VALUES (?, ?, ?)"
    run(insert, "1", "김철수 🐻‍❄️", f"가족 {FAMILY}")
    read = "SELECT sender, message FROM kb_chat_logs WHERE channel_id = ?"
    assert [tuple(row) for row in run(read, "1")] == [("김철수 🐻‍❄️", f"가족 {FAMILY}")]
    rooms = {room for (room,) in run("SELECT room_name FROM kb_rooms WHERE status = 'approved'")}
    assert rooms & {"동네 사랑방 🏘️", "성경 읽기 모임 📖"}


def test_collation(run: Run) -> None:
    """Names that differ in case alone are the same to these databases."""
    insert = "INSERT INTO kb_bot_devices (bot_name, device_id) VALUES (?, ?)"
    run(insert, "Bot", "0123456789abcdef")
    with pytest.raises((pymysql.err.IntegrityError, sqlite3.IntegrityError)):
        run(insert, "BOT", "0123456789ABCDEF")


@pytest.mark.parametrize("name", ["domaeka_oldest"], indirect=True)
def test_oldest(run: Run) -> None:
    """The oldest has one bot per phone, one bot per room, odd statuses, and the name with the mistake."""
    described: dict[str, str | None] = dict(run("SELECT status, descryption FROM kb_bot_devices"))
    assert described["approved"] == "매장 카운터 폰 📱"
    assert {"rejected", "suspended"} < set(described)
    with pytest.raises((pymysql.err.IntegrityError, sqlite3.IntegrityError)):
        run("INSERT INTO kb_bot_devices (bot_name, device_id) VALUES ('other', 'a1b2c3d4e5f60718')")
    assert run("SELECT room_id FROM kb_rooms WHERE bot_name = '달빛봇'")[0][0] == "18398338829933617_달빛봇"
    assert run("SELECT process_id FROM kb_server_processes")[0][0] == 1


@pytest.mark.parametrize("name", ["domaeka", "domaeka_oldest"], indirect=True)
def test_parent(run: Run) -> None:
    """A process needs a server that there is."""
    with pytest.raises((pymysql.err.IntegrityError, sqlite3.IntegrityError)):
        run("INSERT INTO kb_server_processes (server_id, process_name, port) VALUES (99, 'x', 1)")


def test_database_url(database_url: str) -> None:
    """The URL is of an empty database on the engine it names."""
    url = urlsplit(database_url)
    if url.scheme == "sqlite":
        with closing(sqlite3.connect(url.path)) as connection:
            assert not connection.execute("SELECT * FROM sqlite_master").fetchall()
    else:
        assert url.port is not None
        listed = "SELECT count(*) FROM information_schema.tables WHERE table_schema = '{}'"
        assert ask(url.port, listed.format(url.path[1:])) == 0
