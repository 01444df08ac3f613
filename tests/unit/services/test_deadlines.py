"""Time-outs that are all equally long, on one timer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.services.deadlines import Deadlines


class DeadlinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.expired: list[tuple[str, float]] = []
        self.deadlines: Deadlines[str] = Deadlines(self.clock, 10, self.note)

    def note(self, thing: str) -> None:
        self.expired.append((thing, self.clock.seconds()))

    def test_each_has_its_time(self) -> None:
        """Each thing runs out as long after it was added as every other."""
        self.deadlines.add("a")
        self.clock.advance(4)
        self.deadlines.add("b")
        self.clock.pump([1] * 12)
        self.assertEqual(self.expired, [("a", 10), ("b", 14)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_timer_for_all(self) -> None:
        """However many things wait there is one timer."""
        for number in range(100):
            self.deadlines.add(str(number))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(len(self.deadlines), 100)

    def test_discarded_does_not_run_out(self) -> None:
        """What is discarded in time does not run out; the last one takes the timer with it."""
        self.deadlines.add("a")
        self.deadlines.add("b")
        self.deadlines.discard("a")
        self.deadlines.discard("never added")
        self.deadlines.discard("b")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(20)
        self.assertEqual(self.expired, [])

    def test_clear(self) -> None:
        """Clearing tells what had still time, and leaves no timer."""
        self.deadlines.add("a")
        self.deadlines.add("b")
        self.assertEqual(self.deadlines.clear(), ["a", "b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.deadlines.clear(), [])

    def test_added_while_one_runs_out(self) -> None:
        """What is added because something ran out does not put off what waits already."""

        def add_another(thing: str) -> None:
            self.note(thing)
            some.add("c")
            self.assertLessEqual(len(self.clock.getDelayedCalls()), 1)

        some: Deadlines[str] = Deadlines(self.clock, 10, add_another)
        some.add("a")
        self.clock.advance(1)
        some.add("b")
        self.clock.pump([9, 1])
        self.assertEqual(self.expired, [("a", 10), ("b", 11)])

    def test_discarded_while_one_runs_out(self) -> None:
        """What is discarded because something ran out at the same moment does not run out itself."""

        def discard_the_other(thing: str) -> None:
            self.note(thing)
            some.discard("b")

        some: Deadlines[str] = Deadlines(self.clock, 10, discard_the_other)
        some.add("a")
        some.add("b")
        self.clock.advance(10)
        self.assertEqual(self.expired, [("a", 10)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cleared_while_one_runs_out(self) -> None:
        """Clearing from inside leaves no timer."""

        def clear(thing: str) -> None:
            some.clear()

        some: Deadlines[str] = Deadlines(self.clock, 10, clear)
        some.add("a")
        some.add("b")
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_failure_spares_the_others(self) -> None:
        """An exception when one thing runs out does not cost the others their time-out."""

        def fail_once(thing: str) -> None:
            self.note(thing)
            if thing == "a":
                raise ValueError

        some: Deadlines[str] = Deadlines(self.clock, 10, fail_once)
        some.add("a")
        some.add("b")
        self.assertRaises(ValueError, self.clock.advance, 10)
        self.clock.advance(0)
        self.assertEqual([thing for thing, _ in self.expired], ["a", "b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(
        st.lists(
            st.tuples(st.sampled_from(["add", "discard", "advance"]), st.integers(0, 12)),
            max_size=100,
        )
    )
    def test_any_schedule(self, schedule: list[tuple[str, int]]) -> None:
        """Whatever is added and discarded, each thing runs out exactly when its time has come."""
        clock = Clock()
        expected: dict[int, float] = {}
        expired: dict[int, float] = {}

        def note(thing: int) -> None:
            expired[thing] = clock.seconds()

        deadlines: Deadlines[int] = Deadlines(clock, 10, note)
        for number, (what, amount) in enumerate(schedule):
            if what == "add":
                deadlines.add(number)
                expected[number] = clock.seconds() + 10
            elif what == "discard":
                if expected.get(amount, 0) > clock.seconds():
                    del expected[amount]
                deadlines.discard(amount)
            else:
                clock.pump([1] * amount)
        clock.pump([1] * 10)
        self.assertEqual(expired, expected)
        self.assertEqual(clock.getDelayedCalls(), [])
