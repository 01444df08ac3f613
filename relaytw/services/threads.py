"""A pool of threads for handlers that block, with a share for each bot.

A thread cannot be cancelled.  The pool is the handlers' own, so that nothing else of the relay
waits behind them; no bot gets more than `per_bot` of it, and its threads do not keep the process
from ending.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.daemons import DaemonThreads
from relaytw.permits import Permits


class Defer(Protocol):
    """Runs a function elsewhere; the Deferred fires here with its result."""

    def __call__(self, function: Callable[[], object], /) -> Deferred[object]:
        """Start it."""


class BlockingPool(Service):
    """Runs functions in `threads` threads, at most `per_bot` of one bot; the others wait their turn."""

    name = "blocking"

    def __init__(
        self, defer: Defer, *, threads: int, per_bot: int, pool: DaemonThreads | None = None
    ) -> None:
        self._defer = defer
        self._threads = Permits(threads)
        self._per_bot = per_bot
        self._pool = pool
        self._bots: dict[str, Permits] = {}
        self._log = Logger(namespace="relaytw.dispatch")

    @property
    def at_work(self) -> int:
        """How many functions are running in a thread."""
        return self._threads.taken

    def has_room(self, bot: str) -> bool:
        """Would a function of this bot begin at once?"""
        share = self._bots.get(bot)
        return self._threads.tokens > 0 and (share is None or share.tokens > 0)

    def startService(self) -> None:
        """Start the pool; its threads come into being when they are needed."""
        super().startService()
        if self._pool is not None:
            self._pool.start()

    def stopService(self) -> None:
        """Take no more work.  A thread still at work is left alone: it ends with the process."""
        super().stopService()
        if self._pool is None:
            return
        if self.at_work:
            self._log.warn("{running} blocking handlers did not end; leaving them", running=self.at_work)
        else:
            self._pool.stop()

    def run(self, bot: str, function: Callable[[], object], started: Callable[[], None]) -> Deferred[object]:
        """Run `function` for this bot, calling `started` when it begins; fires with its result."""
        return Deferred.fromCoroutine(self._run(bot, function, started))

    def run_alone(self, bot: str, function: Callable[[], object]) -> Deferred[object]:
        """Run `function` likewise; cancelling what comes back ends the waiting, not the thread."""
        done: Deferred[object] = Deferred()

        def ended(result: object) -> None:
            if not done.called:
                done.callback(result)  # a Failure fails it
            elif isinstance(result, Failure):
                self._log.failure("a handler that nobody waits for any more failed in its thread", result)

        self.run(bot, function, lambda: None).addBoth(ended)
        return done

    async def _run(self, bot: str, function: Callable[[], object], started: Callable[[], None]) -> object:
        share = self._bots.setdefault(bot, Permits(self._per_bot))
        await share.acquire()
        try:
            await self._threads.acquire()
            try:
                started()
                return await self._defer(function)
            finally:
                self._threads.release()
        finally:
            share.release()
            if not share.taken:
                self._bots.pop(bot, None)
