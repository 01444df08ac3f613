"""A typed route table on twisted.web: what may be asked, of whom, and what comes back.

A route names its method, path, body type, answer type and handler; everything that goes wrong is
answered as JSON `{"error": {"code", "message"}}`.  A handler is a plain or `async` function that is
given the decoded body and query (if its route has them) and the path's parameters by name.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from relaytw.admin.access import Guard
from relaytw.admin.callers import Caller, Grant
from relaytw.admin.problems import Problem

#: The largest request body.
BODY_BYTES = 1_048_576
#: Who acts with the admin token, and where a caller says by what name, percent-encoded.
ADMIN = "admin"
ACTOR_HEADER = "X-Relaytw-Actor"
#: Where a caller says that a request is one that he may have sent before.
KEY_HEADER = "Idempotency-Key"
_NAME_CHARS = 64


class Reply(NamedTuple):
    """What goes back; a handler that returns one of these chooses everything itself."""

    status: int
    content_type: str
    data: bytes
    headers: Mapping[str, str] = MappingProxyType({})


class Route(NamedTuple):
    """One thing that can be asked.

    `path` may hold parameters in braces, one a segment.  `body` and `query` are msgspec Structs; a
    handler is given the query after the body.  `returns` is what msgspec shall describe, None for plain
    text.  An `open` route needs no token from this machine itself.  The handler of an `act` is told who
    acts, as `actor`.  With a `scope` tokens of it may ask, else the admin's alone; a handler that `calls`
    for it is told who asks, as `caller`, and heeds which bots he may reach.
    """

    method: str
    path: str
    handler: Callable[..., Any]
    body: type[msgspec.Struct] | None = None
    returns: Any = None
    open: bool = False
    query: type[msgspec.Struct] | None = None
    act: bool = False
    scope: str | None = None
    calls: bool = False
    success: int = 200


class AdminRequest(Request):
    """A request whose body is kept up to the cap and only counted beyond."""

    _length = 0

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 (called by twisted.web)
        """Keep this part of the body if it still fits."""
        self._length += len(data)
        if self._length <= BODY_BYTES:
            super().handleContentChunk(data)

    def body(self) -> bytes | None:
        """The whole body, or None if it is larger than the cap."""
        if self._length > BODY_BYTES or self.content is None:
            return None
        return bytes(self.content.read())


class RouteTable(Resource):
    """Answers every request of a site by its routes."""

    isLeaf = True

    def __init__(self, routes: Sequence[Route], guard: Guard, log: Logger, new_id: Callable[[], str]) -> None:
        super().__init__()
        self._routes = [(_pattern(route.path), route) for route in routes]
        self._guard = guard
        self._log = log
        self._new_id = new_id

    def render(self, request: AdminRequest) -> int:
        """Answer in its own time; a handler whose caller has gone is cancelled."""
        gone = request.notifyFinish()
        answering = Deferred.fromCoroutine(self._answer(request))
        answering.addErrback(lambda failure: self._log.failure("an answer got lost", failure=failure))
        gone.addErrback(lambda _: answering.cancel())
        return NOT_DONE_YET

    async def _answer(self, request: AdminRequest) -> None:
        try:
            reply = await self._ask(request)
        except Problem as problem:
            reply = _refusal(problem)
        except Exception as error:
            if request.channel is None and isinstance(error, CancelledError):
                return
            reply = _refusal(self._fault(request))
        if request.channel is not None:
            _send(request, reply)

    async def _ask(self, request: AdminRequest) -> Reply:
        path = request.path.decode("ascii", "replace")
        found = [(route, match) for pattern, route in self._routes if (match := pattern.fullmatch(path))]
        grant = None
        if found or path.startswith("/api"):
            grant = self._guard.check(
                request, open_here=bool(found) and all(route.open for route, _ in found)
            )
        if not found:
            raise Problem(404, "not_found", "there is nothing here")
        # The request itself leaves the body of an answer to HEAD out.
        method = "GET" if request.method == b"HEAD" else request.method.decode("ascii", "replace")
        for route, match in found:
            if route.method == method:
                _allow(route, grant)
                return await _call(route, request, match.groupdict(), grant)
        allowed = {route.method for route, _ in found}
        allow = ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))
        raise Problem(405, "method_not_allowed", f"allowed here: {allow}", {"Allow": allow})

    def _fault(self, request: AdminRequest) -> Problem:
        trace = self._new_id()
        method, path = request.method.decode("ascii", "replace"), request.path.decode("ascii", "replace")
        self._log.failure("{method} {path} failed", Failure(), method=method, path=path, trace=trace)
        return Problem(500, "internal", f"the relay failed; its log says how, under {trace}")


def _allow(route: Route, grant: Grant | None) -> None:
    """Let a token do only what it was made for; one for some bots only what heeds that."""
    if grant is None:
        return
    if route.scope is None:
        raise Problem(403, "forbidden", "this is for the admin token alone")
    if route.scope not in grant.scopes:
        raise Problem(403, "forbidden", f"this token has not the scope {route.scope}")
    if grant.bots is not None and not route.calls:
        raise Problem(403, "forbidden", "a token for some bots cannot ask this")


async def _call(
    route: Route, request: AdminRequest, segments: Mapping[str, str], grant: Grant | None
) -> Reply:
    parameters: dict[str, Any] = {name: unquote(value) for name, value in segments.items()}
    given = [] if route.body is None else [_body(request, route.body)]
    if route.query is not None:
        given.append(_query(request, route.query))
    if route.act:
        parameters["actor"] = _actor(request, grant)
    if route.calls:
        key = request.getHeader(KEY_HEADER)
        parameters["caller"] = Caller(_actor(request, grant), grant.bots if grant is not None else None, key)
    result = route.handler(*given, **parameters)
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, Reply):
        return result
    return Reply(route.success, "application/json", _encode(result))


def _body(request: AdminRequest, kind: type[msgspec.Struct]) -> msgspec.Struct:
    content_type = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json":
        raise Problem(415, "unsupported_media_type", "send the body as application/json")
    body = request.body()
    if body is None:
        raise Problem(413, "too_large", f"a body may have {BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, "bad_request", str(error)) from error


def _query(request: AdminRequest, kind: type[msgspec.Struct]) -> msgspec.Struct:
    given: dict[str, str] = {}
    try:
        for name, values in (request.args or {}).items():
            given[name.decode()] = values[-1].decode()
        return msgspec.convert(given, kind, strict=False)
    except (msgspec.ValidationError, UnicodeDecodeError) as error:
        raise Problem(400, "bad_request", str(error)) from error


def _actor(request: AdminRequest, grant: Grant | None) -> str:
    if grant is not None:
        return f"token:{grant.name}"
    # It says so himself: who has the token may do everything anyway.
    name = "".join(filter(str.isprintable, unquote(request.getHeader(ACTOR_HEADER) or "")))
    return f"{ADMIN}:{name[:_NAME_CHARS]}" if name else ADMIN


def _encode(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # Half a surrogate pair in one phone's name must not hide all the others.
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode("utf-8", "replace")


def _refusal(problem: Problem) -> Reply:
    body = {"error": {"code": problem.code, "message": problem.message}}
    return Reply(problem.status, "application/json", _encode(body), problem.headers)


def _send(request: AdminRequest, reply: Reply) -> None:
    request.setResponseCode(reply.status)
    fixed = {
        "Server": "relaytw",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": reply.content_type,
        "Content-Length": str(len(reply.data)),
    }
    for name, value in {**fixed, **reply.headers}.items():
        request.setHeader(name, value)
    request.write(reply.data)
    request.finish()


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    literals_and_names = [f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts)]
    return re.compile("".join(literals_and_names))
