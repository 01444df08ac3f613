"""Starts and stops the servers under measurement, each a process of its own on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import psutil

ROOT = Path(__file__).parent.parent
SECRET = "benchmark"
PATIENCE = 20.0

CONFIG = """
[relay]
mode = "{mode}"
[auth]
secret = "{secret}"
approve_new_devices = true
approve_new_rooms = true
[limits]
connections = {connections}
[ping]
interval = {ping}
[admin]
listen = "tcp:{admin}:interface=127.0.0.1"
[journal]
sync = "{sync}"
[bots]
load = ["relaytw.bots.builtin", "benchmarks.handlers"]
[database]
{database}
{extra}
"""


class Server:
    """One server process, the port it listens on, and where a relay keeps its state."""

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes], state: Path) -> None:
        self.name = name
        self.port = port
        self.state = state
        self._process = process
        self._figures = psutil.Process(process.pid)

    @property
    def rss(self) -> int:
        """Bytes of memory in use."""
        return int(self._figures.memory_info().rss)

    @property
    def cpu(self) -> float:
        """Seconds of CPU used, as the scheduler counts them (to the nanosecond)."""
        return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[0]) / 1e9

    @property
    def cpu_of_all(self) -> float:
        """Seconds of CPU used by all of its threads, to a hundredth."""
        times = self._figures.cpu_times()
        return float(times.user + times.system)

    def await_start(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start")

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE)


@contextmanager
def bare(*, signed: bool) -> Iterator[Server]:
    """The bare server, with or without the HMAC."""
    port = free_port()
    arguments = [sys.executable, "-m", "benchmarks.bare", str(port)]
    yield from _running(
        "bare+HMAC" if signed else "bare", port, [*arguments, SECRET] if signed else arguments
    )


@contextmanager
def relay(
    mode: str = "queued",
    *,
    connections: int = 100,
    ping: float = 30.0,
    keys: Mapping[str, str] = MappingProxyType({}),
    sync: str = "normal",
    extra: str = "",
) -> Iterator[Server]:
    """A relay as an operator would start it, but for its limits, these `[database]` keys, `extra` lines."""
    with tempfile.TemporaryDirectory() as folder:
        port, config = free_port(), Path(folder, "relay.toml")
        database = "\n".join(f'{key} = "{value}"' for key, value in keys.items())
        config.write_text(
            CONFIG.format(
                mode=mode, secret=SECRET, connections=connections, ping=ping, admin=free_port(),
                database=database, sync=sync, extra=extra,
            )
        )  # fmt: skip
        endpoint = f"tcp:{port}:interface=127.0.0.1:backlog=1024"
        twistd = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "relay"]
        where = ["--config", str(config), "--state-dir", f"{folder}/state", "--listen", endpoint]
        yield from _running(mode, port, [*twistd, *where], Path(folder, "state"))


def _running(name: str, port: int, arguments: list[str], state: Path = ROOT) -> Iterator[Server]:
    process = subprocess.Popen(  # noqa: S603 (our own servers)
        arguments, cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    server = Server(name, port, process, state)
    try:
        server.await_start()
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A TCP port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
