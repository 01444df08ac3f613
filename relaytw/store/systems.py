"""`kb_system_monitor`: how the machine and the relay on it are doing."""

from __future__ import annotations

from typing import NamedTuple

from relaytw.store.rows import Row, RowKind
from relaytw.store.schema import systems as table
from relaytw.store.statements import Insert

COLUMNS = (
    "server_name", "cpu_percent", "memory_total", "memory_used", "memory_percent", "disk_usage_percent",
    "active_connections", "message_queue_size", "created_at",
)  # fmt: skip
SYSTEMS = RowKind(table.name, Insert(table, COLUMNS))


class MachineFigures(NamedTuple):
    """The machine: percent of all cores, bytes of memory, percent of the disk that the state is on."""

    cpu_percent: float
    memory_total: int
    memory_used: int
    memory_percent: float
    disk_percent: float


def row(name: str, figures: MachineFigures, connections: int, waiting: int, at: str) -> Row:
    """The row of a relay of this name with so many connections, and messages that wait."""
    return (
        name,
        round(figures.cpu_percent, 2),
        figures.memory_total,
        figures.memory_used,
        round(figures.memory_percent, 2),
        round(figures.disk_percent, 2),
        connections,
        waiting,
        at,
    )
