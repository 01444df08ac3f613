"""Everybody's conversations: letting sockets in, answering handshakes, take-over, and goodbyes.

`Sessions` is the house that sockets arrive at and the desk that conversations ask.  It joins the
stages that each know one thing: admission (slots), penalty box, approvals, gate, registry, pings,
acceptance and outbox.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaytw.messages import (
    Chat,
    CloseReason,
    CouldNot,
    Dialect,
    ErrorCode,
    Handshake,
    Hello,
    Packet,
    Pong,
    Receipt,
    Typed,
    Unknown,
)
from relaytw.protocols import wire
from relaytw.protocols.bridge import Bridge
from relaytw.protocols.conversation import PINGS_REMEMBERED, Conversation, Ending, SessionLimits
from relaytw.protocols.session import converse
from relaytw.services.doorstep import Doorstep
from relaytw.services.roster import Roster, named
from relaytw.services.stages import Stages

#: After these the phone may not have got what was written last.
_DEAD = frozenset(
    {CloseReason.CONNECTION_LOST, CloseReason.ZOMBIE, CloseReason.SLOW_PEER, CloseReason.REPLACED}
)


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """Bytes of a line, lines worked in one turn, seconds that a peer may read nothing.

    With `proof_required` replies wait until a phone has shown a valid signature.
    """

    line_bytes: int = 1024 * 1024
    lines_per_turn: int = 200
    write_timeout: float = 90.0
    proof_required: bool = True


class Sessions(Service):
    """The house and the desk.  `now` gives seconds since the epoch, `clock` schedules."""

    name = "sessions"

    def __init__(
        self,
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        settings: HouseSettings,
        limits: SessionLimits,
        stages: Stages,
    ) -> None:
        self.clock = clock
        self.line_bytes = settings.line_bytes
        self.lines_per_turn = settings.lines_per_turn
        self.write_timeout = settings.write_timeout
        self.stages = stages
        self.roster = Roster(stages.registry, clock, now, stages.settings_of, settings.line_bytes)
        self._doorstep = Doorstep(stages, self.roster, clock, self, proof_required=settings.proof_required)
        self._now = now
        self._limits = limits
        self._proof_required = settings.proof_required
        self._open: set[Conversation] = set()
        self._sockets = 0
        self._emptied: Deferred[None] | None = None
        self._stopped = False
        self._log = Logger(namespace="relaytw.session")

    @property
    def connections(self) -> int:
        """How many connections are open, with a slot or without."""
        return len(self._open)

    # -- Service

    def stopService(self) -> Deferred[None]:
        """Close every connection; fires when what was said last is written, or cannot be."""
        super().stopService()
        self._stopped = True
        self.stages.outbox.stop()
        for conversation in list(self._open):
            conversation.session.end(Ending(CloseReason.SHUTDOWN))
        self.stages.admission.stop()
        self._emptied = Deferred()
        if not self._sockets:
            self._emptied.callback(None)
        return self._emptied

    # -- the house: sockets

    def arrived(self, bridge: Bridge) -> None:
        """A socket was accepted: give it its conversation, and perhaps a slot."""
        peer, now = bridge.where(), self.clock.seconds()
        conversation = Conversation(bridge, self.clock, self, self._limits, peer, now)
        converse(conversation)
        self._sockets += 1
        self._open.add(conversation)
        self.stages.metrics.connects += 1
        self._log.info(
            "connection from {peer} ({connections} connections)",
            peer=peer,
            connections=len(self._open),
        )
        bridge.conversation = conversation
        if self._stopped:
            conversation.session.end(Ending(CloseReason.SHUTDOWN))
        else:
            self.stages.admission.arrived(conversation)

    def departed(self, bridge: Bridge) -> None:  # noqa: ARG002 (they are only counted)
        """A socket is gone; the last one ends the stop."""
        self._sockets -= 1
        if self._emptied is not None and not self._emptied.called and not self._sockets:
            self._emptied.callback(None)

    def batch_over(self) -> None:
        """A batch of lines was handed over."""
        self.stages.acceptance.flush()

    def worked(self, lines: int, seconds: float) -> None:
        """Lines were read: count them, and what decoding one of them took."""
        metrics = self.stages.metrics
        metrics.lines += lines
        if seconds:
            metrics.decode.observe(seconds / lines if lines else seconds)

    def writable(self, conversation: Conversation, writable: bool) -> None:
        """The peer reads slower than we write, or has caught up."""
        if conversation.key is not None:
            self.stages.outbox.writable(conversation.key, conversation, writable=writable)

    def owes(self, conversation: Conversation) -> bool:
        """Is anything this phone said still being answered?"""
        account = conversation.account
        return account is not None and account.messages > 0

    # -- the desk: handshakes

    def challenge(self, conversation: Conversation, hello: Hello, line: bytes) -> None:
        """Ask a 4.0 phone to prove itself, or end the conversation."""
        self._doorstep.challenge(conversation, hello, line)

    def introduce(self, conversation: Conversation, handshake: Handshake) -> None:
        """Answer a handshake; again when a slot or an answer of the approvals was waited for."""
        self._doorstep.introduce(conversation, handshake)

    def vouched(self, packet: Packet, dialect: Dialect) -> Handshake | None:
        """The handshake that this packet stands for, if a device we know has signed it."""
        auth = packet.auth if isinstance(packet, (Chat, Pong)) else None
        if auth is None or not self.stages.gate.vouched(auth):
            return None
        return Handshake(dialect, auth.bot, auth.device, auth.version, auth.client_type, auth.ip)

    def promote(self, conversation: Conversation) -> None:
        """The conversation has proven itself: it replaces whoever was there under its name."""
        stages, key = self.stages, conversation.key
        if key is None or conversation.handshake is None:
            return
        now = self.clock.seconds()
        old = stages.registry.live(key)
        if old is not None and old is not conversation:
            # What the old connection has read comes before anything its successor says.
            old.link.drain()
            stages.admission.inherit(old, conversation)
            stages.metrics.takeovers += 1
            fight = stages.registry.took_over(key, named(old), named(conversation), now)
            if fight is not None:
                self._log.warn(
                    "{client} is fought over by {one} and {other}: two phones with one identity, "
                    "or a network that keeps changing",
                    client=key, one=fight.one, other=fight.other,
                )  # fmt: skip
        stages.registry.join(key, conversation)
        conversation.proven = True
        stages.bot_seen(key.bot)
        stages.penalties.proved(key, conversation.host)
        hello = conversation.hello
        stages.outbox.attach(
            key, conversation, conversation.handshake.dialect,
            acknowledges=hello is not None, resume=hello.resume if hello is not None else None,
        )  # fmt: skip
        stages.pings.begin(conversation)
        if old is not None and old is not conversation:
            old.session.end(Ending(CloseReason.REPLACED, f"replaced by {conversation.peer}"))

    # -- the desk: packets

    def check(self, conversation: Conversation, packet: Chat | Pong | Receipt | Unknown) -> bool:
        """Is this packet proof of who is talking?  Raises `PeerError` when it may not enter."""
        return self.stages.gate.check(conversation.pass_, packet.auth, resendable=type(packet) is Chat)

    def chat(self, conversation: Conversation, chat: Chat, line: bytes) -> None:
        """Take in one checked chat message."""
        self.stages.acceptance.take(conversation, chat, line)
        if not conversation.proven and self._proof_required and not conversation.pings:
            # What it sends again proves nothing, and its answers wait for a proof: the pong will be one.
            self.ping(conversation)

    def pong(self, conversation: Conversation, pong: Pong) -> None:
        """Note a checked answer to a ping; its round trip counts if we sent that ping and are reading."""
        self.stages.metrics.pongs += 1
        if pong.monitoring is not None:
            conversation.monitoring = pong.monitoring
        round_trip = conversation.answered(pong.server_timestamp, int(self._now() * 1000))
        self.stages.ping_log.note(conversation, pong, round_trip)

    def receipt(self, conversation: Conversation, packet: Receipt) -> None:
        """Note what a phone says of replies; what it says and can never be accepted is refused."""
        outbox, key = self.stages.outbox, conversation.pass_.client
        if isinstance(packet, Typed):
            outbox.acknowledged(key, conversation, packet.ids)
        elif isinstance(packet, CouldNot):
            outbox.could_not(key, conversation, packet.id, packet.code, packet.why)
        else:
            self.stages.acceptance.refuse(conversation, packet.id, ErrorCode.BAD_CHAT, packet.why)

    def ping(self, conversation: Conversation) -> None:
        """Ping this phone now."""
        handshake = conversation.handshake
        if handshake is None or conversation.over:
            return
        sent = int(self._now() * 1000)
        if conversation.pings is None:
            conversation.pings = []
        conversation.pings.append(sent)
        del conversation.pings[:-PINGS_REMEMBERED]
        conversation.last_ping = self.clock.seconds()
        self.stages.metrics.pings += 1
        conversation.say(wire.encode_ping(handshake.bot, sent))

    def alive(self, conversation: Conversation) -> None:
        """Something was heard from this phone."""
        if conversation.key is not None:
            self.stages.outbox.alive(conversation.key, conversation)

    def rebuke(self, conversation: Conversation, code: ErrorCode, why: str) -> None:
        """Tell the phone what was wrong; count and log it."""
        self.stages.metrics.errors[code] += 1
        self._log.info(
            "{client} at {peer} is told {code}: {why}",
            client=conversation.key or "a stranger", peer=conversation.peer, code=code, why=why,
        )  # fmt: skip
        conversation.say(wire.encode_error(code, why, int(self._now() * 1000)))

    def unknown(self, conversation: Conversation, event: str) -> None:
        """Note a well-formed packet that means nothing to us."""
        self.stages.metrics.unknown_events += 1
        self._log.debug("{client} sent an unknown event {event}", client=conversation.key, event=event)

    # -- the desk: goodbyes

    def leave(self, conversation: Conversation, ending: Ending) -> None:
        """The conversation is over: nothing of it stays behind."""
        stages, key = self.stages, conversation.key
        self._open.discard(conversation)
        stages.registry.leave(conversation)
        stages.pings.end(conversation)
        if key is not None:
            stages.outbox.detach(key, conversation, dead=ending.reason in _DEAD)
        stages.metrics.closes[ending.reason] += 1
        stages.closes.note(self._now(), conversation, ending)
        self._log.info(
            "connection of {client} from {peer} closed: {reason} {text} ({connections} connections)",
            client=key or "a stranger", peer=conversation.peer, reason=ending.reason,
            text=ending.text, connections=len(self._open),
        )  # fmt: skip
        stages.admission.left(conversation)
