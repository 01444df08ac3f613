"""A circuit breaker: whoever fails again and again is left alone for a while."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from twisted.internet.interfaces import IReactorTime


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """Failures in a row until it opens; seconds that it is open at first, and at most."""

    failures: int = 5
    pause: float = 10.0
    pause_max: float = 300.0


class State(StrEnum):
    """Closed: calls go through.  Open: none does.  Half-open: one does, and decides."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Counts failures in a row, and admits calls or not; each pause is twice as long as the one before."""

    def __init__(self, clock: IReactorTime, settings: BreakerSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._failures = 0
        self._pause = settings.pause
        self._open_until: float | None = None
        self._probing = False
        # What a call that began before the last change has to say is old news.
        self._era = 0

    @property
    def state(self) -> State:
        """Where it is now."""
        if self._open_until is None:
            return State.CLOSED
        past = self._probing or self._clock.seconds() >= self._open_until
        return State.HALF_OPEN if past else State.OPEN

    @property
    def remaining(self) -> float:
        """Seconds until a call is admitted again."""
        return max(0.0, (self._open_until or 0.0) - self._clock.seconds())

    def admit(self) -> int | None:
        """A ticket for one call, to be given to one of the next three; None if it must not be made."""
        if self._open_until is not None:
            if self._probing or self._clock.seconds() < self._open_until:
                return None
            self._probing = True
        return self._era

    def succeeded(self, ticket: int) -> bool:
        """The call was answered; was that the end of an outage?"""
        if ticket != self._era:
            return False
        self._failures = 0
        if self._open_until is None:
            return False
        self._change(None)
        self._pause = self._settings.pause
        return True

    def failed(self, ticket: int) -> bool:
        """The call was not answered; did that open the circuit?"""
        if ticket != self._era:
            return False
        if self._open_until is None:
            self._failures += 1
            if self._failures < self._settings.failures:
                return False
        opened = self._open_until is None
        self._change(self._clock.seconds() + self._pause)
        self._pause = min(2 * self._pause, self._settings.pause_max)
        return opened

    def let_go(self, ticket: int) -> None:
        """The call was given up by whoever made it, which says nothing."""
        if ticket == self._era:
            self._probing = False

    def _change(self, open_until: float | None) -> None:
        self._open_until, self._probing = open_until, False
        self._failures = 0
        self._era += 1
