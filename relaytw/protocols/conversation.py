"""What one connection is: the facts about it, and whom it talks to.

`Link` is the bytes below it, `Desk` the relay above it, `Session` the inputs of its state machine
(`relaytw.protocols.session`).  A `Conversation` holds the facts and does what needs no state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from twisted.internet.interfaces import IReactorTime

from relaytw.errors import BadLine, BrokenSeal, PeerError
from relaytw.messages import (
    Chat,
    ClientKey,
    CloseReason,
    Dialect,
    ErrorCode,
    Handshake,
    Hello,
    Monitoring,
    Packet,
    Pong,
    Proof,
    Receipt,
    Unknown,
)

#: One line as read: the packet in it (or why there is none), and its bytes.
Heard = tuple[Packet | BadLine, bytes]

#: How many pings of one connection may be on their way before the oldest is forgotten.
PINGS_REMEMBERED = 8


class Ending(NamedTuple):
    """Why a conversation ends; with a `code` the phone is told, with `text` in words."""

    reason: CloseReason
    text: str = ""
    code: ErrorCode | None = None


SERVER_FULL = Ending(
    CloseReason.SERVER_FULL, "every connection slot is taken; try again later", ErrorCode.SERVER_FULL
)


class Link(Protocol):
    """The bytes' side of a conversation."""

    dialect: Dialect | None
    #: What every line from now on must pass; raises BrokenSeal.
    check_seal: Callable[[bytes], None] | None

    @property
    def reading(self) -> bool:
        """Is the relay reading this connection (no back-pressure)?"""

    @property
    def resumed_at(self) -> float:
        """When reading was last taken up again, on the session's clock."""

    @property
    def told(self) -> int:
        """How many bytes were said."""

    @property
    def unsent(self) -> int:
        """How many of them are still in this process."""

    def where(self) -> str:
        """The peer's address."""

    def say(self, data: bytes) -> None:
        """Write `data`; ignored once hung up."""

    def hang_up(self, *, at_once: bool) -> None:
        """Close after what was said is written, or without waiting for that."""

    def limit_lines(self, length: int) -> None:
        """Take lines of so many bytes from now on; those read but not handed on are judged by it too."""

    def drain(self) -> None:
        """Hand on every complete line that was already read, back-pressure or not."""

    def stop_reading(self) -> None:
        """Leave what comes next in the kernel."""

    def start_reading(self) -> None:
        """Go on reading."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """The numbers a conversation keeps to: seconds, counts, and bytes of held lines."""

    handshake_timeout: float = 10.0
    read_timeout: float = 30.0
    read_strikes: int = 3
    provisional_timeout: float = 30.0
    held_lines: int = 64
    held_bytes: int = 2 * 1024 * 1024
    bad_packets: int = 20


class Desk(Protocol):
    """What a conversation asks of the rest of the relay."""

    def challenge(self, conversation: Conversation, hello: Hello, line: bytes) -> None:
        """Ask a 4.0 phone to prove itself, or end the conversation."""

    def introduce(self, conversation: Conversation, handshake: Handshake) -> None:
        """Answer a handshake by exactly one of the inputs welcomed, doubted, parked and end."""

    def vouched(self, packet: Packet, dialect: Dialect) -> Handshake | None:
        """The handshake that this packet stands for if it is validly signed by a device we know."""

    def batch_over(self) -> None:
        """Lines were handed on: accept and start what came of them."""

    def check(self, conversation: Conversation, packet: Chat | Pong | Receipt | Unknown) -> bool:
        """Is this packet proof of who is talking?  Raises `PeerError` when it may not enter."""

    def promote(self, conversation: Conversation) -> None:
        """The conversation has proven itself: it replaces whoever was there under its name."""

    def chat(self, conversation: Conversation, chat: Chat, line: bytes) -> None:
        """Take in one checked chat message.  Raises `PeerError` when it cannot be accepted."""

    def pong(self, conversation: Conversation, pong: Pong) -> None:
        """Note a checked answer to a ping."""

    def receipt(self, conversation: Conversation, packet: Receipt) -> None:
        """Note what a phone says of replies, or refuse what it says for good."""

    def ping(self, conversation: Conversation) -> None:
        """Ping this phone now."""

    def alive(self, conversation: Conversation) -> None:
        """Something was heard from this phone: what was written before has reached it."""

    def rebuke(self, conversation: Conversation, code: ErrorCode, why: str) -> None:
        """Tell the phone what was wrong with a line; count and log it."""

    def unknown(self, conversation: Conversation, event: str) -> None:
        """Note a well-formed packet that means nothing to us."""

    def leave(self, conversation: Conversation, ending: Ending) -> None:
        """The conversation is over; called exactly once."""


class Session(Protocol):
    """What can happen to a conversation."""

    def begin(self, patience: float) -> None:
        """The socket is let in; its handshake is due within `patience` seconds."""

    def seated(self) -> None:
        """A slot was found for a socket that had begun without one."""

    def heard(self, batch: Iterator[Heard]) -> None:
        """Lines came in; whoever works them takes as many as the state allows."""

    def welcomed(self) -> None:
        """The handshake is answered and the phone is on."""

    def doubted(self) -> None:
        """The handshake is answered, but its client is already on: proof is needed."""

    def parked(self, patience: float) -> None:
        """The handshake waits at most `patience` seconds for a slot."""

    def proven(self) -> None:
        """A doubted phone has shown who it is."""

    def impatient(self) -> None:
        """The present state's timer has run out."""

    def end(self, ending: Ending) -> None:
        """Close the conversation from our side."""

    def lost(self, reason: CloseReason) -> None:
        """The transport is gone."""


@dataclass(slots=True, eq=False)
class Conversation:
    """Everything known about one connection; compared by identity, never by key.

    Times are seconds on the session's clock, unless a name says otherwise.  It carries, for stages
    that it does not know: `seat` (admission), `pass_` (gate), `account` (intake), `ping_call`
    (pings), `hello` and `opener` (challenges).  `wrap` makes the codec's lines those of 4.0.
    """

    link: Link
    clock: IReactorTime
    desk: Desk
    limits: SessionLimits
    peer: str
    connected_at: float
    session: Session = None  # type: ignore[assignment]  # the machine is made of the conversation
    hello: Hello | None = None
    opener: Any = None
    wrap: Callable[[bytes], bytes] | None = None
    handshake: Handshake | None = None
    key: ClientKey | None = None
    proven: bool = False
    over: bool = False
    seat: Any = None
    pass_: Any = None
    account: Any = None
    ping_call: Any = None
    last_heard: float = 0.0
    last_ping: float = 0.0
    last_pong: float = 0.0
    deaf_until: float = 0.0
    bad_in_a_row: int = 0
    messages: int = 0
    held: list[Heard] | None = None
    held_bytes: int = 0
    pings: list[int] | None = None
    round_trip_ms: int | None = None
    monitoring: Monitoring | None = None

    @property
    def age(self) -> float:
        """Seconds since the connection was accepted."""
        return self.clock.seconds() - self.connected_at

    @property
    def host(self) -> str:
        """The peer's address without its port."""
        return self.peer.rpartition(":")[0] or self.peer

    def say(self, data: bytes) -> None:
        """Write packets to the phone."""
        self.link.say(data if self.wrap is None else self.wrap(data))

    @property
    def told(self) -> int:
        """How many bytes were said to the phone."""
        return self.link.told

    @property
    def unsent(self) -> int:
        """How many of them are still in this process, rather than in the kernel."""
        return self.link.unsent

    def busy(self, seconds: float) -> None:
        """The phone is sending media and hears nothing for so long."""
        self.deaf_until = max(self.deaf_until, self.clock.seconds() + seconds)

    def answered(self, sent: int | None, now: int) -> int | None:
        """The round trip of the ping `sent` then, in ms; None if there was none, or we were not reading."""
        if sent is None or not self.pings or sent not in self.pings:
            return None
        self.pings.remove(sent)
        self.pings = self.pings or None
        if not self.link.reading or self.link.resumed_at > self.last_ping:
            return None
        self.round_trip_ms = now - sent
        return self.round_trip_ms

    def hold(self, heard: Heard) -> bool:
        """Keep a line for later; False (and the end is near) when there is no room for it."""
        if self.held is None:
            self.held = []
        self.held_bytes += len(heard[1])
        if len(self.held) >= self.limits.held_lines or self.held_bytes > self.limits.held_bytes:
            return False
        self.held.append(heard)
        return True

    def release(self, rest: Iterator[Heard]) -> None:
        """Feed what was held, and then the rest of the batch, to the state that comes next."""
        held, self.held, self.held_bytes = self.held, None, 0
        if held:
            self.session.heard(iter(held))
        self.session.heard(rest)

    def go_on(self) -> None:
        """What was waited for is there, outside of any batch of lines: a slot, an answer of the approvals."""
        self.session.seated()
        self.desk.batch_over()

    def reproach(self, error: PeerError) -> bool:
        """Tell the phone of its mistake; False when it is closed: after too many in a row, or at once."""
        if isinstance(error, BrokenSeal):
            self.session.end(Ending(CloseReason.BROKEN_SEAL, error.why, error.code))
            return False
        self.desk.rebuke(self, error.code, error.why)
        self.bad_in_a_row += 1
        if self.bad_in_a_row < self.limits.bad_packets:
            return True
        reason = CloseReason.BAD_LINES if isinstance(error, BadLine) else CloseReason.BAD_SIGNATURE
        self.session.end(Ending(reason, f"{self.bad_in_a_row} bad packets in a row; the last: {error.why}"))
        return False

    def attend(self, batch: Iterator[Heard]) -> None:
        """Work the lines of a phone that is on."""
        desk = self.desk
        for packet, line in batch:
            try:
                if isinstance(packet, Chat):
                    if desk.check(self, packet) and not self.proven:
                        desk.promote(self)
                    self.bad_in_a_row = 0
                    desk.chat(self, packet, line)
                elif not isinstance(packet, Handshake):
                    self._enter(packet)
                elif packet.key != self.key:
                    self.impostor(packet.key)
                    return
            except PeerError as error:
                if not self.reproach(error):
                    return

    def _enter(self, packet: Hello | Proof | Pong | Receipt | Unknown | BadLine) -> None:
        if isinstance(packet, BadLine):
            raise packet
        if isinstance(packet, (Hello, Proof)):
            raise BadLine("the handshake is over")
        desk = self.desk
        if desk.check(self, packet) and not self.proven:
            desk.promote(self)
        self.bad_in_a_row = 0
        if isinstance(packet, Pong):
            desk.pong(self, packet)
        elif isinstance(packet, Unknown):
            desk.unknown(self, packet.event)
        else:
            desk.receipt(self, packet)

    def impostor(self, claimed: ClientKey) -> None:
        """A second handshake names somebody else: close."""
        text = f"this connection belongs to {self.key}, not to {claimed}"
        self.session.end(Ending(CloseReason.WRONG_IDENTITY, text, ErrorCode.WRONG_IDENTITY))

    def finish(self, ending: Ending) -> None:
        """Say why, hang up and leave."""
        if self.over:
            return
        self.over = True
        if ending.code is not None:
            self.desk.rebuke(self, ending.code, ending.text)
        at_once = ending.reason in _NOBODY_LISTENS
        self.link.hang_up(at_once=at_once)
        self.desk.leave(self, ending)


_NOBODY_LISTENS = frozenset({CloseReason.ZOMBIE, CloseReason.SLOW_PEER, CloseReason.REPLACED})
