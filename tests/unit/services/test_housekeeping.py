"""The gate's windows are swept now and then."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.services.housekeeping import Housekeeping


class FakeGate:
    """Counts the sweeps; fails when it is broken."""

    def __init__(self) -> None:
        self.sweeps = 0
        self.broken = False

    def sweep(self) -> int:
        if self.broken:
            raise KeyError
        self.sweeps += 1
        return 3


class HousekeepingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.gate = FakeGate()
        gate: Any = self.gate
        self.service = Housekeeping(self.clock, gate, 60)

    def test_sweeps_every_interval(self) -> None:
        """The first sweep comes one interval after the start, and then one each interval."""
        self.service.startService()
        self.clock.advance(59)
        self.assertEqual(self.gate.sweeps, 0)
        self.clock.pump([1, 60, 60])
        self.assertEqual(self.gate.sweeps, 3)

    def test_stop_leaves_no_timer(self) -> None:
        """Stopped, it sweeps no more and leaves no timer; it can be started again."""
        for _ in range(2):
            self.service.startService()
            self.clock.advance(60)
            self.service.stopService()
            self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(600)
        self.assertEqual(self.gate.sweeps, 2)

    def test_a_failure_is_logged(self) -> None:
        """A sweep that fails is logged, and the next one is tried as usual."""
        self.gate.broken = True
        self.service.startService()
        self.clock.advance(60)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.gate.broken = False
        self.clock.advance(60)
        self.assertEqual(self.gate.sweeps, 1)
        self.service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
