"""A way to a server that is slow, refuses, or swallows what it is given, as its test wants it to be."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.ports import HOST, free_port


class SlowProxy:
    """Passes connections to `port` of loopback on to the server at `target`, from `pass_on` until `refuse`.

    `delay` is how many seconds later whatever clients send from now on is passed on; answers are not delayed.
    """

    def __init__(self, reactor: Any, target: int) -> None:
        self.reactor = reactor
        self.target = target
        self.port = free_port()
        self.delay = 0.0
        self.frozen = False
        self.clients: set[Client] = set()
        self._listening: IListeningPort | None = None

    def pass_on(self) -> None:
        """Take connections and pass on what is said, beginning with what a freeze held up."""
        self.frozen = False
        self._listen()
        for client in list(self.clients):
            client.thaw()

    def freeze(self) -> None:
        """Take connections, but pass nothing on in either direction: a network that swallows everything."""
        self.frozen = True
        self._listen()
        for client in self.clients:
            client.freeze()

    async def refuse(self) -> None:
        """Break off all connections; new ones are refused as soon as this is over."""
        listening, self._listening = self._listening, None
        for client in list(self.clients):
            client.abort()
        if listening is not None:
            await maybeDeferred(listening.stopListening)

    def _listen(self) -> None:
        if self._listening is None:
            self._listening = self.reactor.listenTCP(self.port, Clients(self), interface=HOST)


class Clients(Factory["Client"]):
    """Makes what talks to the proxy's clients."""

    noisy = False

    def __init__(self, proxy: SlowProxy) -> None:
        self._proxy = proxy

    def buildProtocol(self, addr: object) -> Client:
        return Client(self._proxy)


class Client(Protocol):
    """A client's connection, and what it said that has not been passed on."""

    transport: Any

    def __init__(self, proxy: SlowProxy) -> None:
        self._proxy = proxy
        self._server: Server | None = None
        self._connecting: Deferred[Any] | None = None
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._timer: IDelayedCall | None = None
        self._gone = False

    def connectionMade(self) -> None:
        self._proxy.clients.add(self)
        if self._proxy.frozen:
            self.freeze()
        else:
            self.thaw()

    def dataReceived(self, data: bytes) -> None:
        # When the delay has become shorter, it waits for what was said before.
        self._waiting.append((self._proxy.reactor.seconds() + self._proxy.delay, data))
        self._forward()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._forward()

    def freeze(self) -> None:
        """Say and hear nothing for now; what arrives stays with the kernel."""
        self._stop_waiting()
        self.transport.pauseProducing()
        if self._server is not None:
            self._server.transport.pauseProducing()

    def thaw(self) -> None:
        """Say and hear again, and what was missed."""
        self.transport.resumeProducing()
        if self._server is not None:
            self._server.transport.resumeProducing()
        elif self._connecting is None:
            endpoint = HostnameEndpoint(self._proxy.reactor, HOST, self._proxy.target)
            self._connecting = connectProtocol(endpoint, Server(self))
            self._connecting.addErrback(lambda _: self.unreachable())
        self._forward()

    def abort(self) -> None:
        """Break it off at both ends, and forget what was not passed on."""
        self._waiting.clear()
        self._stop_waiting()
        if self._server is not None:
            self._server.transport.abortConnection()
        elif self._connecting is not None:
            self._connecting.cancel()
        self.unreachable()

    def reached(self, server: Server) -> None:
        """The server took the connection."""
        self._server = server
        if self._proxy.frozen:
            server.transport.pauseProducing()
        self._forward()

    def unreachable(self) -> None:
        """The server did not take the connection, or has left."""
        self._proxy.clients.discard(self)
        self._stop_waiting()
        self.transport.abortConnection()

    def _forward(self) -> None:
        if self._proxy.frozen or self._server is None or self._timer is not None:
            return
        while self._waiting and self._waiting[0][0] <= self._proxy.reactor.seconds():
            self._server.transport.write(self._waiting.popleft()[1])
        if self._waiting:
            left = self._waiting[0][0] - self._proxy.reactor.seconds()
            self._timer = self._proxy.reactor.callLater(max(0, left), self._due)
        elif self._gone:
            self._server.transport.loseConnection()

    def _due(self) -> None:
        self._timer = None
        self._forward()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(Protocol):
    """The proxy's own connection to the server, for one client."""

    transport: Any

    def __init__(self, client: Client) -> None:
        self._client = client

    def connectionMade(self) -> None:
        self._client.reached(self)

    def dataReceived(self, data: bytes) -> None:
        self._client.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._client.unreachable()
