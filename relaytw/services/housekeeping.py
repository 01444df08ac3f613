"""Forgets, now and then, what can no longer matter."""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from relaytw.gate import Gate
from relaytw.store.journal import Journal


class Housekeeping(Service):
    """Sweeps the gate's windows every `interval` seconds, and says what that freed; ages a journal out."""

    name = "housekeeping"

    def __init__(
        self, clock: IReactorTime, gate: Gate, interval: float, journal: Journal | None = None
    ) -> None:
        self._gate = gate
        self._journal = journal
        self._interval = interval
        self._loop = LoopingCall(self._clean_up)
        self._loop.clock = clock
        self._log = Logger(namespace="relaytw.housekeeping")

    def startService(self) -> None:
        """Begin, the first time after one interval."""
        super().startService()
        self._loop.start(self._interval, now=False).addErrback(
            lambda failure: self._log.failure("housekeeping has stopped", failure)
        )

    def stopService(self) -> None:
        """Leave no timer behind."""
        super().stopService()
        if self._loop.running:
            self._loop.stop()

    def _clean_up(self) -> None:
        try:
            freed = self._gate.sweep()
        except Exception:
            self._log.failure(
                "the gate could not be swept; the next try is in {seconds:g} s", seconds=self._interval
            )
            return
        if self._journal is not None:
            self._journal.age_out()
        self._log.debug("forgot {freed} message ids and signatures", freed=freed)
