"""Databases that people have already: looked at, refused, upgraded, copied and put back, on both engines."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from relaytw.store.connections import ConnectionSettings, tune_sqlite
from relaytw.store.opening import connect
from relaytw.store.schema import metadata
from relaytw.store.urls import DatabaseUrl
from relaytw.store.urls import parse as parse_url
from tests.integration.legacy import ENGINES, NAMES, Engine, legacy
from tests.integration.relay_process import HOST, Site, eventually, reactor, scenario
from tests.mariadb import USER, MariaDB

#: What `db check` must say of each, by its codes, on either engine.
DRIFT = {
    "domaeka": {"case_insensitive", "room_concurrency"},
    "domaeka_oldest": {
        "missing_table", "descryption", "case_insensitive", "process_id", "device_id_unique",
        "rooms_not_per_device", "unknown_status", "room_id_suffix", "room_concurrency",
    },
    "kkobot": {
        "missing_table", "case_insensitive", "columns_owed", "device_id_unique", "rooms_not_per_device",
        "room_concurrency",
    },
}  # fmt: skip
Rows = dict[str, list[dict[str, Any]]]


class Shape(NamedTuple):
    """A database that somebody has."""

    name: str
    engine: Engine
    url: str


def look(url: str, tables: list[str] | None = None) -> Rows:
    """Every row of the tables that are there, by column."""
    parsed = parse_url(url, Path())
    settings = ConnectionSettings()
    found: Rows = {}
    with closing(connect(parsed, settings, None)) as connection:
        cursor = connection.cursor()
        for table in tables or _tables(cursor, parsed):
            cursor.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            found[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


def _tables(cursor: Any, url: DatabaseUrl) -> list[str]:
    mine = "sqlite_master WHERE type = 'table' AND name"
    if url.engine == "sqlite":
        cursor.execute(f"SELECT name FROM {mine} LIKE 'kb%'")
    else:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
    return sorted(name for (name,) in cursor.fetchall() if name.startswith("kb_"))


def within(old: Rows, new: Rows) -> bool:
    """Does the new database hold each row of the old one, every column of it unchanged?"""
    return all(
        [{name: row[name] for name in before} for before, row in zip(rows, new[table], strict=True)] == rows
        for table, rows in old.items()
    )


def make(mariadb: MariaDB, engine: Engine, folder: Path, script: str | None) -> str:
    """The URL of a new database, as this script leaves it."""
    name = f"shape_{uuid.uuid4().hex[:12]}"
    if engine == "mariadb":
        return mariadb.create(name, script)
    with closing(sqlite3.connect(folder / f"{name}.db")) as connection:
        connection.executescript(script or "")
    return f"sqlite:{folder / name}.db"


@pytest.fixture(params=[(name, engine) for name in NAMES for engine in ENGINES], ids="-".join)
def shape(request: pytest.FixtureRequest, mariadb: MariaDB, tmp_path: Path) -> Iterator[Shape]:
    """Each database that people have, on each engine."""
    name, engine = request.param
    url = make(mariadb, engine, tmp_path, legacy(name, engine))
    yield Shape(name, engine, url)
    if engine == "mariadb":
        mariadb.drop(url.rpartition("/")[2])


async def checked(site: Site) -> tuple[int, dict[str, Any]]:
    """What `db check` exits with and says."""
    said = await site.relayctl("db", "check", "--json")
    return said.code, json.loads(said.out)


@scenario(90)
async def test_taken_over(site: Site, shape: Shape) -> None:
    """An existing database is looked at, refused at the start, upgraded once, and keeps all it had."""
    site.configure({"database.url": shape.url})
    before = look(shape.url)

    code, report = await checked(site)
    assert (code, report["verdict"]) == (1, "needs_upgrade")
    codes = {difference["code"] for difference in report["differences"]}
    expected = DRIFT[shape.name] | ({"short_message"} if shape.engine == "mariadb" else set())
    assert codes == expected

    refused = await site.run("twistd", "-n", "relay", "--listen", site.endpoint)
    assert refused.code == 1
    assert "relayctl db upgrade" in refused.out + refused.err
    assert "Traceback" not in refused.out + refused.err

    dry = await site.relayctl("db", "upgrade", "--dry-run")
    assert (dry.code, look(shape.url)) == (0, before)
    asked = site.spawn("relayctl", "db", "upgrade")
    asked.close_stdin()
    assert (await asked.gone(), look(shape.url)) == (1, before)

    upgraded = await site.relayctl("db", "upgrade", "--yes")
    assert upgraded.code == 0, upgraded.err
    assert upgraded.out.count("done: ") == len(report["steps"])
    after = look(shape.url)
    assert set(after) == {name for name in metadata.tables if name.startswith("kb_")}
    assert within(before, after)

    code, report = await checked(site)
    assert (code, report["verdict"], report["steps"]) == (0, "fit", [])
    again = await site.relayctl("db", "upgrade", "--yes")
    assert (again.code, "needs nothing" in again.out, look(shape.url)) == (0, True, after)

    relay = await site.start()
    await relay.end()


@scenario(90)
async def test_copied(site: Site, shape: Shape, mariadb: MariaDB, tmp_path: Path) -> None:
    """A backup of an upgraded database, put back over changed rows, is every row again."""
    site.configure({"database.url": shape.url})
    assert (await site.relayctl("db", "upgrade", "--yes")).code == 0
    before = look(shape.url)
    copied = await site.relayctl("backup", "copy.tar.gz")
    assert copied.code == 0, copied.err
    parsed = parse_url(shape.url, Path())
    with closing(connect(parsed, ConnectionSettings(), None)) as connection:
        connection.cursor().execute("DELETE FROM kb_rooms")
        connection.cursor().execute("UPDATE kb_bot_devices SET status = 'blocked'")
        connection.commit()

    refused = await site.relayctl("restore", "copy.tar.gz")
    assert refused.code == 1
    assert "--replace" in refused.err
    restored = await site.relayctl("restore", "copy.tar.gz", "--replace")
    assert restored.code == 0, restored.err
    assert look(shape.url) == before


def sayings() -> list[str]:
    """Texts that are hard to keep."""
    return ["가" * 65_000, "👨‍👩‍👧‍👦" * 9000, "", "a\x00b\n\t\"'\\%s%%?:x", "e\u0301 ﷽ \U0010ffff"]


def fill(url: str) -> None:
    """Put rows that are hard to keep into a database of the relay's own making."""
    parsed = parse_url(url, Path())
    mark = "?" if parsed.engine == "sqlite" else "%s"
    with closing(connect(parsed, ConnectionSettings(), None)) as connection:
        if parsed.engine == "sqlite":
            connection.cursor().execute("BEGIN")
        for number, text in enumerate(sayings()):
            connection.cursor().execute(
                "INSERT INTO kb_chat_logs (channel_id, message, is_bot, created_at, client_timestamp) "
                f"VALUES ({mark}, {mark}, {mark}, '2026-02-28 23:59:59', NULL)",
                (str(number), text, number % 2),
            )
        connection.cursor().execute(
            "INSERT INTO kb_rooms (room_id, bot_name, device_id, room_name, room_owners) "
            f"VALUES ({mark}, '봇', 'Phone', '방 🏘️', '[\"가\"]')",
            ("1",),
        )
        connection.cursor().execute(
            "INSERT INTO kb_schedule (title, schedule_date, schedule_time, schedule_weekdays) "
            "VALUES ('인사', '2026-03-01', '09:30:00', 'monday,friday')"
        )
        connection.commit()


def plain(rows: Rows) -> Rows:
    """Rows as both engines would show them."""
    shown = {}
    for table, some in rows.items():
        shown[table] = [
            {
                name: value if isinstance(value, (int, float, str, type(None))) else _text(value)
                for name, value in row.items()
            }
            for row in some
        ]
    return shown


def _text(value: Any) -> str:
    text = str(value)
    return f"0{text}" if len(text) == len("9:30:00") and ":" in text else text


@pytest.mark.parametrize(("source", "target"), [(a, b) for a in ENGINES for b in ENGINES])
@scenario(90)
async def test_moved(site: Site, mariadb: MariaDB, tmp_path: Path, source: Engine, target: Engine) -> None:
    """A relay's tables and secrets move to another database, of either kind, with nothing lost."""
    old, new = make(mariadb, source, tmp_path, None), make(mariadb, target, tmp_path, None)
    site.configure({"database.url": old})
    relay = await site.start()
    fill(old)
    secret, token = site.secret, site.state("admin-token")
    copied = await site.relayctl("backup", "copy.tar.gz")
    assert copied.code == 0, copied.err
    assert (site.folder / "copy.tar.gz").stat().st_mode & 0o777 == 0o600
    busy = await site.relayctl("restore", "copy.tar.gz", "--replace")
    assert (busy.code, "running" in busy.err) == (1, True)
    await relay.end()

    site.configure({"database.url": new, "relay.state_dir": "moved"})
    restored = await site.relayctl("restore", "copy.tar.gz")
    assert restored.code == 0, restored.err
    assert plain(look(new)) == plain(look(old))
    moved = site.folder / "moved"
    assert ((moved / "secret").read_bytes().strip(), (moved / "admin-token").read_bytes().strip()) == (
        secret,
        token,
    )
    relay = await site.listening(site.spawn("twistd", "-n", "relay", "--listen", site.endpoint))
    await relay.end()


@scenario(60)
async def test_in_use(site: Site, tmp_path: Path) -> None:
    """A file that somebody has open is not restored to, whoever that is."""
    site.configure({"database.url": f"sqlite:{tmp_path / 'shared.db'}"})
    relay = await site.start()
    await relay.end()
    assert (await site.relayctl("backup", "copy.tar.gz")).code == 0
    with closing(sqlite3.connect(tmp_path / "shared.db")) as connection:
        tune_sqlite(connection)
        connection.execute("SELECT * FROM kb_rooms").fetchall()
        refused = await site.relayctl("restore", "copy.tar.gz", "--replace")
        assert (refused.code, "is in use" in refused.err) == (1, True), refused.err
        assert (await site.relayctl("backup", "again.tar.gz")).code == 0
    assert (await site.relayctl("restore", "copy.tar.gz", "--replace")).code == 0


@scenario(60)
async def test_two_at_once(site: Site, database_url: str) -> None:
    """Several upgrades of an empty database at the same moment all succeed, and it is made once."""
    site.configure({"database.url": database_url})
    upgrades = [site.spawn("relayctl", "db", "upgrade", "--yes") for _ in range(3)]
    for child in upgrades:
        assert await child.gone(30) == 0, child.err
    code, report = await checked(site)
    assert (code, report["verdict"], report["migrations"]) == (0, "fit", [1, 2])


@scenario(60)
async def test_newer(site: Site, database_url: str) -> None:
    """A database of a newer relay is left alone, by the start too, and says whose it is."""
    site.configure({"database.url": database_url})
    assert (await site.relayctl("db", "upgrade", "--yes")).code == 0
    with closing(connect(parse_url(database_url, Path()), ConnectionSettings(), None)) as connection:
        connection.cursor().execute("INSERT INTO relaytw_migrations VALUES (99, 'later', 0, '9.0')")
        connection.commit()
    code, report = await checked(site)
    assert (code, report["verdict"]) == (2, "not_understood")
    refused = await site.run("twistd", "-n", "relay", "--listen", site.endpoint)
    assert refused.code == 1
    assert "relaytw 9.0" in refused.out + refused.err


@scenario(90)
async def test_away_at_start(site: Site, mariadb: MariaDB) -> None:
    """A relay starts without its database, and makes the tables when it is there."""
    url = make(mariadb, "mariadb", site.folder, None)
    mariadb.stop()
    site.configure({"database.url": url})
    try:
        relay = await site.start()
        assert b"does not answer" in relay.out
        assert (await site.relayctl("db", "check")).code == 3
    finally:
        mariadb.start()
    await eventually(
        lambda: f"made {len(metadata.tables)} tables".encode() in relay.out, "tables that are made", 30
    )
    code, report = await checked(site)
    assert (code, report["verdict"]) == (0, "fit")
    await relay.end()


@scenario(90)
async def test_away_and_old(site: Site, mariadb: MariaDB) -> None:
    """A database that is back and turns out to need an upgrade is left alone, and that is logged."""
    url = make(mariadb, "mariadb", site.folder, legacy("kkobot", "mariadb"))
    before = look(url)
    mariadb.stop()
    site.configure({"database.url": url})
    try:
        relay = await site.start()
    finally:
        mariadb.start()
    await eventually(lambda: b"relayctl db upgrade" in relay.out, "a word on the upgrade", 30)
    assert look(url) == before
    assert (await site.relayctl("db", "upgrade", "--yes")).code == 0
    await eventually(lambda: b"the database is back" in relay.out, "a database that is used", 30)
    await relay.end()


@scenario(60)
async def test_goes_on(site: Site, mariadb: MariaDB) -> None:
    """An upgrade that the server refuses half-way says what was done, and goes on from there."""
    url = make(mariadb, "mariadb", site.folder, legacy("domaeka", "mariadb"))
    granted = url.rpartition("/")[2].replace("_", r"\_")
    site.configure({"database.url": url})
    mariadb.execute(f"REVOKE INDEX ON `{granted}`.* FROM '{USER}'@'{HOST}'")
    failed = await site.relayctl("db", "upgrade", "--yes")
    assert failed.code == 1
    assert "could not " in failed.err
    assert "again to go on" in failed.err
    mariadb.execute(f"GRANT INDEX ON `{granted}`.* TO '{USER}'@'{HOST}'")
    assert (await site.relayctl("db", "upgrade", "--yes")).code == 0
    assert (await checked(site))[0] == 0


@scenario(60)
async def test_large(site: Site, database_url: str) -> None:
    """With 10,000 devices and 100,000 rooms the relay is ready within three seconds."""
    site.configure({"database.url": database_url})
    assert (await site.relayctl("db", "upgrade", "--yes")).code == 0
    parsed = parse_url(database_url, Path())
    mark = "?" if parsed.engine == "sqlite" else "%s"
    with closing(connect(parsed, ConnectionSettings(), None)) as connection:
        cursor = connection.cursor()
        if parsed.engine == "sqlite":
            cursor.execute("BEGIN")
        cursor.executemany(
            f"INSERT INTO kb_bot_devices (bot_name, device_id) VALUES ({mark}, {mark})",
            [("bot", f"device {number}") for number in range(10_000)],
        )
        cursor.executemany(
            f"INSERT INTO kb_rooms (room_id, bot_name, device_id) VALUES ({mark}, {mark}, {mark})",
            [(str(number), "bot", f"device {number % 10_000}") for number in range(100_000)],
        )
        connection.commit()
    took = []
    for _ in range(3):
        # On a machine that does other things too a start may be slow for reasons of theirs.
        begun = reactor.seconds()
        relay = await site.start()
        took.append(reactor.seconds() - begun)
        await relay.end()
        if took[-1] < 3:
            return
    raise AssertionError(took)
