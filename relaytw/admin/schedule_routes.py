"""The routes of the admin API that are about schedules."""

from __future__ import annotations

from relaytw.admin.callers import Caller, Scope
from relaytw.admin.push_routes import refusals
from relaytw.admin.routes import Route
from relaytw.admin.scheduling import NewSchedule, RunQuery, Schedule, ScheduleId, ScheduleRun, SchedulesView
from relaytw.admin.shapes import Listing, PageQuery


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
