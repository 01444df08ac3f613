"""When a schedule is due: pure arithmetic on wall times of one zone, told in seconds since the epoch.

A wall time that the clocks skip is due when they would have shown it, had they not been put forward; one
that they show twice is due the first time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
#: The most times of a day that a schedule may name.
MOST_TIMES = 1_440
_WEEK = 7
#: Days of the calendar beside that of a moment on which its wall time may fall.
_MARGIN = timedelta(days=2)


class BadSchedule(ValueError):
    """A schedule that cannot be understood; the text says what of it."""


class Every(StrEnum):
    """How often a schedule is due."""

    ONCE = "once"
    DAILY = "daily"
    WEEKLY = "weekly"


class Rule(NamedTuple):
    """When something is due: on which days, at which times, and from when until when (naive wall times)."""

    every: Every
    times: tuple[time, ...]
    day: date | None = None
    weekdays: frozenset[int] = frozenset()
    valid_from: datetime | None = None
    valid_until: datetime | None = None


class Columns(NamedTuple):
    """The columns that hold a rule, as a driver gives them."""

    kind: object
    day: object
    time: object
    times: object
    weekdays: object
    valid_from: object
    valid_until: object


def understand(columns: Columns) -> Rule:
    """The rule that a row holds.  Raises BadSchedule."""
    try:
        every = Every(str(columns.kind))
    except ValueError:
        raise BadSchedule(f"schedule_type is {columns.kind!r}, not one of {', '.join(Every)}") from None
    day = _day(columns.day) if every is Every.ONCE else None
    weekdays = _weekdays(columns.weekdays) if every is Every.WEEKLY else frozenset()
    return Rule(
        every,
        _times(columns),
        day,
        weekdays,
        _moment("valid_from", columns.valid_from),
        _moment("valid_until", columns.valid_until),
    )


def occurrences(rule: Rule, since: float, zone: ZoneInfo) -> Iterator[float]:
    """When it is due from `since` on, in order, each time once."""
    first = seconds(rule.valid_from, zone) if rule.valid_from is not None else None
    last = seconds(rule.valid_until, zone) if rule.valid_until is not None else None
    since = since if first is None else max(since, first)
    told = None
    for day in _days(rule, _local(since, zone).date() - _MARGIN):
        if rule.valid_until is not None and day - _MARGIN > rule.valid_until.date():
            return
        for at in sorted({seconds(datetime.combine(day, moment), zone) for moment in rule.times}):
            if last is not None and at > last:
                continue
            if at >= since and (told is None or at > told):
                told = at
                yield at


def next_due(rule: Rule, since: float, zone: ZoneInfo) -> float | None:
    """The first time it is due from `since` on; None if it never is again."""
    return next(occurrences(rule, since, zone), None)


def seconds(wall: datetime, zone: ZoneInfo) -> float:
    """Seconds since the epoch of a naive wall time."""
    return wall.replace(tzinfo=zone).timestamp()


def _local(at: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(zone)


def _days(rule: Rule, first: date) -> Iterator[date]:
    if rule.every is Every.ONCE:
        if rule.day is not None and rule.day >= first:
            yield rule.day
        return
    day = first
    while day < date.max:
        if rule.every is Every.DAILY or day.weekday() in rule.weekdays:
            yield day
        day += timedelta(days=1)


def _times(columns: Columns) -> tuple[time, ...]:
    given = columns.times
    if given in (None, ""):
        return (_time("schedule_time", columns.time),)
    try:
        listed = json.loads(str(given)) if isinstance(given, (str, bytes)) else given
    except (ValueError, RecursionError):
        raise BadSchedule("schedule_times is no JSON") from None
    if listed is None or listed == []:
        return (_time("schedule_time", columns.time),)
    if not isinstance(listed, list) or len(listed) > MOST_TIMES:
        raise BadSchedule('schedule_times is no list of times such as ["09:00", "18:30"]')
    return tuple(sorted({_time("schedule_times", item) for item in listed}))


def _time(name: str, value: object) -> time:
    if isinstance(value, timedelta) and timedelta() <= value < timedelta(days=1):
        # What MySQL's driver makes of a TIME.
        return (datetime(1, 1, 1) + value).time()  # noqa: DTZ001 (a time of day has no zone)
    if isinstance(value, time):
        return value.replace(tzinfo=None)
    try:
        parsed = time.fromisoformat(_padded(str(value)))
    except ValueError:
        raise BadSchedule(f"{name} is {value!r}, no time such as 09:00") from None
    return parsed.replace(tzinfo=None, microsecond=0)


def _padded(text: str) -> str:
    return f"0{text}" if text[1:2] == ":" else text


def _day(value: object) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        raise BadSchedule(f"schedule_date is {value!r}, no date such as 2026-01-31") from None


def _weekdays(value: object) -> frozenset[int]:
    listed = sorted(value) if isinstance(value, (set, frozenset)) else str(value or "").split(",")
    words = [str(word).strip().lower() for word in listed]
    words = [word for word in words if word]
    unknown = [word for word in words if word not in WEEKDAYS]
    if unknown or not words:
        raise BadSchedule(f"schedule_weekdays is {value!r}, no list of days such as monday,friday")
    return frozenset(WEEKDAYS.index(word) for word in words)


def _moment(name: str, value: object) -> datetime | None:
    if value is None or value == "" or str(value).startswith("0000-00-00"):
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=None)
    except ValueError:
        raise BadSchedule(f"{name} is {value!r}, no time such as 2026-01-31 09:00:00") from None
