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
from twisted.python.failure import Failure

from relaytw import texts
from relaytw.admission import Admission
from relaytw.errors import Refused
from relaytw.gate import Approvals, Device, Gate
from relaytw.intake import Intake
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
    Status,
    Typed,
    Unknown,
)
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox
from relaytw.penalty import PenaltyBox
from relaytw.protocols import wire
from relaytw.protocols.bridge import Bridge
from relaytw.protocols.conversation import PINGS_REMEMBERED, SERVER_FULL, Conversation, Ending, SessionLimits
from relaytw.protocols.session import converse
from relaytw.registry import Registry
from relaytw.services.acceptance import Acceptance
from relaytw.services.challenges import Challenges
from relaytw.services.closes import Closes
from relaytw.services.monitors import PingRecord
from relaytw.services.pings import Pings
from relaytw.services.roster import Roster, named
from relaytw.services.welcoming import Welcome
from relaytw.settings import BotSettings, SettingsOf

#: After these the phone may not have got what was written last.
_DEAD = frozenset(
    {CloseReason.CONNECTION_LOST, CloseReason.ZOMBIE, CloseReason.SLOW_PEER, CloseReason.REPLACED}
)
#: How long a handshake waits for the approvals to answer, in seconds.
LOOKUP_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """Bytes of a line, lines worked in one turn, seconds that a peer may read nothing.

    With `proof_required` replies wait until a phone has shown a valid signature.
    """

    line_bytes: int = 1024 * 1024
    lines_per_turn: int = 200
    write_timeout: float = 90.0
    proof_required: bool = True


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages that sessions are joined to."""

    admission: Admission
    penalties: PenaltyBox
    approvals: Approvals
    gate: Gate
    registry: Registry[Conversation]
    pings: Pings
    intake: Intake
    acceptance: Acceptance
    outbox: Outbox
    closes: Closes
    metrics: Metrics
    ping_log: PingRecord
    challenges: Challenges
    welcome: Welcome
    settings_of: SettingsOf = BotSettings
    bot_seen: Callable[[str], None] = lambda _bot: None


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
        """Ask a 4.0 phone to prove itself, unless it is in the penalty box or could not be let in anyway."""
        stages, key = self.stages, hello.handshake.key
        hopeless = stages.registry.live(key) is None and not stages.admission.hope(conversation) > 0
        if conversation.seat is None and hopeless:
            conversation.session.end(SERVER_FULL)
        elif self._is_penalised(conversation, hello.handshake):
            text = texts.HANDSHAKE_PENALTY
            conversation.session.end(Ending(CloseReason.PENALTY, text, ErrorCode.PENALTY))
        else:
            stages.challenges.put(conversation, hello, line)

    def introduce(self, conversation: Conversation, handshake: Handshake) -> None:
        """Answer a handshake; again when a slot or an answer of the approvals was waited for."""
        if conversation.handshake is None:
            conversation.handshake, conversation.key = handshake, handshake.key
            if conversation.hello is not None:
                conversation.secret = self.stages.challenges.met(conversation)
            elif self._is_penalised(conversation, handshake):
                self._refuse(conversation, CloseReason.PENALTY, texts.HANDSHAKE_PENALTY)
                return
        found = self.stages.approvals.device(handshake, conversation.host)
        if isinstance(found, Deferred):
            conversation.session.parked(LOOKUP_PATIENCE)
            found.addCallback(lambda _: conversation.go_on())
            found.addErrback(self._lookup_failed, conversation)
        elif found.status.refused:
            why = found.reason
            text = texts.HANDSHAKE_REFUSED_BECAUSE.format(reason=why) if why else texts.HANDSHAKE_REFUSED
            self._refuse(conversation, CloseReason.NOT_APPROVED, text)
        else:
            self._admit(conversation, handshake, found)

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

    # -- inside

    def _admit(self, conversation: Conversation, handshake: Handshake, device: Device) -> None:
        # One key for all that is kept of this client, not an equal one for each.
        stages, key = self.stages, device.client
        conversation.key = key
        rival = stages.registry.live(key)
        if conversation.seat is None and rival is None:
            patience = stages.admission.hope(conversation)
            if patience > 0:
                conversation.session.parked(patience)
            else:
                conversation.session.end(SERVER_FULL)
            return
        if not self._let_in(conversation, handshake, device):
            return
        if conversation.hello is not None:
            # The seal was proof enough to take over at once.
            conversation.session.welcomed()
            self.promote(conversation)
            return
        if rival is not None:
            oldest = stages.registry.doubt(key, conversation)
            if oldest is not None:
                oldest.session.end(Ending(CloseReason.SUPERSEDED, "a newer connection of this client came"))
            # What the phone was given over the other connection keeps it from hearing this one too.
            conversation.deaf_until = rival.deaf_until
            conversation.session.doubted()
            self.ping(conversation)
            return
        stages.registry.join(key, conversation)
        conversation.session.welcomed()
        stages.pings.begin(conversation)
        if not self._proof_required:
            stages.outbox.attach(key, conversation, handshake.dialect)
        elif stages.outbox.waits_for(key):
            # Replies wait for whoever proves to be this phone; the answer to a ping does.
            self.ping(conversation)

    def _let_in(self, conversation: Conversation, handshake: Handshake, device: Device) -> bool:
        """Give a phone its pass and its welcome; False if it is not the phone that was approved."""
        stages, gate = self.stages, self.stages.gate
        try:
            sealed, secret = conversation.hello, conversation.secret
            conversation.pass_ = (
                gate.issue(device) if sealed is None else gate.admit(device, sealed.uuid, secret)
            )
        except Refused as refused:
            conversation.session.end(Ending(CloseReason.WRONG_IDENTITY, refused.why, refused.code))
            return False
        conversation.account = stages.intake.account(conversation.link)
        stages.welcome.say(conversation, device, self.roster.limit_lines(conversation))
        stages.admission.introduced(conversation)
        self._log.info(
            "{client} is {status}, script {version} (dialect {dialect}) at {peer}",
            client=device.client, status=device.status, version=handshake.version,
            dialect=handshake.dialect, peer=conversation.peer,
        )  # fmt: skip
        if device.status is Status.APPROVED:
            stages.bot_seen(device.client.bot)
        else:
            stages.welcome.say_how_to_approve(device)
        return True

    def _is_penalised(self, conversation: Conversation, handshake: Handshake) -> bool:
        conversation.peer = conversation.link.where()
        stay = self.stages.penalties.connected(handshake.key, conversation.host, self.clock.seconds())
        return stay is not None

    def _refuse(self, conversation: Conversation, reason: CloseReason, text: str) -> None:
        self.stages.welcome.refuse(conversation, text)
        conversation.session.end(Ending(reason))

    def _lookup_failed(self, failure: Failure, conversation: Conversation) -> None:
        self._log.failure("{client} could not be looked up", failure, client=conversation.key)
        text = "the relay cannot look this device up at the moment; try again later"
        conversation.session.end(Ending(CloseReason.INTERNAL, text, ErrorCode.INTERNAL))
