"""An HTTP agent that does what the test says, and a backend around it."""

from __future__ import annotations

from random import Random
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from relaytw.messages import Answer, Message
from relaytw.metrics import Metrics
from relaytw.services.webhooks.backend import Backend, BackendSettings
from relaytw.services.webhooks.exchange import Exchange, PlainAgent

SECRET = b"s3cret"
NOW = 1_767_225_600.0


class Transport:
    """Remembers whether its connection was aborted."""

    def __init__(self) -> None:
        self.aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def loseConnection(self) -> None:
        raise AssertionError("a body that nobody waits for is aborted")


@implementer(IResponse)
class FakeResponse:
    """A response whose body comes when the test says so."""

    version = (b"HTTP", 1, 1)
    phrase = b""
    request = None
    previousResponse = None  # noqa: N815

    def __init__(self, code: int, headers: dict[str, str], *pieces: bytes, ends: bool = True) -> None:
        self.code = code
        self.headers = Headers({name: [value] for name, value in headers.items()})
        self.length = sum(map(len, pieces))
        self.transport = Transport()
        self._pieces = pieces
        self._ends = ends

    def deliverBody(self, protocol: Any) -> None:
        protocol.makeConnection(self.transport)
        for piece in self._pieces:
            protocol.dataReceived(piece)
        if self._ends:
            self.end(protocol)

    def end(self, protocol: IProtocol) -> None:
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, response: object) -> None:
        pass


class Request:
    """A request that waits for what the test makes of it."""

    def __init__(self, uri: bytes, headers: Headers, body: bytes) -> None:
        self.uri = uri
        self.headers = headers
        self.body = body
        self.cancelled = False
        self.answer: Deferred[IResponse] = Deferred(self._cancel)

    def header(self, name: str) -> str:
        return str((self.headers.getRawHeaders(name) or [""])[0])

    def respond(
        self, code: int = 200, *pieces: bytes, ends: bool = True, headers: dict[str, str] | None = None
    ) -> FakeResponse:
        response = FakeResponse(
            code, {"Content-Type": "application/json", **(headers or {})}, *pieces, ends=ends
        )
        self.answer.callback(response)
        return response

    def _cancel(self, _: object) -> None:
        self.cancelled = True


class _Collected:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


@implementer(IAgent)
class FakeAgent:
    """Keeps requests in order."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        assert method == b"POST"
        assert headers is not None
        collected: Any = _Collected()
        if bodyProducer is not None:
            bodyProducer.startProducing(collected)
        made = Request(uri, headers, collected.data)
        self.requests.append(made)
        return made.answer


class Site:
    """A backend whose other end is the test."""

    def __init__(self, *, most: int = 1000, **settings: Any) -> None:
        self.clock = Clock()
        self.agent = FakeAgent()
        self.metrics = Metrics()
        client = HTTPClient(PlainAgent(self.agent))
        exchange = Exchange(client, self.clock, "http://127.0.0.1/hook", seconds=10, most=most)
        self.backend = Backend(
            "*", exchange, self.clock, lambda: NOW, Random(1), self.metrics, BackendSettings(**settings)
        )

    def ask(self, message: Message) -> Deferred[Answer]:
        return Deferred.fromCoroutine(self.backend.ask(message, SECRET))

    @property
    def last(self) -> Request:
        return self.agent.requests[-1]
