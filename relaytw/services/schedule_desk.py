"""What somebody asks of schedules: lists them, makes them, lets them rest, runs them out of turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from relaytw.admin.callers import Caller
from relaytw.admin.pushing import MediaBody, PushRefused, Saying
from relaytw.admin.scheduling import NewSchedule, Schedule, ScheduleRun
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey
from relaytw.recurrence import BadSchedule, Columns, next_due, understand
from relaytw.services.audit import AuditWriter
from relaytw.services.push_desk import PushDesk
from relaytw.services.schedule_runs import Composer
from relaytw.store import schedules
from relaytw.store.database import DatabaseAway
from relaytw.store.rooms import ID_CHARS
from relaytw.store.schedules import LogLine, Shown
from relaytw.store.times import WallClock

#: How many runs are listed.
RUNS = 200
_TITLE_CHARS, _BOT_CHARS = 255, 30
#: Years whose end stands for no end: old tables want one.
_FIRST, _LAST = "2000-01-01 00:00:00", "2099-12-31 23:59:59"


class ScheduleDesk:
    """Implements `relaytw.admin.scheduling.SchedulesView`.

    `now` gives seconds since the epoch, `new_id` names runs out of turn, `look` says that a row has changed.
    """

    def __init__(
        self,
        desk: PushDesk,
        composer: Composer,
        auditor: AuditWriter,
        now: Callable[[], float],
        new_id: Callable[[], str],
        look: Callable[[], None],
        timezone: str,
    ) -> None:
        self._desk = desk
        self._composer = composer
        self._audit = auditor
        self._now = now
        self._new_id = new_id
        self._look = look
        self._wall, self._zone = WallClock(timezone), ZoneInfo(timezone)

    async def schedules(
        self, after: str | None, limit: int, caller: Caller
    ) -> tuple[Sequence[Schedule], str | None]:
        """Some schedules, and what to ask for more with.  Raises PushRefused and Unavailable."""
        if after is not None and not (after.isdigit() and len(after) < 19):  # noqa: PLR2004 (digits of an id)
            raise PushRefused(400, "bad_request", "`after` is not what a page before has given")
        found = await self._desk.run(schedules.page, int(after or 0), limit)
        following = str(found[-1].plan.id) if len(found) == limit else None
        return [_shown(one) for one in found if caller.may_reach(one.content.bot)], following

    async def add(self, wanted: NewSchedule, caller: Caller) -> Schedule:
        """Make a schedule.  Raises PushRefused and Unavailable."""
        if not caller.may_reach(wanted.bot):
            raise PushRefused(403, "forbidden", f"this token is not for {wanted.bot}")
        values = self._values(wanted)
        number = await self._desk.run(schedules.add, values)
        client = ClientKey(wanted.bot, wanted.device or "")
        detail = f"{number}: {wanted.title}"
        self._audit.note(self._audit.act(caller.actor, "add schedule", client, wanted.room_id, detail))
        self._look()
        return _shown(await self._find(number, caller))

    async def change(self, verb: str, number: int, caller: Caller) -> Schedule:
        """Pause a schedule, resume it, delete it, or run it now.  Raises PushRefused and Unavailable."""
        before = await self._find(number, caller)
        if verb == "run-now":
            try:
                await self._composer.run_now(number, self._new_id())
            except DatabaseAway as error:
                raise Unavailable(error.outcome) from error
        elif verb == "delete":
            await self._desk.run(schedules.drop, number)
        else:
            status, next_at = ("inactive", None) if verb == "pause" else ("active", self._next(before))
            at = self._wall.text(self._now())
            await self._desk.run(schedules.set_status, number, status, next_at, at)
        client = ClientKey(before.content.bot, before.content.device or "")
        act = self._audit.act(caller.actor, f"{verb} schedule", client, before.content.room_id, str(number))
        self._audit.note(act)
        self._look()
        return _shown(before if verb == "delete" else await self._find(number, caller))

    async def runs(self, number: int, caller: Caller) -> Sequence[ScheduleRun]:
        """Its newest runs, newest first.  Raises PushRefused and Unavailable."""
        await self._find(number, caller)
        return [_run(line) for line in await self._desk.run(schedules.log, number, RUNS)]

    # -- inside

    async def _find(self, number: int, caller: Caller) -> Shown:
        found = await self._desk.run(schedules.get, number) if 0 < number < 2**63 else None
        if found is None or not caller.may_reach(found.content.bot):
            raise PushRefused(404, "unknown_schedule", f"there is no schedule {number}")
        return found

    def _next(self, stored: Shown) -> str:
        """When it is due next, from now on.  Raises PushRefused if it never is."""
        return self._next_of(stored.plan.columns)

    def _next_of(self, columns: Columns) -> str:
        try:
            next_at = next_due(understand(columns), self._now(), self._zone)
        except BadSchedule as error:
            raise PushRefused(400, "bad_schedule", str(error)) from None
        if next_at is None:
            raise PushRefused(400, "bad_schedule", "it would never be due")
        return self._wall.text(next_at)

    def _values(self, wanted: NewSchedule) -> dict[str, object]:
        for name, value, most in (
            ("title", wanted.title, _TITLE_CHARS), ("bot", wanted.bot, _BOT_CHARS),
            ("room_id", wanted.room_id, ID_CHARS), ("device", wanted.device or "-", ID_CHARS),
        ):  # fmt: skip
            if not 0 < len(value) <= most:
                raise PushRefused(400, "bad_request", f"{name} has 1 to {most} characters")
        images = [MediaBody(base64=listed) for listed in (wanted.images_1, wanted.images_2) if listed]
        self._desk.parts(Saying(text=wanted.text, media=images))
        weekdays = ",".join(wanted.weekdays) or None
        columns = Columns(
            wanted.every, wanted.date, wanted.times[0], json.dumps(wanted.times), weekdays, wanted.valid_from,
            wanted.valid_until,
        )  # fmt: skip
        next_at, at = self._next_of(columns), self._wall.text(self._now())
        rule = understand(columns)
        return {
            "title": wanted.title, "created_by_type": "branch", "created_by_mb_id": "relayctl",
            "target_bot_name": wanted.bot, "target_device_id": wanted.device,
            "target_room_id": wanted.room_id, "message_text": wanted.text,
            "message_images_1": _images(wanted.images_1),
            "message_images_2": _images(wanted.images_2), "image_storage_mode": "base64",
            "send_interval_seconds": wanted.interval, "media_wait_time_1": wanted.wait_ms_1,
            "media_wait_time_2": wanted.wait_ms_2, "schedule_type": wanted.every,
            "schedule_date": rule.day.isoformat() if rule.day is not None else None,
            "schedule_time": rule.times[0].isoformat(),
            "schedule_times": json.dumps([time.isoformat() for time in rule.times]),
            "schedule_weekdays": weekdays.lower() if weekdays else None,
            "valid_from": rule.valid_from.isoformat(" ", "seconds") if rule.valid_from else _FIRST,
            "valid_until": rule.valid_until.isoformat(" ", "seconds") if rule.valid_until else _LAST,
            "status": "active", "next_send_at": next_at, "created_at": at, "updated_at": at,
        }  # fmt: skip


def _images(contents: list[str]) -> str | None:
    return json.dumps([{"base64": content} for content in contents]) if contents else None


def _shown(stored: Shown) -> Schedule:
    plan, told = stored.plan, stored.content
    return Schedule(
        plan.id, stored.title, stored.status, told.bot, told.device, told.room_id, str(plan.columns.kind),
        _when(plan.columns), _text(plan.next_send_at), _text(plan.last_sent_at), stored.send_count,
        stored.last_error, told.text,
    )  # fmt: skip


def _when(columns: Columns) -> str:
    """When it is due, as people read it."""
    try:
        rule = understand(columns)
    except BadSchedule as error:
        return str(error)
    times = ", ".join(time.isoformat("auto" if time.second else "minutes") for time in rule.times)
    if rule.day is not None:
        return f"{rule.day.isoformat()} {times}"
    return f"{columns.weekdays} {times}" if rule.weekdays else times


def _run(line: LogLine) -> ScheduleRun:
    return ScheduleRun(
        line.id, line.schedule_id, line.room_id, line.components, line.status, line.outcome, line.error,
        _text(line.scheduled_at), _text(line.started_at), _text(line.completed_at),
    )  # fmt: skip


def _text(value: object) -> str | None:
    return None if value is None else str(value)
