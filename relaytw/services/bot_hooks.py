"""Calls what bots want called when the relay starts and stops, and when their code is exchanged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.bots.bot import Bot, Hook
from relaytw.bots.chain import Begin, name_of


class BotHooks(Service):
    """The hooks of these bots.  Nobody waits for those of the start, and `patience` seconds for the others.

    `begin` lets a coroutine begin.  A hook that fails is logged, and the others are called.
    """

    name = "bot hooks"

    def __init__(
        self, bots: Sequence[Bot], clock: IReactorTime, patience: float, begin: Callable[[], Begin]
    ) -> None:
        self._bots = tuple(bots)
        self._clock = clock
        self._patience = patience
        self._begin = begin
        self._log = Logger(namespace="relaytw.bots")

    def startService(self) -> None:
        """Call the hooks of the start, in the order of the bots."""
        super().startService()
        for bot in self._bots:
            self._call_each(bot.start_hooks)

    def stopService(self) -> Deferred[None]:
        """Call the hooks of the stop; fires when they have ended or their time is up."""
        super().stopService()
        return self._in_time([one for bot in self._bots for one in self._call_each(bot.stop_hooks)])

    def replace(self, bots: Sequence[Bot]) -> None:
        """Call the hooks of the bots that go, then those of the ones that come."""
        gone = [bot for bot in self._bots if bot not in bots]
        come = [bot for bot in bots if bot not in self._bots]
        self._bots = tuple(bots)
        if self.running:
            for bot in gone:
                self._call_each(bot.stop_hooks)
            for bot in come:
                self._call_each(bot.start_hooks)

    def _call_each(self, hooks: Sequence[Hook]) -> list[Deferred[object]]:
        """Call these hooks; what has not ended at once."""
        called = (self._call(hook) for hook in hooks)
        return [one for one in called if one is not None and not one.called]

    def _call(self, hook: Hook) -> Deferred[object] | None:
        try:
            result = hook()
            if not isawaitable(result):
                return None
            work = self._begin()(_awaited(result))
        except Exception:
            self._failed(Failure(), hook)
            return None
        work.addErrback(self._failed, hook)
        return work

    def _failed(self, failure: Failure, hook: Hook) -> None:
        if failure.check(CancelledError):
            self._log.warn("{name} did not end in time", name=name_of(hook))
        else:
            self._log.failure("{name} failed", failure, name=name_of(hook))

    def _in_time(self, works: Sequence[Deferred[object]]) -> Deferred[None]:
        done: Deferred[None] = DeferredList(works).addCallback(lambda _: None)
        if works:
            timer = self._clock.callLater(self._patience, _cancel, works)
            done.addBoth(lambda _: timer.cancel() if timer.active() else None)
        return done


def _cancel(works: Sequence[Deferred[object]]) -> None:
    for work in works:
        work.cancel()


async def _awaited(result: Awaitable[object]) -> object:
    return await result
