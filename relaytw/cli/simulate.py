"""`relayctl simulate`: many simulated phones, for load, and what became of every message."""

from __future__ import annotations

import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import click
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from relaytw.cli.signing import Key, approve, phone_options, signing_key
from relaytw.cli.target import Options
from relaytw.messages import Dialect
from relaytw.phone import Identity, SimulatedPhone
from relaytw.phone_v40 import simulated_phone
from relaytw.protocols.wire.phone import ErrorPacket, HandshakeComplete, ReplyPacket

#: How often what is due is said, in seconds.
TICK = 0.002


@click.command()
@click.option("--phones", "count", default=10, show_default=True, type=click.IntRange(1), help="Phones.")
@click.option(
    "--rate",
    default=50.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Messages per second, all phones together.",
)
@click.option(
    "--for",
    "seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds to go on.",
)
@click.option("--rooms", default=4, show_default=True, type=click.IntRange(1), help="Rooms of each phone.")
@click.option("--bot", default="relayctl", show_default=True, help="The bot the phones serve.")
@click.option(
    "--timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds to wait for the last replies.",
)
@phone_options
@click.pass_obj
def simulate(options: Options, /, **given: Any) -> None:
    """Be many phones that say `# echo`, and count what comes back.

    Messages are sent at the times they are due whether or not earlier ones are answered, and the
    time to the reply counts from when they were due.  Exits 0 if every message was answered once.
    """
    bot = given["bot"]
    key = signing_key(options, bot, given["secret_file"], unsigned=given["unsigned"])
    identities = [_identity(bot, number, given["dialect"], key) for number in range(1, given["count"] + 1)]
    rooms = [f"room {number}" for number in range(1, given["rooms"] + 1)]
    if given["approve"]:
        with click.progressbar(identities, label="approving") as bar:
            for identity in bar:
                approve(options, bot, identity.device, rooms)
    from twisted.internet import reactor  # noqa: PLC0415 (importing it installs one, and takes its time)

    load = Load(reactor, identities, rooms, given["rate"], given["seconds"], given["timeout"])
    endpoint = HostnameEndpoint(reactor, given["host"], given["port"])
    raise SystemExit(_run(reactor, load, endpoint))


def _identity(bot: str, number: int, dialect: str, key: Key) -> Identity:
    return Identity(bot, f"simulated-{number:04d}", Dialect(dialect), key.secret, key.salt)


@dataclass(slots=True)
class Counts:
    """What became of the messages; times in seconds from when each was due to its reply."""

    sent: int = 0
    answered: int = 0
    duplicates: int = 0
    times: array[float] = field(default_factory=lambda: array("d"))
    errors: Counter[str] = field(default_factory=Counter)
    lost: int = 0

    @property
    def missing(self) -> int:
        """Messages without a reply."""
        return self.sent - self.answered

    @property
    def perfect(self) -> bool:
        """Was every message answered exactly once, on connections that held?"""
        return self.sent > 0 and not (self.missing or self.duplicates or self.lost)


class Load:
    """The phones, what they say and when; `report` fires with the counts."""

    def __init__(
        self,
        reactor: Any,
        identities: Sequence[Identity],
        rooms: Sequence[str],
        rate: float,
        seconds: float,
        timeout: float,
    ) -> None:
        self._reactor = reactor
        self._identities = identities
        self._rooms = rooms
        self._rate = rate
        self._total = max(1, round(rate * seconds))
        self._timeout = timeout
        self._due: dict[str, float] = {}
        self._answered: set[str] = set()
        self._phones: list[SimulatedPhone] = []
        self._greeted: Deferred[None] = Deferred()
        self._closing = False
        self._finished: Deferred[None] = Deferred()
        self.counts = Counts()

    @property
    def total(self) -> int:
        """How many messages will be sent."""
        return self._total

    async def run(self, endpoint: Any, progress: Callable[[int], None]) -> Counts:
        """Connect every phone, speak, wait for the last replies, and hang up."""
        connecting = [connectProtocol(endpoint, simulated_phone(who, self)) for who in self._identities]
        results = await DeferredList(connecting, consumeErrors=True)
        failures = [result for ok, result in results if not ok]
        if len(failures) == len(results) and isinstance(failures[0], Failure):
            raise click.ClickException(
                f"no phone could connect ({failures[0].getErrorMessage()}).  "
                "Start a relay with `twistd -n relay`, or say where it is with --host and --port."
            )
        self.counts.lost += len(failures)
        self._count_greeted()
        await self._within(self._greeted)
        if self._phones:
            await self._speak(progress)
            if self.counts.missing:
                await self._within(self._finished)
        self._closing = True
        for phone in self._phones:
            phone.hang_up()
        return self.counts

    async def _speak(self, progress: Callable[[int], None]) -> None:
        begun = self._reactor.seconds()
        turns = cycle([(phone, room) for room in self._rooms for phone in self._phones])

        def say_what_is_due() -> None:
            due = min(self._total, int((self._reactor.seconds() - begun) * self._rate) + 1)
            new = due - self.counts.sent
            while self.counts.sent < due:
                phone, room = next(turns)
                text = f"{phone.identity.device} {self.counts.sent}"
                self._due[text] = begun + self.counts.sent / self._rate
                self.counts.sent += 1
                phone.say(room, f"# echo {text}")
            progress(new)
            if due == self._total:
                loop.stop()

        loop = LoopingCall(say_what_is_due)
        loop.clock = self._reactor
        await loop.start(TICK)

    async def _within(self, event: Deferred[None]) -> None:
        call = self._reactor.callLater(self._timeout, _fire, event)
        await event
        if call.active():
            call.cancel()

    # -- PhoneUser

    def greeted(self, phone: SimulatedPhone, answer: HandshakeComplete) -> None:
        """A phone was let in, or not."""
        if not answer.success:
            return
        self._phones.append(phone)
        self._count_greeted()

    def replied(self, phone: SimulatedPhone, reply: ReplyPacket) -> None:  # noqa: ARG002
        """A reply came: to what?"""
        text = (reply.text or "").partition(": ")[2]
        due = self._due.pop(text, None)
        if due is not None:
            self.counts.answered += 1
            self.counts.times.append(self._reactor.seconds() - due)
            self._answered.add(text)
        elif text in self._answered:
            self.counts.duplicates += 1
        if self.counts.sent == self._total and not self._due:
            _fire(self._finished)

    def scolded(self, phone: SimulatedPhone, error: ErrorPacket) -> None:  # noqa: ARG002
        """The relay did not like something."""
        self.counts.errors[error.code] += 1

    def lost(self, phone: SimulatedPhone) -> None:
        """A phone's connection ended."""
        if self._closing:
            return
        self.counts.lost += 1
        if phone in self._phones:
            self._phones.remove(phone)
        self._count_greeted()

    def _count_greeted(self) -> None:
        if len(self._phones) + self.counts.lost >= len(self._identities):
            _fire(self._greeted)


def _fire(event: Deferred[None]) -> None:
    if not event.called:
        event.callback(None)


def summary(counts: Counts) -> str:
    """The counts as a person reads them; times in milliseconds."""
    lines = [
        f"sent        {counts.sent:>10,}",
        f"answered    {counts.answered:>10,}",
        f"missing     {counts.missing:>10,}",
        f"duplicates  {counts.duplicates:>10,}",
    ]
    if counts.lost:
        lines.append(f"lost phones {counts.lost:>10,}")
    times = sorted(counts.times)
    for percent in (50, 95, 99):
        if times:
            at = times[min(len(times) - 1, len(times) * percent // 100)]
            lines.append(f"p{percent}         {at * 1000:>10.1f} ms")
    lines += [f"error {code}: {count:,}" for code, count in counts.errors.most_common()]
    return "\n".join(lines)


def _run(reactor: Any, load: Load, endpoint: Any) -> int:
    failures: list[Failure] = []
    started = time.monotonic()

    async def work() -> None:
        if not sys.stdout.isatty():
            await load.run(endpoint, lambda _: None)
            return
        with click.progressbar(length=load.total, label="saying") as bar:
            await load.run(endpoint, bar.update)

    def begin() -> None:
        Deferred.fromCoroutine(work()).addErrback(failures.append).addBoth(
            lambda _: reactor.callLater(0.05, reactor.stop)
        )

    reactor.callWhenRunning(begin)
    reactor.run()
    for failure in failures:
        failure.raiseException()
    click.echo(summary(load.counts))
    click.echo(f"in          {time.monotonic() - started:>10.1f} s")
    return 0 if load.counts.perfect else 1
