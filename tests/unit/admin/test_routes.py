"""The route table: what it answers when something is wrong, and how it calls handlers."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.admin.access import Guard
from relaytw.admin.routes import BODY_BYTES, Reply, Route, RouteTable
from tests.unit.admin.fakes import TOKEN, SiteTestCase, far_away


class Sum(msgspec.Struct):
    left: int
    right: int


class Total(msgspec.Struct):
    total: int


class RouteTableTests(SiteTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.later: Deferred[Reply] = Deferred()
        routes = [
            Route("POST", "/api/sum", self.add, Sum, Total),
            Route("GET", "/api/greet/{name}/{mood}", self.greet, returns=dict[str, str]),
            Route("GET", "/api/later", self.wait),
            Route("GET", "/api/broken", self.broken),
            Route("DELETE", "/api/broken", self.broken),
            Route("GET", "/api/half", self.half, returns=dict[str, str]),
            Route("GET", "/page", self.greet, returns=dict[str, str]),
        ]
        log = Logger("relaytw.admin", observer=self.events)
        self.site.resource = RouteTable(routes, Guard(TOKEN), log, lambda: "trace-1")

    def add(self, numbers: Sum) -> Total:
        return Total(numbers.left + numbers.right)

    def greet(self, name: str, mood: str) -> dict[str, str]:
        return {"name": name, "mood": mood}

    async def wait(self) -> Reply:
        return await self.later

    def broken(self) -> None:
        raise RuntimeError("the innermost secret")

    def half(self) -> dict[str, str]:
        return {"name": "half \ud83d", "other": "가"}

    def test_typed_body_and_answer(self) -> None:
        """A handler is given the decoded body, and what it returns becomes JSON."""
        answer = self.post("/api/sum", {"left": 2, "right": 3})
        self.assertEqual((answer.status, answer.json), (200, {"total": 5}))
        self.assertEqual(answer.header("content-type"), "application/json")
        self.assertEqual(answer.length, len(answer.body))

    def test_path_parameters(self) -> None:
        """Parameters of a path are decoded and passed by name, one segment each."""
        answer = self.get("/api/greet/a%2Fb%20%EA%B0%80/well")
        self.assertEqual(answer.json, {"name": "a/b 가", "mood": "well"})
        self.assertEqual(self.get("/api/greet/a/b/c").code, "not_found")

    def test_unknown_path(self) -> None:
        """What does not exist is answered with 404 as JSON."""
        answer = self.get("/api/nothing")
        self.assertEqual((answer.status, answer.code), (404, "not_found"))
        self.assertEqual(self.get("/", token=None).status, 404)

    def test_wrong_method(self) -> None:
        """A method a path does not have is answered with 405 and those it has."""
        answer = self.ask("PUT", "/api/broken")
        self.assertEqual((answer.status, answer.code), (405, "method_not_allowed"))
        self.assertEqual(answer.header("allow"), "DELETE, GET, HEAD")
        self.assertEqual(self.get("/api/sum").header("allow"), "POST")

    def test_head(self) -> None:
        """HEAD is answered like GET, without the body."""
        get, head = self.get("/api/greet/a/b"), self.ask("HEAD", "/api/greet/a/b")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.header("content-length"), str(get.length))
        self.assertEqual(self.ask("HEAD", "/api/sum").status, 405)

    def test_media_type(self) -> None:
        """A body that is not declared as JSON is not read; parameters of the type do not matter."""
        form = self.post("/api/sum", {}, headers={"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual((form.status, form.code), (415, "unsupported_media_type"))
        self.assertEqual(self.ask("POST", "/api/sum").status, 415)
        utf8 = {"Content-Type": "Application/JSON; charset=utf-8"}
        self.assertEqual(self.post("/api/sum", {"left": 1, "right": 1}, headers=utf8).status, 200)

    def test_bad_bodies(self) -> None:
        """A body of the wrong shape is answered with 400 and what is wrong where."""
        answer = self.post("/api/sum", {"left": "x", "right": 1})
        self.assertEqual((answer.status, answer.code), (400, "bad_request"))
        self.assertIn("$.left", answer.json["error"]["message"])
        for body in (
            b"",
            b"{",
            b"[]",
            b'{"left":"\xff","right":1}',
            b'{"left":"\\ud800","right":1}',
            b"\x00",
        ):
            self.assertEqual(self.ask("POST", "/api/sum", body).status, 400, body)

    def test_large_body(self) -> None:
        """A body up to the cap is read; one byte more is answered with 413, however it is sent."""
        body = b'{"left":1,"right":1}'
        self.assertEqual(self.ask("POST", "/api/sum", body.ljust(BODY_BYTES)).status, 200)
        answer = self.ask("POST", "/api/sum", body.ljust(BODY_BYTES + 1))
        self.assertEqual((answer.status, answer.code), (413, "too_large"))
        head = (
            f"POST /api/sum HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        ).encode()
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        self.assertIn(b" 413 ", self.raw(head + chunk * 17 + b"0\r\n\r\n", far_away()).splitlines()[0])

    def test_large_body_costs_no_memory(self) -> None:
        """What is beyond the cap is not kept."""
        channel: Any = self.site.buildProtocol(far_away())
        channel.makeConnection(StringTransport())
        channel.dataReceived(b"POST /api/sum HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
        for _ in range(80):
            channel.dataReceived(b"x" * 100_000)
        self.assertLessEqual(channel._channel.requests[0].content.tell(), BODY_BYTES)

    def test_handler_fails(self) -> None:
        """A fault is logged under a trace id, and the caller is told the id and nothing else."""
        answer = self.get("/api/broken")
        self.assertEqual((answer.status, answer.code), (500, "internal"))
        self.assertIn("trace-1", answer.json["error"]["message"])
        self.assertNotIn(b"secret", answer.body)
        self.assertNotIn(b"Traceback", answer.body)
        (event,) = self.events
        self.assertEqual((event["trace"], event["path"]), ("trace-1", "/api/broken"))
        self.assertIsInstance(event["log_failure"].value, RuntimeError)

    def test_async_handler(self) -> None:
        """An answer that comes later is sent when it comes."""
        transport = self._connect("/api/later")
        self.assertEqual(transport.value(), b"")
        self.later.callback(Reply(202, "text/plain", b"done", {"X-More": "yes"}))
        self.assertIn(b" 202 ", transport.value())
        self.assertIn(b"X-More: yes", transport.value())
        self.assertTrue(transport.value().endswith(b"done"))

    def test_async_handler_fails(self) -> None:
        """A fault that comes later is answered like one that comes at once."""
        transport = self._connect("/api/later")
        self.later.errback(RuntimeError("late"))
        self.assertIn(b" 500 ", transport.value())
        self.assertEqual(len(self.events), 1)

    def test_caller_leaves(self) -> None:
        """A handler whose caller has gone is cancelled, and nothing is logged."""
        cancelled: list[Any] = []
        self.later = Deferred(cancelled.append)
        channel = self._connect("/api/later").protocol
        channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((len(cancelled), self.events), (1, []))

    def test_half_a_character(self) -> None:
        """Half a surrogate pair in a value spoils that character and nothing else."""
        self.assertEqual(self.get("/api/half").json, {"name": "half ?", "other": "가"})

    def test_nothing_is_cached(self) -> None:
        """Answers are neither cached nor guessed at."""
        answer = self.get("/api/greet/a/b")
        self.assertEqual(answer.header("cache-control"), "no-store")
        self.assertEqual(answer.header("x-content-type-options"), "nosniff")
        self.assertEqual(answer.header("server"), "relaytw")

    def test_closed_outside_api_too(self) -> None:
        """A route that is not declared open needs the token wherever it is."""
        self.assertEqual(self.get("/page", token=None).status, 401)

    def _connect(self, path: str) -> Any:
        channel: Any = self.site.buildProtocol(far_away())
        transport: Any = StringTransport()
        channel.makeConnection(transport)
        transport.protocol = channel
        channel.dataReceived(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        return transport
