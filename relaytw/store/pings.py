"""`kb_ping_monitor`: how long a phone took to answer, and how it and the relay were doing."""

from __future__ import annotations

from typing import NamedTuple

from relaytw.messages import ClientKey, Monitoring
from relaytw.store.rows import Row, RowKind, storable
from relaytw.store.schema import pings as table
from relaytw.store.statements import Insert
from relaytw.store.times import WallClock

COLUMNS = (
    "bot_name", "device_id", "client_ip", "ping_time_ms", "client_timestamp", "server_timestamp",
    "total_memory", "memory_usage", "memory_percent", "message_queue_size", "active_rooms",
    "process_name", "server_cpu_usage", "server_cpu_max", "server_memory_usage", "server_memory_max",
    "created_at",
)  # fmt: skip
PINGS = RowKind(table.name, Insert(table, COLUMNS))

#: The largest numbers of old columns: INT, DECIMAL(5,2), DECIMAL(10,2).
MOST_INT = 2**31 - 1
MOST_PERCENT = 999.99
MOST_MEGABYTES = 99_999_999.0
#: Times of phones outside of these seconds since the epoch are nonsense (1970 to 2100).
_LATEST = 4_102_444_800.0


class Load(NamedTuple):
    """What the relay's process took over a while: percent of a core, and MB; mean and maximum."""

    cpu: float
    cpu_max: float
    memory: float
    memory_max: float


class PingRows:
    """Makes rows; times are of the zone of `wall`."""

    def __init__(self, wall: WallClock, process_name: str) -> None:
        self._wall = wall
        self._process_name = process_name

    def row(
        self,
        client: ClientKey,
        address: str,
        at: float,
        *,
        round_trip_ms: int | None,
        phone_ms: int | None,
        monitoring: Monitoring | None,
        load: Load,
    ) -> Row:
        """The row of one pong; `phone_ms` is the phone's own clock, in ms since the epoch."""
        now = self._wall.text(at)
        phone = phone_ms / 1000 if phone_ms is not None else -1.0
        figures = monitoring or Monitoring(0.0, 0.0, 0.0, 0, 0)
        return (
            client.bot,
            client.device,
            storable(address, 45),
            None if round_trip_ms is None else _within(round_trip_ms, MOST_INT),
            self._wall.text(phone) if 0 <= phone < _LATEST else None,
            now,
            _within(figures.total_memory, MOST_INT),
            _within(figures.memory_usage, MOST_INT),
            _within(figures.memory_percent, MOST_PERCENT),
            _within(figures.message_queue_size, MOST_INT),
            _within(figures.active_rooms, MOST_INT),
            self._process_name,
            round(min(load.cpu, MOST_PERCENT), 2),
            round(min(load.cpu_max, MOST_PERCENT), 2),
            round(min(load.memory, MOST_MEGABYTES), 2),
            round(min(load.memory_max, MOST_MEGABYTES), 2),
            now,
        )


def _within(number: float, most: float) -> float:
    # Phones say what they like; one number too large would have the whole row refused.
    return max(0, min(number, most))
