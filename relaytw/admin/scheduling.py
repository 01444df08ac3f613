"""What the admin API says and hears of schedules, and its routes for that."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated, Literal, Protocol

import msgspec

from relaytw.admin.callers import Caller
from relaytw.admin.push_routes import refusals
from relaytw.admin.routes import Route
from relaytw.admin.shapes import Listing, PageQuery
from relaytw.admin.tokens import Scope


class NewSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A schedule to be made, with wall times of the relay's zone.

    Images are contents in Base64.  `date` goes with once, `weekdays` with weekly.
    """

    title: str
    bot: str
    room_id: str
    every: Literal["once", "daily", "weekly"]
    times: Annotated[list[str], msgspec.Meta(min_length=1)]
    device: str | None = None
    text: str | None = None
    images_1: list[str] = []
    images_2: list[str] = []
    interval: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 1
    wait_ms_1: Annotated[int, msgspec.Meta(ge=0, le=300_000)] = 0
    wait_ms_2: Annotated[int, msgspec.Meta(ge=0, le=300_000)] = 0
    date: str | None = None
    weekdays: list[str] = []
    valid_from: str | None = None
    valid_until: str | None = None


class Schedule(msgspec.Struct, frozen=True):
    """A schedule.  Times are wall times of the relay's zone, as they stand in the table."""

    id: int
    title: str
    status: str
    bot: str
    device: str | None
    room_id: str
    every: str
    when: str
    next_at: str | None
    last_at: str | None
    count: int
    error: str | None
    text: str | None


class ScheduleRun(msgspec.Struct, frozen=True):
    """One run of a schedule; `outcome` says exactly what `status` says in the back office's words."""

    id: int
    schedule_id: int
    room_id: str
    components: str | None
    status: str
    outcome: str | None
    error: str | None
    scheduled_at: str | None
    started_at: str | None
    completed_at: str | None


class ScheduleId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which schedule."""

    id: int


class RunQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of which schedule."""

    id: int


class SchedulesView(Protocol):
    """The schedules.  What cannot be done raises PushRefused and Unavailable."""

    def schedules(
        self, after: str | None, limit: int, caller: Caller
    ) -> Awaitable[tuple[Sequence[Schedule], str | None]]:
        """Some schedules, and what to ask for more with."""

    def add(self, wanted: NewSchedule, caller: Caller) -> Awaitable[Schedule]:
        """Make a schedule."""

    def change(self, verb: str, number: int, caller: Caller) -> Awaitable[Schedule]:
        """Pause a schedule, resume it, delete it, or run it now."""

    def runs(self, number: int, caller: Caller) -> Awaitable[Sequence[ScheduleRun]]:
        """Its newest runs, newest first."""


class SchedulesApi:
    """Handlers over the schedules of one relay."""

    def __init__(self, view: SchedulesView) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """Everything that can be asked of schedules."""
        read, change = Scope.READ, Scope.SCHEDULES
        one = (ScheduleId, Schedule)
        path = "/api/v1/schedules"
        return [
            Route("GET", path, self.schedules, None, Listing[Schedule], query=PageQuery,
                  scope=read, calls=True),
            Route("GET", f"{path}/log", self.schedule_log, None, Listing[ScheduleRun], query=RunQuery,
                  scope=read, calls=True),
            Route("POST", path, self.add_schedule, NewSchedule, Schedule, scope=change, calls=True),
            Route("POST", f"{path}/pause", self.pause_schedule, *one, scope=change, calls=True),
            Route("POST", f"{path}/resume", self.resume_schedule, *one, scope=change, calls=True),
            Route("POST", f"{path}/delete", self.delete_schedule, *one, scope=change, calls=True),
            Route("POST", f"{path}/run-now", self.run_schedule, *one, scope=change, calls=True),
        ]  # fmt: skip

    async def schedules(self, query: PageQuery, caller: Caller) -> Listing[Schedule]:
        """A page of the schedules."""
        with refusals():
            rows, following = await self._view.schedules(query.after, query.limit, caller)
        return Listing(list(rows), following)

    async def schedule_log(self, query: RunQuery, caller: Caller) -> Listing[ScheduleRun]:
        """The newest runs of a schedule, newest first."""
        with refusals():
            return Listing(list(await self._view.runs(query.id, caller)))

    async def add_schedule(self, wanted: NewSchedule, caller: Caller) -> Schedule:
        """Make a schedule."""
        with refusals():
            return await self._view.add(wanted, caller)

    async def pause_schedule(self, wanted: ScheduleId, caller: Caller) -> Schedule:
        """Let a schedule rest."""
        return await self._change("pause", wanted, caller)

    async def resume_schedule(self, wanted: ScheduleId, caller: Caller) -> Schedule:
        """Let a schedule go on, from its next time on."""
        return await self._change("resume", wanted, caller)

    async def delete_schedule(self, wanted: ScheduleId, caller: Caller) -> Schedule:
        """Delete a schedule; the answer is what it was."""
        return await self._change("delete", wanted, caller)

    async def run_schedule(self, wanted: ScheduleId, caller: Caller) -> Schedule:
        """Run a schedule once, now, whatever its status."""
        return await self._change("run-now", wanted, caller)

    async def _change(self, verb: str, wanted: ScheduleId, caller: Caller) -> Schedule:
        with refusals():
            return await self._view.change(verb, wanted.id, caller)
