"""Rows as lines: whatever a driver gives comes back as what a driver takes."""

from __future__ import annotations

import contextlib
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.maintenance.rows import decode_row, encode_row, stored

_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")),
    st.binary(),
    st.datetimes(),
    st.dates(),
    st.times(),
    st.timedeltas(timedelta(hours=-838), timedelta(hours=838)),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
)


class RowTests(SynchronousTestCase):
    @given(st.lists(_VALUES))
    def test_round_trip(self, row: list[object]) -> None:
        """A row is one line, and the line is the row."""
        line = encode_row(row)
        self.assertNotIn(b"\n", line)
        again = decode_row(line)
        self.assertEqual(again, [stored(value) for value in row])
        self.assertEqual([type(value) for value in again], [type(stored(value)) for value in row])

    @given(st.binary())
    def test_any_line(self, line: bytes) -> None:
        """A line that is none gives ValueError, and nothing else."""
        with contextlib.suppress(ValueError):
            self.assertIsInstance(decode_row(line), list)

    def test_no_rows(self) -> None:
        """JSON that no row was written as is refused."""
        for line in (
            b"{}",
            b"1",
            b"[true]",
            b"[[]]",
            b"[{}]",
            b'[{"base64": "?"}]',
            b'[{"float": "x"}]',
            b"[",
        ):
            self.assertRaises(ValueError, decode_row, line)

    def test_as_tables_hold_them(self) -> None:
        """Times are written as both engines read them."""
        for value, text in (
            (datetime(2026, 2, 28, 23, 59, 59), "2026-02-28 23:59:59"),  # noqa: DTZ001 (tables have no zone)
            (datetime(2026, 2, 28, 1, 2, 3, 500_000), "2026-02-28 01:02:03.500000"),  # noqa: DTZ001
            (date(2026, 3, 1), "2026-03-01"),
            (time(9, 30), "09:30:00"),
            (timedelta(hours=9, minutes=30), "09:30:00"),
            (-timedelta(hours=30, seconds=1), "-30:00:01"),
            (timedelta(microseconds=1), "00:00:00.000001"),
            (Decimal("1E+2"), "100"),
        ):
            self.assertEqual(stored(value), text)

    def test_no_value(self) -> None:
        """What no table holds is a mistake of ours."""
        self.assertRaises(TypeError, encode_row, [object()])
