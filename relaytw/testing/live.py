"""The phones of the test kit at a real relay: one that a test starts, or one that runs already.

Everything here blocks, and time is the real one; it is for tests of the whole, not of a handler.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Self

from relaytw.messages import Auth, Chat, Dialect
from relaytw.phone import Identity
from relaytw.protocols.wire.phone import (
    ErrorPacket,
    PingPacket,
    ReplyPacket,
    decode_from_relay,
    encode_chat,
    encode_handshake,
    encode_pong,
)
from relaytw.testing.kit import ADMIN, Heard

HOST = "127.0.0.1"
#: Seconds in which a relay must listen, and in which it must end.
PATIENCE = 20.0
#: Seconds without a word after which a phone has heard everything.
QUIET = 0.2


class LiveRelay:
    """A relay in a process of its own, on this machine alone, with a state folder that is gone afterwards.

    `load` names its bots as `[bots] load` does; they are searched in `folder`, by default the working
    folder.  `settings` are keys of the configuration by section.  To be used in a `with` block.
    """

    def __init__(
        self,
        *load: str,
        folder: Path | None = None,
        settings: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        self._state = Path(tempfile.mkdtemp(prefix="relaytw-live-"))
        self._folder = Path.cwd() if folder is None else folder
        self._port, admin = _free_port(), _free_port()
        usual: dict[str, dict[str, object]] = {
            "relay": {"state_dir": str(self._state), "listen": [f"tcp:{self._port}:interface={HOST}"]},
            "auth": {"approve_new_devices": True, "approve_new_rooms": True, "admins": [ADMIN]},
            "admin": {"listen": f"tcp:{admin}:interface={HOST}"},
            "bots": {"load": load},
        }
        keys = {name: {**usual.get(name, {}), **(settings or {}).get(name, {})} for name in
                {*usual, *(settings or {})}}  # fmt: skip
        self._environ = {name: value for name, value in os.environ.items() if name[:8] != "RELAYTW_"}
        for section, values in keys.items():
            for key, value in values.items():
                text = value if isinstance(value, str) else json.dumps(value)
                self._environ[f"RELAYTW_{section}__{key}".upper()] = text
        self._process: subprocess.Popen[bytes] | None = None
        self._phones: list[LivePhone] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it and wait until it listens.  Raises AssertionError with its log if it does not."""
        log = (self._state / "test.log").open("ab")
        command = (sys.executable, "-m", "twisted", "relay")
        self._process = subprocess.Popen(  # noqa: S603 (our own command)
            command, cwd=self._folder, env=self._environ, stdout=log, stderr=log
        )
        log.close()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((HOST, self._port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        said = self.log()
        self.close()
        raise AssertionError(f"the relay does not listen:\n{said}")

    def log(self) -> str:
        """What it has logged so far."""
        return (self._state / "test.log").read_text("utf-8", "replace")

    def phone(self, bot: str = "bot", device: str = "phone", dialect: Dialect = Dialect.V32) -> LivePhone:
        """A phone that is connected and approved."""
        secret = (self._state / "secret").read_bytes().strip()
        phone = LivePhone((HOST, self._port), Identity(bot, device, dialect, secret))
        self._phones.append(phone)
        return phone

    def kill(self) -> None:
        """End it at once, as a loss of power would; `start` starts it anew."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it and leave nothing behind."""
        for phone in self._phones:
            phone.disconnect()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None
        shutil.rmtree(self._state, ignore_errors=True)


class LivePhone:
    """A phone at a real relay, which must approve it: `LivePhone(("127.0.0.1", 1490), Identity(…))`.

    `errors` are the codes of what the relay did not like.  Raises OSError if nobody listens.
    """

    def __init__(self, address: tuple[str, int], identity: Identity) -> None:
        self.errors: list[str] = []
        self._identity = identity
        self._heard: list[tuple[str, str | Heard]] = []
        self._numbers = count(time.time_ns() // 1000)
        self._rest = b""
        self._socket = socket.create_connection(address, PATIENCE)
        self._socket.sendall(encode_handshake(identity.handshake()))
        self._pong(0)

    def say(
        self,
        text: str,
        *,
        sender: str = "Ada",
        room: str = "room",
        channel_id: str | None = None,
        user_hash: str | None = None,
        admin: bool = False,
        mention: bool = False,
        group: bool = True,
    ) -> None:
        """Say something in a room.  Every sender has a user hash of his own unless one is given."""
        if user_hash is None:
            user_hash = ADMIN if admin else f"hash-of-{sender}"
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        number = str(next(self._numbers))
        chat = Chat(room, text, sender, channel_id, number, user_hash, group, mention, stamp, self._sign())
        self._socket.sendall(encode_chat(self._identity.dialect, chat, self._identity.bot))

    def heard(self, room: str | None = None, *, within: float = 5.0) -> list[str | Heard]:
        """What it was given since this was last asked, in one room or in all.

        Waits for something at most `within` seconds, and then until nothing more comes.
        """
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0 and not self._has(room):
            self._listen(left)
        while self._has(room) and self._listen(QUIET):
            pass
        taken = [what for where, what in self._heard if room in (None, where)]
        self._heard = [one for one in self._heard if room not in (None, one[0])]
        return taken

    def disconnect(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _has(self, room: str | None) -> bool:
        return any(room in (None, where) for where, _ in self._heard)

    def _listen(self, seconds: float) -> bool:
        """Read once; has anything come in this time?  Raises ConnectionError if the relay has hung up."""
        self._socket.settimeout(max(seconds, 0.001))
        try:
            data = self._socket.recv(65_536)
        except TimeoutError:
            return False
        finally:
            self._socket.settimeout(PATIENCE)
        if not data:
            raise ConnectionError(f"the relay has hung up; it did not like {self.errors}")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._hear(line)
        return True

    def _hear(self, line: bytes) -> None:
        packet = decode_from_relay(line)
        if isinstance(packet, PingPacket):
            self._pong(packet.server_timestamp)
        elif isinstance(packet, ErrorPacket):
            self.errors.append(packet.code)
        elif isinstance(packet, ReplyPacket):
            media = Heard(packet.media, packet.media_wait_time)
            self._heard.append((packet.room, media if packet.text is None else packet.text))

    def _pong(self, server_timestamp: int) -> None:
        identity = self._identity
        self._socket.sendall(
            encode_pong(identity.dialect, identity.bot, server_timestamp, None, self._sign())
        )

    def _sign(self) -> Auth | None:
        # No two packets may be signed in the same millisecond.
        time.sleep(0.002)
        return self._identity.auth(time.time())


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
    return port
