"""Phones that talk to a relay over wires in memory, whose every byte a test can see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from relaytw.messages import Auth, Chat
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

EPOCH = 1_700_000_000.0
#: What one read of a socket brings at most, and what a transport takes before it pauses its producer.
CHUNK = 65_536
#: Seconds until a phone answers a ping.
DELAY = 0.05


class World:
    """What phones share: one clock, and numbers that are never used twice."""

    def __init__(self) -> None:
        self.clock = MemoryReactorClock()
        self.numbers: Iterator[int] = count(1)

    def now(self) -> float:
        """Seconds since the epoch."""
        return EPOCH + self.clock.seconds()


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
        self.unsent = b""
        self.deaf = False
        self.aborted = False
        self.gone = False
        self._finished = False
        self._choked = False

    # -- the relay's side

    @property
    def dataBuffer(self) -> bytes:
        """What the relay has said and the kernel does not take."""
        return self.unsent

    def write(self, data: bytes) -> None:
        """Take what the relay says; ask it to pause when the peer takes none of it."""
        if self.gone or self.aborted:
            return
        super().write(data)
        if not self.deaf:
            self._phone.hear(data)
            return
        self.unsent += data
        if len(self.unsent) > CHUNK and self.producer is not None:
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
        self.deaf = False
        data, self.unsent = self.unsent, b""
        self._phone.hear(data)
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

    def __init__(self, world: World, bridge: Bridge, identity: Identity, host: str, answers: bool) -> None:
        self.identity = identity
        self.answers = answers
        self.packets: list[RelayPacket] = []
        self.bridge = bridge
        self.wire = Wire(world.clock, self, host, 40_000 + next(world.numbers))
        self._world = world
        self._rest = b""
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

    def line(
        self,
        text: str,
        *,
        auth: Auth | None,
        room: str = "room",
        log_id: str | None = "",
        user_hash: str | None = None,
        channel_id: str | None = None,
    ) -> bytes:
        """A chat packet that is not sent yet."""
        if log_id == "":
            log_id = str(next(self._world.numbers))
        at = "2025-07-15 12:00:00"
        chat = Chat(room, text, "Ada", channel_id, log_id, user_hash, True, False, at, auth)
        return encode_chat(self.identity.dialect, chat, self.identity.bot)

    def sign(self, ago: float = 0.0) -> Auth:
        """A signature of its own for every packet; made `ago` seconds ago."""
        # Packets signed within one millisecond would share it, and time stands still in tests.
        auth = self.identity.auth(self._world.now() - ago + next(self._world.numbers) / 1000)
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
                self._world.clock.callLater(DELAY, self.answer, packet.server_timestamp)

    def answer(self, server_timestamp: int) -> None:
        """Answer a ping, if the connection is still there."""
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
