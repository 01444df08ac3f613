"""Sends what nobody has asked for when it is due, never twice, and knows what has become of it.

A push is in the table before it is promised, claimed there before it is sent, and settled when the outbox
says how its parts have ended.  What an earlier run has claimed and nobody tells of any more is in doubt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from relaytw.admin.pushing import PushRefused
from relaytw.messages import Outcome, Reply, ReplyKind
from relaytw.outbox import Outbox
from relaytw.services import sayings
from relaytw.services.outcomes import Outcomes
from relaytw.store import broadcasts, pushes, schedules
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.pushes import Batch, Claimed, Fate, Kind
from relaytw.store.statements import Transaction
from relaytw.store.times import WallClock

#: Seconds before what the database refused is tried again, and between two looks for what is old.
RETRY, TIDY = 2.0, 3_600.0
#: How many pushes are claimed, and how many ends noted, in one transaction.
BATCH = 100
_DAY_MS = 86_400_000
_KINDS = {
    Kind.SCHEDULE: ReplyKind.SCHEDULE,
    Kind.BROADCAST: ReplyKind.BROADCAST,
    Kind.PUSH: ReplyKind.RESPONSE,
}


class Note(Protocol):
    """Whoever keeps what was said."""

    def __call__(self, reply: Reply) -> None:
        """A reply is on its way."""


@dataclass(frozen=True, slots=True)
class PumpSettings:
    """Seconds after which an earlier run's are in doubt, days for which all are kept, ends that may wait."""

    doubt_after: float = 330.0
    kept_days: int = 30
    ends: int = 10_000


class Pump(Service):
    """Gives the outbox what is due.  `now` gives seconds since the epoch, `run` names this run."""

    name = "pushes"

    def __init__(
        self,
        *,
        database: Transactions,
        clock: IReactorTime,
        now: Callable[[], float],
        outbox: Outbox,
        outcomes: Outcomes,
        wall: WallClock,
        run: str,
        settings: PumpSettings,
        note: Note = lambda _: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._now = now
        self._outbox = outbox
        self._wall = wall
        self._run = run
        self._settings = settings
        self._note = note
        self._ends: deque[Fate] = deque(maxlen=settings.ends)
        self._working: Deferred[None] | None = None
        self._again = False
        self._timer: IDelayedCall | None = None
        self._doubt: IDelayedCall | None = None
        self._tidied_at = 0.0
        self._log = Logger(namespace="relaytw.push")
        outcomes.watch(self._ended)

    def startService(self) -> None:
        """Go on with what was left."""
        super().startService()
        self._tidied_at = self._clock.seconds()
        self._doubt = self._clock.callLater(self._settings.doubt_after, self._look_for_doubt)
        self.nudge()

    def stopService(self) -> Deferred[None] | None:
        """Claim no more; fires when what is under way is done, and every end that was told is noted."""
        super().stopService()
        for call in (self._timer, self._doubt):
            if call is not None and call.active():
                call.cancel()
        self._again = True
        if self._working is None and self._ends:
            self._start()
        return self._working

    def nudge(self) -> None:
        """Something new may be due."""
        self._again = True
        if self._working is None and self.running:
            self._start()

    # -- inside

    def _ended(self, reply: Reply, outcome: Outcome, why: str) -> None:
        push, _, part = reply.id.removeprefix("~").rpartition("/")
        if push and part.isdigit():
            self._ends.append(Fate(push, int(part), outcome, why))
            self.nudge()

    def _start(self) -> None:
        self._working = Deferred()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        Deferred.fromCoroutine(self._work()).addErrback(
            lambda failure: self._log.failure("pushes could not be worked on", failure)
        )

    async def _work(self) -> None:
        delay: float | None = None
        try:
            while self._again or self._ends:
                self._again = False
                await self._note_ends()
                if self.running:
                    delay = await self._claim()
        except DatabaseAway:
            delay = RETRY
        except Exception:
            delay = RETRY
            raise
        finally:
            done, self._working = self._working, None
            if delay is not None and self.running:
                self._timer = self._clock.callLater(delay, self.nudge)
            if done is not None:
                done.callback(None)

    async def _note_ends(self) -> None:
        while self._ends:
            batch = [self._ends[at] for at in range(min(BATCH, len(self._ends)))]
            await self._database.run(_settle, batch, self._wall.text(self._now()), self._now_ms)
            for fate in batch:
                # Meanwhile the oldest may have been given up.
                if self._ends and self._ends[0] is fate:
                    self._ends.popleft()

    async def _claim(self) -> float | None:
        """Claim and send what is due; in how many seconds more will be."""
        now = self._now()
        batch = await self._database.run(_claim, int(now * 1000), self._run, self._wall.text(now))
        for claimed in batch.claimed:
            self._send(claimed)
        for number in batch.refused:
            self._log.warn("push {push} is not sent: its room is not approved", push=number)
        if self._clock.seconds() - self._tidied_at >= TIDY:
            self._tidied_at = self._clock.seconds()
            before = self._now_ms - self._settings.kept_days * _DAY_MS
            await self._database.run(pushes.expire, before, 10 * BATCH)
        if len(batch.claimed) + len(batch.refused) == BATCH:
            self._again = True
        if batch.next_ms is None:
            return None
        return min(max(0.0, batch.next_ms / 1000 - self._now()), TIDY)

    def _send(self, claimed: Claimed) -> None:
        try:
            parts = sayings.read(claimed.body)
        except (msgspec.MsgspecError, PushRefused) as error:
            why = f"it cannot be read any more: {error}"
            self._ends += [Fate(claimed.id, part, Outcome.FAILED, why) for part in range(claimed.parts)]
            return
        kind, name = _KINDS[claimed.kind], claimed.id
        replies = [
            Reply(claimed.client, claimed.room, claimed.channel_id, part, name, kind, f"~{name}/{index}")
            for index, part in enumerate(parts)
        ]
        for reply in replies:
            self._note(reply)
        self._outbox.send(replies)

    def _look_for_doubt(self) -> None:
        Deferred.fromCoroutine(self._doubt_all()).addErrback(
            lambda failure: self._log.failure("pushes in doubt could not be looked for", failure)
        )

    async def _doubt_all(self) -> None:
        try:
            found = await self._database.run(_doubt, self._run, self._wall.text(self._now()), self._now_ms)
        except DatabaseAway:
            found = None
        if found:
            self._log.warn("{count} pushes of an earlier run are in doubt", count=found)
        if self.running and (found is None or found == BATCH):
            self._doubt = self._clock.callLater(RETRY, self._look_for_doubt)

    @property
    def _now_ms(self) -> int:
        return int(self._now() * 1000)


def _claim(transaction: Transaction, now_ms: int, run: str, at: str) -> Batch:
    broadcasts.keep_pace(transaction, now_ms)
    batch = pushes.claim(transaction, now_ms, run, BATCH)
    _conclude(transaction, batch.refused, at, now_ms)
    return batch


def _settle(transaction: Transaction, fates: list[Fate], at: str, now_ms: int) -> None:
    _conclude(transaction, pushes.settle(transaction, fates, now_ms), at, now_ms)


def _doubt(transaction: Transaction, run: str, at: str, now_ms: int) -> int:
    found = pushes.doubt(transaction, run, now_ms, BATCH)
    _conclude(transaction, found, at, now_ms)
    return len(found)


def _conclude(transaction: Transaction, settled: list[str], at: str, now_ms: int) -> None:
    """Write what has become of whole runs into the log of their schedules."""
    runs: dict[str, None] = {}
    for number in settled:
        push = pushes.get(transaction, number)
        if push is not None and push.kind == Kind.SCHEDULE and push.origin is not None:
            runs[push.origin] = None
    for run in runs:
        schedules.conclude(transaction, run, at, now_ms)
