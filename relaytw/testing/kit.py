"""A whole relay in memory with phones that talk to it: what tests of bots need, without any waiting.

Router, arguments, lanes, answers, outbox, settings and state are the real ones.  Time is a clock that
the test moves, the database is in memory, threads run at once, and no socket is opened.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any, NamedTuple, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, execute
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.failure import Failure

from relaytw.assembly import Relay, assemble
from relaytw.bots import Bot
from relaytw.config import Config
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
from relaytw.testing.doubles import FakeMachine, MemoryDatabase

#: What the clock of a kit shows when it is made, in seconds since the epoch.
EPOCH = 1_700_000_000.0
#: The user hash of whoever says something with `admin=True`.
ADMIN = "hash-of-an-admin"
_SECRET = "secret-of-a-test"  # noqa: S105 (nothing is protected by it)
#: The longest step of the clock, in seconds.
_STRIDE = 5.0
#: Calls at one moment beyond which something goes round in circles.
_TURNS = 20_000
_names = count(1)


class HandlerFailed(AssertionError):
    """A handler failed and the test did not expect it; the handler's own exception is the cause."""


class Heard(NamedTuple):
    """Pictures or other media that a phone was given: URLs, or contents as base64."""

    media: tuple[str, ...]
    wait_ms: int | None


class Kit:
    """A started relay with these bots, given as `Bot` objects or as modules that hold some.

    `settings` are configuration keys by section, on top of what tests need: whoever comes is approved,
    and the texts of a list come at once.
    """

    def __init__(
        self, *bots: Bot | ModuleType, settings: Mapping[str, Mapping[str, object]] | None = None
    ) -> None:
        self.clock = MemoryReactorClock()
        self.database = MemoryDatabase()
        self.failures: list[Failure] = []
        self._numbers = count(1)
        self._folder = Path(tempfile.mkdtemp(prefix="relaytw-test-"))
        self._module = f"relaytw_bots_of_a_test_{next(_names)}"
        module: Any = ModuleType(self._module)
        found = {f"bot_{number}": bot for number, bot in enumerate(_found(bots))}
        vars(module).update(found)
        sys.modules[self._module] = module
        self._config = self._configure([f"{self._module}:{name}" for name in found], settings or {})
        self._phones: list[KitPhone] = []
        self._observer = cast("ILogObserver", self._note)
        globalLogPublisher.addObserver(self._observer)
        self.relay = self._start()

    def now(self) -> float:
        """Seconds since the epoch, as the relay sees them."""
        return EPOCH + self.clock.seconds()

    def phone(self, bot: str = "bot", device: str = "phone", dialect: Dialect = Dialect.V32) -> KitPhone:
        """A phone that is connected and approved."""
        phone = KitPhone(self, Identity(bot, device, dialect, _SECRET.encode()))
        self._phones.append(phone)
        phone.connect()
        return phone

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, with all that is due in it.  Raises HandlerFailed if a handler fails.

        What falls due runs late by a thousandth of `seconds` at most, and by 5 s.
        """
        self._pass(seconds)
        self.check()

    def restart(self) -> None:
        """Stop the relay and start it anew with what it has kept; the phones connect again."""
        self._stop()
        self.relay = self._start()
        for phone in self._phones:
            phone.connect()

    @contextmanager
    def failing(self, *kinds: type[BaseException]) -> Iterator[list[Failure]]:
        """Expect that a handler fails with one of these; what failed stands in the list."""
        self.check()
        expected: list[Failure] = []
        self._expected = expected
        try:
            yield expected
        finally:
            del self._expected
        self.failures.extend(failure for failure in expected if not failure.check(*kinds))
        self.check()
        if not expected:
            raise AssertionError(f"no handler failed with {' or '.join(kind.__name__ for kind in kinds)}")

    def check(self) -> None:
        """Raise HandlerFailed if a handler has failed that nobody expected to."""
        if self.failures:
            failure = self.failures[0]
            self.failures.clear()
            raise HandlerFailed(f"a handler failed:\n{failure.getTraceback()}") from failure.value

    def close(self) -> None:
        """Stop the relay and leave nothing behind.  Raises HandlerFailed like `check`."""
        try:
            self._stop()
        finally:
            globalLogPublisher.removeObserver(self._observer)
            sys.modules.pop(self._module, None)
            shutil.rmtree(self._folder, ignore_errors=True)
        self.check()

    # -- inside

    _expected: list[Failure]

    def _configure(self, load: Sequence[str], settings: Mapping[str, Mapping[str, object]]) -> Config:
        usual: dict[str, dict[str, object]] = {
            "relay": {"state_dir": str(self._folder)},
            "auth": {
                "secret": _SECRET, "approve_new_devices": True, "approve_new_rooms": True, "admins": [ADMIN],
            },
            "limits": {"text_spacing": 0, "read_timeout": 3600},
            "database": {"refresh_interval": 3600},
            # What looks after a machine has nothing to see here, and phones that are there are not asked.
            "monitor": dict.fromkeys(("gc_interval", "memory_interval", "system_interval"), 1e8),
            "ping": {"interval": 600},
            "bots": {"load": load},
        }  # fmt: skip
        names = {*usual, *settings}
        return Config.model_validate({
            name: {**usual.get(name, {}), **settings.get(name, {})} for name in names
        })  # fmt: skip

    def _start(self) -> Relay:
        chance = Random(1)  # noqa: S311 (the same in every run)
        relay = assemble(self._config, self.clock, self.now, chance, self.database, FakeMachine(), execute)
        relay.startService()
        return relay

    def _stop(self) -> None:
        for phone in self._phones:
            phone.disconnect()
        self._pass(0)
        stopping: Deferred[None] = self.relay.stopService()
        # A handler that waits for ever is given up after this.
        self._pass(0 if stopping.called else self._config.limits.drain_timeout + 1)

    def _pass(self, seconds: float) -> None:
        # From one call that is due to the next: phones answer pings in time, however far the clock goes.
        end, turns, stride = self.clock.seconds() + seconds, 0, min(_STRIDE, seconds / 1000)
        while turns < _TURNS:
            due = min((call.getTime() for call in self.clock.getDelayedCalls()), default=end + 1)
            if due > end:
                self.clock.rightNow = end
                return
            turns = turns + 1 if due <= self.clock.rightNow else 0
            if due > self.clock.rightNow:
                self.clock.rightNow = min(end, max(due, self.clock.rightNow + stride))
            self.clock.advance(0)
        raise AssertionError("something happens again and again without time passing")

    def _note(self, event: dict[str, Any]) -> None:
        failure = event.get("log_failure")
        if failure is not None and event.get("log_namespace") == "relaytw.dispatch":
            getattr(self, "_expected", self.failures).append(failure)

    def next_number(self) -> int:
        """A number that no phone of this kit has used."""
        return next(self._numbers)


class KitPhone:
    """A phone of a kit: it says what a test makes it say, and remembers what it is given.

    `errors` are the codes of what the relay did not like.
    """

    def __init__(self, kit: Kit, identity: Identity) -> None:
        self.errors: list[str] = []
        self._kit = kit
        self._identity = identity
        self._heard: list[tuple[str, str | Heard]] = []
        self._rest = b""
        self._bridge: Any = None

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
        """Say something in a room, and let the relay work as far as it can without time passing.

        Every sender has a user hash of his own unless one is given.  Raises HandlerFailed.
        """
        if user_hash is None:
            user_hash = ADMIN if admin else f"hash-of-{sender}"
        number = str(self._kit.next_number())
        stamp = "2023-11-15 07:13:20"
        chat = Chat(room, text, sender, channel_id, number, user_hash, group, mention, stamp, self._sign())
        self._send(encode_chat(self._identity.dialect, chat, self._identity.bot))
        self._kit.advance()

    def heard(self, room: str | None = None) -> list[str | Heard]:
        """What it was given since this was last asked, in one room or in all: texts and media."""
        taken = [what for where, what in self._heard if room in (None, where)]
        self._heard = [one for one in self._heard if room not in (None, one[0])]
        return taken

    def connect(self) -> None:
        """Connect, as the script does when it starts."""
        self._rest = b""
        self._bridge = self._kit.relay.factory.buildProtocol(None)
        self._bridge.makeConnection(_Wire(self))
        self._send(encode_handshake(self._identity.handshake()))
        self._pong(0)
        self._kit.advance()

    def disconnect(self) -> None:
        """Lose the connection; what is said to the phone meanwhile waits for it."""
        bridge, self._bridge = self._bridge, None
        if bridge is not None:
            bridge.connectionLost(Failure(ConnectionDone()))

    # -- the relay's side

    def written(self, data: bytes) -> None:
        """The relay has written this to it."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            packet = decode_from_relay(line)
            if isinstance(packet, PingPacket):
                self._kit.clock.callLater(0, self._pong, packet.server_timestamp)
            elif isinstance(packet, ErrorPacket):
                self.errors.append(packet.code)
            elif isinstance(packet, ReplyPacket):
                media = Heard(packet.media, packet.media_wait_time)
                self._heard.append((packet.room, media if packet.text is None else packet.text))

    def hung_up(self) -> None:
        """The relay closes the connection."""
        self._kit.clock.callLater(0, self.disconnect)

    def _pong(self, server_timestamp: int) -> None:
        identity = self._identity
        self._send(encode_pong(identity.dialect, identity.bot, server_timestamp, None, self._sign()))

    def _sign(self) -> Auth | None:
        # Time stands still in tests, and no two packets may be signed in the same millisecond.
        return self._identity.auth(self._kit.now() + self._kit.next_number() / 1000)

    def _send(self, data: bytes) -> None:
        if self._bridge is not None:
            self._bridge.dataReceived(data)


class _Wire(StringTransport):
    """The relay's end of a connection."""

    def __init__(self, phone: KitPhone) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "127.0.0.1", 40_000))
        self._phone = phone

    @property
    def dataBuffer(self) -> bytes:  # noqa: N802 (Twisted's name)
        """What the relay has said and nobody took: nothing."""
        return b""

    def write(self, data: bytes) -> None:
        """Give it to the phone."""
        self._phone.written(data)

    def loseConnection(self) -> None:  # noqa: N802 (Twisted's name)
        """Tell the phone."""
        self.disconnecting = True
        self._phone.hung_up()

    def abortConnection(self) -> None:  # noqa: N802 (Twisted's name)
        """Tell the phone likewise."""
        self.loseConnection()


def _found(bots: Sequence[Bot | ModuleType]) -> list[Bot]:
    found: list[Bot] = []
    for one in bots:
        inside = [one] if isinstance(one, Bot) else [v for v in vars(one).values() if isinstance(v, Bot)]
        if not inside:
            raise TypeError(f"there is no Bot in {one!r}")
        found.extend(bot for bot in inside if bot not in found)
    return found
