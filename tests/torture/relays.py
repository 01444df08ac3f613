"""One relay that is killed and started again, and phones that talk to it as scripts of today do."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from relaytw.messages import Chat, Dialect
from relaytw.phone import Identity
from relaytw.protocols.wire.phone import (
    PingPacket,
    ReplyPacket,
    decode_from_relay,
    encode_chat,
    encode_handshake,
    encode_pong,
)
from tests.torture.books import Books

ROOT = Path(__file__).parents[2]
SECRET = "torture"
BOT = "bot"
#: Seconds a script keeps a message that it could not send.
UNSENT = 30.0
PATIENCE = 20.0

CONFIG = """
[relay]
listen = ["tcp:{port}:interface=127.0.0.1"]
state_dir = "state"
[auth]
secret = "torture"
approve_new_devices = true
approve_new_rooms = true
[limits]
per_room = 1
[ping]
jitter = 0.5
[journal]
sync = "{sync}"
segment_bytes = {segment}
# Here it is never the message that kills the relay: none is to be given up for being there each time.
max_deliveries = 100
[admin]
listen = "tcp:{admin}:interface=127.0.0.1"
[bots]
load = ["tests.torture.handlers"]
[log]
level = "error"
"""


class Relay:
    """A relay process in a folder of its own."""

    def __init__(self, folder: Path, *, sync: str, segment: int) -> None:
        self.folder = folder
        self.port = _free_port()
        config = CONFIG.format(port=self.port, admin=_free_port(), sync=sync, segment=segment)
        (folder / "relay.toml").write_text(config, encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def journal(self) -> Path:
        """The journal's folder."""
        return self.folder / "state" / "journal"

    def start(self) -> float:
        """Start it and wait until it listens; how long that took."""
        begun = time.monotonic()
        program = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile=", "relay"]
        self._process = subprocess.Popen(  # noqa: S603 (our own relay)
            [*program, "--config", "relay.toml"], cwd=self.folder, stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        while time.monotonic() - begun < PATIENCE:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return time.monotonic() - begun
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError("the relay did not start")

    def kill(self) -> float:
        """Kill it; when it was gone, on the clock of `time.monotonic`."""
        return self._end(signal.SIGKILL)

    def stop(self) -> float:
        """Let it stop in its own time; when it was gone."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> float:
        process, self._process = self._process, None
        at = time.monotonic()
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE)
        return at


class Phone:
    """A phone of dialect 3.2: keeps what it could not send, and sends it again with the same bytes."""

    def __init__(self, number: int, port: int, books: Books) -> None:
        self.device = f"phone-{number}"
        self._identity = Identity(BOT, self.device, Dialect.V32, SECRET.encode())
        self._port = port
        self._books = books
        self._unsent: deque[tuple[float, int, str, bytes]] = deque()
        self._socket: socket.socket | None = None
        self._rest = b""

    @property
    def connected(self) -> socket.socket | None:
        """Its socket, if it has one."""
        return self._socket

    def connect(self) -> None:
        """Connect and introduce itself, if the relay is there."""
        try:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(encode_handshake(self._identity.handshake()))
        except OSError:
            self._lost()
            return
        self._rest = b""
        self._send()

    def say(self, number: int, text: str, room: str) -> None:
        """Say something, now or as soon as it can be sent."""
        auth = self._identity.auth(time.time())
        chat = Chat(
            room, text, "Ada", f"{self.device}-{room}", str(number), None, True, False,
            "2025-07-15 12:00:00", auth,
        )  # fmt: skip
        line = encode_chat(Dialect.V32, chat, BOT)
        self._unsent.append((time.monotonic(), number, f"{self.device}-{room}", line))
        self._send()

    def hear(self) -> None:
        """Take what has come."""
        if self._socket is None:
            return
        try:
            data = self._socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)

    def hang_up(self) -> None:
        """Take what is there still, and close."""
        while self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self.hear()
        self._lost()

    def _take(self, line: bytes) -> None:
        packet = decode_from_relay(line)
        if isinstance(packet, PingPacket):
            self._pong(packet.server_timestamp)
        elif isinstance(packet, ReplyPacket) and packet.text is not None:
            self._books.hear(packet.text)

    def _pong(self, stamp: int) -> None:
        auth = self._identity.auth(time.time())
        self._write(encode_pong(Dialect.V32, BOT, stamp, None, auth))

    def _send(self) -> None:
        while self._unsent and self._socket is not None:
            at, number, room, line = self._unsent[0]
            if time.monotonic() - at <= UNSENT:
                if not self._write(line):
                    return
                self._books.say(number, room, time.monotonic(), self.device)
            self._unsent.popleft()

    def _write(self, data: bytes) -> bool:
        try:
            if self._socket is not None:
                self._socket.sendall(data)
                return True
        except OSError:
            pass  # what it has said may still be read; the end shows there
        return False

    def _lost(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def converse(phones: list[Phone], chance: random.Random, until: float, numbers: list[int]) -> None:
    """Let phones talk until then: several hundred messages a second, some in bursts."""
    while (now := time.monotonic()) < until:
        for phone in phones:
            if phone.connected is None:
                phone.connect()
            if chance.random() < 0.3:
                for _ in range(chance.choice((1, 1, 1, 5, 20))):
                    numbers[0] += 1
                    command = chance.choice(("# now", "# now", "# soon"))
                    phone.say(numbers[0], f"{command} {numbers[0]}", f"room-{chance.randrange(3)}")
        listen(phones, min(0.01, until - now))


def listen(phones: list[Phone], seconds: float) -> bool:
    """Take what phones are told within so many seconds; was there anything?"""
    there = {phone.connected: phone for phone in phones if phone.connected is not None}
    ready = select.select(list(there), [], [], max(0.0, seconds))[0] if there else []
    if not there:
        time.sleep(max(0.0, seconds))
    for sock in ready:
        there[sock].hear()
    return bool(ready)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
