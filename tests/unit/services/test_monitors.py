"""Rows for pongs and for the machine, and the sign of life for the back office."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.metrics import Metrics
from relaytw.services.machine import ThisMachine, Usage
from relaytw.services.monitors import BEAT_EVERY, SAMPLES, STOP_PATIENCE, Heartbeat, Sampler, SystemMonitor
from relaytw.services.writer import GATHER, RowWriter, WriterSettings
from relaytw.store.pings import Load
from relaytw.store.processes import Beat
from relaytw.store.times import WallClock
from relaytw.testing import FakeMachine, MemoryDatabase

EPOCH = 1_752_548_400.0  # 12:00 in Seoul
WALL = WallClock("Asia/Seoul")
BEAT = Beat("relay-01", "host", 1490, 42, "running", 0, 0, "")


class SamplerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.machine = Clock(), FakeMachine()
        self.sampler = Sampler(self.clock, self.machine)
        self.sampler.startService()

    def sample(self, *cpu: float) -> None:
        """Let a second pass for each of these."""
        for percent in cpu:
            self.machine.now = Usage(percent, percent * 10)
            self.clock.advance(1)

    def test_since(self) -> None:
        """Mean and maximum are those of the samples since then."""
        self.sample(90, 10, 20, 60)
        self.assertEqual(self.sampler.since(1.5), Load(30.0, 60.0, 300.0, 600.0))

    def test_none_since(self) -> None:
        """Without a newer sample it is the last one; without any it is nothing."""
        self.assertEqual(self.sampler.since(0.0), Load(0.0, 0.0, 0.0, 0.0))
        self.sample(5, 7)
        self.assertEqual(self.sampler.since(1000.0), Load(7.0, 7.0, 70.0, 70.0))

    def test_bounded(self) -> None:
        """However long ago, only the last minutes are remembered."""
        self.sample(100, *[10] * SAMPLES)
        self.assertEqual(self.sampler.since(0.0).cpu_max, 10.0)


class SystemTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.machine, self.database = Clock(), FakeMachine(), MemoryDatabase()
        self.writer = RowWriter(self.database, self.clock, Metrics(), WriterSettings())
        self.monitor = SystemMonitor(
            self.clock, 300, writer=self.writer, machine=self.machine, relay_name="relay-01",
            busy=lambda: (3, 4), wall=WALL, now=lambda: EPOCH + self.clock.seconds(),
        )  # fmt: skip
        self.monitor.startService()

    def test_rows(self) -> None:
        """Every interval a row has the figures of the machine, connections and the queue."""
        self.clock.pump([300, GATHER])
        self.assertEqual(
            self.database.rows("SELECT * FROM kb_system_monitor"),
            [(1, "relay-01", 25.0, 8000, 4000, 50.0, 60.0, 3, 4, "2025-07-15 12:05:00")],
        )
        self.clock.pump([300, GATHER])
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM kb_system_monitor"), [(2,)])

    def test_no_figures(self) -> None:
        """A machine that gives none is told of, and asked again next time."""
        figures: Any = self.machine.figures
        self.machine.figures = lambda: fail(OSError("no disk"))  # type: ignore[method-assign]
        self.clock.advance(300)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.machine.figures = figures  # type: ignore[method-assign]
        self.clock.pump([300, GATHER])
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM kb_system_monitor"), [(1,)])


class HeartbeatTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.database = Clock(), MemoryDatabase()
        machine = FakeMachine()
        sampler = Sampler(self.clock, machine)
        sampler.startService()
        self.clock.advance(1)
        sampler.stopService()
        self.heart = Heartbeat(
            self.clock, database=self.database, sampler=sampler, beat=BEAT, wall=WALL,
            now=lambda: EPOCH + self.clock.seconds() - 1,
        )  # fmt: skip

    def row(self) -> tuple[Any, ...]:
        """What the table says of the process."""
        (row,) = self.database.rows(
            "SELECT process_name, server_id, port, type, pid, status, cpu_usage, memory_usage, "
            "last_heartbeat FROM kb_server_processes"
        )
        return row

    def test_row(self) -> None:
        """The first beat makes the row and its server, each further one says when it was."""
        self.heart.startService()
        usual = ("relay-01", 1, 1490, "live", 42, "running", 10.0, 100.0)
        self.assertEqual(self.row(), (*usual, "2025-07-15 12:00:00"))
        self.assertEqual(self.database.rows("SELECT server_host FROM kb_servers"), [("host",)])
        self.clock.advance(BEAT_EVERY)
        self.assertEqual(self.row(), (*usual, "2025-07-15 12:00:30"))
        self.successResultOf(self.heart.stopService())
        self.assertEqual(self.row()[5], "stopped")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_known(self) -> None:
        """A row, or a server, that the back office has made is used."""
        self.database.change(
            "INSERT INTO kb_servers (server_id, server_name, server_host) VALUES (7, 'x', 'host')"
        )
        self.heart.startService()
        self.assertEqual(self.row()[1], 7)
        self.database.change(
            "UPDATE kb_server_processes SET type = 'test', server_id = 8, status = 'crashed'"
        )
        self.clock.advance(BEAT_EVERY)
        self.assertEqual((self.row()[1], self.row()[3], self.row()[5]), (8, "test", "running"))

    def test_table_that_takes_nothing(self) -> None:
        """A table that refuses is told of once, and harms nothing; once it takes rows, it gets them."""
        self.database.change("ALTER TABLE kb_server_processes RENAME TO elsewhere")
        said: list[str] = []

        class Ear:
            def warn(self, _text: str, **fields: Any) -> None:
                said.append(fields["why"])

        ear: Any = Ear()
        self.heart._log = ear
        self.heart.startService()
        self.clock.pump([BEAT_EVERY] * 5)
        self.assertEqual(len(said), 1)
        self.assertIn("no such table", said[0])
        self.database.change("ALTER TABLE elsewhere RENAME TO kb_server_processes")
        self.clock.advance(BEAT_EVERY)
        self.assertEqual(self.row()[5], "running")

    def test_away(self) -> None:
        """With the database away it goes on trying, and a stop does not wait for it for long."""
        self.database.go_away()
        self.heart.startService()
        self.clock.advance(BEAT_EVERY)
        self.database.hold()
        stopping = self.heart.stopService()
        self.assertNoResult(stopping)
        self.clock.advance(STOP_PATIENCE)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ThisMachineTests(SynchronousTestCase):
    def test_figures_at_once(self) -> None:
        """What is asked for at once is there at once, and plausible."""
        machine = ThisMachine(Path(), Clock())
        usage = machine.usage()
        self.assertGreater(usage.memory, 1)
        self.assertGreaterEqual(usage.cpu, 0)
        self.assertTrue(0 < machine.memory_percent() < 100)
