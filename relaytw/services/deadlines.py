"""Time-outs that are all equally long: one ordered dict and one timer.

What starts first runs out first, so that only the head need be looked at; a timer per message would
cost more than the message.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """Calls `expired` for each thing `seconds` after it was added, unless it was discarded before."""

    def __init__(self, clock: IReactorTime, seconds: float, expired: Callable[[K], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = expired
        self._at: OrderedDict[K, float] = OrderedDict()
        self._timer: IDelayedCall | None = None
        self._ticking = False

    def __len__(self) -> int:
        """How many things are waited for."""
        return len(self._at)

    def add(self, thing: K) -> None:
        """Start the time of `thing`."""
        self._at[thing] = self._clock.seconds() + self._seconds
        if self._timer is None and not self._ticking:
            self._timer = self._clock.callLater(self._seconds, self._tick)

    def discard(self, thing: K) -> None:
        """Stop the time of `thing`, if it runs."""
        if self._at.pop(thing, None) is not None and not self._at:
            self._disarm()

    def clear(self) -> list[K]:
        """Stop all; what had still time."""
        left = list(self._at)
        self._at.clear()
        self._disarm()
        return left

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        # What `expired` adds meanwhile runs out later than what is here already: the timer is for the head.
        self._ticking = True
        try:
            while self._at and next(iter(self._at.values())) <= now:
                thing, _ = self._at.popitem(last=False)
                self._expired(thing)
        finally:
            self._ticking = False
            if self._at:
                self._timer = self._clock.callLater(next(iter(self._at.values())) - now, self._tick)
