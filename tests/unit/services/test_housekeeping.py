"""Clearing up: what idles now and then, and all that can be had again when memory runs out."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.services.housekeeping import Collector, Housekeeping, MemoryWatch, Sweeps


class FakeThings:
    """Something that can be swept; fails when it is broken."""

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
        self.idle, self.other, self.caches = FakeThings(), FakeThings(), FakeThings()
        sweeps = Sweeps({"ids": self.idle.sweep, "others": self.other.sweep}, {"caches": self.caches.sweep})
        self.service = Housekeeping(self.clock, sweeps, 60)

    def test_sweeps_every_interval(self) -> None:
        """The first sweep comes one interval after the start, and then one each interval."""
        self.service.startService()
        self.clock.advance(59)
        self.assertEqual(self.idle.sweeps, 0)
        self.clock.pump([1, 60, 60])
        self.assertEqual((self.idle.sweeps, self.other.sweeps, self.caches.sweeps), (3, 3, 0))

    def test_stop_leaves_no_timer(self) -> None:
        """Stopped, it sweeps no more and leaves no timer; it can be started again."""
        for _ in range(2):
            self.service.startService()
            self.clock.advance(60)
            self.service.stopService()
            self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(600)
        self.assertEqual(self.idle.sweeps, 2)

    def test_a_failure_is_logged(self) -> None:
        """A sweep that fails is logged, the others are made, and it is tried again as usual."""
        self.idle.broken = True
        self.service.startService()
        self.clock.advance(60)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.other.sweeps, 1)
        self.idle.broken = False
        self.clock.advance(60)
        self.assertEqual(self.idle.sweeps, 1)

    def test_how_much(self) -> None:
        """Each run knows how much it freed; only an emergency gives up what is not idle."""
        self.assertEqual((self.service.clean_up(), self.caches.sweeps), (6, 0))
        self.assertEqual((self.service.give_up(), self.caches.sweeps), (9, 1))


class CollectorTests(SynchronousTestCase):
    def test_collects(self) -> None:
        """The garbage is collected every interval, whatever went wrong the time before."""
        clock, found = Clock(), [1, 2]
        collector = Collector(clock, 600, found.pop)
        collector.startService()
        clock.pump([600, 600, 600])
        self.assertEqual(found, [])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)
        found.append(3)
        clock.advance(600)
        self.assertEqual(found, [])


class MemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.percent = 50.0
        self.idle, self.caches, self.garbage = FakeThings(), FakeThings(), FakeThings()
        sweeps = Sweeps({"ids": self.idle.sweep}, {"caches": self.caches.sweep})
        self.watch = MemoryWatch(
            self.clock,
            300,
            percent=lambda: self.percent,
            warn=80,
            critical=90,
            housekeeping=Housekeeping(self.clock, sweeps, 1800),
            collector=Collector(self.clock, 600, self.garbage.sweep),
        )
        self.watch.startService()

    def look(self, percent: float) -> tuple[int, int, int]:
        """Sweeps of what idles, of caches and of garbage after a look at this much memory."""
        self.percent = percent
        self.clock.advance(300)
        return self.idle.sweeps, self.caches.sweeps, self.garbage.sweeps

    def test_enough(self) -> None:
        """Below the first limit nothing is done."""
        self.assertEqual(self.look(79.9), (0, 0, 0))

    def test_much(self) -> None:
        """From the first limit on what idles is forgotten, and the garbage collected."""
        self.assertEqual(self.look(80), (1, 0, 1))
        self.assertEqual(self.look(89.9), (2, 0, 2))

    def test_too_much(self) -> None:
        """From the second limit on caches are given up too."""
        self.assertEqual(self.look(90), (1, 1, 1))

    def test_again_and_again(self) -> None:
        """Every interval is a look of its own."""
        self.assertEqual(self.look(95), (1, 1, 1))
        self.assertEqual(self.look(50), (1, 1, 1))
        self.assertEqual(self.look(85), (2, 1, 2))
