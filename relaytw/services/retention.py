"""Deletes rows that have been kept long enough, a few at a time, with pauses for everybody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Concatenate, ParamSpec

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

from relaytw.services.loops import Regularly
from relaytw.store import expiry
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.expiry import BEGINNING, Expiry, Kept, Spared
from relaytw.store.statements import Transaction
from relaytw.store.times import WallClock

P = ParamSpec("P")

#: Seconds from the start to the first look, and between two.
FIRST = 60.0
EVERY = 3600.0
#: Rows deleted, or looked at, in one transaction, and the seconds between two transactions.
CHUNK = 1000
PAUSE = 0.2
#: Seconds that a stop waits for the chunk that is under way.
STOP_PATIENCE = 5.0
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Days:
    """For how many days rows are kept."""

    chat: int = 30
    pings: int = 7
    systems: int = 30
    audit: int = 365


class Retention(Regularly):
    """Looks through the tables every hour; `now` gives seconds since the epoch."""

    name = "retention"
    namespace = "relaytw.retention"

    def __init__(
        self,
        clock: IReactorTime,
        database: Transactions,
        days: Days,
        wall: WallClock,
        now: Callable[[], float],
    ) -> None:
        super().__init__(clock, EVERY)
        self._database = database
        self._days = days
        self._wall = wall
        self._now = now
        self._place = BEGINNING
        self._spared = Spared()
        self._first: IDelayedCall | None = None
        self._working: Deferred[None] | None = None

    def startService(self) -> None:
        """Begin, the first time soon."""
        super().startService()
        self._first = self.clock.callLater(FIRST, self.work)

    def stopService(self) -> Deferred[None] | None:
        """Fires when the chunk that is under way is done, or takes too long."""
        super().stopService()
        if self._first is not None and self._first.active():
            self._first.cancel()
        if self._working is None:
            return None
        done: Deferred[None] = Deferred()
        done.addTimeout(STOP_PATIENCE, self.clock)
        self._working.addCallback(lambda _: None if done.called else done.callback(None))
        return done.addErrback(lambda _: None)

    def work(self) -> Deferred[None] | None:
        """Delete what is too old, everywhere; not while it is being done."""
        if self._working is None:
            self._working = Deferred.fromCoroutine(self._look())
            self._working.addErrback(
                lambda failure: self._log.failure("old rows could not be deleted", failure)
            )
            self._working.addCallback(self._rest)
        return None

    def _rest(self, _: None) -> None:
        self._working = None

    async def _look(self) -> None:
        deleted: dict[str, int] = {}
        try:
            deleted["kb_ping_monitor"] = await self._expire(expiry.PINGS, self._ago(self._days.pings))
            deleted["kb_system_monitor"] = await self._expire(expiry.SYSTEMS, self._ago(self._days.systems))
            oldest = int((self._now() - self._days.audit * _DAY) * 1000)
            deleted["relaytw_audit"] = await self._expire(expiry.AUDIT, oldest)
            deleted["kb_chat_logs"] = await self._expire_chat()
        except DatabaseAway as away:
            self._log.info("old rows stay until the database is back: {why}", why=str(away))
        self._log.info(
            "deleted {count} rows that were kept long enough: {tables}",
            count=sum(deleted.values()), tables={table: count for table, count in deleted.items() if count},
        )  # fmt: skip

    async def _expire(self, rows: Expiry, before: str | int) -> int:
        return await self._in_chunks(rows.run, before, CHUNK)

    async def _in_chunks(
        self, function: Callable[Concatenate[Transaction, P], int], /, *args: P.args, **kwargs: P.kwargs
    ) -> int:
        """Run a function that deletes up to `CHUNK` rows until there are fewer."""
        deleted = 0
        while self.running:
            count = await self._database.run(function, *args, **kwargs)
            deleted += count
            if count < CHUNK:
                break
            await self._pause()
        return deleted

    async def _expire_chat(self) -> int:
        rooms = await self._rooms_with_own_days()
        deleted = await self._expire_usual(rooms)
        for room in rooms:
            before = self._ago(room.days)
            deleted += await self._in_chunks(expiry.expire_chat_of_room, room, before, CHUNK)
            deleted += await self._in_chunks(expiry.expire_chat_of_nameless_room, room, before, CHUNK)
        return deleted

    async def _rooms_with_own_days(self) -> list[Kept]:
        found: list[Kept] = []
        after: Sequence[str] | None = ("", "", "")
        while after is not None and self.running:
            rooms, after = await self._database.run(expiry.rooms_with_own_days, after)
            found += rooms
        return found

    async def _expire_usual(self, rooms: list[Kept]) -> int:
        longer = [room for room in rooms if room.days > self._days.chat]
        spared = Spared(
            frozenset((room.bot, device, room.room_id) for room in longer for device in (room.device, "")),
            frozenset((room.bot, device, room.room_id) for room in longer for device in room.without),
        )
        if spared != self._spared:
            self._place, self._spared = BEGINNING, spared
        # What is spared is looked at once, not every hour.
        before, deleted, place = self._ago(self._days.chat), 0, self._place
        while self.running:
            count, following = await self._database.run(expiry.expire_chat, place, before, spared, CHUNK)
            deleted += count
            if following is None:
                self._place = expiry.Place(before, 0)
                break
            self._place = place = following
            await self._pause()
        return deleted

    async def _pause(self) -> None:
        await deferLater(self.clock, PAUSE)

    def _ago(self, days: int) -> str:
        return self._wall.text(self._now() - days * _DAY)
