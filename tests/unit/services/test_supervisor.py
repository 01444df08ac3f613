"""The service manager is told how the relay is, and nothing depends on it."""

from __future__ import annotations

import socket
import tempfile
from configparser import ConfigParser
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.config import Config
from relaytw.services.supervisor import Datagrams, Supervisor, supervisor


class SupervisorTests(SynchronousTestCase):
    """What is said, and when."""

    def setUp(self) -> None:
        """A clock, and somebody who listens."""
        self.clock = Clock()
        self.said: list[bytes] = []

    def test_ready_and_stopping(self) -> None:
        """Ready is said at the start, stopping at the stop, and no timer is left."""
        manager = Supervisor(self.clock, self.said.append)
        manager.startService()
        self.clock.pump([3600.0] * 3)
        manager.stopService()
        self.assertEqual(self.said, [b"READY=1", b"STOPPING=1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_watchdog(self) -> None:
        """Three signs of life fall into the time after which the manager would restart the relay."""
        manager = Supervisor(self.clock, self.said.append, watchdog=30.0)
        manager.startService()
        self.clock.pump([10.0] * 3)
        self.assertEqual(self.said, [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1", b"WATCHDOG=1"])
        manager.stopService()

    def test_nobody_listens(self) -> None:
        """A manager that cannot be reached is logged and changes nothing else."""

        def refuse(message: bytes) -> None:
            raise ConnectionRefusedError(message.decode())

        manager = Supervisor(self.clock, refuse, watchdog=3.0)
        manager.startService()
        self.clock.advance(1.0)
        self.assertTrue(manager.running)
        manager.stopService()
        self.assertFalse(manager.running)


class EnvironmentTests(SynchronousTestCase):
    """What systemd writes into the environment."""

    def interval(self, **environ: str) -> float:
        """The seconds between two signs of life."""
        manager = supervisor({"NOTIFY_SOCKET": "/run/notify", **environ}, Clock(), pid=7)
        assert manager is not None
        return manager.interval

    def test_nobody_asked(self) -> None:
        """Without a socket, or with one that is none, there is no supervisor at all."""
        self.assertIsNone(supervisor({}, Clock(), pid=7))
        self.assertIsNone(supervisor({"NOTIFY_SOCKET": "vsock:2:1"}, Clock(), pid=7))

    def test_watchdog(self) -> None:
        """The time is in microseconds, and counts for the process it was meant for alone."""
        self.assertEqual(self.interval(WATCHDOG_USEC="30000000"), 10.0)
        self.assertEqual(self.interval(WATCHDOG_USEC="30000000", WATCHDOG_PID="7"), 10.0)
        for unwatched in (
            self.interval(),
            self.interval(WATCHDOG_USEC="30000000", WATCHDOG_PID="8"),
            self.interval(WATCHDOG_USEC="soon"),
        ):
            self.assertEqual(unwatched, 3600.0)


class DatagramTests(SynchronousTestCase):
    """The socket."""

    def test_delivered(self) -> None:
        """One message is one datagram, at a path and at an abstract address."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = str(Path(folder.name, "notify"))
        for address, name in ((path, path), (f"\0relaytw-{path}", f"@relaytw-{path}")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(address)
                manager.settimeout(5)
                Datagrams(name)(b"READY=1")
                self.assertEqual(manager.recv(100), b"READY=1")

    def test_nobody(self) -> None:
        """A socket that is gone is an OSError."""
        self.assertRaises(OSError, Datagrams("/nonexistent/notify"), b"READY=1")


class UnitFileTests(SynchronousTestCase):
    """The unit that the project ships."""

    def test_fits_the_defaults(self) -> None:
        """Systemd waits longer than the relay drains, and allows the files that its connections need."""
        unit = ConfigParser(interpolation=None, strict=False)
        unit.read(Path(__file__).parents[3] / "contrib/systemd/relaytw.service", "utf-8")
        service, limits = unit["Service"], Config().limits
        self.assertEqual(service["Type"], "notify")
        self.assertGreater(float(service["TimeoutStopSec"]), limits.drain_timeout + 10)
        self.assertGreater(int(service["LimitNOFILE"]), limits.connections + limits.overflow + 1000)
        self.assertIn("twistd -n --pidfile= relay", service["ExecStart"])
