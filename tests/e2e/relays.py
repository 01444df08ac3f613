"""A real relay as a process that is killed and started again, and a bad line to it."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.e2e.scripted import SECRET
from tests.ports import HOST, free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
_CONFIG = """
[relay]
listen = ['{listen}']
state_dir = "state"
[auth]
secret_file = "phones-secret"
approve_new_devices = true
approve_new_rooms = true
[limits]
text_spacing = 0
[penalty]
connects_per_minute = 10000
[ping]
jitter = 0.5
[admin]
listen = "tcp:{admin}:interface=127.0.0.1"
[bots]
load = ["relaytw.bots.builtin", "tests.e2e.handlers"]
"""


class RealRelay:
    """A relay in a folder of its own; `certificate` is a file with certificate and key."""

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        listen = f"tcp:{self.port}:interface={HOST}"
        if certificate is not None:
            listen = f"ssl:{self.port}:privateKey={certificate}:certKey={certificate}:interface={HOST}"
        self._tls = certificate is not None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "relay.toml").write_text(_CONFIG.format(listen=listen, admin=free_port()), encoding="utf-8")
        (folder / "phones-secret").write_text(SECRET + "\n", encoding="utf-8")
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RELAYTW_")}
        self._environ = {**environ, "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    def server(self, **values: Any) -> dict[str, Any]:
        """What the phone's settings say of it."""
        return {"host": HOST, "port": self.port, "tls": self._tls, "fingerprint": None, **values}

    def start(self) -> None:
        """Start it and wait until it listens."""
        program = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "relay"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own relay)
                [*program, "--config", "relay.toml"], cwd=self.folder, stdout=log, stderr=log,
                env=self._environ,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"the relay did not start: {self.log}")

    @property
    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def relayctl(self, *arguments: str) -> str:
        """What a command prints, which must succeed."""
        program = str(Path(sys.executable).with_name("relayctl"))
        command = [program, "--config", "relay.toml", *arguments]
        done = subprocess.run(  # noqa: S603 (our own command)
            command, cwd=self.folder, env=self._environ, capture_output=True, check=True
        )
        return done.stdout.decode()

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Let it end in its own time."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE)


class BadLine:
    """Stands between phone and relay.

    As an old relay it hangs up on whoever says `hello`; with `cuts` it ends connections after so many
    bytes, drawn between these two, in the middle of whatever is said.
    """

    def __init__(
        self, port: int, *, old: bool = False, cuts: tuple[int, int] | None = None, chance: random.Random
    ) -> None:
        self._target = port
        self._old = old
        self._cuts = cuts
        self._chance = chance
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def server(self) -> dict[str, Any]:
        """What the phone's settings say of it."""
        return {"host": HOST, "port": self.port, "tls": False, "fingerprint": None}

    def heal(self) -> None:
        """Cut no more."""
        self._cuts = None

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                phone, _ = self._listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self._serve, args=(phone,), daemon=True).start()

    def _serve(self, phone: socket.socket) -> None:
        with phone, socket.socket() as relay:
            try:
                relay.connect((HOST, self._target))
                self._forward(phone, relay)
            except OSError:
                return

    def _forward(self, phone: socket.socket, relay: socket.socket) -> None:
        left = self._chance.randint(*self._cuts) if self._cuts else None
        while True:
            for source in select.select([phone, relay], [], [])[0]:
                data = source.recv(65536)
                if not data or (self._old and b'"event":"hello"' in data):
                    return
                (relay if source is phone else phone).sendall(data[:left])
                if left is not None:
                    left -= len(data)
                    if left <= 0 and self._cuts:
                        return
                    left = left if left > 0 else None
