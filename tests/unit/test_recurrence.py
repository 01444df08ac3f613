"""When schedules are due, against a search through every minute, and rows that hold anything."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.recurrence import (
    BadSchedule,
    Columns,
    Every,
    Rule,
    next_due,
    occurrences,
    seconds,
    understand,
)

SEOUL = ZoneInfo("Asia/Seoul")
ZONES = ("Asia/Seoul", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo")
MINUTE = 60
DAYS = 9
ANYTHING = st.none() | st.text(max_size=12) | st.integers() | st.dates() | st.timedeltas()
#: Around these days clocks are put forward or back in one of the zones.
STARTS = (
    date(2026, 3, 5), date(2026, 3, 27), date(2026, 4, 3), date(2026, 10, 2), date(2026, 10, 23),
    date(2026, 10, 30), date(2018, 11, 2), date(2018, 2, 15), date(2026, 7, 1),
)  # fmt: skip


def local(at: float, zone: ZoneInfo) -> datetime:
    """The wall time of a moment."""
    return datetime.fromtimestamp(at, UTC).astimezone(zone)


def oracle(rule: Rule, since: float, zone: ZoneInfo, minutes: int) -> list[float]:
    """Look at the clock each minute, and at one that is put forward only three hours later."""
    first = int(-(-since // MINUTE)) * MINUTE
    found, shown = [], set()
    for at in range(first - 4 * 60 * MINUTE, first + minutes * MINUTE, MINUTE):
        wall = local(at, zone).replace(tzinfo=None)
        offset = local(at - 3 * 3600, zone).utcoffset() or timedelta()
        before = (datetime.fromtimestamp(at, UTC) + offset).replace(tzinfo=None)
        real = local(seconds(before, zone), zone).replace(tzinfo=None) == before
        for reading in {wall} | (set() if real else {before}):
            if reading not in shown and matches(rule, reading):
                shown.add(reading)
                if at >= since and within(rule, at, zone):
                    found.append(float(at))
    return sorted(set(found))


def matches(rule: Rule, wall: datetime) -> bool:
    """Is this wall time one of the rule's?"""
    if wall.time() not in rule.times:
        return False
    if rule.every is Every.ONCE:
        return wall.date() == rule.day
    return rule.every is Every.DAILY or wall.weekday() in rule.weekdays


def within(rule: Rule, at: float, zone: ZoneInfo) -> bool:
    """Does the rule hold then?"""
    after = rule.valid_from is None or at >= seconds(rule.valid_from, zone)
    return after and (rule.valid_until is None or at <= seconds(rule.valid_until, zone))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Rule, float, ZoneInfo]:
    """A rule, a moment and a zone whose clocks may be changed about then."""
    zone, start = ZoneInfo(draw(st.sampled_from(ZONES))), draw(st.sampled_from(STARTS))
    moments = st.builds(time, st.sampled_from((0, 1, 2, 3, 23, 9)), st.sampled_from((0, 15, 30, 59)))
    times = tuple(sorted(draw(st.sets(moments, min_size=1, max_size=4))))
    walls = st.builds(
        lambda days, moment: datetime.combine(start + timedelta(days=days), moment),
        st.integers(0, DAYS - 2), moments,
    )  # fmt: skip
    rule = Rule(
        draw(st.sampled_from(list(Every))),
        times,
        start + timedelta(days=draw(st.integers(0, DAYS - 2))),
        frozenset(draw(st.sets(st.integers(0, 6), min_size=1, max_size=3))),
        draw(st.none() | walls),
        draw(st.none() | walls),
    )
    since = seconds(draw(walls), zone) + draw(st.sampled_from((0, -1, 1, 60)))
    return rule, since, zone


class DueTests(SynchronousTestCase):
    @given(cases())
    @settings(deadline=None, max_examples=40)
    def test_oracle(self, case: tuple[Rule, float, ZoneInfo]) -> None:
        """What is due is what somebody would find who looked at the clock every minute."""
        rule, since, zone = case
        minutes = 6 * 24 * 60
        expected = oracle(rule, since, zone, minutes)
        end = int(-(-since // MINUTE)) * MINUTE + minutes * MINUTE
        found = [at for at in islice(occurrences(rule, since, zone), 40) if at < end]
        self.assertEqual(found, expected[:40])

    def test_daily(self) -> None:
        """Several times a day come in order, day after day."""
        rule = Rule(Every.DAILY, (time(9), time(18, 30)))
        since = seconds(datetime(2026, 1, 1, 9, 0, 1), SEOUL)  # noqa: DTZ001 (wall times are naive)
        walls = [local(at, SEOUL).strftime("%d %H:%M") for at in islice(occurrences(rule, since, SEOUL), 3)]
        self.assertEqual(walls, ["01 18:30", "02 09:00", "02 18:30"])

    def test_over(self) -> None:
        """What is over is never due again: a day that has passed, a rule that holds no more."""
        once = Rule(Every.ONCE, (time(9),), date(2026, 1, 1))
        at = seconds(datetime(2026, 1, 1, 9), SEOUL)  # noqa: DTZ001
        self.assertEqual(next_due(once, at, SEOUL), at)
        self.assertIsNone(next_due(once, at + 1, SEOUL))
        for_ever = Rule(Every.DAILY, (time(9),), valid_until=datetime(9999, 12, 31, 23, 59, 59))  # noqa: DTZ001
        self.assertEqual(next_due(for_ever, at, ZoneInfo("America/New_York")), at + 14 * 3600)
        daily = Rule(Every.DAILY, (time(9),), valid_until=datetime(2026, 1, 2))  # noqa: DTZ001
        self.assertEqual(list(occurrences(daily, at, SEOUL)), [at])


def columns(**about: object) -> Columns:
    """The columns of a daily schedule, but for these."""
    usual: dict[str, object] = {
        "kind": "daily", "day": None, "time": "09:00:00", "times": None, "weekdays": None, "valid_from": None,
        "valid_until": None,
    }  # fmt: skip
    return Columns(**{**usual, **about})


class UnderstandTests(SynchronousTestCase):
    def test_drivers(self) -> None:
        """Both drivers' ways to give times and dates mean the same."""
        for value in ("09:05", "9:05:00", timedelta(hours=9, minutes=5), time(9, 5)):
            self.assertEqual(understand(columns(time=value)).times, (time(9, 5),))
        for day in ("2026-01-31", date(2026, 1, 31), datetime(2026, 1, 31, 5)):  # noqa: DTZ001
            self.assertEqual(understand(columns(kind="once", day=day)).day, date(2026, 1, 31))
        for days in ("monday,friday", {"friday", "monday"}, " Monday , friday"):
            self.assertEqual(understand(columns(kind="weekly", weekdays=days)).weekdays, {0, 4})
        self.assertEqual(understand(columns(times='["18:30","9:00"]')).times, (time(9), time(18, 30)))
        self.assertEqual(understand(columns(times="[]")).times, (time(9),))
        self.assertIsNone(understand(columns(valid_from="0000-00-00 00:00:00")).valid_from)

    def test_bad(self) -> None:
        """What cannot be understood is said, by the name of its column."""
        for about, word in (
            ({"kind": "hourly"}, "schedule_type"), ({"time": "25:00"}, "schedule_time"),
            ({"time": None}, "schedule_time"), ({"times": "[9"}, "schedule_times"),
            ({"times": '{"a": 1}'}, "schedule_times"), ({"times": '["noon"]'}, "schedule_times"),
            ({"kind": "once"}, "schedule_date"), ({"kind": "weekly"}, "schedule_weekdays"),
            ({"kind": "weekly", "weekdays": "monday,someday"}, "schedule_weekdays"),
            ({"valid_from": "soon"}, "valid_from"), ({"time": timedelta(hours=30)}, "schedule_time"),
        ):  # fmt: skip
            with self.assertRaises(BadSchedule) as caught:
                understand(columns(**about))
            self.assertIn(word, str(caught.exception))

    @given(st.lists(ANYTHING, min_size=7, max_size=7))
    def test_anything(self, values: list[object]) -> None:
        """Whatever stands in a row, it is understood or said to be bad, and never anything else."""
        try:
            rule = understand(Columns(*values))
        except BadSchedule:
            return
        self.assertTrue(rule.times)
