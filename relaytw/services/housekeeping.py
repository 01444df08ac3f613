"""Forgets what can no longer matter: now and then, and at once when the machine runs out of memory.

What is given up is what can be had again: caches, windows and the state of clients that are long gone.
Accepted messages, replies that wait and rows that wait are nobody's to give up here.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

from relaytw.services.loops import Regularly

#: Forgets something, and tells of how many things that were.
Sweep = Callable[[], int]


@dataclass(slots=True)
class Sweeps:
    """What can be forgotten, by its name: `usual` things now and then, `emergency` ones only for memory."""

    usual: dict[str, Sweep] = field(default_factory=dict)
    emergency: dict[str, Sweep] = field(default_factory=dict)


class Housekeeping(Regularly):
    """Has everything swept every `interval` seconds, and says what that freed."""

    name = "housekeeping"
    namespace = "relaytw.housekeeping"

    def __init__(self, clock: IReactorTime, sweeps: Sweeps, interval: float) -> None:
        super().__init__(clock, interval)
        self._sweeps = sweeps

    def work(self) -> None:
        """Forget what no longer matters."""
        self.clean_up()

    def clean_up(self) -> int:
        """Forget what no longer matters; how many things that were."""
        freed = self._run(self._sweeps.usual)
        self._log.info("clean-up: forgot {freed}", freed=_in_words(freed))
        return sum(freed.values())

    def give_up(self) -> int:
        """Forget all that can be had again; how many things that were."""
        freed = self._run({**self._sweeps.usual, **self._sweeps.emergency})
        self._log.warn("emergency clean-up: gave up {freed}", freed=_in_words(freed))
        return sum(freed.values())

    def _run(self, sweeps: Mapping[str, Sweep]) -> dict[str, int]:
        freed = {}
        for name, sweep in sweeps.items():
            try:
                freed[name] = sweep()
            except Exception:
                self._log.failure(
                    "{what} could not be swept; the next try is in {seconds:g} s",
                    what=name, seconds=self.interval,
                )  # fmt: skip
        return freed


class MemoryWatch(Regularly):
    """Looks every `interval` seconds how full the machine's memory is, in percent, and acts on it."""

    name = "memory-watch"
    namespace = "relaytw.housekeeping"

    def __init__(
        self,
        clock: IReactorTime,
        interval: float,
        *,
        percent: Callable[[], float],
        warn: float,
        critical: float,
        housekeeping: Housekeeping,
        collector: Collector,
    ) -> None:
        super().__init__(clock, interval)
        self._percent = percent
        self._warn = warn
        self._critical = critical
        self._housekeeping = housekeeping
        self._collector = collector

    def work(self) -> None:
        """Look, and clean up if need be."""
        percent = self._percent()
        if percent < self._warn:
            self._log.debug("{percent:.0f} % of the machine's memory are in use", percent=percent)
            return
        self._log.warn(
            "{percent:.0f} % of the machine's memory are in use; {warn:g} % is much, {critical:g} % too much",
            percent=percent, warn=self._warn, critical=self._critical,
        )  # fmt: skip
        if percent >= self._critical:
            self._housekeeping.give_up()
        else:
            self._housekeeping.clean_up()
        self._collector.work()
        self._log.info("{percent:.0f} % are in use after the clean-up", percent=self._percent())


class Collector(Regularly):
    """Has the garbage collected every `interval` seconds; says how much there was and how long it took."""

    name = "collector"
    namespace = "relaytw.housekeeping"

    def __init__(self, clock: IReactorTime, interval: float, collect: Callable[[], int] = gc.collect) -> None:
        super().__init__(clock, interval)
        self._collect = collect

    def work(self) -> None:
        """Collect all generations; what was there at the start is frozen, and not looked through."""
        begun = self.clock.seconds()
        found = self._collect()
        self._log.info(
            "garbage collection: {found} objects in {ms:.0f} ms",
            found=found, ms=(self.clock.seconds() - begun) * 1000,
        )  # fmt: skip


def _in_words(freed: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in freed.items() if count) or "nothing"
