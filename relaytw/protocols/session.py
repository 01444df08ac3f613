"""One phone's conversation as states, from the accepted socket to the close.

The machine decides what a phone may do *now*; what is known about the connection stands in its
`Conversation`, and whatever needs knowledge of other connections is asked of its `Desk`.

    fresh ── begin ──> greeting ── welcomed ──────────────> live ──> done
                          │  └──── doubted ──> provisional ──^
                          └─ parked ──> waiting (for a slot), then as from greeting

A 4.0 phone is challenged while greeting and introduced by its proof, so it is never provisional.
Inputs that arrive while another is being worked are run right after it, in order.
"""
# ruff: noqa: ARG001 (every transition takes the machine, the conversation and the state's data)

from __future__ import annotations

from collections.abc import Iterator

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IDelayedCall

from relaytw.errors import BadLine, BrokenSeal, PeerError
from relaytw.messages import Chat, CloseReason, Dialect, ErrorCode, Handshake, Hello, Pong, Proof
from relaytw.protocols.conversation import SERVER_FULL, Conversation, Ending, Heard, Session


class _Patience:
    """A timer that is the data of a state; `stop` it on the way out."""

    __slots__ = ("_call",)

    def __init__(self, conversation: Conversation, session: Session, seconds: float) -> None:
        self._call: IDelayedCall = conversation.clock.callLater(seconds, session.impatient)

    def stop(self) -> None:
        if self._call.active():
            self._call.cancel()

    def extend(self, seconds: float) -> None:
        if self._call.active():
            self._call.reset(seconds)


class _Strikes:
    """The read time-out of a phone that is on: three in a row without a word close it."""

    __slots__ = ("_call", "_conversation", "_session", "count")

    def __init__(self, session: Session, conversation: Conversation) -> None:
        self._session = session
        self._conversation = conversation
        self.count = 0
        self._call: IDelayedCall = conversation.clock.callLater(
            conversation.limits.read_timeout, session.impatient
        )

    def heard(self) -> None:
        """Anything at all was read: start counting anew."""
        self.count = 0
        if self._call.active():
            self._call.reset(self._conversation.limits.read_timeout)

    def stop(self) -> None:
        if self._call.active():
            self._call.cancel()

    def ran_out(self) -> bool:
        """Count a strike unless the silence is ours; False when it was the last one."""
        conversation, limits = self._conversation, self._conversation.limits
        now = conversation.clock.seconds()
        left = self._excused_until(now) - now
        if left <= 0:
            self.count += 1
            if self.count >= limits.read_strikes:
                return False
            conversation.desk.ping(conversation)
            left = limits.read_timeout
        self._call = conversation.clock.callLater(left, self._session.impatient)
        return True

    def _excused_until(self, now: float) -> float:
        # A connection we do not read, and a phone busy sending media, cannot be heard: the first
        # has its clock stand still, either has a full interval afterwards.
        link, patience = self._conversation.link, self._conversation.limits.read_timeout
        if not link.reading:
            return now + patience
        return max(link.resumed_at, self._conversation.deaf_until) + patience


_machine = TypeMachineBuilder(Session, Conversation)


def _be_patient(session: Session, core: Conversation, patience: float) -> _Patience:
    return _Patience(core, session, patience)


def _await_proof(session: Session, core: Conversation) -> _Patience:
    deaf = max(0.0, core.deaf_until - core.clock.seconds())
    return _Patience(core, session, core.limits.provisional_timeout + deaf)


def _watch(session: Session, core: Conversation) -> _Strikes:
    return _Strikes(session, core)


_fresh = _machine.state("fresh")
_greeting = _machine.state("greeting", _be_patient)
_waiting = _machine.state("waiting", _be_patient)
_provisional = _machine.state("provisional", _await_proof)
_live = _machine.state("live", _watch)
_done = _machine.state("done")


# -- fresh: accepted by the kernel, not yet let in


_fresh.upon(Session.begin).to(_greeting).returns(None)


@_fresh.upon(Session.heard).loop()
def _too_early(session: Session, core: Conversation, batch: Iterator[Heard]) -> None:
    for heard in batch:
        if not core.hold(heard):
            session.end(_HELD_TOO_MUCH)
            return


@_fresh.upon(Session.end).to(_done)
def _refuse(session: Session, core: Conversation, ending: Ending) -> None:
    core.finish(ending)


@_fresh.upon(Session.lost).to(_done)
def _gone_early(session: Session, core: Conversation, reason: CloseReason) -> None:
    core.finish(Ending(reason))


# -- greeting: the handshake is due


@_greeting.upon(Session.seated).loop()
def _sit_down(session: Session, core: Conversation, timer: _Patience) -> None:
    timer.extend(core.limits.handshake_timeout)


@_greeting.upon(Session.heard).loop()
def _read_handshake(session: Session, core: Conversation, timer: _Patience, batch: Iterator[Heard]) -> None:
    for packet, line in batch:
        if isinstance(packet, Handshake) and core.hello is None:
            core.link.dialect = packet.dialect
            core.desk.introduce(core, packet)
        elif isinstance(packet, Hello) and core.hello is None:
            core.desk.challenge(core, packet, line)
        elif isinstance(packet, Proof) and core.hello is not None:
            core.desk.introduce(core, core.hello.handshake)
        elif isinstance(packet, BrokenSeal):
            core.reproach(packet)
        elif core.hello is not None:
            session.end(_NO_PROOF)
        elif isinstance(packet, BadLine):
            reason = _HANDSHAKE_FAULTS.get(packet.code, CloseReason.BAD_HANDSHAKE)
            session.end(Ending(reason, packet.why, packet.code))
        elif not core.hold((packet, line)):
            session.end(_HELD_TOO_MUCH)
        elif (handshake := core.desk.vouched(packet, core.link.dialect or Dialect.V32)) is None:
            continue
        else:
            core.desk.introduce(core, handshake)
        core.release(batch)
        return


_NO_PROOF = Ending(
    CloseReason.BAD_HANDSHAKE,
    "after the challenge the proof is due, and nothing else",
    ErrorCode.BAD_HANDSHAKE,
)
_HANDSHAKE_FAULTS = {ErrorCode.UNKNOWN_DIALECT: CloseReason.UNKNOWN_DIALECT}
_NO_ANSWER = Ending(
    CloseReason.INTERNAL,
    "the relay could not look this device up in time; try again later",
    ErrorCode.INTERNAL,
)
_HELD_TOO_MUCH = Ending(
    CloseReason.HELD_TOO_MUCH,
    "too much before the handshake; send the handshake first",
    ErrorCode.HELD_TOO_MUCH,
)


@_greeting.upon(Session.impatient).to(_done)
def _no_handshake(session: Session, core: Conversation, timer: _Patience) -> None:
    if core.seat is None:
        core.finish(SERVER_FULL)
        return
    text = f"no valid handshake within {core.limits.handshake_timeout:g} s"
    core.finish(Ending(CloseReason.HANDSHAKE_TIMEOUT, text, ErrorCode.HANDSHAKE_TIMEOUT))


@_greeting.upon(Session.welcomed).to(_live)
@_waiting.upon(Session.welcomed).to(_live)
@_greeting.upon(Session.doubted).to(_provisional)
@_waiting.upon(Session.doubted).to(_provisional)
def _answered(session: Session, core: Conversation, timer: _Patience) -> None:
    timer.stop()


@_greeting.upon(Session.parked).to(_waiting)
def _wait_for_seat(session: Session, core: Conversation, timer: _Patience, patience: float) -> None:
    timer.stop()


@_greeting.upon(Session.end).to(_done)
@_waiting.upon(Session.end).to(_done)
@_provisional.upon(Session.end).to(_done)
def _end_early(session: Session, core: Conversation, timer: _Patience, ending: Ending) -> None:
    timer.stop()
    core.finish(ending)


@_greeting.upon(Session.lost).to(_done)
@_waiting.upon(Session.lost).to(_done)
@_provisional.upon(Session.lost).to(_done)
def _lost_early(session: Session, core: Conversation, timer: _Patience, reason: CloseReason) -> None:
    timer.stop()
    core.finish(Ending(reason))


# -- waiting: introduced, but every slot is taken by somebody who may still turn out to be silent


@_waiting.upon(Session.heard).loop()
def _hold_on(session: Session, core: Conversation, timer: _Patience, batch: Iterator[Heard]) -> None:
    for heard in batch:
        if not core.hold(heard):
            session.end(_HELD_TOO_MUCH)
            return


@_waiting.upon(Session.seated).loop()
def _introduce_again(session: Session, core: Conversation, timer: _Patience) -> None:
    handshake = core.handshake
    if handshake is not None:
        core.desk.introduce(core, handshake)
        core.release(iter(()))


@_waiting.upon(Session.parked).loop()
def _wait_on(session: Session, core: Conversation, timer: _Patience, patience: float) -> None:
    timer.extend(patience)


@_waiting.upon(Session.impatient).to(_done)
def _no_seat(session: Session, core: Conversation, timer: _Patience) -> None:
    core.finish(SERVER_FULL if core.seat is None else _NO_ANSWER)


# -- provisional: introduced under the name of somebody who is already on


@_provisional.upon(Session.heard).loop()
def _await_signature(session: Session, core: Conversation, timer: _Patience, batch: Iterator[Heard]) -> None:
    core.last_heard = core.clock.seconds()
    for packet, line in batch:
        if isinstance(packet, BadLine):
            if not core.reproach(packet):
                return
        elif isinstance(packet, Handshake) and packet.key != core.key:
            core.impostor(packet.key)
            return
        elif isinstance(packet, (Chat, Pong)):
            try:
                proof = core.desk.check(core, packet)
            except PeerError as error:
                if not core.reproach(error):
                    return
                continue
            if not core.hold((packet, line)):
                session.end(_HELD_TOO_MUCH)
                return
            if proof:
                core.desk.promote(core)
                session.proven()
                core.release(batch)
                return


@_provisional.upon(Session.impatient).to(_done)
def _unproven(session: Session, core: Conversation, timer: _Patience) -> None:
    core.finish(Ending(CloseReason.UNPROVEN, "no validly signed packet in time", ErrorCode.NO_AUTH))


@_provisional.upon(Session.proven).to(_live)
def _believed(session: Session, core: Conversation, timer: _Patience) -> None:
    timer.stop()


_provisional.upon(Session.seated).loop().returns(None)


# -- live


@_live.upon(Session.heard).loop()
def _attend(session: Session, core: Conversation, strikes: _Strikes, batch: Iterator[Heard]) -> None:
    core.last_heard = core.clock.seconds()
    strikes.heard()
    core.desk.alive(core)
    core.attend(batch)


@_live.upon(Session.impatient).loop()
def _strike(session: Session, core: Conversation, strikes: _Strikes) -> None:
    if not strikes.ran_out():
        limits = core.limits
        silence = limits.read_strikes * limits.read_timeout
        session.end(Ending(CloseReason.ZOMBIE, f"nothing heard for {silence:g} s, pings unanswered"))


@_live.upon(Session.end).to(_done)
def _end(session: Session, core: Conversation, strikes: _Strikes, ending: Ending) -> None:
    strikes.stop()
    core.finish(ending)


@_live.upon(Session.lost).to(_done)
def _lost(session: Session, core: Conversation, strikes: _Strikes, reason: CloseReason) -> None:
    strikes.stop()
    core.finish(Ending(reason))


_live.upon(Session.seated).loop().returns(None)
_live.upon(Session.proven).loop().returns(None)


# -- done: whatever still happens changes nothing


for _input in (Session.seated, Session.welcomed, Session.doubted, Session.proven, Session.impatient):
    _done.upon(_input).loop().returns(None)
_done.upon(Session.parked).loop().returns(None)
_done.upon(Session.begin).loop().returns(None)
_done.upon(Session.heard).loop().returns(None)
_done.upon(Session.end).loop().returns(None)
_done.upon(Session.lost).loop().returns(None)

_build = _machine.build()


def converse(conversation: Conversation) -> Session:
    """The machine of one conversation, in state fresh."""
    conversation.session = session = _build(conversation)
    return session
