"""Each phone's pings: the first after a random delay, then one an interval."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.protocols.conversation import Conversation, SessionLimits
from relaytw.services.pings import TICK, Pings


class FakeDesk:
    """Notes who was pinged, and when; fails for whom it is told to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.pinged: list[tuple[str, float]] = []
        self.failing: set[str] = set()

    def ping(self, conversation: Conversation) -> None:
        if conversation.peer in self.failing:
            raise KeyError
        self.pinged.append((conversation.peer, self._clock.seconds()))

    def times(self, peer: str) -> list[float]:
        return [at for who, at in self.pinged if who == peer]


class PingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.desk = FakeDesk(self.clock)
        self.pings = Pings(self.clock, Random(7), interval=30, jitter=5)
        self.pings.startService()

    def phone(self, name: str) -> Conversation:
        nobody: Any = None
        desk: Any = self.desk
        return Conversation(nobody, self.clock, desk, SessionLimits(), name, 0.0)

    def test_first_after_a_random_delay_then_every_interval(self) -> None:
        """A phone is pinged after the delay that the random source says, and each interval from there."""
        delay = Random(7).uniform(0, 5)
        self.pings.begin(self.phone("a"))
        self.clock.pump([0.01] * 6600)
        times = self.desk.times("a")
        self.assertEqual(len(times), 3)
        for time, expected in zip(times, [delay, delay + 30, delay + 60], strict=True):
            self.assertTrue(expected <= time <= expected + TICK + 0.02, (time, expected))

    def test_after_a_long_sleep(self) -> None:
        """A machine that slept for an hour pings each phone once, not once for every ping it missed."""
        for name in "ab":
            self.pings.begin(self.phone(name))
        self.clock.advance(3600)
        self.assertEqual(sorted(who for who, _ in self.desk.pinged), ["a", "b"])
        self.clock.pump([0.1] * 301)
        self.assertEqual(sorted(who for who, _ in self.desk.pinged), ["a", "a", "b", "b"])

    def test_a_restart_spreads_them(self) -> None:
        """Phones that come all at once get their first pings at different times within the jitter."""
        for number in range(20):
            self.pings.begin(self.phone(str(number)))
        self.clock.pump([0.01] * 501)
        self.assertEqual(len(self.desk.pinged), 20)
        times = [at for _, at in self.desk.pinged]
        self.assertLess(min(times), 1)
        self.assertGreater(max(times), 4)
        self.assertGreater(len(set(times)), 15)

    def test_no_jitter(self) -> None:
        """Without jitter the first ping leaves at the next look."""
        pings = Pings(self.clock, Random(), interval=30, jitter=0)
        pings.begin(self.phone("a"))
        self.clock.advance(TICK)
        self.assertEqual(self.desk.times("a"), [TICK])

    def test_end_before_and_after_the_first(self) -> None:
        """A phone that leaves is pinged no more, and no timer is left, whether it had a ping or not."""
        early, late = self.phone("early"), self.phone("late")
        self.pings.begin(early)
        self.pings.end(early)
        self.pings.begin(late)
        self.clock.advance(5)
        self.pings.end(late)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.pings)), ([], 0))
        self.clock.advance(100)
        self.assertEqual(len(self.desk.pinged), 1)

    def test_end_without_begin(self) -> None:
        """Ending what never began, or has ended, does nothing."""
        phone = self.phone("a")
        self.pings.end(phone)
        self.pings.begin(phone)
        self.pings.end(phone)
        self.pings.end(phone)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_begin_twice(self) -> None:
        """A phone is pinged once an interval however often it begins; after an end it may begin again."""
        phone = self.phone("a")
        self.pings.begin(phone)
        self.pings.begin(phone)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(5)
        self.assertEqual(len(self.desk.pinged), 1)
        self.pings.end(phone)
        self.pings.begin(phone)
        self.clock.advance(5)
        self.assertEqual(len(self.desk.pinged), 2)

    def test_phones_are_independent(self) -> None:
        """One phone's coming, going or failing moves no other phone's pings."""
        alone = Pings(self.clock, Random(7), interval=30, jitter=5)
        reference = self.phone("reference")
        alone.begin(reference)
        steady, other, broken = self.phone("steady"), self.phone("other"), self.phone("broken")
        self.desk.failing.add("broken")
        self.pings.begin(steady)
        self.clock.advance(0.5)
        self.pings.begin(other)
        self.pings.begin(broken)
        self.clock.pump([0.5] * 80)
        self.pings.end(other)
        self.clock.pump([0.5] * 80)
        self.assertEqual(self.desk.times("steady"), self.desk.times("reference"))
        self.assertEqual(len(self.desk.times("steady")), 3)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 3)

    def test_a_ping_that_ends_its_own_phone(self) -> None:
        """A phone may be found dead while it is pinged; its timer goes all the same."""
        phone = self.phone("a")

        def ping(conversation: Conversation) -> None:
            self.pings.end(conversation)

        self.desk.ping = ping  # type: ignore[method-assign]
        self.pings.begin(phone)
        self.clock.advance(5)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.pings)), ([], 0))

    def test_stop(self) -> None:
        """Stopping the service leaves no timer; a phone that leaves later does no harm."""
        phones = [self.phone(str(number)) for number in range(5)]
        for phone in phones[:3]:
            self.pings.begin(phone)
        self.clock.advance(5)
        for phone in phones[3:]:
            self.pings.begin(phone)
        self.pings.stopService()
        self.assertEqual((self.clock.getDelayedCalls(), len(self.pings)), ([], 0))
        for phone in phones:
            self.pings.end(phone)
