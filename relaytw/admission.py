"""Who gets one of the connection slots, and who waits a moment for one.

A slot is a permit taken at accept.  When none is free the oldest socket that has been silent for
over `displace_after` seconds makes room.  Otherwise the newcomer stays in a small overflow for
`overflow_seconds`: its handshake may show that it replaces its own dead twin, whose slot it then
inherits, and a slot that becomes free meanwhile is given to whoever came first; those who have
introduced themselves go before those who have not.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from relaytw.messages import CloseReason
from relaytw.permits import Permits
from relaytw.protocols.conversation import SERVER_FULL, Conversation, Ending

#: So many seconds longer than a silent socket may sit does a phone wait for its slot.
_HAIR = 0.01
_DISPLACED = Ending(CloseReason.DISPLACED, "silent for too long while others wait for a connection slot")


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """Seconds, and the number of sockets that may be open without a slot."""

    overflow: int = 20
    overflow_seconds: float = 1.0
    displace_after: float = 1.0
    handshake_timeout: float = 10.0


class Admission:
    """Hands out the slots, and ends the conversations that get none."""

    def __init__(self, slots: Permits, settings: AdmissionSettings, clock: IReactorTime) -> None:
        self.slots = slots
        self._settings = settings
        self._clock = clock
        # Slot holders that have not introduced themselves, and everybody without a slot: by age.
        self._silent: OrderedDict[Conversation, float] = OrderedDict()
        self._overflow: OrderedDict[Conversation, float] = OrderedDict()
        self._settle_call: IDelayedCall | None = None
        self._crowd_call: IDelayedCall | None = None
        self._settling = False

    @property
    def overflow(self) -> int:
        """How many sockets are open without a slot."""
        return len(self._overflow)

    def arrived(self, conversation: Conversation) -> None:
        """Let a new socket in, with a slot if there is one for it."""
        if not self._overflow and self.slots.try_acquire():
            self._seat(conversation)
            conversation.session.begin(self._settings.handshake_timeout)
            return
        self._overflow[conversation] = self._clock.seconds()
        conversation.session.begin(self._settings.overflow_seconds)
        self._settle()
        if len(self._overflow) > self._settings.overflow and self._crowd_call is None:
            # Not before the next turn: connections whose end the kernel already knows of are reported
            # in the same round of events as those that replace them.
            self._crowd_call = self._clock.callLater(0, self._thin_out)

    def introduced(self, conversation: Conversation) -> None:
        """A slot holder has completed its handshake: it cannot be displaced any more."""
        if self._silent.pop(conversation, None) is not None and not self._silent:
            self._give_up_waiting()

    def hope(self, conversation: Conversation) -> float:
        """Seconds for which a slotless socket may still come by a slot; 0 if there is no hope."""
        arrived = self._overflow.get(conversation)
        if arrived is None or not self._silent:
            return 0.0
        return max(0.0, arrived + self._settings.overflow_seconds + _HAIR - self._clock.seconds())

    def inherit(self, old: Conversation, new: Conversation) -> None:
        """Give a slotless conversation the slot of the one it replaces."""
        if new.seat is None and old.seat is not None:
            new.seat, old.seat = old.seat, None
            self._overflow.pop(new, None)

    def left(self, conversation: Conversation) -> None:
        """A conversation is over: what it held is free."""
        self._silent.pop(conversation, None)
        self._overflow.pop(conversation, None)
        if conversation.seat is not None:
            conversation.seat = None
            self.slots.release()
        self._settle()

    def stop(self) -> None:
        """Leave no timer behind."""
        for call in (self._settle_call, self._crowd_call):
            if call is not None and call.active():
                call.cancel()

    def _seat(self, conversation: Conversation) -> None:
        conversation.seat = self.slots
        if conversation.handshake is None:
            self._silent[conversation] = self._clock.seconds()

    def _settle(self) -> None:
        """Give free slots, and those of displaced sockets, to the overflow: phones first, then by age."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._overflow and (self.slots.tokens or self._displace()):
                if not self.slots.try_acquire():
                    break
                conversation = self._next()
                del self._overflow[conversation]
                self._seat(conversation)
                conversation.go_on()
        finally:
            self._settling = False
        self._arm()

    def _next(self) -> Conversation:
        # Those who have said who they are first, or silent sockets would hand the slots to each other.
        waiting = self._overflow
        return next((one for one in waiting if one.handshake is not None), next(iter(waiting)))

    def _displace(self) -> bool:
        if not self._silent:
            return False
        conversation, since = next(iter(self._silent.items()))
        if self._clock.seconds() - since <= self._settings.displace_after:
            return False
        del self._silent[conversation]
        conversation.session.end(_DISPLACED)
        return True

    def _arm(self) -> None:
        call: Any = self._settle_call
        if call is not None and call.active():
            call.cancel()
        self._settle_call = None
        if self._overflow and self._silent:
            since = next(iter(self._silent.values()))
            delay = max(0.0, since + self._settings.displace_after - self._clock.seconds()) + 0.001
            self._settle_call = self._clock.callLater(delay, self._settle)

    def _thin_out(self) -> None:
        """Make the overflow as small as it shall be: close the unproven, then the silent, then the latest."""
        self._crowd_call = None
        now = self._clock.seconds()
        waiting = list(self._overflow.items())
        # Whoever claims to be a phone that is on has had time to prove it by now.
        patience = self._settings.overflow_seconds
        squatting = [one for one, since in waiting if now - since > patience and not one.proven]
        silent = [one for one, _ in waiting if one.handshake is None]
        latest = [one for one, _ in reversed(waiting) if not one.proven]
        for conversation in (*squatting, *silent, *latest):
            if len(self._overflow) <= self._settings.overflow:
                return
            conversation.session.end(SERVER_FULL)

    def _give_up_waiting(self) -> None:
        for conversation in list(self._overflow):
            if conversation.handshake is not None and conversation.pass_ is None:
                conversation.session.end(SERVER_FULL)
