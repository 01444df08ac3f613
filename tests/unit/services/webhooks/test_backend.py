"""Asking a webhook: signed, in order, again where that is safe, and not at all while it is down."""

from __future__ import annotations

import json

from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived

from relaytw import texts
from relaytw.bots import Text
from relaytw.services.webhooks.breaker import BreakerSettings, State
from relaytw.services.webhooks.payload import sign
from tests.unit.bots.messages import said
from tests.unit.services.webhooks.agents import NOW, SECRET, Site

REFUSED = Failure(error.ConnectionRefusedError())


class AskTests(SynchronousTestCase):
    def test_answer(self) -> None:
        """What the webhook answers is the answer; the request is signed and carries the message."""
        site = Site()
        asked = site.ask(said("hello"))
        request = site.last
        self.assertEqual(json.loads(request.body)["text"], "hello")
        stamp = request.header("X-Relay-Timestamp")
        self.assertEqual(stamp, str(int(NOW)))
        self.assertEqual(request.header("X-Relay-Signature"), "sha256=" + sign(SECRET, stamp, request.body))
        self.assertEqual(len(request.header("Idempotency-Key")), 32)
        self.assertEqual(request.header("Accept-Encoding"), "identity")
        request.respond(200, b'["on', b'e", "two"]')
        self.assertEqual(self.successResultOf(asked), [Text("one"), Text("two")])
        self.assertEqual((site.backend.at_work, site.clock.getDelayedCalls()), (0, []))

    def test_nothing(self) -> None:
        """Status 204, and an empty body, say nothing."""
        site = Site()
        for code, body in ((204, b""), (200, b"")):
            asked = site.ask(said("hello"))
            site.last.respond(code, body)
            self.assertEqual(self.successResultOf(asked), [])

    def test_order(self) -> None:
        """The messages of a room are asked one after the other; other rooms do not wait."""
        site = Site()
        first, second = site.ask(said("1")), site.ask(said("2"))
        site.ask(said("other", channel_id="8"))
        self.assertEqual([json.loads(one.body)["text"] for one in site.agent.requests], ["1", "other"])
        site.agent.requests[0].respond(200, b'"a"')
        self.successResultOf(first)
        self.assertNoResult(second)
        site.last.respond(200, b'"b"')
        self.assertEqual(self.successResultOf(second), [Text("b")])

    def test_concurrency(self) -> None:
        """No more requests than allowed are under way; the time of those that wait is bounded."""
        site = Site(concurrency=2, notice=False)
        asked = [site.ask(said("x", channel_id=str(n))) for n in range(3)]
        self.assertEqual(len(site.agent.requests), 2)
        site.agent.requests[0].respond(200)
        self.assertEqual(len(site.agent.requests), 3)
        site.clock.advance(10)
        self.assertEqual([self.successResultOf(one) for one in asked], [[], None, None])
        self.assertTrue(site.last.cancelled)
        self.assertEqual(site.backend.at_work, 0)

    def test_cancelled(self) -> None:
        """A message that is given up takes its request along, and says nothing about the webhook."""
        site = Site(breaker=BreakerSettings(failures=1))
        asked, behind = site.ask(said("1")), site.ask(said("2"))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(site.agent.requests[0].cancelled)
        self.assertEqual((site.backend.breaker.state, site.backend.at_work), (State.CLOSED, 1))
        site.last.respond(200, b'"b"')
        self.assertEqual(self.successResultOf(behind), [Text("b")])


class RetryTests(SynchronousTestCase):
    def test_not_reached(self) -> None:
        """Where it was not reached it is asked again, later each time, under the same key."""
        site = Site(retries=2, backoff=1.0)
        asked = site.ask(said("x"))
        site.last.answer.errback(REFUSED)
        site.clock.advance(0.4)
        self.assertEqual(len(site.agent.requests), 1)
        site.clock.advance(1.1)
        self.assertEqual(len(site.agent.requests), 2)
        site.last.answer.errback(REFUSED)
        site.clock.advance(3)
        site.last.respond(200, b'"at last"')
        self.assertEqual(self.successResultOf(asked), [Text("at last")])
        self.assertEqual(len({one.header("Idempotency-Key") for one in site.agent.requests}), 1)
        self.assertEqual(site.metrics.webhook_retries, 2)

    def test_busy(self) -> None:
        """One that says it is busy is asked again when it wants to be, if that is within the patience."""
        site = Site()
        asked = site.ask(said("x"))
        site.last.respond(503, headers={"Retry-After": "7"})
        site.clock.advance(6.9)
        self.assertEqual(len(site.agent.requests), 1)
        site.clock.advance(0.1)
        site.last.respond(429, headers={"Retry-After": "20"})
        self.assertEqual(self.successResultOf(asked), texts.WEBHOOK_DOWN)

    def test_unsafe(self) -> None:
        """Where it may have taken the message up it is not asked again."""
        site = Site()
        for room, fault in enumerate((ResponseNeverReceived([Failure(ConnectionLost())]), ConnectionLost())):
            asked = site.ask(said("x", channel_id=str(room)))
            site.last.answer.errback(Failure(fault))
            self.assertEqual(self.successResultOf(asked), texts.WEBHOOK_DOWN)
        for code in (500, 502, 504):
            asked = site.ask(said("x", channel_id="9"))
            site.last.respond(code)
            self.successResultOf(asked)
        self.assertEqual((len(site.agent.requests), site.metrics.webhook_retries), (5, 0))
        self.assertEqual(site.metrics.webhook_failures, {"broken": 2, "server_error": 3})

    def test_patience(self) -> None:
        """However often it is asked, a message does not wait longer than it has patience."""
        site = Site(retries=50, backoff=4.0, patience=20.0)
        asked = site.ask(said("x"))
        for _ in range(20):
            if not site.last.answer.called:
                site.last.answer.errback(REFUSED)
            site.clock.advance(1)
        self.assertEqual(self.successResultOf(asked), texts.WEBHOOK_DOWN)
        self.assertEqual(site.clock.getDelayedCalls(), [])


class HostileTests(SynchronousTestCase):
    def unusable(self, site: Site, *pieces: bytes, headers: dict[str, str] | None = None) -> bool:
        """Its answer counts as none; was the connection aborted?"""
        asked = site.ask(said("x"))
        response = site.last.respond(200, *pieces, ends=False, headers=headers)
        self.assertEqual(self.successResultOf(asked), texts.WEBHOOK_DOWN)
        self.assertEqual(site.metrics.webhook_failures, {"bad_reply": 1})
        return response.transport.aborted

    def test_huge(self) -> None:
        """A body that is too long is not read to its end, which may never come."""
        self.assertTrue(self.unusable(Site(most=10), b"12345", b"67890", b"1", b"more"))

    def test_compressed(self) -> None:
        """A compressed body is not unpacked."""
        self.assertTrue(self.unusable(Site(), b"\x1f\x8b", headers={"Content-Encoding": "gzip"}))

    def test_slow(self) -> None:
        """A body that does not end breaks the connection in time."""
        site = Site()
        asked = site.ask(said("x"))
        response = site.last.respond(200, b'"a', ends=False)
        site.clock.advance(9.9)
        self.assertNoResult(asked)
        site.clock.advance(0.1)
        self.assertEqual(self.successResultOf(asked), texts.WEBHOOK_DOWN)
        self.assertTrue(response.transport.aborted)
        self.assertEqual(site.metrics.webhook_failures, {"timeout": 1})

    def test_nonsense(self) -> None:
        """Bad JSON, wrong types, redirections and refusals are logged, and nobody's crash."""
        site = Site(notice=False)
        for code, body in ((200, b"<html>"), (200, b'{"text":1}'), (302, b""), (404, b""), (401, b"no")):
            asked = site.ask(said("x"))
            site.last.respond(code, body, headers={"Location": "http://example.org"})
            self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(len(site.agent.requests), 5)
        self.assertEqual(site.metrics.webhook_failures, {"bad_reply": 2, "refused": 3})

    def test_cookies(self) -> None:
        """What is strange about a header of it does no harm."""
        site = Site()
        asked = site.ask(said("x"))
        site.last.respond(200, b'"a"', headers={"Set-Cookie": "a=b", "Content-Type": "☃"})
        self.assertEqual(self.successResultOf(asked), [Text("a")])


class OutageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(retries=0, breaker=BreakerSettings(failures=2, pause=10))

    def fail(self, room: str) -> object:  # type: ignore[override]
        asked = self.site.ask(said("x", channel_id=room))
        self.site.last.answer.errback(REFUSED)
        return self.successResultOf(asked)

    def test_told_once(self) -> None:
        """Each chat is told once of an outage, and again of the next one."""
        self.assertEqual([self.fail("1"), self.fail("1")], [texts.WEBHOOK_DOWN, None])
        others = [self.site.ask(said("x", channel_id=room)) for room in "1223"]
        told = [texts.WEBHOOK_DOWN]
        self.assertEqual([self.successResultOf(one) for one in others], [None, *told, None, *told])
        self.assertEqual((len(self.site.agent.requests), self.site.metrics.webhook_failures["open"]), (2, 4))
        self.site.clock.advance(10)
        probe = self.site.ask(said("x", channel_id="1"))
        self.site.last.respond(200, b'"again"')
        self.assertEqual(self.successResultOf(probe), [Text("again")])
        self.assertEqual(self.site.backend.breaker.state, State.CLOSED)
        self.assertEqual(self.fail("1"), texts.WEBHOOK_DOWN)

    def test_refusals(self) -> None:
        """One that refuses messages is alive: its circuit stays closed and no chat is told."""
        for _ in range(5):
            asked = self.site.ask(said("x"))
            self.site.last.respond(400)
            self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(self.site.backend.breaker.state, State.CLOSED)
