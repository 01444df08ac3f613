"""What the machine and this process take: the only module that asks the operating system for figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psutil
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from relaytw.daemons import DaemonThreads
from relaytw.store.systems import MachineFigures

_MEGABYTE = 1024 * 1024


class Usage(NamedTuple):
    """What this process takes: CPU in percent of a core since it was last asked, memory in MB."""

    cpu: float
    memory: float


class Machine(Protocol):
    """Whoever knows the figures."""

    def figures(self) -> Deferred[MachineFigures]:
        """The machine as a whole; takes its time."""

    def memory_percent(self) -> float:
        """How much of the machine's memory is in use, in percent; at once."""

    def usage(self) -> Usage:
        """What this process takes; at once."""


class MachineService(Machine, Protocol):
    """The same as a part of a relay."""

    def setServiceParent(self, parent: Any) -> None:
        """Become a child of a service."""


class ThisMachine(Service):
    """The machine this runs on.  A disk that hangs holds up a thread of its own and nobody else."""

    name = "machine"

    def __init__(self, folder: Path, reactor: Any) -> None:
        self._folder = folder
        self._reactor = reactor
        self._process = psutil.Process()
        self._pool = DaemonThreads(0, 1, "machine")

    def startService(self) -> None:
        """Begin to measure: what is asked for is what was taken since the last time."""
        super().startService()
        self._pool.start()
        self._process.cpu_percent(None)
        psutil.cpu_percent(None)

    def stopService(self) -> None:
        """Leave a thread that hangs to the end of the process."""
        super().stopService()
        if not self._pool.working:
            self._pool.stop()

    def figures(self) -> Deferred[MachineFigures]:
        """The machine as a whole; from a thread."""
        return deferToThreadPool(self._reactor, self._pool, _measure, self._folder)

    def memory_percent(self) -> float:
        """How much of the machine's memory is in use, in percent."""
        return float(psutil.virtual_memory().percent)

    def usage(self) -> Usage:
        """What this process takes."""
        process = self._process
        with process.oneshot():
            return Usage(process.cpu_percent(None), process.memory_info().rss / _MEGABYTE)


def _measure(folder: Path) -> MachineFigures:
    memory = psutil.virtual_memory()
    return MachineFigures(
        psutil.cpu_percent(None),
        memory.total,
        memory.total - memory.available,
        memory.percent,
        psutil.disk_usage(str(folder)).percent,
    )
