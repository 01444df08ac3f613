"""Services that start in order and stop in reverse, one at a time."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw.services.ordered import OrderedServices


class Child(Service):
    """Notes when it starts and stops; stops when the test says so, or as `stops` says."""

    def __init__(self, name: str, journal: list[str], stops: object = None) -> None:
        self.setName(name)
        self._journal = journal
        self._stops = stops

    def startService(self) -> None:
        super().startService()
        self._journal.append(f"{self.name} starts")

    def stopService(self) -> object:
        super().stopService()
        self._journal.append(f"{self.name} stops")
        if isinstance(self._stops, Exception):
            raise self._stops
        return self._stops


class OrderedServicesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.journal: list[str] = []
        self.parent = OrderedServices()

    def add(self, name: str, stops: object = None) -> None:
        Child(name, self.journal, stops).setServiceParent(self.parent)

    def stop(self) -> Deferred[None]:
        """Start everything and begin to stop it; the journal is of the stop alone."""
        self.parent.startService()
        del self.journal[:]
        return self.parent.stopService()

    def test_order(self) -> None:
        """Children start in the order they were added, and stop in reverse."""
        for name in "abc":
            self.add(name)
        self.parent.startService()
        self.assertEqual(self.journal, ["a starts", "b starts", "c starts"])
        self.assertEqual(self.successResultOf(self.parent.stopService()), None)
        self.assertEqual(self.journal[3:], ["c stops", "b stops", "a stops"])
        self.assertFalse(self.parent.running)

    def test_one_at_a_time(self) -> None:
        """A child is asked to stop only when the one after it has stopped."""
        slow: dict[str, Deferred[None]] = {name: Deferred() for name in "abc"}
        for name, stops in slow.items():
            self.add(name, stops)
        stopped = self.stop()
        self.assertEqual(self.journal, ["c stops"])
        slow["c"].callback(None)
        self.assertEqual(self.journal, ["c stops", "b stops"])
        slow["b"].callback(None)
        self.assertNoResult(stopped)
        slow["a"].callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.journal, ["c stops", "b stops", "a stops"])

    def test_a_child_that_cannot_stop(self) -> None:
        """A child that fails to stop, at once or later, is logged, and the others stop all the same."""
        later: Deferred[None] = Deferred()
        self.add("a")
        self.add("b", later)
        self.add("c", KeyError())
        stopped = self.stop()
        later.errback(ValueError())
        self.successResultOf(stopped)
        self.assertEqual(self.journal, ["c stops", "b stops", "a stops"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_no_children(self) -> None:
        """A parent without children has stopped at once."""
        self.successResultOf(self.stop())
