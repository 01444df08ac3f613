"""The proxy that other tests rely on delays, refuses and swallows what it should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pymysql
import pytest
import pytest_twisted  # type: ignore[import-untyped]
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from tests.integration.relay_process import HOST, eventually, reactor, scenario
from tests.integration.slow_proxy import SlowProxy
from tests.mariadb import MariaDB, ask, connect

#: One character to a reader, seven code points, and 25 bytes.
FAMILY = "👨‍👩‍👧‍👦"
RUNNING = "SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(0.2)'"


@pytest_twisted.async_yield_fixture
async def proxy(mariadb: MariaDB) -> AsyncIterator[SlowProxy]:
    """A way to the server that passes on."""
    mariadb.start()
    proxy = SlowProxy(reactor, mariadb.port)
    proxy.pass_on()
    yield proxy
    await proxy.refuse()


async def seconds(asking: Deferred[Any]) -> float:
    """How long this takes."""
    begun = reactor.seconds()
    await asking
    return float(reactor.seconds() - begun)


@scenario(30)
async def test_passes_on(proxy: SlowProxy, mariadb: MariaDB) -> None:
    """Whatever the size of question and answer, both arrive as they were."""
    assert await deferToThread(ask, proxy.port, f"SELECT '{FAMILY * 40_000}'") == FAMILY * 40_000
    await eventually(lambda: not proxy.clients, "the end of the connection")


@scenario(30)
async def test_delay(proxy: SlowProxy) -> None:
    """What a client says is passed on later by the delay, which may change while it is connected."""
    connection = await deferToThread(connect, proxy.port)
    for delay in (0.3, 0.0):
        proxy.delay = delay
        assert delay <= await seconds(deferToThread(connection.ping, reconnect=False)) < delay + 0.25
    await deferToThread(connection.close)


class Listener(Protocol):
    """A server that only listens."""

    factory: Any

    def dataReceived(self, data: bytes) -> None:
        self.factory.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.over = True


@scenario(30)
async def test_delay_keeps_order(proxy: SlowProxy) -> None:
    """Nothing overtakes what was said under a longer delay, and all is heard though its client has left."""
    server: Any = Factory.forProtocol(Listener)
    server.heard, server.over = b"", False
    listening = reactor.listenTCP(0, server, interface=HOST)
    proxy.target, proxy.delay = listening.getHost().port, 0.3
    said = await connectProtocol(HostnameEndpoint(reactor, HOST, proxy.port), Protocol())
    said.transport.write(b"first ")
    (client,) = await eventually(lambda: proxy.clients, "a client")
    await eventually(lambda: client._waiting, "what it said")
    proxy.delay = 0.0
    said.transport.write(b"second")
    said.transport.loseConnection()
    await eventually(lambda: server.over, "the end of the connection")
    assert server.heard == b"first second"
    await listening.stopListening()


@scenario(30)
async def test_refuse(proxy: SlowProxy) -> None:
    """Refusing ends the connections there are and lets nobody in, until things are passed on again."""
    connection = await deferToThread(connect, proxy.port)
    await proxy.refuse()
    with pytest.raises(pymysql.err.OperationalError):
        await deferToThread(connection.ping, reconnect=False)
    with pytest.raises(pymysql.err.OperationalError, match="refused"):
        await deferToThread(ask, proxy.port)
    proxy.pass_on()
    assert await deferToThread(ask, proxy.port) == 1


@scenario(30)
async def test_freeze(proxy: SlowProxy, mariadb: MariaDB) -> None:
    """A frozen proxy takes connections, but no question and no answer; those get there once it passes on."""
    asking = deferToThread(ask, proxy.port, "SELECT SLEEP(0.2)")
    await eventually(lambda: mariadb.execute(RUNNING), "a statement that runs")
    proxy.freeze()
    with pytest.raises(pymysql.err.OperationalError, match=r"timed out|Lost connection"):
        await deferToThread(ask, proxy.port, timeout=0.5)
    assert not mariadb.execute(RUNNING)
    assert not asking.called
    proxy.pass_on()
    assert await asking == 0


@scenario(30)
async def test_no_server(proxy: SlowProxy, mariadb: MariaDB) -> None:
    """Without a server behind it, connections through the proxy break off."""
    mariadb.stop()
    with pytest.raises(pymysql.err.OperationalError):
        await deferToThread(ask, proxy.port)
    mariadb.start()
    assert await deferToThread(ask, proxy.port) == 1
