"""A circuit breaker: when it opens, and how it closes again."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.services.webhooks.breaker import Breaker, BreakerSettings, State


class BreakerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.breaker = Breaker(self.clock, BreakerSettings(failures=3, pause=10, pause_max=25))

    def ticket(self) -> int:
        ticket = self.breaker.admit()
        assert ticket is not None
        return ticket

    def fail(self, times: int = 1) -> list[bool]:  # type: ignore[override]
        return [self.breaker.failed(self.ticket()) for _ in range(times)]

    def test_opens(self) -> None:
        """It opens at the last of so many failures in a row; a success in between begins anew."""
        self.fail(2)
        self.assertFalse(self.breaker.succeeded(self.ticket()))
        self.assertEqual(self.fail(3), [False, False, True])
        self.assertEqual((self.breaker.state, self.breaker.remaining), (State.OPEN, 10))
        self.assertIsNone(self.breaker.admit())

    def test_probe(self) -> None:
        """After the pause one call is admitted, alone; its success closes the circuit."""
        self.fail(3)
        self.clock.advance(9.9)
        self.assertIsNone(self.breaker.admit())
        self.clock.advance(0.1)
        self.assertEqual(self.breaker.state, State.HALF_OPEN)
        probe = self.ticket()
        self.assertIsNone(self.breaker.admit())
        self.assertTrue(self.breaker.succeeded(probe))
        self.assertEqual(self.breaker.state, State.CLOSED)
        self.assertEqual(self.fail(2), [False, False])

    def test_longer_pauses(self) -> None:
        """Each probe that fails makes the next pause twice as long, up to a limit; a success ends that."""
        self.fail(3)
        for pause in (20, 25, 25):
            self.clock.advance(self.breaker.remaining)
            self.assertEqual(self.fail(), [False])
            self.assertEqual(self.breaker.remaining, pause)
        self.clock.advance(25)
        self.breaker.succeeded(self.ticket())
        self.fail(3)
        self.assertEqual(self.breaker.remaining, 10)

    def test_old_news(self) -> None:
        """What a call that began before the circuit opened has to say changes nothing."""
        old = [self.ticket(), self.ticket()]
        self.fail(3)
        self.assertFalse(self.breaker.succeeded(old[0]))
        self.assertFalse(self.breaker.failed(old[1]))
        self.assertEqual((self.breaker.state, self.breaker.remaining), (State.OPEN, 10))

    def test_let_go(self) -> None:
        """A probe that is given up makes room for another."""
        self.fail(3)
        self.clock.advance(10)
        self.breaker.let_go(self.ticket())
        self.assertTrue(self.breaker.succeeded(self.ticket()))
