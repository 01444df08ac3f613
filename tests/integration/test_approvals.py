"""Approvals in a real database, on either engine: edited by others, kept over a restart, found by indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import create_engine

from relaytw.messages import ClientKey, Status
from relaytw.store import devices, rooms
from relaytw.store.approvals import Asked, Since, changes, look_up
from relaytw.store.devices import AskedDevice
from relaytw.store.rooms import AskedRoom
from relaytw.store.schema import metadata
from relaytw.store.statements import Transaction
from relaytw.store.urls import Engine
from tests.integration.relay_process import Site, eventually, scenario
from tests.integration.test_commands import done
from tests.mariadb import MariaDB

#: Seconds within which what others write has to be in force.
SOON = 5.0
AT = "2026-01-01 00:00:00"
Edit = Callable[..., list[Any]]


@pytest.fixture
def edit(database_url: str, request: pytest.FixtureRequest) -> Iterator[Edit]:
    """Runs statements on a database with its tables, as somebody else."""
    if database_url.startswith("sqlite:"):
        path = database_url.removeprefix("sqlite:")
        metadata.create_all(create_engine(f"sqlite:///{path}"))
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            yield lambda sql, *values: connection.execute(sql, values).fetchall()
        return
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    metadata.create_all(create_engine(database_url.replace("mysql:", "mysql+pymysql:", 1)))
    with closing(mariadb.connect(urlsplit(database_url).path[1:])) as client:

        def run(sql: str, *values: Any) -> list[Any]:
            with closing(client.cursor()) as cursor:
                cursor.execute(sql.replace("?", "%s"), values)
                return list(cursor.fetchall())

        yield run


@scenario(60)
async def test_edited(site: Site, database_url: str, edit: Edit) -> None:
    """What is written into the tables by hand reaches a phone that is on within five seconds."""
    site.configure({"database.url": database_url})
    await site.start()
    phone = await site.phone("phone")
    assert phone.answer is not None
    assert not phone.answer.approved
    edit("UPDATE kb_bot_devices SET status = 'approved' WHERE device_id = ?", "phone")
    await eventually(lambda: _says(phone, edit, "SELECT 1 FROM kb_rooms"), "a room that is known", SOON)
    edit("UPDATE kb_rooms SET status = 'approved'")
    await eventually(lambda: _says(phone, edit, None), "a reply", SOON)
    edit("UPDATE kb_bot_devices SET status = 'blocked', rejection_reason = 'lost 📱'")
    await eventually(lambda: phone.gone, "the end of a blocked phone", SOON)
    again = await site.phone("phone")
    assert again.answer is not None
    assert not again.answer.success
    assert "lost 📱" in again.answer.message
    acts = edit("SELECT actor, act FROM relaytw_audit ORDER BY id")
    assert ("database", "device blocked") in [tuple(act) for act in acts]


def _says(phone: Any, edit: Edit, sql: str | None) -> bool:
    phone.wire.say("room 😀", "# echo hello", channel_id="123")
    return bool(edit(sql) if sql is not None else phone.texts)


@scenario(60)
async def test_codes(site: Site, database_url: str, edit: Edit) -> None:
    """A phone and its room are approved by the codes that were shown, and stay so over a restart."""
    site.configure({"database.url": database_url})
    relay = await site.start()
    phone = await site.phone("phone 📱", bot="봇")
    assert phone.answer is not None
    code = phone.answer.message.partition("승인 코드: ")[2][:5]
    assert f"relayctl devices approve {code} (" in relay.out.decode()
    assert code in await done(site, "devices", "list", "--status", "pending")
    assert await done(site, "devices", "approve", code.lower()) == "봇@phone 📱 is approved.\n"
    phone.wire.say("방 😀", "# echo one")
    await eventually(lambda: b"relayctl rooms approve" in relay.out, "a hint")
    code = relay.out.decode().partition("relayctl rooms approve ")[2][:5]
    await done(site, "rooms", "approve", code)
    await phone.echoes("방 😀", "two")
    # The pin is written behind the phone's back.
    await eventually(lambda: edit("SELECT device_uuid FROM kb_bot_devices")[0][0] is not None, "a pin")
    relay.signal("TERM")
    await relay.gone()
    await site.start()
    phone = await site.phone("phone 📱", bot="봇")
    assert phone.answer is not None
    assert phone.answer.approved
    await phone.echoes("방 😀", "three")
    listed = await done(site, "audit")
    for text in ("admin:", "device approved", "room approved"):
        assert text in listed


@scenario(60)
async def test_alike(site: Site, mariadb: MariaDB) -> None:
    """In an old table that takes every emoji for every other, nobody has another one's approval."""
    url = mariadb.create("relay_alike")
    try:
        metadata.create_all(create_engine(url.replace("mysql:", "mysql+pymysql:", 1)))
        mariadb.execute(
            "ALTER TABLE kb_bot_devices "
            "MODIFY bot_name varchar(30) COLLATE utf8mb4_unicode_ci NOT NULL, "
            "MODIFY device_id varchar(100) COLLATE utf8mb4_unicode_ci NOT NULL",
            "relay_alike",
        )
        site.configure({"database.url": url, "auth.approve_new_devices": "true"})
        relay = await site.start()
        first = await site.phone("phone", bot="봇 😀")
        second = await site.phone("phone", bot="봇 😁")
        assert first.answer is not None
        assert second.answer is not None
        assert (first.answer.approved, second.answer.approved) == (True, False)
        await eventually(
            lambda: "takes its name for that of 봇 😀@phone" in relay.out.decode(), "a line on why"
        )
        said = await site.relayctl("devices", "approve", "봇 😁", "phone")
        assert said.code == 1
        assert "has no place in the table" in said.err
    finally:
        mariadb.drop("relay_alike")


class Explaining(Transaction):
    """A transaction that notes how its queries are carried out, on MariaDB."""

    __slots__ = ("plans",)

    def __init__(self, cursor: Any) -> None:
        super().__init__(cursor, Engine.MYSQL)
        self.plans: list[tuple[Any, ...]] = []

    def execute(self, text: str, values: Any = ()) -> int:
        """Note the plan, then run it."""
        if text.startswith(("SELECT", "UPDATE", "DELETE")):
            super().execute(f"EXPLAIN {text}", values)
            self.plans += self._cursor.fetchall()
        return super().execute(text, values)


def test_plans(mariadb: MariaDB) -> None:
    """With 10,000 devices and 100,000 rooms MariaDB finds what is asked for by an index."""
    url = mariadb.create("relay_plans")
    try:
        metadata.create_all(create_engine(url.replace("mysql:", "mysql+pymysql:", 1)))
        mariadb.execute(
            "INSERT INTO kb_bot_devices (bot_name, device_id, status, created_at, updated_at) "
            "SELECT 'bot', seq, 'approved', '2026-01-01', '2026-01-01' FROM seq_0_to_9999; "
            "INSERT INTO kb_rooms (room_id, bot_name, device_id, status, created_at, updated_at) "
            "SELECT seq DIV 10, 'bot', MOD(seq, 10), 'approved', '2026-01-01', '2026-01-01' "
            "FROM seq_0_to_99999; "
            "ANALYZE TABLE kb_bot_devices, kb_rooms",
            "relay_plans",
        )
        with closing(mariadb.connect("relay_plans")) as connection, closing(connection.cursor()) as cursor:
            transaction = Explaining(cursor)
            some = [ClientKey("bot", str(number)) for number in range(1, 4)]
            many = [ClientKey("bot", str(number)) for number in range(100)]
            for clients in (some[:1], some, many):
                asked = Asked(
                    [AskedDevice(client, Status.PENDING, "10.0.0.1") for client in clients],
                    [AskedRoom(client, "5", None, "name") for client in clients],
                )
                look_up(transaction, asked, AT)
            look_up(transaction, Asked([AskedDevice(ClientKey("bot", "new"), Status.PENDING)], [], 5), AT)
            late = "2026-01-02 00:00:00"
            changes(transaction, Since(devices.Since(late), rooms.Since(late)), 100)
            devices.pin(transaction, dict.fromkeys(some, "uuid"))
            unindexed = [plan for plan in transaction.plans if plan[3] == "ALL"]
        assert len(transaction.plans) > 10
        assert unindexed == []
    finally:
        mariadb.drop("relay_plans")
