"""What the admin API says and hears of schedules, and what the relay does for it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated, Literal, Protocol

import msgspec

from relaytw.admin.callers import Caller


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
