"""Runs schedules when they are due, each once: it knows the next moment of all of them and wakes up then.

The rows are the back office's as much as ours: they are read again every few seconds.  A run that is late by
more than a few minutes is not made up for but logged as missed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from zoneinfo import ZoneInfo

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from relaytw.recurrence import BadSchedule, Columns, Rule, next_due, occurrences, understand
from relaytw.services.schedule_runs import Composer
from relaytw.store import schedules
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.schedules import Plan
from relaytw.store.times import WallClock

#: As many missed moments are counted; of more it is said that there were more.
_COUNTED = 1_000

#: Seconds that a clock may round away: to wait for less would be to wait for nothing, again and again.
HAIR = 0.001


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """Seconds between two looks, and by how many a run may be late; how many schedules are run."""

    refresh: float = 5.0
    catch_up: float = 300.0
    most: int = 10_000
    timezone: str = "Asia/Seoul"


@dataclass(slots=True)
class _Known:
    """A schedule in memory: the row it was understood from, and when it is due next."""

    columns: Columns
    stored_next: float
    rule: Rule
    next_at: float | None


class Schedules(Service):
    """Watches the schedules.  `now` gives seconds since the epoch."""

    name = "schedules"

    def __init__(
        self,
        *,
        database: Transactions,
        clock: IReactorTime,
        now: Callable[[], float],
        composer: Composer,
        settings: ScheduleSettings,
    ) -> None:
        self._database = database
        self._clock = clock
        self._now = now
        self._composer = composer
        self._settings = settings
        self._zone = ZoneInfo(settings.timezone)
        self._wall = WallClock(settings.timezone)
        self._known: dict[int, _Known] = {}
        self._read_at = float("-inf")
        self._timer: IDelayedCall | None = None
        self._working: Deferred[None] | None = None
        self._full = False
        self._log = Logger(namespace="relaytw.schedules")

    def startService(self) -> None:
        """Begin with what is due, or was missed."""
        super().startService()
        self._wake()

    def stopService(self) -> Deferred[None] | None:
        """Begin no more runs; fires when what is under way is done."""
        super().stopService()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        return self._working

    def look(self) -> None:
        """Somebody has changed a schedule: look at the rows now."""
        self._read_at = float("-inf")
        if self.running and self._working is None:
            self._wake()

    # -- inside

    def _wake(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._working = Deferred()
        Deferred.fromCoroutine(self._work()).addErrback(
            lambda failure: self._log.failure("schedules could not be looked at", failure)
        )

    async def _work(self) -> None:
        pause = self._settings.refresh
        try:
            if self._clock.seconds() - self._read_at >= self._settings.refresh - HAIR:
                self._read_at = self._clock.seconds()
                await self._read()
            await self._run_due()
            pause = self._pause()
        except DatabaseAway:
            pass  # it is the database's to say; what is due is late until it is back
        finally:
            done, self._working = self._working, None
            if self.running:
                self._timer = self._clock.callLater(pause, self._wake)
            if done is not None:
                done.callback(None)

    def _pause(self) -> float:
        """Seconds until something is due, or the rows are to be read again."""
        soonest = min((one.next_at for one in self._known.values() if one.next_at is not None), default=None)
        read_again = max(0.0, self._read_at + self._settings.refresh - self._clock.seconds())
        pause = read_again if soonest is None else min(read_again, soonest - self._now())
        return max(HAIR, pause)

    async def _read(self) -> None:
        rows = await self._database.run(schedules.active, self._settings.most + 1)
        self._tell_if_full(len(rows))
        rows = rows[: self._settings.most]
        moves: list[tuple[int, str | None]] = []
        for gone in self._known.keys() - {row.id for row in rows}:
            del self._known[gone]
        for row in rows:
            known, stored = self._known.get(row.id), self._wall.seconds(row.next_send_at)
            if known is not None and known.columns == row.columns and known.stored_next == stored:
                continue
            try:
                rule = understand(row.columns)
                next_at = next_due(rule, self._position(row, known, stored), self._zone)
            except BadSchedule as error:
                await self._spoil(row.id, str(error))
                continue
            except Exception:
                await self._break(row.id)
                continue
            self._known[row.id] = _Known(row.columns, stored, rule, next_at)
            if stored != next_at:
                moves.append((row.id, self._text(next_at)))
        if moves:
            await self._database.run(schedules.move, moves)
            self._moved(moves)

    def _tell_if_full(self, count: int) -> None:
        full = count > self._settings.most
        if full and not self._full:
            self._log.warn(
                "only the first {most} active schedules are run (schedules.most)", most=self._settings.most
            )
        self._full = full

    def _position(self, row: Plan, known: _Known | None, stored: float) -> float:
        """From when on it is not decided yet whether a schedule has run."""
        now = self._now()
        edited = known is not None and known.columns != row.columns and known.stored_next == stored
        if edited:
            return now
        if stored > 0:
            return stored
        # Nobody has said when: from its making on, or from its last run, as far back as is made up for.
        made, ran = self._wall.seconds(row.created_at), self._wall.seconds(row.last_sent_at)
        since = max(made, ran + 1 if ran > 0 else 0.0)
        return min(now, max(since, now - self._settings.catch_up)) if since > 0 else now

    def _moved(self, moves: list[tuple[int, str | None]]) -> None:
        for number, next_at in moves:
            if next_at is None:
                self._known.pop(number, None)
            elif (known := self._known.get(number)) is not None:
                known.stored_next = self._wall.seconds(next_at)

    async def _spoil(self, number: int, why: str) -> None:
        self._known.pop(number, None)
        self._log.warn("schedule {number} cannot be understood: {why}", number=number, why=why)
        await self._database.run(schedules.spoil, number, why, self._wall.text(self._now()))

    async def _break(self, number: int) -> None:
        """A fault of ours with one schedule must not keep the others from running."""
        self._log.failure("schedule {number} could not be worked on; it is stopped", number=number)
        await self._spoil(number, "a fault of the relay; its log has the traceback")

    async def _run_due(self) -> None:
        while due := sorted(
            (known.next_at, number)
            for number, known in self._known.items()
            if known.next_at is not None and known.next_at <= self._now()
        ):
            for at, number in due:
                known = self._known.get(number)
                if not self.running:
                    return
                if known is None or known.next_at != at:
                    continue
                try:
                    await self._run(number, known, at)
                except DatabaseAway:
                    raise
                except Exception:
                    await self._break(number)

    async def _run(self, number: int, known: _Known, at: float) -> None:
        """Run a schedule that is due, or log that it was missed, and go on to its next time."""
        now, missed = self._now(), 0
        last = at
        for moment in islice(occurrences(known.rule, at, self._zone), _COUNTED):
            if moment >= now - self._settings.catch_up:
                break
            missed, last = missed + 1, moment
        if missed:
            following = next_due(known.rule, last + 1, self._zone)
            why = _missed(missed, self._wall.text(at), self._settings.catch_up)
            await self._database.run(
                schedules.miss,
                number,
                why,
                self._wall.text(last),
                self._wall.text(now),
                self._text(following),
            )
            self._log.warn("schedule {number} was missed: {why}", number=number, why=why)
        else:
            following = next_due(known.rule, at + 1, self._zone)
            await self._composer.run(number, at, self._text(following))
        # Meanwhile the rows may have been read anew.
        if self._known.get(number) is known:
            known.next_at = following
            self._moved([(number, self._text(following))])

    def _text(self, at: float | None) -> str | None:
        return None if at is None else self._wall.text(at)


def _missed(count: int, first: str, catch_up: float) -> str:
    many = f"{count} times" if count < _COUNTED else f"{count} times or more"
    times = "" if count == 1 else f" {many}, the first time at {first}"
    return f"missed{times}: the relay or its database was away for more than {catch_up:g} s"
