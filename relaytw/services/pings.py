"""Pings every phone on a schedule of its own, the first time after a random delay.

A restart brings everybody back at once; the delay keeps their pings from staying together.  One
`LoopingCall` serves them all: it looks every `TICK` at whose turn has come, so that a phone costs an
entry in a slot rather than timers of its own.
"""

from __future__ import annotations

from math import ceil
from random import Random

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from relaytw.protocols.conversation import Conversation

#: Seconds between two looks, and the most that a ping is late.
TICK = 0.1


class Pings(Service):
    """Pings live conversations every `interval` seconds, the first time within `jitter` seconds."""

    name = "pings"

    def __init__(self, clock: IReactorTime, random: Random, *, interval: float, jitter: float) -> None:
        self._clock = clock
        self._random = random
        self._interval = max(1, round(interval / TICK))
        self._jitter = jitter
        self._slots: dict[int, dict[Conversation, None]] = {}
        self._phones = 0
        self._looked_at = 0
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._log = Logger(namespace="relaytw.ping")

    def __len__(self) -> int:
        """How many phones are being pinged."""
        return self._phones

    def begin(self, conversation: Conversation) -> None:
        """Ping this phone from now on."""
        if conversation.ping_call is not None:
            return
        now = self._clock.seconds()
        if not self._loop.running:
            self._looked_at = int(now / TICK)
            self._loop.start(TICK, now=False).addErrback(
                lambda failure: self._log.failure("the pings have stopped", failure)
            )
        self._phones += 1
        self._put(conversation, ceil((now + self._random.uniform(0, self._jitter)) / TICK))

    def end(self, conversation: Conversation) -> None:
        """Ping this phone no more."""
        slot: int | None = conversation.ping_call
        if slot is None:
            return
        conversation.ping_call = None
        self._phones -= 1
        phones = self._slots.get(slot)
        if phones is not None:
            phones.pop(conversation, None)
            if not phones:
                del self._slots[slot]
        if not self._phones:
            self._stop()

    def stopService(self) -> None:
        """Ping nobody any more."""
        super().stopService()
        for phones in self._slots.values():
            for conversation in phones:
                conversation.ping_call = None
        self._slots.clear()
        self._phones = 0
        self._stop()

    def _put(self, conversation: Conversation, slot: int) -> None:
        conversation.ping_call = slot = max(slot, self._looked_at + 1)
        self._slots.setdefault(slot, {})[conversation] = None

    def _look(self) -> None:
        # A hair more than the time itself: ten times a tenth of a second is a little less than one.
        until = int(self._clock.seconds() / TICK + 1e-6)
        due = range(self._looked_at + 1, until + 1)
        self._looked_at = max(until, self._looked_at)
        for slot in due if len(due) <= len(self._slots) else sorted(set(self._slots).intersection(due)):
            phones = self._slots.get(slot)
            while phones:
                self._ping(phones.popitem()[0], until)
            self._slots.pop(slot, None)

    def _ping(self, conversation: Conversation, now: int) -> None:
        self._put(conversation, now + self._interval)
        try:
            conversation.desk.ping(conversation)
        except Exception:
            self._log.failure("{client} could not be pinged", client=conversation.key)

    def _stop(self) -> None:
        if self._loop.running:
            self._loop.stop()
