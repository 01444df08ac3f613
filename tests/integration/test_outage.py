"""A database that stops, hangs and crawls under load: whoever is known goes on, nobody else gets in."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThread

from tests.integration.conftest import OPEN
from tests.integration.relay_process import Phone, Site, eventually, eventually_asked, reactor, scenario
from tests.integration.slow_proxy import SlowProxy
from tests.mariadb import MariaDB

#: Seconds within which a message is answered, whatever the database does.
PROMPT = 2.0
RATE = 100


class Outage:
    """A relay whose way to MariaDB the test has in its hands."""

    def __init__(self, site: Site, server: MariaDB, proxy: SlowProxy, name: str) -> None:
        self.site = site
        self.server = server
        self.proxy = proxy
        self.name = name

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the tables hold, asked past the proxy."""
        return await deferToThread(self._rows, sql)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self.server.connect(self.name)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    async def logged(self, like: str) -> int:
        """How many chat rows there are like this."""
        [(count,)] = await self.rows(f"SELECT COUNT(*) FROM kb_chat_logs WHERE message LIKE '{like}'")
        return int(count)

    async def metric(self, name: str) -> float:
        """A figure of `/metrics`."""
        for line in (await self.site.ask_metrics()).splitlines():
            if line.split(" ")[0] == name:
                return float(line.split(" ")[1])
        raise AssertionError(f"there is no {name}")


class Load:
    """Phones that talk all the time, and what became of what they said; `slowest` answer in seconds."""

    def __init__(self, phones: list[Phone]) -> None:
        self.phones = phones
        self.count = 0
        self.said: dict[str, float] = {}
        self.slowest = 0.0
        self._heard = {id(phone): len(phone.texts) for phone in phones}
        self._loop = LoopingCall(self._turn)

    def start(self) -> None:
        """Begin to talk."""
        self._loop.start(1 / RATE).addErrback(lambda failure: failure.printTraceback())

    async def stop(self) -> int:
        """Talk no more, and wait for every answer; how many messages there were."""
        self._loop.stop()
        await eventually(lambda: self._listen() or not self.said, f"answers to {list(self.said)[:5]}")
        return self.count

    def _turn(self) -> None:
        phone = self.phones[self.count % len(self.phones)]
        self.count += 1
        text = f"load {self.count}"
        self.said[text] = reactor.seconds()
        phone.wire.say(f"room {self.count % 4}", f"# echo {text}")
        self._listen()

    def _listen(self) -> bool:
        now = reactor.seconds()
        for phone in self.phones:
            for text in phone.texts[self._heard[id(phone)] :]:
                at = self.said.pop(str(text).removeprefix("에코: "), None)
                assert at is not None, f"{text} was answered twice"
                self.slowest = max(self.slowest, now - at)
            self._heard[id(phone)] = len(phone.texts)
        return False


@pytest_twisted.async_yield_fixture
async def outage(tmp_path: Path, mariadb: MariaDB) -> AsyncIterator[Outage]:
    """A relay that approves everybody new, on a database of its own behind a proxy."""
    name = f"outage_{uuid.uuid4().hex}"
    mariadb.create(name)
    proxy = SlowProxy(reactor, mariadb.port)
    proxy.pass_on()
    url = mariadb.url(name).replace(f":{mariadb.port}/", f":{proxy.port}/")
    site = Site(tmp_path, {**OPEN, "database.url": url, "database.query_timeout": 3})
    await site.start()
    yield Outage(site, mariadb, proxy, name)
    await site.close()
    await proxy.refuse()
    mariadb.drop(name)


async def talking(outage: Outage) -> Load:
    """A load of known phones in known rooms, which are all answered before the database is touched."""
    phones = [await outage.site.phone(f"known-{number}") for number in range(4)]
    for phone in phones:
        for room in range(4):
            await phone.echoes(f"room {room}", f"hello from {room}")
    load = Load(phones)
    load.start()
    return load


async def waits(seconds: float) -> None:
    """Let so much time pass for a load to go on in."""
    await deferLater(reactor, seconds)


async def all_rows(outage: Outage, load: Load) -> None:
    """Every message of the load and every answer to it gets into its table, once, and none is dropped."""
    await eventually_asked(
        lambda: outage.logged("# echo load %"), lambda found: found >= load.count, "all questions", 30
    )
    await eventually_asked(
        lambda: outage.logged("에코: load %"), lambda found: found >= load.count, "all answers", 30
    )
    assert await outage.logged("# echo load %") == load.count
    dropped = [
        line for line in (await outage.site.ask_metrics()).splitlines()
        if line.startswith("relaytw_rows_dropped_total{") and not line.endswith(" 0.0")
    ]  # fmt: skip
    assert dropped == []


@scenario(120)
async def test_stopped(outage: Outage) -> None:
    """Without a database known phones are served as before, a stranger waits, and no row is lost.

    The stranger would have been approved, had the database said that it never saw him; it does when it is
    back, and he is answered without connecting anew.
    """
    load = await talking(outage)
    other = await outage.site.phone("other")
    await other.echoes("room 0", "hello")
    await deferToThread(outage.server.stop)
    try:
        await waits(2)
        assert await outage.metric("relaytw_database_up") == 0
        stranger = await outage.site.phone("stranger")
        assert stranger.answer is not None
        assert (stranger.answer.success, stranger.answer.approved) == (True, False)
        stranger.wire.say("room", "# echo let me in")
        other.reset()
        again = await outage.site.phone("other")
        await again.echoes("room 0", "back again")
        assert again.answer is not None
        assert again.answer.approved
        await waits(2)
        assert stranger.texts == []
        assert await outage.metric("relaytw_rows_waiting") > 0
    finally:
        outage.server.start()
    await eventually_asked(lambda: outage.metric("relaytw_database_up"), lambda up: up == 1, "the return")
    await eventually_asked(
        lambda: outage.rows("SELECT status FROM kb_bot_devices WHERE device_id = 'stranger'"),
        lambda rows: rows == [("approved",)],
        "a row of the stranger",
    )
    await eventually_asked(lambda: said(stranger, "and now?"), bool, "an answer to the stranger")
    await load.stop()
    assert load.slowest < PROMPT
    await all_rows(outage, load)


async def said(phone: Phone, text: str) -> bool:
    """Was this, or what was said like this before, answered by now?"""
    phone.wire.say("stranger's room", f"# echo {text}")
    return bool(phone.texts)


@scenario(120)
async def test_slow(outage: Outage) -> None:
    """With five seconds to each question nothing waits on the way of a message, and all rows get there."""
    load = await talking(outage)
    outage.proxy.delay = 5
    await waits(8)
    outage.proxy.delay = 0
    await load.stop()
    assert load.slowest < PROMPT
    await all_rows(outage, load)


@scenario(120)
async def test_hanging(outage: Outage) -> None:
    """A database that takes connections and says nothing counts as away; what is written meanwhile waits."""
    load = await talking(outage)
    outage.proxy.freeze()
    await eventually_asked(lambda: outage.metric("relaytw_database_up"), lambda up: up == 0, "the loss", 20)
    stranger = await outage.site.phone("stranger")
    assert stranger.answer is not None
    assert not stranger.answer.approved
    outage.proxy.pass_on()
    await eventually_asked(lambda: outage.metric("relaytw_database_up"), lambda up: up == 1, "the return", 20)
    await load.stop()
    assert load.slowest < PROMPT
    await eventually_asked(
        lambda: outage.logged("# echo load %"), lambda found: found >= load.count, "all questions", 30
    )


@scenario(120)
async def test_restarted_again_and_again(outage: Outage) -> None:
    """A database that is killed and comes back under load loses no row and holds up no message."""
    load = await talking(outage)
    for _ in range(3):
        await waits(0.7)
        await deferToThread(outage.server.kill)
        await waits(0.7)
        outage.server.start()
    await load.stop()
    assert load.slowest < PROMPT
    await eventually_asked(
        lambda: outage.logged("# echo load %"), lambda found: found >= load.count, "all questions", 30
    )


@scenario(60)
async def test_away_at_the_start(outage: Outage) -> None:
    """A relay without a database at its start serves all the same: nobody is approved until it answers."""
    for child in outage.site.children:
        await child.end()
    await deferToThread(outage.server.stop)
    try:
        await outage.site.start()
        phone = await outage.site.phone("known-0")
        assert phone.answer is not None
        assert (phone.answer.success, phone.answer.approved) == (True, False)
    finally:
        outage.server.start()
    await eventually_asked(lambda: said(phone, "hello"), bool, "an answer")
