"""Pings every phone on a timer of its own, the first one after a random delay.

A restart brings everybody back at once; the delay keeps their pings from staying together.
"""

from __future__ import annotations

from random import Random

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from relaytw.protocols.conversation import Conversation


class _PhonePings:
    """One phone's pings: a `LoopingCall`, after a first delay."""

    __slots__ = ("delay", "loop")

    def __init__(self, delay: IDelayedCall, loop: LoopingCall) -> None:
        self.delay = delay
        self.loop = loop

    def stop(self) -> None:
        if self.delay.active():
            self.delay.cancel()
        if self.loop.running:
            self.loop.stop()


class Pings(Service):
    """Pings live conversations every `interval` seconds, the first time within `jitter` seconds."""

    name = "pings"

    def __init__(self, clock: IReactorTime, random: Random, *, interval: float, jitter: float) -> None:
        self._clock = clock
        self._random = random
        self._interval = interval
        self._jitter = jitter
        self._phones: set[_PhonePings] = set()
        self._log = Logger(namespace="relaytw.ping")

    def __len__(self) -> int:
        """How many phones are being pinged."""
        return len(self._phones)

    def begin(self, conversation: Conversation) -> None:
        """Ping this phone from now on."""
        if conversation.ping_call is not None:
            return
        loop = LoopingCall(conversation.desk.ping, conversation)
        loop.clock = self._clock
        delay = self._clock.callLater(self._random.uniform(0, self._jitter), self._first, loop)
        conversation.ping_call = phone = _PhonePings(delay, loop)
        self._phones.add(phone)

    def end(self, conversation: Conversation) -> None:
        """Ping this phone no more."""
        phone: _PhonePings | None = conversation.ping_call
        if phone is not None:
            conversation.ping_call = None
            phone.stop()
            self._phones.discard(phone)

    def stopService(self) -> None:
        """Stop every timer."""
        super().stopService()
        for phone in self._phones:
            phone.stop()
        self._phones.clear()

    def _first(self, loop: LoopingCall) -> None:
        loop.start(self._interval).addErrback(
            lambda failure: self._log.failure("a phone's pings have stopped", failure)
        )
