"""Permits: taken at once where one is free, waited for where none is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw.permits import Permits


class PermitsTests(SynchronousTestCase):
    def test_try_acquire(self) -> None:
        """As many as there are can be taken at once; then the answer is no, and nothing is taken."""
        permits = Permits(2)
        self.assertEqual([permits.try_acquire() for _ in range(3)], [True, True, False])
        self.assertEqual((permits.taken, permits.tokens), (2, 0))
        permits.release()
        self.assertEqual(permits.taken, 1)
        self.assertTrue(permits.try_acquire())

    def test_mixed_with_waiting(self) -> None:
        """A permit given back goes to whoever waits, not to whoever asks next."""
        permits = Permits(1)
        permits.try_acquire()
        waiting = permits.acquire()
        self.assertNoResult(waiting)
        permits.release()
        self.assertIs(self.successResultOf(waiting), permits)
        self.assertFalse(permits.try_acquire())

    def test_grow(self) -> None:
        """One permit more can be taken, and given back."""
        permits = Permits(1)
        permits.try_acquire()
        permits.grow()
        self.assertEqual((permits.limit, permits.taken), (2, 1))
        self.assertEqual([permits.try_acquire() for _ in range(2)], [True, False])
        permits.release()
        permits.release()
        self.assertEqual((permits.taken, permits.tokens), (0, 2))

    def test_grow_while_somebody_waits(self) -> None:
        """The new permit goes to whoever has waited for one."""
        permits = Permits(1)
        permits.try_acquire()
        waiting = permits.acquire()
        permits.grow()
        self.successResultOf(waiting)
        self.assertEqual((permits.limit, permits.taken), (2, 2))

    def test_shrink(self) -> None:
        """A free permit can be taken away for good, but neither one in use nor the last one."""
        permits = Permits(3)
        permits.try_acquire()
        self.assertEqual([permits.shrink() for _ in range(3)], [True, True, False])
        self.assertEqual((permits.limit, permits.taken), (1, 1))
        permits.release()
        self.assertFalse(permits.shrink())
        self.assertEqual((permits.limit, permits.tokens), (1, 1))

    def test_resize(self) -> None:
        """With a limit below what is out nothing is given until enough has come back."""
        permits = Permits(3)
        for _ in range(3):
            permits.try_acquire()
        permits.resize(1)
        self.assertEqual((permits.limit, permits.taken), (1, 3))
        for _ in range(2):
            self.assertFalse(permits.try_acquire())
            permits.tokens += 1
        self.assertFalse(permits.try_acquire())
        permits.resize(2)
        self.assertEqual([permits.try_acquire() for _ in range(2)], [True, False])

    @given(st.lists(st.sampled_from(["try", "wait", "release", "grow", "shrink"])), st.integers(1, 3))
    def test_never_more_than_the_limit(self, steps: list[str], limit: int) -> None:
        """In any order of steps as many are out as were given, never more than the limit allows."""
        permits = Permits(limit)
        taken, waiting = 0, list[Deferred[Permits]]()
        for step in steps:
            if step == "try":
                taken += permits.try_acquire()
            elif step == "wait":
                waiting.append(permits.acquire())
            elif step == "release" and taken + sum(one.called for one in waiting):
                taken -= 1
                permits.release()
            elif step == "grow":
                permits.grow()
            elif step == "shrink":
                permits.shrink()
            out = taken + sum(one.called for one in waiting)
            self.assertEqual(permits.taken, out)
            self.assertLessEqual(out, permits.limit)
            self.assertTrue(permits.tokens == 0 or all(one.called for one in waiting))
