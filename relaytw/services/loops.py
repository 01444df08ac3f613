"""Work that is done again and again: a service that outlives whatever goes wrong in it."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure


class Regularly(Service):
    """Calls `work` every `interval` seconds, the first time after one, and never while it still works."""

    namespace = "relaytw.services"

    def __init__(self, clock: IReactorTime, interval: float) -> None:
        self.clock = clock
        self.interval = interval
        self._loop = LoopingCall(self._safely)
        self._loop.clock = clock
        self._log = Logger(namespace=self.namespace)

    def work(self) -> object:
        """What is to be done, or a Deferred of it; if it fails that is logged, and it is tried again."""
        raise NotImplementedError

    def startService(self) -> None:
        """Begin, the first time after one interval."""
        super().startService()
        self._loop.start(self.interval, now=False).addErrback(self._failed)

    def stopService(self) -> Deferred[None] | None:
        """Leave no timer behind; what is under way goes on."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()
        return None

    def _safely(self) -> Deferred[object]:
        return maybeDeferred(self.work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.failure(
            "{name} failed; the next try is in {seconds:g} s", failure, name=self.name, seconds=self.interval
        )
