"""Writes rows that nobody waits for: gathered, many in one transaction, kept while the database is away.

The next batch begins when the one before is committed, so that batches grow with the load; what only
trickles in is gathered for a moment.  A batch of which nobody knows whether it was committed is written
again: such a row can be there twice, but it is not lost.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from sys import getsizeof

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.metrics import Metrics
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.rows import Refusal, Row, RowKind, write_rows

#: Seconds for which rows are gathered before they are written; small bursts keep the reactor from waiting.
GATHER = 0.05
#: Seconds until a batch is tried again, doubled each time up to the last.
FIRST_RETRY = 0.25
LAST_RETRY = 5.0
#: Seconds that a stop waits for the rows to be written.
STOP_PATIENCE = 5.0
#: Seconds that whoever needs the rows in their tables waits for that.
FLUSH_PATIENCE = 5.0
#: Seconds between two log lines about rows that were lost.
COMPLAIN_EVERY = 60.0
#: About what a row takes in memory, its long text apart.
ROW_BYTES = 500
#: Bytes of rows in one transaction, so that a few very long texts do not make it a long one.
BATCH_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """Rows of one transaction, and what may wait: rows, and bytes of memory."""

    batch_rows: int = 500
    buffer_rows: int = 100_000
    buffer_bytes: int = 64 * 1024 * 1024


class RowWriter(Service):
    """The rows that are not stored yet."""

    name = "rows"

    def __init__(
        self, database: Transactions, clock: IReactorTime, metrics: Metrics, settings: WriterSettings
    ) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._settings = settings
        self._rows: deque[tuple[RowKind, Row, int]] = deque()
        self._bytes = 0
        self._flying: list[tuple[RowKind, Row, int]] = []
        self._flying_bytes = 0
        self._over = 0
        self._flushes: deque[tuple[int, Deferred[None]]] = deque()
        self._timer: IDelayedCall | None = None
        self._retry = 0.0
        self._stopping: Deferred[None] | None = None
        self._stopped = False
        self._complained: dict[str, float] = {}
        self._lost: Counter[str] = Counter()
        self._log = Logger(namespace="relaytw.rows")

    @property
    def waiting(self) -> int:
        """How many rows are not stored yet, those under way included."""
        return len(self._rows) + len(self._flying)

    @property
    def waiting_bytes(self) -> int:
        """About how much memory they take."""
        return self._bytes + self._flying_bytes

    def write(self, kind: RowKind, row: Row) -> None:
        """Have this row written soon."""
        size = ROW_BYTES if kind.long is None else ROW_BYTES + getsizeof(row[kind.long])
        rows, settings = self._rows, self._settings
        rows.append((kind, row, size))
        self._bytes += size
        if (
            len(rows) + len(self._flying) > settings.buffer_rows
            or self._bytes + self._flying_bytes > settings.buffer_bytes
            or self._stopped
        ):
            self._make_room()
        if self._timer is None:
            if not self._flying and rows:
                self._timer = self._clock.callLater(GATHER, self._begin)
        elif len(rows) >= settings.batch_rows and not self._retry:
            self._begin()

    def flushed(self) -> Deferred[None]:
        """Fires when what waits now is stored or lost; fails with `DatabaseAway` if that takes long."""
        if not self.waiting:
            return succeed(None)
        flushed: Deferred[None] = Deferred()
        self._flushes.append((self._over + self.waiting, flushed))
        flushed.addTimeout(FLUSH_PATIENCE, self._clock, _too_long)
        if self._timer is not None and not self._retry:
            self._begin()
        return flushed

    # -- Service

    def startService(self) -> None:
        """Begin to write."""
        super().startService()
        self._stopped = False

    def stopService(self) -> Deferred[None]:
        """Fires when every row is written, or after a while without."""
        super().stopService()
        done = self._stopping = Deferred()
        done.addTimeout(STOP_PATIENCE, self._clock)
        done.addErrback(lambda _: None)  # took too long
        done.addCallback(self._leave)
        if not self._flying:
            self._begin()
        return done

    def _leave(self, _: None) -> None:
        self._stopped, self._stopping = True, None
        self._disarm()
        left = Counter(kind.table for kind, _, _ in [*self._flying, *self._rows])
        if left:
            self._log.error(
                "{count} rows could not be written before the stop: {tables}",
                count=left.total(), tables=dict(left),
            )  # fmt: skip
            self._metrics.rows_dropped.update(left)
        self._rows.clear()
        self._bytes = 0

    # -- batches

    def _begin(self) -> None:
        self._disarm()
        if not self._rows:
            self._rest()
            return
        settings, rows, size = self._settings, self._rows, 0
        batch: dict[RowKind, list[Row]] = {}
        flying = self._flying
        while rows and len(flying) < settings.batch_rows and size < BATCH_BYTES:
            entry = rows.popleft()
            flying.append(entry)
            batch.setdefault(entry[0], []).append(entry[1])
            size += entry[2]
        self._bytes -= size
        self._flying_bytes = size
        writing = self._database.run(write_rows, list(batch.items()))
        writing.addCallbacks(self._written, self._not_written)
        writing.addErrback(lambda failure: self._log.failure("rows got lost", failure))

    def _written(self, refusals: list[Refusal]) -> None:
        self._retry = 0.0
        flown = self._land()
        self._metrics.rows_written.update(kind.table for kind, _, _ in flown)
        for refusal in refusals:
            self._metrics.rows_written[refusal.table] -= refusal.rows
            self._metrics.rows_refused[refusal.table] += refusal.rows
            self._complain(
                f"{refusal.table} refused", refusal.rows,
                "the database refused {count} rows of {table}, the last because: {why}",
                table=refusal.table, why=refusal.why,
            )  # fmt: skip
        self._count_over(len(flown))
        self._go_on()

    def _not_written(self, failure: Failure) -> None:
        flown = self._land()
        if failure.check(DatabaseAway):
            self._retry = min(2 * self._retry or FIRST_RETRY, LAST_RETRY)
            if not self._stopped:
                self._rows.extendleft(reversed(flown))
                self._bytes += sum(size for _, _, size in flown)
                self._make_room()
        else:
            self._log.failure("{count} rows could not be written and are lost", failure, count=len(flown))
            self._metrics.rows_refused.update(kind.table for kind, _, _ in flown)
            self._count_over(len(flown))
        self._go_on()

    def _land(self) -> list[tuple[RowKind, Row, int]]:
        flown, self._flying, self._flying_bytes = self._flying, [], 0
        return flown

    def _count_over(self, rows: int) -> None:
        """So many rows wait no longer."""
        self._over += rows
        while self._flushes and self._flushes[0][0] <= self._over:
            flushed = self._flushes.popleft()[1]
            if not flushed.called:
                flushed.callback(None)

    def _go_on(self) -> None:
        if self._stopped or self._timer is not None:
            return
        if not self._rows:
            self._rest()
        elif self._retry:
            soon = FIRST_RETRY if self._stopping is not None else self._retry
            self._timer = self._clock.callLater(soon, self._begin)
        else:
            full = self._stopping is not None or len(self._rows) >= self._settings.batch_rows
            self._timer = self._clock.callLater(0 if full else GATHER, self._begin)

    def _rest(self) -> None:
        stopping, self._stopping = self._stopping, None
        if stopping is not None and not stopping.called:
            stopping.callback(None)

    def _disarm(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    # -- losses

    def _make_room(self) -> None:
        """Drop the oldest rows until what is left may wait."""
        settings, rows = self._settings, self._rows
        dropped: Counter[str] = Counter()
        while rows and (
            self._stopped or self.waiting > settings.buffer_rows or self.waiting_bytes > settings.buffer_bytes
        ):
            kind, _, size = rows.popleft()
            self._bytes -= size
            dropped[kind.table] += 1
        self._count_over(dropped.total())
        for table, count in dropped.items():
            self._metrics.rows_dropped[table] += count
            self._complain(
                f"{table} dropped", count,
                "{count} rows of {table} are dropped, the oldest first: too many wait to be written",
                table=table,
            )  # fmt: skip

    def _complain(self, about: str, count: int, text: str, **fields: object) -> None:
        # One line now and then tells as much as one a row.
        self._lost[about] += count
        now = self._clock.seconds()
        if now - self._complained.get(about, -COMPLAIN_EVERY) >= COMPLAIN_EVERY:
            self._complained[about] = now
            self._log.error(text, count=self._lost.pop(about), **fields)


def _too_long(_: object, seconds: float) -> None:
    raise DatabaseAway(f"rows were not written within {seconds:g} s")
