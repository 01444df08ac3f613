"""Rows of the ping monitor: whatever a phone says of itself, its row is taken."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Monitoring
from relaytw.store.pings import COLUMNS, MOST_INT, PINGS, Load, PingRows
from relaytw.store.rows import write_rows
from relaytw.store.times import WallClock
from relaytw.testing import MemoryDatabase

CLIENT = ClientKey("bot", "phone")
AT = 1_752_548_400.0  # 12:00 in Seoul
LOAD = Load(12.251, 1234.5, 50.0, 60.0)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers()


def row(**about: Any) -> dict[str, Any]:
    """A row by its columns."""
    usual: dict[str, Any] = {
        "round_trip_ms": 42, "phone_ms": int(AT * 1000) - 61_000, "load": LOAD,
        "monitoring": Monitoring(512.0, 100.5, 19.6, 2, 3),
    }  # fmt: skip
    rows = PingRows(WallClock("Asia/Seoul"), "relay-01")
    return dict(zip(COLUMNS, rows.row(CLIENT, "10.0.0.7", AT, **{**usual, **about}), strict=True))


class PingTests(SynchronousTestCase):
    def test_columns(self) -> None:
        """The round trip, the phone's figures and the relay's are in the row."""
        expected = {
            "bot_name": "bot", "device_id": "phone", "client_ip": "10.0.0.7", "ping_time_ms": 42,
            "client_timestamp": "2025-07-15 11:58:59", "server_timestamp": "2025-07-15 12:00:00",
            "total_memory": 512.0, "memory_usage": 100.5, "memory_percent": 19.6, "message_queue_size": 2,
            "active_rooms": 3, "process_name": "relay-01", "server_cpu_usage": 12.25,
            "server_cpu_max": 999.99,
            "server_memory_usage": 50.0, "server_memory_max": 60.0, "created_at": "2025-07-15 12:00:00",
        }  # fmt: skip
        self.assertEqual(row(), expected)

    def test_unknown(self) -> None:
        """A phone that says nothing of itself has zeros; a round trip nobody knows is NULL."""
        found = row(monitoring=None, round_trip_ms=None, phone_ms=None)
        self.assertEqual((found["total_memory"], found["message_queue_size"]), (0, 0))
        self.assertEqual((found["ping_time_ms"], found["client_timestamp"]), (None, None))

    @given(st.builds(Monitoring, NUMBERS, NUMBERS, NUMBERS, st.integers(), st.integers()), st.integers())
    def test_anything(self, monitoring: Monitoring, phone_ms: int) -> None:
        """No number of a phone's keeps its row from being written."""
        found = row(monitoring=monitoring, phone_ms=phone_ms)
        self.assertLessEqual(found["total_memory"], MOST_INT)
        self.assertLessEqual(found["memory_percent"], 999.99)
        database = MemoryDatabase()
        self.assertEqual(database.now(write_rows, [(PINGS, [tuple(found.values())])]), [])
