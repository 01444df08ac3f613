"""One HTTP exchange with a webhook: bounded in time and bytes, and honest about what became of it."""

from __future__ import annotations

from typing import Any

from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet import error as net
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web._newclient import RequestNotSent
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

OK, NO_CONTENT, MULTIPLE_CHOICES = 200, 204, 300
BAD_REQUEST, TOO_MANY_REQUESTS, SERVER_ERROR, UNAVAILABLE = 400, 429, 500, 503
_LONGEST_RETRY_AFTER = 3600.0


class NoAnswer(Exception):
    """A webhook has not answered: `why` is a word for metrics, the text a sentence.

    `again` says that it has certainly not taken the message up, `after` when it wants to be asked again
    (seconds), `alive` that the fault is the request's rather than the backend's.
    """

    def __init__(
        self, why: str, text: str, *, again: bool = False, after: float = 0.0, alive: bool = False
    ) -> None:
        super().__init__(text)
        self.why = why
        self.again = again
        self.after = after
        self.alive = alive


@implementer(IAgent)
class PlainAgent:
    """Asks for what is not compressed: nobody can say how large the rest of it will be."""

    def __init__(self, agent: Any) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: Any = None,  # noqa: N803
    ) -> Deferred[IResponse]:
        """Make the request; fails with NoAnswer if the response is compressed all the same."""
        headers = headers.copy() if headers is not None else Headers()
        headers.setRawHeaders(b"Accept-Encoding", [b"identity"])
        response: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        return response.addCallback(_plain)


def _plain(response: IResponse) -> IResponse:
    encodings = response.headers.getRawHeaders(b"Content-Encoding", [])
    if any(encoding.strip().lower() != b"identity" for encoding in encodings):
        response.deliverBody(_Unread())
        raise NoAnswer("bad_reply", "its answer is compressed, which nobody has asked for")
    return response


@implementer(IBodyProducer)
class _Sent:
    """The body of a request, which is in memory and so is written in one go."""

    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> Deferred[None]:  # noqa: N802
        """Write it."""
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written already."""

    def resumeProducing(self) -> None:
        """It is written already."""

    def stopProducing(self) -> None:
        """It is written already."""


class _Unread(Protocol):
    """Aborts the connection of a body that nobody wants."""

    def connectionMade(self) -> None:
        _abort(self.transport)


class _Body(Protocol):
    """Collects a body of at most `most` bytes; aborts the connection when there are more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pieces: list[bytes] = []
        self._size = 0
        self.done: Deferred[bytes] = Deferred(self._give_up)

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._most:
            self._pieces.append(data)
            return
        self._pieces.clear()
        if not self.done.called:
            self.done.errback(NoAnswer("bad_reply", f"its answer is longer than {self._most} bytes"))
        _abort(self.transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._pieces))
        else:
            self.done.errback(NoAnswer("broken", f"its answer broke off: {reason.getErrorMessage()}"))

    def _give_up(self, _: object) -> None:
        _abort(self.transport)


def _abort(transport: Any) -> None:
    # Not every transport of a response can be aborted; all of them can be closed.
    getattr(transport, "abortConnection", transport.loseConnection)()


class Exchange:
    """Posts to one URL; `seconds` is for the whole answer, `most` its longest body in bytes."""

    def __init__(
        self, client: HTTPClient, clock: IReactorTime, url: str, *, seconds: float, most: int
    ) -> None:
        self._client = client
        self._clock = clock
        self._url = url
        self._seconds = seconds
        self._most = most

    async def post(self, body: bytes, headers: dict[str, str]) -> tuple[bytes, str]:
        """The body of the answer and its type.  Raises NoAnswer."""
        work = Deferred.fromCoroutine(self._post(body, headers))
        try:
            return await work.addTimeout(self._seconds, self._clock)
        except defer.TimeoutError as error:
            raise NoAnswer("timeout", f"it has not answered within {self._seconds:g} s") from error

    async def _post(self, body: bytes, headers: dict[str, str]) -> tuple[bytes, str]:
        sent = Headers({name: [value] for name, value in headers.items()})
        try:
            response: Any = await self._client.post(
                self._url, data=_Sent(body), headers=sent, allow_redirects=False, unbuffered=True
            )
        except (net.ConnectError, net.DNSLookupError, net.TimeoutError, RequestNotSent) as error:
            raise NoAnswer("unreachable", f"it cannot be reached: {_told(error)}", again=True) from error
        except (
            ResponseNeverReceived,
            ResponseFailed,
            RequestTransmissionFailed,
            RequestGenerationFailed,
            net.ConnectionClosed,
        ) as error:
            raise NoAnswer("broken", f"the connection broke: {_told(error)}") from error
        collected = _Body(self._most)
        response.deliverBody(collected)
        content = await collected.done
        self._check(response)
        kind = response.headers.getRawHeaders("Content-Type", [""])[0]
        return (b"" if response.code == NO_CONTENT else content), kind

    def _check(self, response: Any) -> None:
        code: int = response.code
        if OK <= code < MULTIPLE_CHOICES:
            return
        text = f"it answered with status {code}"
        if code in (TOO_MANY_REQUESTS, UNAVAILABLE):
            raise NoAnswer("busy", text, again=True, after=_retry_after(response))
        if code >= SERVER_ERROR:
            raise NoAnswer("server_error", text)
        raise NoAnswer("refused", text, alive=code >= BAD_REQUEST)


def _retry_after(response: Any) -> float:
    value = response.headers.getRawHeaders("Retry-After", ["0"])[0]
    return min(float(value), _LONGEST_RETRY_AFTER) if value.isascii() and value.isdigit() else 0.0


def _told(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    if reasons:
        return "; ".join(reason.getErrorMessage() for reason in reasons)
    return str(error) or type(error).__name__
