"""Notices handlers that keep the reactor from everybody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaytw.bots.router import Invocation
from relaytw.messages import Message
from relaytw.metrics import Metrics
from relaytw.services.runs import Run

#: A handler's step longer than this many seconds stalls everybody and is logged.
STALL = 1.0


class Stalls:
    """Measures the later steps of handlers, and counts and logs those that stall."""

    def __init__(self, clock: IReactorTime, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._log = Logger(namespace="relaytw.dispatch")

    def of(self, run: Run) -> Callable[[Callable[[Any], object], object], object]:
        """Runs steps of this run, and notes each that stalls."""

        def timed(step: Callable[[Any], object], value: object) -> object:
            before = self._clock.seconds()
            try:
                return step(value)
            finally:
                seconds = self._clock.seconds() - before
                if seconds > STALL:
                    self.note(run.job.message, run.invocation, seconds)

        return timed

    def note(self, message: Message, invocation: Invocation, seconds: float) -> None:
        """Count and log a step that took so long."""
        self._metrics.stalls += 1
        self._log.warn(
            "handler {handler} kept the reactor for {seconds:.1f} s; declare it blocking",
            handler=invocation.name,
            seconds=seconds,
            trace=message.trace,
        )
