"""Semaphores that cost nothing while a token is free.

A `DeferredSemaphore` makes a Deferred even when it could simply say yes.  On the path of every
message that is most of its price, so ours can also be asked: `try_acquire`.  Beware that `release`
hands a token straight to whoever waits, recursing through callbacks; the lanes therefore never
wait on one, they are asked again in a loop.
"""

from __future__ import annotations

from twisted.internet.defer import DeferredSemaphore


class Permits(DeferredSemaphore):
    """A `DeferredSemaphore` with a synchronous fast path and a limit that can move."""

    def try_acquire(self) -> bool:
        """Take a token now, if one is free: no Deferred is made."""
        if self.tokens > 0:
            self.tokens -= 1
            return True
        return False

    @property
    def taken(self) -> int:
        """How many tokens are out."""
        return self.limit - self.tokens

    def grow(self) -> None:
        """Add one token; whoever waits longest gets it."""
        self.limit += 1
        self.release()

    def shrink(self) -> bool:
        """Take one token away for good, if one is free and another remains."""
        if self.tokens > 0 and self.limit > 1:
            self.limit -= 1
            self.tokens -= 1
            return True
        return False

    def resize(self, limit: int) -> None:
        """Change the limit of permits that nobody waits on.

        What is out stays out: with less than that there are fewer tokens than none until enough of it
        has come back.
        """
        self.tokens += limit - self.limit
        self.limit = limit
