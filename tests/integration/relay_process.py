"""Relays and commands as processes of their own, phones on real sockets, and waiting for what they do.

Nothing here sleeps: what is waited for is looked for until a deadline.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import pytest_twisted  # type: ignore[import-untyped]
import treq
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers

from relaytw.admin.shapes import Close, Listing, RelayStatus
from relaytw.messages import Dialect
from relaytw.phone import Identity, SimulatedPhone
from relaytw.protocols.wire.phone import ErrorPacket, HandshakeComplete, ReplyPacket
from tests import ports

reactor: Any = _reactor
HOST = ports.HOST
#: Seconds that a process or a phone has for what is done in a fraction of one on an idle machine.
PATIENCE = 10.0
LOOK_EVERY = 0.01
_BIN = Path(sys.executable).parent
T = TypeVar("T")


def scenario(seconds: float) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Any]:
    """A test that talks to real processes and may take so long."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Any:
        @wraps(test)
        async def limited(*arguments: Any, **fixtures: Any) -> None:
            running = Deferred.fromCoroutine(test(*arguments, **fixtures))
            await running.addTimeout(seconds, reactor)

        return pytest_twisted.ensureDeferred(limited)

    return decorate


async def eventually(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """What `look` finds, as soon as it is anything; fails when that takes too long."""
    deadline = reactor.seconds() + seconds
    while not (found := look()):
        assert reactor.seconds() < deadline, f"not within {seconds:g} s: {what}"
        await deferLater(reactor, LOOK_EVERY)
    return found


async def eventually_asked(
    ask: Callable[[], Awaitable[T]], good: Callable[[T], object], what: str, seconds: float = PATIENCE
) -> T:
    """The first answer that is `good`; fails when that takes too long."""
    deadline = reactor.seconds() + seconds
    while not good(answer := await ask()):
        assert reactor.seconds() < deadline, f"not within {seconds:g} s: {what}; the last answer: {answer}"
        await deferLater(reactor, LOOK_EVERY)
    return answer


class Child(ProcessProtocol):
    """A process that was started here: what it says, and its exit code once it has ended."""

    def __init__(self) -> None:
        self.out = b""
        self.err = b""
        self.code: int | None = None
        self.pid = 0

    def connectionMade(self) -> None:
        self.pid = self.transport.pid  # type: ignore[union-attr]

    def outReceived(self, data: bytes) -> None:
        self.out += data

    def errReceived(self, data: bytes) -> None:
        self.err += data

    def processEnded(self, reason: Failure) -> None:
        how: Any = reason.value
        self.code = how.exitCode if how.exitCode is not None else -how.signal

    def close_stdin(self) -> None:
        """Let it read the end of its input."""
        assert self.transport is not None
        self.transport.closeStdin()

    def signal(self, name: str) -> None:
        """Send a signal, if it is still there to hear it."""
        if self.transport is not None and self.code is None:
            try:
                self.transport.signalProcess(name)
            except ProcessExitedAlready:
                return

    async def end(self, seconds: float = PATIENCE) -> int:
        """Terminate it and wait for its end; then kill it."""
        self.signal("TERM")
        timer = reactor.callLater(seconds, self.signal, "KILL")
        try:
            await self.gone(2 * seconds)
        finally:
            if timer.active():
                timer.cancel()
        assert self.code is not None
        return self.code

    async def gone(self, seconds: float = PATIENCE) -> int:
        """Its exit code, once it has ended by itself."""
        await eventually(lambda: self.code is not None, f"the end of process {self.pid}", seconds)
        assert self.code is not None
        return self.code


class Said(NamedTuple):
    """What became of a command."""

    code: int
    out: str
    err: str


class Site:
    """A folder in which a relay and its commands run, and every process that was started there."""

    def __init__(self, folder: Path, settings: Mapping[str, object] | None = None) -> None:
        self.folder = folder
        self.port = ports.free_port()
        self.admin_port = ports.free_port()
        self.children: list[Child] = []
        self.phones: list[Phone] = []
        self._environ = {k: v for k, v in os.environ.items() if not k.startswith("RELAYTW_")}
        self.configure({"admin.listen": f"tcp:{self.admin_port}:interface={HOST}"})
        self.configure(settings or {})

    @property
    def endpoint(self) -> str:
        """Where the relay listens."""
        return f"tcp:{self.port}:interface={HOST}"

    @property
    def secret(self) -> bytes:
        """What the relay made for its phones."""
        return self.state("secret")

    def state(self, name: str) -> bytes:
        """A file of the relay's state, without the end of its line."""
        return (self.folder / "relay-state" / name).read_bytes().strip()

    def configure(self, settings: Mapping[str, object]) -> None:
        """Set keys of the configuration, by their dotted names, in the environment."""
        for key, value in settings.items():
            name = "RELAYTW_" + key.upper().replace(".", "__")
            self._environ[name] = value if isinstance(value, str) else json.dumps(value)

    def surround(self, **environment: str) -> None:
        """Set variables that are no keys of the configuration, for whatever is started from now on."""
        self._environ |= environment

    def spawn(self, program: str, *arguments: str) -> Child:
        """Start one of the programs that are installed with the relay."""
        child, path = Child(), str(_BIN / program)
        reactor.spawnProcess(child, path, [path, *arguments], self._environ, str(self.folder))
        self.children.append(child)
        return child

    def shell(self, line: str) -> Child:
        """Start a line of a shell."""
        child = Child()
        reactor.spawnProcess(child, "/bin/sh", ["sh", "-c", line], self._environ, str(self.folder))
        self.children.append(child)
        return child

    async def run(self, program: str, *arguments: str) -> Said:
        """Start a program and wait for its end."""
        child = self.spawn(program, *arguments)
        code = await child.gone(2 * PATIENCE)
        return Said(code, child.out.decode(), child.err.decode())

    async def relayctl(self, *arguments: str) -> Said:
        """Run `relayctl`."""
        return await self.run("relayctl", *arguments)

    async def say(self, text: str, *arguments: str) -> Said:
        """Say something with `relayctl phone`."""
        return await self.relayctl("phone", "--port", str(self.port), "--say", text, *arguments)

    async def start(self, *arguments: str) -> Child:
        """Start the relay and wait until it listens."""
        return await self.listening(
            self.spawn("twistd", "-n", "relay", "--listen", self.endpoint, *arguments)
        )

    async def listening(self, relay: Child) -> Child:
        """Wait until this relay says that it listens."""
        await eventually(
            lambda: b"listening for phones on" in relay.out or relay.code is not None, "a relay that listens"
        )
        assert relay.code is None, (relay.out + relay.err).decode()
        return relay

    async def ask(self, path: str, *, token: bool = True) -> tuple[int, bytes]:
        """Ask the admin API: the HTTP status and the body of its answer."""
        headers = Headers()
        if token:
            headers.addRawHeader(b"Authorization", b"Bearer " + self.state("admin-token"))
        url = f"http://{HOST}:{self.admin_port}{path}"
        response = await treq.get(url, headers=headers, persistent=False, timeout=PATIENCE)
        return response.code, await response.content()

    async def status(self) -> RelayStatus:
        """The relay in one glance."""
        return msgspec.json.decode((await self.ask("/api/v1/status"))[1], type=RelayStatus)

    async def ask_metrics(self) -> str:
        """What Prometheus would be told."""
        return (await self.ask("/metrics"))[1].decode()

    async def closes(self) -> list[Close]:
        """The connections that have ended, and why."""
        return msgspec.json.decode((await self.ask("/api/v1/closes"))[1], type=Listing[Close]).items

    async def idle(self) -> RelayStatus:
        """The relay's status once no message waits or is being handled."""
        return await eventually_asked(
            self.status, lambda s: not (s.running or s.waiting), "a relay with nothing to do"
        )

    async def deserted(self) -> RelayStatus:
        """The relay's status once nobody is connected and nothing is being handled."""
        await eventually_asked(self.status, lambda s: not s.connections, "a relay without connections")
        return await self.idle()

    def identity(
        self, device: str, bot: str = "bot", dialect: Dialect = Dialect.V32, secret: bytes | None = None
    ) -> Identity:
        """Who a phone is that signs with the relay's own secret, unless another is given."""
        return Identity(bot, device, dialect, self.secret if secret is None else secret)

    async def phone(self, device: str, bot: str = "bot", **identity: Any) -> Phone:
        """A phone that has been let in."""
        return await self.connect(self.identity(device, bot, **identity))

    async def connect(self, identity: Identity) -> Phone:
        """A phone that has had an answer to its handshake, or has lost its connection."""
        phone = Phone()
        endpoint = HostnameEndpoint(reactor, HOST, self.port)
        phone.wire = await connectProtocol(endpoint, SimulatedPhone(identity, phone))
        self.phones.append(phone)
        await eventually(lambda: phone.answer or phone.gone, f"an answer to {identity.device}")
        return phone

    async def close(self) -> None:
        """Hang up every phone and end every process."""
        for phone in self.phones:
            if not phone.gone:
                phone.reset()
        for child in self.children:
            child.signal("TERM")
        for child in self.children:
            await child.end()
            sys.stdout.write((child.out + child.err).decode(errors="replace"))


class Phone:
    """A phone and what it has been told."""

    wire: SimulatedPhone

    def __init__(self) -> None:
        self.answer: HandshakeComplete | None = None
        self.replies: list[ReplyPacket] = []
        self.errors: list[str] = []
        self.gone = False

    @property
    def texts(self) -> list[str | None]:
        """The texts it has been given to type."""
        return [reply.text for reply in self.replies]

    async def hears(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until this text is there to type."""
        await eventually(lambda: text in self.texts, f"{text!r} among {self.texts[-5:]}", seconds)

    async def echoes(self, room: str, text: str, seconds: float = PATIENCE) -> float:
        """Say `# echo` and wait for the reply; how many seconds it took."""
        begun = reactor.seconds()
        self.wire.say(room, f"# echo {text}")
        await self.hears(f"에코: {text}", seconds)
        return float(reactor.seconds() - begun)

    def reset(self) -> None:
        """End the connection with a RST."""
        transport: Any = self.wire.transport
        transport.abortConnection()

    # -- PhoneUser

    def greeted(self, phone: SimulatedPhone, answer: HandshakeComplete) -> None:
        self.answer = answer

    def replied(self, phone: SimulatedPhone, reply: ReplyPacket) -> None:
        self.replies.append(reply)

    def scolded(self, phone: SimulatedPhone, error: ErrorPacket) -> None:
        self.errors.append(error.code)

    def lost(self, phone: SimulatedPhone) -> None:
        self.gone = True


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Do all of this at once; fails with the first that failed, when all are over."""
    results: list[Any] = await DeferredList([Deferred.fromCoroutine(w) for w in work], consumeErrors=True)
    for done, result in results:
        if not done:
            result.raiseException()
    return [result for _, result in results]
