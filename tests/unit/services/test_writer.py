"""Rows behind everybody's back: gathered, batched, kept while the database is away."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.metrics import Metrics
from relaytw.services.writer import (
    COMPLAIN_EVERY,
    FIRST_RETRY,
    FLUSH_PATIENCE,
    GATHER,
    LAST_RETRY,
    ROW_BYTES,
    STOP_PATIENCE,
    RowWriter,
    WriterSettings,
)
from relaytw.store.database import DatabaseAway
from relaytw.store.rows import Row, RowKind
from relaytw.store.schema import audit, systems
from relaytw.store.statements import Insert
from relaytw.testing import MemoryDatabase

AUDIT = RowKind(audit.name, Insert(audit, ("at_ms", "actor", "act", "detail")), 3)
SYSTEMS = RowKind(systems.name, Insert(systems, ("memory_total",)))


def row(number: int, text: str = "") -> Row:
    """A row that the table takes."""
    return (number, "somebody", "act", text)


class Bench:
    """A writer, its database and its clock."""

    def __init__(self, **settings: int) -> None:
        self.clock = Clock()
        self.database = MemoryDatabase()
        self.metrics = Metrics()
        self.writer = RowWriter(self.database, self.clock, self.metrics, WriterSettings(**settings))
        self.writer.startService()

    def write(self, *numbers: int) -> None:
        """Have rows of these numbers written."""
        for number in numbers:
            self.writer.write(AUDIT, row(number))

    def written(self) -> list[int]:
        """The numbers of the rows in the table, in order."""
        return [found[0] for found in self.database.rows("SELECT at_ms FROM relaytw_audit ORDER BY id")]


class WriterCase(SynchronousTestCase):
    def bench(self, **settings: int) -> Bench:
        """A writer that will be stopped."""
        bench = Bench(**settings)
        self.addCleanup(self.assert_stops, bench)
        return bench

    def assert_stops(self, bench: Bench) -> None:
        """Stopped, it leaves no timer."""
        bench.database.let_go()
        stopping = bench.writer.stopService()
        bench.clock.pump([0.01] * 20 + [STOP_PATIENCE])
        self.successResultOf(stopping)
        self.assertEqual(bench.clock.getDelayedCalls(), [])


class BatchTests(WriterCase):
    def test_gathered(self) -> None:
        """What trickles in is gathered for a moment and written together."""
        bench = self.bench()
        for number in range(10):
            bench.write(number)
            bench.clock.advance(GATHER / 20)
        self.assertEqual((bench.written(), bench.writer.waiting), ([], 10))
        bench.clock.advance(GATHER)
        self.assertEqual(bench.written(), list(range(10)))
        self.assertEqual((bench.database.ran, bench.writer.waiting, bench.writer.waiting_bytes), (1, 0, 0))
        self.assertEqual(bench.metrics.rows_written, {"relaytw_audit": 10})

    def test_full(self) -> None:
        """A full batch does not wait for the moment to be over."""
        bench = self.bench(batch_rows=4)
        bench.write(1, 2, 3)
        self.assertEqual(bench.database.ran, 0)
        bench.write(4)
        self.assertEqual(bench.written(), [1, 2, 3, 4])

    def test_next_after_commit(self) -> None:
        """While a batch is under way no other begins; what came meanwhile goes at once when it is done."""
        bench = self.bench(batch_rows=2)
        bench.database.hold()
        bench.write(*range(7))
        bench.clock.advance(10)
        self.assertEqual((bench.database.ran, bench.writer.waiting), (1, 7))
        bench.database.let_go(1)
        bench.clock.advance(0)
        self.assertEqual((bench.written(), bench.database.ran), ([0, 1], 2))
        bench.database.let_go()
        bench.clock.pump([0, 0, GATHER])
        self.assertEqual((bench.written(), bench.database.ran), (list(range(7)), 4))

    def test_kinds(self) -> None:
        """Rows of several tables share a transaction, and are counted by their table."""
        bench = self.bench()
        bench.write(1)
        bench.writer.write(SYSTEMS, (8,))
        bench.clock.advance(GATHER)
        self.assertEqual(bench.database.ran, 1)
        self.assertEqual(bench.metrics.rows_written, {"relaytw_audit": 1, "kb_system_monitor": 1})

    def test_long_rows(self) -> None:
        """Very long rows make smaller batches."""
        bench = self.bench()
        for number in range(10):
            bench.writer.write(AUDIT, row(number, "x" * 1_000_000))
        bench.clock.pump([GATHER, 0, 0, 0, GATHER])
        self.assertEqual((bench.written(), bench.database.ran), (list(range(10)), 2))


class AwayTests(WriterCase):
    def test_nothing_is_lost(self) -> None:
        """Rows wait while the database is away, in order, and are all written when it is back."""
        bench = self.bench(batch_rows=3)
        bench.database.go_away()
        bench.write(*range(10))
        bench.clock.pump([GATHER] + [1] * 60)
        self.assertEqual((bench.written(), bench.writer.waiting), ([], 10))
        bench.database.come_back()
        bench.clock.pump([LAST_RETRY, 0, 0, 0, GATHER])
        self.assertEqual(bench.written(), list(range(10)))
        self.assertEqual((bench.metrics.rows_dropped, bench.writer.waiting_bytes), ({}, 0))

    def test_back_off(self) -> None:
        """It is tried again at growing intervals, at most every few seconds, however much comes in."""
        bench = self.bench(batch_rows=3)
        bench.database.go_away()
        bench.write(0)
        tries: list[float] = []
        for step in range(6000):
            bench.clock.advance(0.01)
            bench.write(step)
            if bench.database.ran > len(tries):
                tries.append(bench.clock.seconds())
        waits = [after - before for before, after in pairwise(tries)]
        for wait, expected in zip(waits, [0.25, 0.5, 1, 2, 4, 5, 5, 5], strict=False):
            self.assertLessEqual(abs(wait - expected), 0.02)
        self.assertEqual(FIRST_RETRY, 0.25)

    def test_bound(self) -> None:
        """Past the bound the oldest rows are dropped, counted by their table, and told of."""
        bench = self.bench(buffer_rows=5)
        bench.database.go_away()
        bench.writer.write(SYSTEMS, (8,))
        bench.write(*range(10))
        self.assertEqual(bench.writer.waiting, 5)
        self.assertEqual(bench.metrics.rows_dropped, {"kb_system_monitor": 1, "relaytw_audit": 5})
        bench.database.come_back()
        bench.clock.pump([GATHER, LAST_RETRY])
        self.assertEqual(bench.written(), [5, 6, 7, 8, 9])

    def test_bound_while_under_way(self) -> None:
        """What is under way counts too, and comes back as the oldest if it could not be written."""
        bench = self.bench(buffer_rows=5, batch_rows=3)
        bench.database.hold()
        bench.write(*range(8))
        self.assertEqual((bench.writer.waiting, bench.metrics.rows_dropped), (5, {"relaytw_audit": 3}))
        bench.database.go_away()
        bench.database.let_go()
        bench.database.come_back()
        bench.clock.pump([LAST_RETRY, 0, GATHER])
        self.assertEqual(bench.written(), [0, 1, 2, 6, 7])

    def test_bytes(self) -> None:
        """The bound in bytes counts what long texts take."""
        bench = self.bench(buffer_bytes=10 * ROW_BYTES)
        bench.database.go_away()
        for number in range(5):
            bench.writer.write(AUDIT, row(number, "x" * 2 * ROW_BYTES))
            self.assertLessEqual(bench.writer.waiting_bytes, 10 * ROW_BYTES)
        self.assertEqual((bench.writer.waiting, bench.metrics.rows_dropped.total()), (3, 2))

    @given(st.lists(st.sampled_from(["write", "away", "back", "hold", "go", "second"]), max_size=60))
    def test_every_row_has_one_end(self, steps: list[str]) -> None:
        """Whatever happens, every row is written once, dropped, or waits; and the order is kept."""
        bench = Bench(batch_rows=3, buffer_rows=6)
        acts: dict[str, Any] = {
            "away": bench.database.go_away, "back": bench.database.come_back, "hold": bench.database.hold,
            "go": bench.database.let_go, "second": lambda: bench.clock.advance(1),
        }  # fmt: skip
        count = 0
        for step in steps:
            if step == "write":
                bench.write(count)
                count += 1
            else:
                acts[step]()
            written, dropped = bench.written(), bench.metrics.rows_dropped.total()
            self.assertEqual(len(written) + dropped + bench.writer.waiting, count)
            self.assertLessEqual(bench.writer.waiting, 6)
        self.assertEqual(written, sorted(set(written))) if steps else None


class RefusedTests(WriterCase):
    def test_bad_row(self) -> None:
        """A row that the database refuses is dropped, counted and told of; the others are written."""
        bench = self.bench()
        bench.write(1)
        bench.writer.write(AUDIT, (2, None, "no actor", ""))
        bench.write(3)
        bench.clock.advance(GATHER)
        self.assertEqual(bench.written(), [1, 3])
        self.assertEqual(bench.metrics.rows_written, {"relaytw_audit": 2})
        self.assertEqual(bench.metrics.rows_refused, {"relaytw_audit": 1})

    def test_told_now_and_then(self) -> None:
        """A thousand rows that are refused do not make a thousand log lines."""
        bench = self.bench()
        lines: list[str] = []
        bench.writer._log = self.listen(lines)
        for _ in range(10):
            bench.writer.write(AUDIT, (2, None, "no actor", ""))
            bench.clock.advance(GATHER)
        bench.clock.advance(COMPLAIN_EVERY)
        bench.writer.write(AUDIT, (2, None, "no actor", ""))
        bench.clock.advance(GATHER)
        self.assertEqual(lines, ["1 of relaytw_audit", "10 of relaytw_audit"])

    def listen(self, lines: list[str]) -> Any:
        """A logger that notes how much is told of which table."""

        class Ear:
            def error(self, _text: str, **fields: Any) -> None:
                lines.append(f"{fields['count']} of {fields['table']}")

        return Ear()


class StopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(batch_rows=3)

    def test_flush(self) -> None:
        """A stop writes what waits, without waiting for the moment to be over."""
        self.bench.write(*range(8))
        stopping = self.bench.writer.stopService()
        self.bench.clock.pump([0, 0, 0])
        self.successResultOf(stopping)
        self.assertEqual(self.bench.written(), list(range(8)))
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """With nothing to write it stops at once."""
        self.successResultOf(self.bench.writer.stopService())
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_under_way(self) -> None:
        """A stop waits for the batch that is under way, and for what comes behind it."""
        self.bench.database.hold()
        self.bench.write(*range(5))
        stopping = self.bench.writer.stopService()
        self.assertNoResult(stopping)
        self.bench.database.let_go()
        self.bench.clock.advance(0)
        self.successResultOf(stopping)
        self.assertEqual(self.bench.written(), list(range(5)))

    def test_away(self) -> None:
        """With the database away it gives up after a few seconds, and counts what is lost."""
        self.bench.database.go_away()
        self.bench.write(1, 2)
        stopping = self.bench.writer.stopService()
        self.bench.clock.pump([FIRST_RETRY] * int((STOP_PATIENCE - 1) / FIRST_RETRY))
        self.assertNoResult(stopping)
        self.bench.clock.advance(1)
        self.successResultOf(stopping)
        self.assertEqual(self.bench.metrics.rows_dropped, {"relaytw_audit": 2})
        self.assertEqual((self.bench.writer.waiting, self.bench.clock.getDelayedCalls()), (0, []))

    def test_back_in_time(self) -> None:
        """A database that comes back while the relay stops still gets its rows."""
        self.bench.database.go_away()
        self.bench.write(1, 2)
        self.bench.clock.pump([1] * 20)
        stopping = self.bench.writer.stopService()
        self.bench.database.come_back()
        self.bench.clock.advance(FIRST_RETRY)
        self.successResultOf(stopping)
        self.assertEqual(self.bench.written(), [1, 2])

    def test_hanging(self) -> None:
        """A batch that never ends does not keep the relay from stopping."""
        self.bench.database.hold()
        self.bench.write(1, 2, 3, 4)
        stopping = self.bench.writer.stopService()
        self.bench.clock.advance(STOP_PATIENCE)
        self.successResultOf(stopping)
        self.assertEqual(self.bench.metrics.rows_dropped, {"relaytw_audit": 4})
        self.bench.database.let_go()
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_too_late(self) -> None:
        """What is written after the stop is counted as lost, and waits for nothing."""
        self.successResultOf(self.bench.writer.stopService())
        self.bench.write(1)
        self.assertEqual((self.bench.writer.waiting, self.bench.metrics.rows_dropped.total()), (0, 1))
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """A writer that was stopped can be started again."""
        self.successResultOf(self.bench.writer.stopService())
        self.bench.writer.startService()
        self.bench.write(1, 2, 3)
        self.bench.clock.advance(GATHER)
        self.assertEqual(self.bench.written(), [1, 2, 3])


class FlushedTests(WriterCase):
    def test_nothing_waits(self) -> None:
        """With nothing to wait for it fires at once."""
        self.successResultOf(self.bench().writer.flushed())

    def test_when_stored(self) -> None:
        """It fires when what waits now is stored, whatever comes meanwhile."""
        bench = self.bench(batch_rows=2)
        bench.database.hold()
        bench.write(1, 2, 3)
        flushed = bench.writer.flushed()
        bench.write(4, 5)
        bench.database.let_go(1)
        bench.clock.advance(0)
        self.assertNoResult(flushed)
        bench.database.let_go(1)
        self.successResultOf(flushed)
        self.assertEqual(bench.written(), [1, 2, 3, 4])

    def test_away(self) -> None:
        """It fails when the rows are not stored in time."""
        bench = self.bench()
        bench.database.go_away()
        bench.write(1)
        flushed = bench.writer.flushed()
        bench.clock.advance(FLUSH_PATIENCE)
        self.failureResultOf(flushed, DatabaseAway)
        bench.database.come_back()
        bench.clock.advance(LAST_RETRY)
        self.assertEqual(bench.written(), [1])
