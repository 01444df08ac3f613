"""Pushes, broadcasts and schedules on a real relay and both engines, over crashes too."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pymysql
import pytest
import treq
from twisted.web.http_headers import Headers

from tests.integration.conftest import OPEN
from tests.integration.relay_process import (
    HOST,
    PATIENCE,
    Phone,
    Site,
    eventually,
    eventually_asked,
    scenario,
)
from tests.integration.test_commands import done

Sql = Callable[..., list[Any]]
ROOM = {"bot": "bot", "room": "room"}


@pytest.fixture
def sql(database_url: str, request: pytest.FixtureRequest) -> Sql:
    """Runs statements on the relay's database, as the back office does."""

    def run(statement: str, *values: Any) -> list[Any]:
        if database_url.startswith("sqlite:"):
            path = database_url.removeprefix("sqlite:")
            with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
                return connection.execute(statement, values).fetchall()
        mariadb = request.getfixturevalue("mariadb")
        connection = mariadb.connect(urlsplit(database_url).path[1:])
        with closing(connection) as client, closing(client.cursor()) as cursor:
            assert isinstance(client, pymysql.connections.Connection)
            cursor.execute(statement.replace("?", "%s"), values)
            client.commit()
            return list(cursor.fetchall())

    return run


async def ask(
    site: Site, method: str, path: str, body: Any = None, *, token: str | None = None, key: str | None = None
) -> tuple[int, Any]:
    """Ask the API: the HTTP status and the answer."""
    headers = Headers()
    shown = token.encode() if token is not None else site.state("admin-token")
    headers.addRawHeader(b"Authorization", b"Bearer " + shown)
    if key is not None:
        headers.addRawHeader(b"Idempotency-Key", key.encode())
    data = None
    if body is not None:
        headers.addRawHeader(b"Content-Type", b"application/json")
        data = json.dumps(body).encode()
    url = f"http://{HOST}:{site.admin_port}{path}"
    response = await treq.request(method, url, headers=headers, data=data, persistent=False, timeout=PATIENCE)
    return response.code, json.loads(await response.content())


async def outcome(site: Site, push: str, wanted: str, seconds: float = PATIENCE) -> None:
    """Wait until this has become of a push."""

    async def look() -> str:
        return str((await ask(site, "GET", f"/api/v1/messages/{push}"))[1]["rooms"][0]["outcome"])

    await eventually_asked(look, lambda found: found == wanted, f"{push} {wanted}", seconds)


async def known(site: Site, *rooms: str, device: str = "phone") -> Phone:
    """A phone whose rooms the relay knows."""
    phone = await site.phone(device)
    for room in rooms or ("room",):
        await phone.echoes(room, f"hello {room}")
    return phone


def configured(site: Site, database_url: str, **more: object) -> None:
    """Let everybody talk, on this database."""
    site.configure(
        {"database.url": database_url, "database.auto_upgrade": "true", "ping.interval": 0.5, **OPEN}
    )
    site.configure({key.replace("__", "."): value for key, value in more.items()})


@scenario(60)
async def test_push(site: Site, database_url: str) -> None:
    """A phone that is on is told at once, one that is away when it comes, each key once."""
    configured(site, database_url)
    await site.start()
    token = (await done(site, "tokens", "issue", "shop", "--scope", "push", "--bot", "bot")).strip()
    phone = await known(site)
    news = {**ROOM, "text": "news 😀"}
    status, push = await ask(site, "POST", "/api/v1/messages", news, token=token, key="k")
    assert status == 202, push
    await phone.hears("news 😀")
    again = await ask(site, "POST", "/api/v1/messages", news, token=token, key="k")
    assert again[1]["id"] == push["id"]
    other = await ask(site, "POST", "/api/v1/messages", {**ROOM, "text": "other"}, token=token, key="k")
    assert (other[0], other[1]["error"]["code"]) == (409, "key_used")
    await outcome(site, push["id"], "sent-unconfirmed")
    assert phone.texts.count("news 😀") == 1
    phone.reset()
    _, push = await ask(site, "POST", "/api/v1/messages", {**ROOM, "text": "later"}, token=token)
    await outcome(site, push["id"], "waiting")
    phone = await site.phone("phone")
    await phone.hears("later")
    await outcome(site, push["id"], "sent-unconfirmed")
    await done(site, "tokens", "revoke", "shop")
    assert (await ask(site, "GET", f"/api/v1/messages/{push['id']}", token=token))[0] == 401


@scenario(60)
async def test_later(site: Site, database_url: str) -> None:
    """A push for later survives kill -9 and is sent once."""
    configured(site, database_url)
    relay = await site.start()
    await known(site)
    when = datetime.fromtimestamp(time.time() + 3, UTC).isoformat()
    _, push = await ask(site, "POST", "/api/v1/messages", {**ROOM, "text": "late", "when": when})
    relay.signal("KILL")
    await relay.gone()
    await site.start()
    phone = await site.phone("phone")
    await phone.hears("late")
    await outcome(site, push["id"], "sent-unconfirmed")
    assert phone.texts.count("late") == 1


@scenario(90)
async def test_broadcast(site: Site, database_url: str) -> None:
    """A broadcast is paused, goes on over a crash without telling anybody twice, and is cancelled."""
    configured(site, database_url, push__broadcast_per_minute=60)
    relay = await site.start()
    rooms = [f"r{number}" for number in range(8)]
    phone = await known(site, *rooms)
    name = (await done(site, "broadcast", "start", "all", "--bot", "bot", "--yes")).strip()
    await eventually(lambda: phone.texts.count("all") >= 2, "two rooms that are told")
    await done(site, "broadcast", "pause", name)
    told = [reply.room for reply in phone.replies if reply.text == "all"]
    relay.signal("KILL")
    await relay.gone()
    await site.start()
    phone = await site.phone("phone")
    await done(site, "broadcast", "resume", name)
    await eventually(lambda: phone.texts.count("all") >= 2, "two more")
    await done(site, "broadcast", "cancel", name)
    told += [reply.room for reply in phone.replies if reply.text == "all"]
    assert len(told) == len(set(told)), told

    async def look() -> Any:
        return (await ask(site, "GET", f"/api/v1/broadcasts/{name}"))[1]["outcomes"]

    counts = await eventually_asked(look, lambda found: "waiting" not in found, "an end")
    assert counts["cancelled"] == 8 - len(told), counts


def add_row(sql: Sql, later: float) -> str:
    """Write a schedule as the back office does; when it is due."""
    at = datetime.fromtimestamp(int(time.time() + later), ZoneInfo("Asia/Seoul")).strftime(
        "%Y-%m-%d %H:%M:%S"
    )
    sql(
        "INSERT INTO kb_schedule (title, target_bot_name, target_device_id, target_room_id, message_text, "
        "schedule_type, schedule_time, valid_from, valid_until, status, next_send_at) "
        "VALUES ('아침', 'bot', 'phone', 'room', '좋은 아침 ☀️', 'daily', ?, '2020-01-01 00:00:00', "
        "'2099-12-31 23:59:59', 'active', ?)", at[11:], at,
    )  # fmt: skip
    return at


@scenario(90)
async def test_schedules(site: Site, database_url: str, sql: Sql) -> None:
    """A row of the back office is run at its second, and one that was due meanwhile after that."""
    configured(site, database_url, schedules__refresh_interval=0.5)
    relay = await site.start()
    phone = await known(site)
    at = add_row(sql, 3)
    await phone.hears("좋은 아침 ☀️")
    due = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo("Asia/Seoul")).timestamp()
    assert 0 <= time.time() - due < 1.5
    runs = "SELECT status, outcome FROM kb_schedule_logs ORDER BY id"
    await eventually(
        lambda: [tuple(row) for row in sql(runs)] == [("partial", "sent-unconfirmed")], "an outcome"
    )
    add_row(sql, 2)
    relay.signal("KILL")
    await relay.gone()
    await eventually(lambda: time.time() > due + 3, "the second schedule's time")
    await site.start()
    phone = await site.phone("phone")
    await phone.hears("좋은 아침 ☀️")
    await eventually(lambda: len(sql(runs)) == 2 and sql(runs)[1][1] == "sent-unconfirmed", "a second run")
    assert phone.texts.count("좋은 아침 ☀️") == 1
    assert [row[0] for row in sql("SELECT send_count FROM kb_schedule ORDER BY id")] == [1, 1]


@scenario(60)
async def test_examples(open_site: Site) -> None:
    """The commands of the document do what it says."""
    await open_site.start()
    await known(open_site, "가족")
    text = (Path(__file__).parents[2] / "docs" / "pushing.md").read_text(encoding="utf-8")
    token = ""
    count = 0
    for command in re.findall(r"^    \$ (.+(?:\n      .+)*)", text, re.MULTILINE):
        line = command.replace("\\\n", " ").replace("127.0.0.1:8490", f"{HOST}:{open_site.admin_port}")
        environ = f"export PATH={Path(pytest.__file__).parents[4] / 'bin'}:$PATH TOKEN={token}; "
        child = open_site.shell(environ + line)
        code = await child.gone(2 * PATIENCE)
        assert code == 0, (line, child.out, child.err)
        assert b'"error"' not in child.out, (line, child.out)
        if "tokens issue" in line:
            token = child.out.decode().strip()
        count += 1
    assert count >= 8
