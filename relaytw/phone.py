"""A simulated phone: what a bridge script does, as a Twisted protocol.

For people without a phone, for load, and for tests.  It introduces itself, answers pings, signs what
it says and hands what it is told to its `PhoneUser`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from relaytw.errors import BadLine
from relaytw.messages import Auth, Chat, Dialect, Handshake, Monitoring
from relaytw.protocols import wire
from relaytw.protocols.wire.phone import (
    ErrorPacket,
    HandshakeComplete,
    PingPacket,
    ReplyPacket,
    decode_from_relay,
    encode_chat,
    encode_handshake,
    encode_pong,
)

#: The longest line a phone takes, in bytes: room for several photos.
LINE_BYTES = 64 * 1024 * 1024
CLIENT_TYPE = "MessengerBotR"
VERSIONS = {Dialect.V32: "3.2.2", Dialect.V33: "3.3.3", Dialect.V40: "4.0.0"}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a simulated phone is; without a `secret` it signs nothing."""

    bot: str
    device: str
    dialect: Dialect = Dialect.V32
    secret: bytes | None = None
    salt: str = ""

    def handshake(self) -> Handshake:
        """Its introduction."""
        version = VERSIONS[self.dialect]
        return Handshake(
            self.dialect, self.bot, self.device, version, CLIENT_TYPE, "127.0.0.1", "simulated phone"
        )

    def auth(self, now: float) -> Auth | None:
        """The signature of what is said `now`, in seconds since the epoch."""
        if self.secret is None:
            return None
        unsigned = Auth(
            CLIENT_TYPE,
            self.bot,
            f"uuid-{self.device}",
            self.device,
            "02:00:00:00:00:00",
            "127.0.0.1",
            int(now * 1000),
            VERSIONS[self.dialect],
            "",
        )
        return unsigned._replace(signature=wire.sign(self.secret, self.salt, unsigned))


class PhoneUser(Interface):
    """Whoever looks at a phone's screen."""

    def greeted(self, phone: SimulatedPhone, answer: HandshakeComplete) -> None:
        """The relay has answered the handshake."""

    def replied(self, phone: SimulatedPhone, reply: ReplyPacket) -> None:
        """The relay has something to type into a room."""

    def scolded(self, phone: SimulatedPhone, error: ErrorPacket) -> None:
        """The relay did not like something."""

    def lost(self, phone: SimulatedPhone) -> None:
        """The connection is over."""


class SimulatedPhone(Protocol):
    """One phone; `now` gives seconds since the epoch."""

    def __init__(self, identity: Identity, user: PhoneUser, now: Callable[[], float] = time.time) -> None:
        self.identity = identity
        self.said = 0
        self.pings = 0
        #: Does the reply that the user is shown answer something this phone has said, as far as it knows?
        self.is_answer = True
        self._user = user
        self._now = now
        self._lines = wire.LineBuffer(LINE_BYTES)
        self._rooms: set[str] = set()

    def connectionMade(self) -> None:
        """Introduce itself."""
        transport: Any = self.transport
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        self._write(encode_handshake(self.identity.handshake()))

    def dataReceived(self, data: bytes) -> None:
        """Read what the relay says; like a script, skip what is no packet."""
        for line in self._lines.feed(data):
            try:
                packet = decode_from_relay(line)
            except BadLine:
                continue
            self._hear(packet)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Tell the user."""
        self._user.lost(self)

    def say(
        self,
        room: str,
        text: str,
        *,
        channel_id: str | None = None,
        sender: str = "relayctl",
        user_hash: str | None = None,
    ) -> None:
        """Send one chat message, signed, with a log id of its own."""
        now = self._now()
        self.said += 1
        self._rooms.add(room)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        log_id = f"{int(now * 1000)}{self.said:06d}"
        self._send(Chat(room, text, sender, channel_id, log_id, user_hash, True, False, stamp, None))

    def hang_up(self) -> None:
        """Close the connection after what was said is written."""
        transport: Any = self.transport
        transport.loseConnection()

    def _send(self, chat: Chat) -> None:
        auth = self.identity.auth(self._now())
        self._write(encode_chat(self.identity.dialect, chat._replace(auth=auth), self.identity.bot))

    def _hear(self, packet: HandshakeComplete | ErrorPacket | PingPacket | ReplyPacket) -> None:
        match packet:
            case PingPacket(_, server_timestamp):
                self.pings += 1
                self._answer_ping(server_timestamp)
            case HandshakeComplete():
                self._user.greeted(self, packet)
            case ErrorPacket():
                self._user.scolded(self, packet)
            case ReplyPacket():
                self._user.replied(self, packet)

    def _answer_ping(self, server_timestamp: int) -> None:
        identity = self.identity
        figures = Monitoring(512.0, 101.5, 19.8, 0, len(self._rooms))
        auth = identity.auth(self._now())
        self._write(encode_pong(identity.dialect, identity.bot, server_timestamp, figures, auth))

    def _write(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data)
