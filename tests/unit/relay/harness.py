"""A whole relay in memory, and phones that talk to it over wires whose every byte a test can see."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from itertools import count
from random import Random
from types import ModuleType
from typing import Any, ClassVar

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from relaytw.bots import Bot, Message
from relaytw.config import Config
from relaytw.messages import Auth, Chat, ClientKey, CloseReason, Dialect
from relaytw.phone import Identity
from relaytw.protocols.bridge import Bridge
from relaytw.protocols.conversation import Conversation
from relaytw.protocols.wire.phone import (
    ErrorPacket,
    HandshakeComplete,
    PingPacket,
    RelayPacket,
    ReplyPacket,
    decode_from_relay,
    encode_chat,
    encode_handshake,
    encode_pong,
)
from relaytw.tap import Relay, assemble
from tests.unit.folders import OwnFolder

EPOCH = 1_700_000_000.0
SECRET = "s3cret"
BOT = "demo-bot"
#: What one read of a socket brings at most, and what a transport takes before it pauses its producer.
CHUNK = 65_536
#: Seconds until a phone answers a ping.
DELAY = 0.05
#: A turn of the reactor needs no more calls than this, else something goes round in circles.
CALLS = 200_000


class Wire(StringTransport):
    """The relay's end of a socket.

    What the relay does not read stays in the kernel (`unread`), and so does what a deaf peer does not
    read (`unsent`); closing takes a turn of its own.
    """

    protocol: Bridge

    def __init__(self, clock: MemoryReactorClock, phone: Phone, host: str, port: int) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, port))
        self._clock = clock
        self._phone = phone
        self.unread = bytearray()
        self.unsent = 0
        self.deaf = False
        self.aborted = False
        self.gone = False
        self._finished = False
        self._choked = False

    # -- the relay's side

    def write(self, data: bytes) -> None:
        """Take what the relay says; ask it to pause when the peer takes none of it."""
        if self.gone or self.aborted:
            return
        super().write(data)
        if not self.deaf:
            self._phone.hear(data)
            return
        self.unsent += len(data)
        if self.unsent > CHUNK and self.producer is not None:
            self._choked = True
            self.producer.pauseProducing()

    def loseConnection(self) -> None:
        """Close once everything is sent."""
        if not self.disconnecting:
            self.disconnecting = True
            self._close_if_sent()

    def abortConnection(self) -> None:
        """Close without waiting for that."""
        if not self.aborted:
            self.aborted = self.disconnecting = True
            self._clock.callLater(0, self.lose, ConnectionAborted())

    def resumeProducing(self) -> None:
        """Read again, in a turn of its own."""
        super().resumeProducing()
        self._clock.callLater(0, self._read)

    # -- the phone's side

    def deliver(self, data: bytes) -> None:
        """The phone has sent this."""
        self.unread += data
        self._read()

    def finish(self) -> None:
        """The phone sends no more (FIN)."""
        self._finished = True
        self._read()

    def lose(self, reason: Exception) -> None:
        """The connection is over, and the relay is told."""
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(reason))

    def listen(self) -> None:
        """A peer that was deaf reads everything at last."""
        self.deaf, self.unsent = False, 0
        if self._choked and self.producer is not None:
            self._choked = False
            self.producer.resumeProducing()
        if self.disconnecting:
            self._close_if_sent()

    def _close_if_sent(self) -> None:
        if not self.unsent:
            self._clock.callLater(0, self.lose, ConnectionDone())

    def _read(self) -> None:
        if self.producerState != "producing" or self.gone or self.aborted:
            return
        if self.unread:
            chunk = bytes(self.unread[:CHUNK])
            del self.unread[:CHUNK]
            self.protocol.dataReceived(chunk)
            if self.unread or self._finished:
                self._clock.callLater(0, self._read)
        elif self._finished:
            self._finished = False
            self.protocol.readConnectionLost()


class Phone:
    """One connection of a phone; with `answers` it echoes pings.  It says what a test makes it say."""

    def __init__(self, test: RelayTestCase, identity: Identity, host: str, port: int, answers: bool) -> None:
        self.identity = identity
        self.answers = answers
        self.packets: list[RelayPacket] = []
        self._test = test
        self._rest = b""
        self.bridge: Bridge = test.relay.factory.buildProtocol(None)
        self.wire = Wire(test.clock, self, host, port)
        self.wire.protocol = self.bridge
        self.bridge.makeConnection(self.wire)

    # -- what it says

    def hello(self) -> Phone:
        """Introduce itself."""
        self.send(encode_handshake(self.identity.handshake()))
        return self

    def say(self, text: str, *, auth: Auth | None = None, **about: Any) -> bytes:
        """Say something in a room, validly signed unless `auth` is given; the line that was sent."""
        line = self.line(text, auth=auth or self.sign(), **about)
        self.send(line)
        return line

    def line(self, text: str, *, auth: Auth | None, room: str = "room", log_id: str | None = "") -> bytes:
        """A chat packet that is not sent yet."""
        if log_id == "":
            log_id = str(next(self._test.numbers))
        chat = Chat(room, text, "Ada", None, log_id, None, True, False, "2025-07-15 12:00:00", auth)
        return encode_chat(self.identity.dialect, chat, self.identity.bot)

    def sign(self, ago: float = 0.0) -> Auth:
        """A signature of its own for every packet; made `ago` seconds ago."""
        # Packets signed within one millisecond would share it, and time stands still in tests.
        auth = self.identity.auth(self._test.now() - ago + next(self._test.numbers) / 1000)
        assert auth is not None
        return auth

    def pong(self, server_timestamp: int = 0, auth: Auth | None = None) -> None:
        """Answer a ping."""
        signed = auth or self.sign()
        self.send(encode_pong(self.identity.dialect, self.identity.bot, server_timestamp, None, signed))

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.wire.deliver(data)

    # -- what becomes of the connection

    def finish(self) -> None:
        """Send no more, but go on reading."""
        self.wire.finish()

    def hang_up(self) -> None:
        """Close as scripts do."""
        self.wire.lose(ConnectionDone())

    def vanish(self) -> None:
        """Break the connection."""
        self.wire.lose(ConnectionLost())

    @property
    def conversation(self) -> Conversation:
        """What the relay knows of it."""
        return self.bridge.conversation

    @property
    def closed(self) -> bool:
        """Has the relay hung up, or been told that the phone has?"""
        return self.wire.disconnecting or self.wire.gone

    # -- what it hears

    def hear(self, data: bytes) -> None:
        """The relay says something."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for packet in map(decode_from_relay, lines):
            self.packets.append(packet)
            if self.answers and isinstance(packet, PingPacket):
                self._test.clock.callLater(DELAY, self._answer, packet.server_timestamp)

    def _answer(self, server_timestamp: int) -> None:
        if not self.closed:
            self.pong(server_timestamp)

    def heard(self) -> list[RelayPacket]:
        """What it heard since it was last asked."""
        packets, self.packets = self.packets, []
        return packets

    @property
    def texts(self) -> list[str | None]:
        """The texts of the replies among that."""
        return [packet.text for packet in self.packets if isinstance(packet, ReplyPacket)]

    @property
    def errors(self) -> list[str]:
        """The codes of the errors among that."""
        return [packet.code for packet in self.packets if isinstance(packet, ErrorPacket)]

    @property
    def pings(self) -> int:
        """How many pings are among that."""
        return sum(isinstance(packet, PingPacket) for packet in self.packets)

    @property
    def greetings(self) -> list[tuple[bool, bool]]:
        """Success and approval in the answers to handshakes among that."""
        return [(p.success, p.approved) for p in self.packets if isinstance(p, HandshakeComplete)]


class RelayTestCase(OwnFolder):
    """A started relay that approves everybody, and must be as empty after a test as before it.

    Its bot notes what it hears in `messages`; to `# wait` it answers when a Deferred of `waiting` fires.
    """

    sections: ClassVar[dict[str, dict[str, object]]] = {}
    #: Will a test leave messages behind that are neither run nor dropped?
    leftovers = False

    def setUp(self) -> None:
        self.enter_folder()
        self.clock = MemoryReactorClock()
        self.numbers: Iterator[int] = count(1)
        self.phones: list[Phone] = []
        self.messages: list[Message] = []
        self.waiting: list[tuple[Message, Deferred[Any]]] = []
        self._stopped: Deferred[None] | None = None
        self._register_bot()
        self.start(self.sections)

    def tearDown(self) -> None:
        for phone in self.phones:
            phone.vanish()
        self.let_go()
        if self._stopped is None:
            self.advance(self.relay.config.limits.outbox_ttl + 30)
        self.stop()
        self.advance(60)
        self.assertEmpty()
        self.assertOneReasonEach()

    # -- the relay

    def start(self, sections: dict[str, dict[str, object]]) -> None:
        """Start a relay with these keys on top of what tests need, instead of the one there was."""
        if self.clock.getDelayedCalls():
            self.successResultOf(self.relay.stopService())
        usual: dict[str, dict[str, object]] = {
            "auth": {"secret": SECRET, "approve_new_devices": True, "approve_new_rooms": True},
            "bots": {"load": ["relaytw.bots.builtin", "bot_of_a_test:bot"]},
        }
        keys = {name: usual.get(name, {}) | sections.get(name, {}) for name in {*usual, *sections}}
        self.relay: Relay = assemble(Config.model_validate(keys), self.clock, self.now, Random(1))
        self.relay.startService()
        self.stages = self.relay.sessions.stages

    def now(self) -> float:
        """Seconds since the epoch."""
        return EPOCH + self.clock.seconds()

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, from one call that is due to the next; without `seconds`, what is due now."""
        end = self.clock.seconds() + seconds
        for _ in range(CALLS):
            due = min((call.getTime() for call in self.clock.getDelayedCalls()), default=end + 1)
            if due > end:
                self.clock.rightNow = end
                return
            self.clock.rightNow = max(due, self.clock.rightNow)
            self.clock.advance(0)
        self.fail("the relay goes round in circles")

    def stop(self) -> Deferred[None]:
        """Stop the relay; fires when it has stopped."""
        if self._stopped is None:
            self._stopped = self.relay.stopService()
        return self._stopped

    def let_go(self, answer: object = None, number: int | None = None) -> None:
        """Let this many of the handlers that wait end with an answer; without `number`, all of them."""
        while self.waiting and (number is None or number > 0):
            number = None if number is None else number - 1
            waiting = self.waiting.pop(0)[1]
            if not waiting.called:
                waiting.callback(answer)

    # -- phones

    def connect(
        self,
        device: str = "phone-1",
        dialect: Dialect = Dialect.V32,
        *,
        secret: str = SECRET,
        host: str = "10.0.0.7",
        answers: bool = False,
    ) -> Phone:
        """A connection over which nothing was said yet."""
        identity = Identity(BOT, device, dialect, secret.encode())
        phone = Phone(self, identity, host, 40_000 + len(self.phones), answers)
        self.phones.append(phone)
        return phone

    def proven(self, device: str = "phone-1", **about: Any) -> Phone:
        """A phone that is on and has shown who it is."""
        phone = self.connect(device, **about).hello()
        phone.pong()
        self.assertTrue(phone.conversation.proven)
        phone.heard()
        return phone

    def key(self, device: str = "phone-1") -> ClientKey:
        """The client that this device is."""
        return ClientKey(BOT, device)

    # -- what must hold

    def heard_texts(self) -> list[str]:
        """The texts that the bot has heard, in the order in which their handlers started."""
        return [message.text for message in self.messages]

    def assertClosed(self, phone: Phone, reason: CloseReason, *errors: str) -> None:
        """The relay has closed this connection for one reason, and told the phone of these errors."""
        self.assertTrue(phone.closed, "the connection is open")
        rows = [row for row in self.stages.closes.rows() if row.address == phone.bridge.peer]
        self.assertEqual([row.reason for row in rows], [reason])
        self.assertEqual(phone.errors, list(errors))

    def assertOpen(self, *phones: Phone) -> None:
        """The relay has closed none of these connections."""
        for phone in phones:
            self.assertFalse(phone.closed, f"{phone.bridge.peer} is closed: {self.stages.closes.rows()}")

    def assertEmpty(self) -> None:
        """A relay that has stopped keeps nothing of its phones and waits for nothing."""
        stages, lanes = self.stages, self.relay.dispatcher.lanes
        self.successResultOf(self.stop())
        self.assertEqual([str(call) for call in self.clock.getDelayedCalls()], [])
        counts = {
            "slots": stages.admission.slots.taken,
            "overflow": stages.admission.overflow,
            "silent": len(stages.admission._silent),
            "live": len(stages.registry),
            "provisional": stages.registry.provisional,
            "addresses": len(stages.registry._by_address),
            "connections": self.relay.sessions.connections,
            "pings": len(stages.pings),
            "running": lanes.running,
        }
        if not self.leftovers:
            counts |= {
                "lanes": len(lanes),
                "unfinished": stages.intake.unfinished,
                "unfinished_bytes": stages.intake.unfinished_bytes,
                "boxes": stages.outbox.boxes,
            }
        self.assertEqual({name: held for name, held in counts.items() if held}, {})

    def assertOneReasonEach(self) -> None:
        """Every connection that there ever was has ended for exactly one reason."""
        closes, metrics = self.stages.closes.rows(), self.stages.metrics
        self.assertEqual(metrics.closes.total(), metrics.connects)
        if metrics.connects <= 1000:
            self.assertEqual(Counter(row.reason for row in closes), metrics.closes)
        by_peer = Counter(row.address for row in closes)
        self.assertEqual([peer for peer, times in by_peer.items() if times > 1], [])

    def _register_bot(self) -> None:
        bot = Bot()

        @bot.message
        def note(message: Message) -> None:
            self.messages.append(message)

        @bot.command("# wait")
        async def wait(message: Message, text: str = "") -> object:
            self.messages.append(message)
            waiting: Deferred[Any] = Deferred()
            self.waiting.append((message, waiting))
            return await waiting

        module: Any = ModuleType("bot_of_a_test")
        module.bot = bot
        sys.modules["bot_of_a_test"] = module
        self.addCleanup(sys.modules.pop, "bot_of_a_test")
