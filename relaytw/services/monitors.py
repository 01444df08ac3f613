"""A row for every pong, one for the machine now and then, and a sign of life for the back office."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import takewhile
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from relaytw.messages import Pong
from relaytw.protocols.conversation import Conversation
from relaytw.services.loops import Regularly
from relaytw.services.machine import Machine
from relaytw.services.writer import RowWriter
from relaytw.store import processes
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.pings import MOST_PERCENT, PINGS, Load, PingRows
from relaytw.store.processes import Beat
from relaytw.store.systems import SYSTEMS, MachineFigures, row
from relaytw.store.times import WallClock

#: Seconds between two looks at what the process takes, and how many of them are remembered.
SAMPLE_EVERY = 1.0
SAMPLES = 300
#: Seconds between two signs of life, and that a stop waits for the last one.
BEAT_EVERY = 30.0
STOP_PATIENCE = 3.0


class Sampler(Regularly):
    """Looks every second at what the process takes, and tells of the last minutes."""

    name = "sampler"
    namespace = "relaytw.monitor"

    def __init__(self, clock: IReactorTime, machine: Machine) -> None:
        super().__init__(clock, SAMPLE_EVERY)
        self._machine = machine
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=SAMPLES)

    def work(self) -> None:
        """Take a sample."""
        usage = self._machine.usage()
        self._samples.append((self.clock.seconds(), usage.cpu, usage.memory))

    def since(self, at: float) -> Load:
        """What was taken since then on the relay's clock; the last sample alone if there is none newer."""
        samples = list(takewhile(lambda sample: sample[0] >= at, reversed(self._samples)))
        if not samples:
            samples = [self._samples[-1]] if self._samples else [(at, 0.0, 0.0)]
        _, cpu, memory = zip(*samples, strict=True)
        return Load(sum(cpu) / len(cpu), max(cpu), sum(memory) / len(memory), max(memory))


class PingRecord(Protocol):
    """Whoever keeps the pongs."""

    def note(self, conversation: Conversation, pong: Pong, round_trip_ms: int | None) -> None:
        """Write down a phone's pong."""


class PingLog:
    """Has a row written for every pong; `now` gives seconds since the epoch."""

    def __init__(self, writer: RowWriter, rows: PingRows, sampler: Sampler, now: Callable[[], float]) -> None:
        self._writer = writer
        self._rows = rows
        self._sampler = sampler
        self._now = now

    def note(self, conversation: Conversation, pong: Pong, round_trip_ms: int | None) -> None:
        """Write down a phone's pong, with what the relay took since the one before."""
        client, auth = conversation.key, pong.auth
        if client is None:
            return
        load = self._sampler.since(conversation.last_pong or conversation.connected_at)
        conversation.last_pong = self._sampler.clock.seconds()
        row = self._rows.row(
            client,
            conversation.host,
            self._now(),
            round_trip_ms=round_trip_ms,
            phone_ms=auth.timestamp if auth is not None else None,
            monitoring=pong.monitoring,
            load=load,
        )
        self._writer.write(PINGS, row)


class SystemMonitor(Regularly):
    """Has a row written for the machine every `interval` seconds; `busy` gives connections and queue."""

    name = "system-monitor"
    namespace = "relaytw.monitor"

    def __init__(
        self,
        clock: IReactorTime,
        interval: float,
        *,
        writer: RowWriter,
        machine: Machine,
        relay_name: str,
        busy: Callable[[], tuple[int, int]],
        wall: WallClock,
        now: Callable[[], float],
    ) -> None:
        super().__init__(clock, interval)
        self._writer = writer
        self._machine = machine
        self._relay_name = relay_name
        self._busy = busy
        self._wall = wall
        self._now = now

    def work(self) -> Deferred[None]:
        """Measure, and have the row written."""
        return self._machine.figures().addCallback(self._note)

    def _note(self, figures: MachineFigures) -> None:
        connections, waiting = self._busy()
        at = self._wall.text(self._now())
        self._writer.write(SYSTEMS, row(self._relay_name, figures, connections, waiting, at))


class Heartbeat(Regularly):
    """Tells the back office every half minute that this process runs, and at the end that it is stopped."""

    name = "heartbeat"
    namespace = "relaytw.monitor"

    def __init__(
        self,
        clock: IReactorTime,
        *,
        database: Transactions,
        sampler: Sampler,
        beat: Beat,
        wall: WallClock,
        now: Callable[[], float],
    ) -> None:
        super().__init__(clock, BEAT_EVERY)
        self._database = database
        self._sampler = sampler
        self._beat = beat
        self._wall = wall
        self._now = now
        self._failing = ""

    def startService(self) -> None:
        """Begin at once."""
        super().startService()
        self.work()

    def stopService(self) -> Deferred[None]:
        """Fires when the last sign of life is written, or after a while without."""
        super().stopService()
        last = self._say("stopped")
        last.addTimeout(STOP_PATIENCE, self.clock)
        return last.addErrback(lambda _: None)

    def work(self) -> Deferred[None]:
        """Give a sign of life."""
        return self._say("running")

    def _say(self, status: str) -> Deferred[None]:
        load = self._sampler.since(self.clock.seconds() - BEAT_EVERY)
        beat = self._beat._replace(
            status=status, cpu=round(min(load.cpu, MOST_PERCENT), 2), memory=round(load.memory, 2),
            at=self._wall.text(self._now()),
        )  # fmt: skip
        said = self._database.run(processes.beat, beat)
        return said.addCallbacks(self._went_well, self._went_wrong)

    def _went_well(self, _: None) -> None:
        self._failing = ""

    def _went_wrong(self, failure: Failure) -> None:
        # Of a database that is away others tell; a table that refuses is told of once.
        why = failure.getErrorMessage()
        if not failure.check(DatabaseAway) and why != self._failing:
            self._failing = why
            self._log.warn("kb_server_processes does not take this process: {why}", why=why)
