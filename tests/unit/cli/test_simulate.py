"""`relayctl simulate`: many phones on a clock, and what is said of them in the end."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable
from typing import Any

import click
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaytw.cli.simulate import TICK, Counts, Load, summary
from relaytw.messages import Chat, ClientKey, Dialect, ErrorCode, Reply, Text
from relaytw.phone import Identity
from relaytw.protocols import wire
from tests.unit.cli.fakes import CliTestCase

PATIENCE = 5.0


class FakeRelay:
    """An endpoint that answers each phone as it is told to."""

    def __init__(self, places: int = 100) -> None:
        self.phones: list[tuple[Any, StringTransport]] = []
        self.heard: list[tuple[str, Chat]] = []
        self.success = True
        self.greets_at_once = False
        self._places = places

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect at once while there is a place."""
        if len(self.phones) >= self._places:
            return fail(ConnectError())
        protocol: Any = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1490))
        transport = StringTransport()
        self.phones.append((protocol, transport))
        protocol.makeConnection(transport)
        if self.greets_at_once:
            self.greet()
        return succeed(protocol)

    def greet(self) -> None:
        """Answer every handshake."""
        for phone, transport in list(self.phones):
            transport.clear()
            phone.dataReceived(
                wire.encode_handshake_complete(
                    success=self.success, approved=True, message="", server_version="x"
                )
            )

    def echo(self, times: Callable[[str], int] = lambda _: 1) -> None:
        """Answer what was said since the last time, each so many times."""
        for phone, transport in self.phones:
            lines = transport.value().splitlines()
            transport.clear()
            for line in lines:
                chat = wire.decode(line)
                assert isinstance(chat, Chat)
                device = phone.identity.device
                self.heard.append((device, chat))
                text = Text("에코: " + chat.text.removeprefix("# echo "))
                reply = Reply(ClientKey("bot", device), chat.room, None, text, "trace")
                phone.dataReceived(wire.encode_reply(Dialect.V32, reply, 0.0) * times(text.text))


class LoadTestCase(SynchronousTestCase):
    def begin(
        self, relay: FakeRelay, *, phones: int = 2, rooms: int = 2, rate: float = 10.0, seconds: float = 1.0
    ) -> Deferred[Counts]:
        """Let phones connect to this relay."""
        self.clock = Clock()
        self.progress: list[int] = []
        identities = [Identity("bot", f"phone-{number}") for number in range(phones)]
        names = [f"room {number}" for number in range(rooms)]
        self.load = Load(self.clock, identities, names, rate, seconds, PATIENCE)
        return Deferred.fromCoroutine(self.load.run(relay, self.progress.append))

    def pass_time(self, seconds: float) -> None:
        """Let so many seconds pass in small steps."""
        for _ in range(round(seconds / TICK)):
            self.clock.advance(TICK)

    def finish(self, running: Deferred[Counts]) -> Counts:
        """The counts of a run that is over, with nothing left to happen."""
        counts = self.successResultOf(running)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return counts


class LoadTests(LoadTestCase):
    def test_perfect(self) -> None:
        """Every message is said when it is due, in turn by every phone in every room, and answered once."""
        relay = FakeRelay()
        running = self.begin(relay)
        relay.greet()
        self.pass_time(0.5)
        relay.echo()
        self.assertIn(len(relay.heard), (5, 6))
        self.pass_time(0.5)
        self.assertNoResult(running)
        relay.echo()
        counts = self.finish(running)
        self.assertEqual((counts.sent, counts.answered, counts.missing, counts.duplicates), (10, 10, 0, 0))
        self.assertTrue(counts.perfect)
        self.assertEqual(sum(self.progress), self.load.total)
        places = Counter((device, chat.room) for device, chat in relay.heard)
        self.assertEqual(sorted(places.values()), [2, 2, 3, 3])
        self.assertTrue(all(transport.disconnecting for _, transport in relay.phones))

    def test_time(self) -> None:
        """The time to a reply counts from when the message was due, not from when it was sent."""
        relay = FakeRelay()
        running = self.begin(relay, rate=2.0, seconds=1.0)
        relay.greet()
        self.clock.advance(2.0)
        relay.echo()
        self.assertEqual(list(self.finish(running).times), [2.0, 1.5])

    def test_missing(self) -> None:
        """A message without a reply is missing after the time-out, and that is not perfect."""
        relay = FakeRelay()
        running = self.begin(relay)
        relay.greet()
        self.pass_time(1.0)
        relay.echo(lambda text: 0 if text.endswith(" 3") else 1)
        self.pass_time(PATIENCE - 0.1)
        self.assertNoResult(running)
        self.pass_time(0.2)
        counts = self.finish(running)
        self.assertEqual((counts.sent, counts.answered, counts.missing), (10, 9, 1))
        self.assertFalse(counts.perfect)

    def test_duplicates(self) -> None:
        """A second reply to the same message is counted, and that is not perfect."""
        relay = FakeRelay()
        running = self.begin(relay)
        relay.greet()
        self.pass_time(1.0)
        relay.echo(lambda text: 2 if text.endswith(" 3") else 1)
        counts = self.finish(running)
        self.assertEqual((counts.missing, counts.duplicates), (0, 1))
        self.assertFalse(counts.perfect)

    def test_errors(self) -> None:
        """What the relay did not like is counted by its code."""
        relay = FakeRelay()
        running = self.begin(relay)
        relay.greet()
        for phone, _ in relay.phones:
            phone.dataReceived(wire.encode_error(ErrorCode.STALE, "late", 1))
        self.pass_time(1.0)
        relay.echo()
        self.assertEqual(self.finish(running).errors, Counter(stale=2))


class FaultTests(LoadTestCase):
    def test_nobody_listens(self) -> None:
        """When no phone can connect that is an error, with what to do."""
        failure = self.failureResultOf(self.begin(FakeRelay(places=0)), click.ClickException)
        self.assertIn("no phone could connect", failure.value.message)
        self.assertIn("--port", failure.value.message)

    def test_some_refused(self) -> None:
        """Those that cannot connect are lost at once; the others begin without waiting for them."""
        relay = FakeRelay(places=1)
        running = self.begin(relay)
        relay.greet()
        self.pass_time(1.0)
        relay.echo()
        counts = self.finish(running)
        self.assertEqual((counts.sent, counts.answered, counts.lost), (10, 10, 1))
        self.assertFalse(counts.perfect)

    def test_greeted_before_refusal(self) -> None:
        """Those that are greeted before the last refusal is known do not wait for it either."""
        relay = FakeRelay(places=1)
        relay.greets_at_once = True
        running = self.begin(relay)
        self.pass_time(1.0)
        relay.echo()
        self.assertEqual(self.finish(running).answered, 10)

    def test_turned_away(self) -> None:
        """When every phone is turned away nothing is said, and that is not perfect."""
        relay = FakeRelay()
        relay.success = False
        running = self.begin(relay)
        relay.greet()
        for phone, _ in relay.phones:
            phone.connectionLost(Failure(ConnectionDone()))
        counts = self.finish(running)
        self.assertEqual((counts.sent, counts.lost), (0, 2))
        self.assertFalse(counts.perfect)

    def test_never_greeted(self) -> None:
        """Phones whose handshake is never answered are given up after the time-out."""
        running = self.begin(FakeRelay())
        self.pass_time(PATIENCE + 0.1)
        self.assertFalse(self.finish(running).perfect)

    def test_lost(self) -> None:
        """A phone that is lost on the way is counted; hanging up in the end is no loss."""
        relay = FakeRelay()
        running = self.begin(relay)
        relay.greet()
        self.pass_time(1.0)
        relay.phones[0][0].connectionLost(Failure(ConnectionDone()))
        relay.echo()
        counts = self.finish(running)
        self.assertEqual(counts.lost, 1)
        relay.phones[1][0].connectionLost(Failure(ConnectionDone()))
        self.assertEqual(counts.lost, 1)


class SummaryTests(SynchronousTestCase):
    def test_summary(self) -> None:
        """The summary says how many and how fast, in milliseconds, and what went wrong."""
        times = array("d", [number / 1000 for number in range(100, 0, -1)])
        counts = Counts(1200, 1100, 3, times, Counter(stale=2, replay=1), 4)
        self.assertEqual(
            [line.split() for line in summary(counts).splitlines()],
            [
                ["sent", "1,200"],
                ["answered", "1,100"],
                ["missing", "100"],
                ["duplicates", "3"],
                ["lost", "phones", "4"],
                ["p50", "51.0", "ms"],
                ["p95", "96.0", "ms"],
                ["p99", "100.0", "ms"],
                ["error", "stale:", "2"],
                ["error", "replay:", "1"],
            ],
        )

    def test_nothing(self) -> None:
        """Without replies there are no times, and nothing sent is not perfect."""
        self.assertNotIn("p50", summary(Counts()))
        self.assertFalse(Counts().perfect)


class OptionsTests(CliTestCase):
    def test_not_understood(self) -> None:
        """What no load can be is refused before anything is asked of the relay."""
        for option in ("--phones", "--rate", "--rooms", "--for"):
            for value in ("0", "-1", "many"):
                self.assertIn(option, self.fails("simulate", option, value, code=2))
        self.assertIn("--timeout", self.fails("simulate", "--timeout", "-1", code=2))
        self.assertEqual(self.relay.asked, [])
