"""Answers handshakes: who is challenged, let in, doubted, made to wait for a slot, or turned away."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw import pins, texts
from relaytw.errors import BrokenSeal, Refused
from relaytw.gate import OLD_DIALECT, Device
from relaytw.messages import CloseReason, ErrorCode, Handshake, Hello, Status
from relaytw.protocols import wire
from relaytw.protocols.conversation import SERVER_FULL, Conversation, Desk, Ending
from relaytw.services.roster import Roster
from relaytw.services.stages import Stages

#: How long a handshake waits for the approvals to answer, in seconds.
LOOKUP_PATIENCE = 10.0


class Doorstep:
    """Where a conversation stands until its phone is on.

    With `proof_required` replies wait until the phone has shown a valid signature.
    """

    def __init__(
        self, stages: Stages, roster: Roster, clock: IReactorTime, desk: Desk, *, proof_required: bool
    ) -> None:
        self._stages = stages
        self._roster = roster
        self._clock = clock
        self._desk = desk
        self._proof_required = proof_required
        self._log = Logger(namespace="relaytw.session")

    def challenge(self, conversation: Conversation, hello: Hello, line: bytes) -> None:
        """Ask a 4.0 phone to prove itself, unless it is in the penalty box or could not be let in anyway."""
        stages, key = self._stages, hello.handshake.key
        # Whatever it is told, it is told in its dialect.
        conversation.wrap = wire.leave_open
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
                self._stages.challenges.met(conversation)
            elif self._is_penalised(conversation, handshake):
                self._refuse(conversation, CloseReason.PENALTY, texts.HANDSHAKE_PENALTY)
                return
        found = self._stages.approvals.device(handshake, conversation.host)
        if isinstance(found, Deferred):
            conversation.session.parked(LOOKUP_PATIENCE)
            found.addCallback(lambda _: conversation.go_on())
            found.addErrback(self._lookup_failed, conversation)
        elif found.status.refused:
            why = found.reason
            text = texts.HANDSHAKE_REFUSED_BECAUSE.format(reason=why) if why else texts.HANDSHAKE_REFUSED
            self._refuse(conversation, CloseReason.NOT_APPROVED, text)
        elif conversation.hello is None and pins.is_sealed(found.uuid):
            self._turn_away(conversation)
        else:
            self._admit(conversation, handshake, found)

    # -- inside

    def _admit(self, conversation: Conversation, handshake: Handshake, device: Device) -> None:
        # One key for all that is kept of this client, not an equal one for each.
        stages, key = self._stages, device.client
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
            self._desk.promote(conversation)
            return
        if rival is not None:
            oldest = stages.registry.doubt(key, conversation)
            if oldest is not None:
                oldest.session.end(Ending(CloseReason.SUPERSEDED, "a newer connection of this client came"))
            # What the phone was given over the other connection keeps it from hearing this one too.
            conversation.deaf_until = rival.deaf_until
            conversation.session.doubted()
            self._desk.ping(conversation)
            return
        stages.registry.join(key, conversation)
        conversation.session.welcomed()
        stages.pings.begin(conversation)
        if not self._proof_required:
            stages.outbox.attach(key, conversation, handshake.dialect)
        elif stages.outbox.waits_for(key):
            # Replies wait for whoever proves to be this phone; the answer to a ping does.
            self._desk.ping(conversation)

    def _let_in(self, conversation: Conversation, handshake: Handshake, device: Device) -> bool:
        """Give a phone its pass and its welcome; False if it is not the phone that was approved."""
        stages, hello = self._stages, conversation.hello
        try:
            if hello is None:
                conversation.pass_ = stages.gate.issue(device)
            elif (secret := stages.challenges.secret_of(conversation, device.client.bot)) is not None:
                conversation.pass_ = stages.gate.admit(device, hello.uuid, secret)
            else:
                conversation.reproach(BrokenSeal(ErrorCode.BAD_SIGNATURE, "the secret was just retired"))
                return False
        except Refused as refused:
            conversation.session.end(Ending(CloseReason.WRONG_IDENTITY, refused.why, refused.code))
            return False
        conversation.account = stages.intake.account(conversation.link)
        stages.welcome.say(conversation, device, self._roster.limit_lines(conversation))
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
        stay = self._stages.penalties.connected(handshake.key, conversation.host, self._clock.seconds())
        return stay is not None

    def _refuse(self, conversation: Conversation, reason: CloseReason, text: str) -> None:
        self._stages.welcome.refuse(conversation, text)
        conversation.session.end(Ending(reason))

    def _turn_away(self, conversation: Conversation) -> None:
        """It spoke 4.0 before: whoever has it speak less may stand between us, or be somebody else."""
        client = conversation.key
        self._log.warn(
            "{client} at {peer} has spoken dialect 4.0 and now speaks an older one; if its script was really "
            "changed back: relayctl devices allow-old BOT DEVICE",
            client=client, peer=conversation.peer,
        )  # fmt: skip
        conversation.session.end(Ending(CloseReason.OLD_DIALECT, OLD_DIALECT, ErrorCode.OLD_DIALECT))

    def _lookup_failed(self, failure: Failure, conversation: Conversation) -> None:
        self._log.failure("{client} could not be looked up", failure, client=conversation.key)
        text = "the relay cannot look this device up at the moment; try again later"
        conversation.session.end(Ending(CloseReason.INTERNAL, text, ErrorCode.INTERNAL))
