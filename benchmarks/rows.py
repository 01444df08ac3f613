"""What remembering costs: the same open loop with the chat log on and off, in turn, on both engines.

A message makes two rows, what was said and what was answered.  They are counted from outside, again and
again while the messages are sent: rows come in order, so their number says how far behind the table is.
"""

from __future__ import annotations

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sqlalchemy import create_engine

from benchmarks.latency import Times, Voice, converse
from benchmarks.servers import Server, relay
from benchmarks.traffic import ROOMS, connect
from relaytw.store.schema import metadata
from tests.mariadb import MariaDB

RATE = 2_000
SECONDS = 10.0
PHONES = 20
TEXT = "# echo hello number {number}, how are you today?"
#: Seconds that a row may take from its message to its table.
ALLOWED = 5.0
ENGINES = ("SQLite", "MariaDB")
_COUNT_EVERY = 0.25
_PER_MESSAGE = 2
_ALL = "SELECT COUNT(*) FROM kb_chat_logs"


@dataclass(frozen=True, slots=True)
class Rows:
    """One run: times, CPU seconds a message, rows there should be and were, seconds they were behind."""

    times: Times
    cpu: float
    expected: int
    written: int
    behind: float


class Ledger(NamedTuple):
    """A relay, and how the rows in its table are counted; None where it writes none."""

    server: Server
    rows: Callable[[], int] | None


class Count:
    """Counts rows again and again, in a thread of its own."""

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._before = count()
        self._seen: list[tuple[float, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def end(self, expected: int, begun: float) -> tuple[int, float]:
        """Go on until all are there; how many are, and how far behind their messages they were at most."""
        deadline = time.perf_counter() + ALLOWED
        while (not self._seen or self._seen[-1][1] < expected) and time.perf_counter() < deadline:
            time.sleep(_COUNT_EVERY / 5)
        self._over.set()
        self._thread.join()
        behind = 0.0
        for at, rows in self._seen:
            behind = max(behind, at - begun - rows / _PER_MESSAGE / RATE)
            if rows >= expected:
                break
        return self._seen[-1][1], behind

    def _look(self) -> None:
        while not self._over.wait(_COUNT_EVERY):
            rows = self._count() - self._before
            self._seen.append((time.perf_counter(), rows))


def run(rounds: int, say: Callable[[str], None]) -> dict[str, list[Rows]]:
    """The runs by engine, and by engine without rows; the relays take turns."""
    runs: dict[str, list[Rows]] = {}
    with _ledgers() as ledgers:
        for number in range(1, rounds + 1):
            for name, ledger in ledgers.items():
                one = _once(ledger)
                runs.setdefault(name, []).append(one)
                say(
                    f"rows, round {number} of {rounds}, {name}: {one.cpu * 1e6:.0f} µs a message, "
                    f"p99 {one.times.at(99) * 1000:.1f} ms, {one.written} of {one.expected} rows, "
                    f"at most {one.behind:.1f} s behind"
                )
    return runs


def without(engine: str) -> str:
    """The name of an engine's runs without rows."""
    return f"{engine}, without rows"


def cost(runs: dict[str, list[Rows]], engine: str) -> float:
    """CPU a message with rows by that without, the median over the rounds."""
    pairs = zip(runs[engine], runs[without(engine)], strict=True)
    return median(one.cpu / other.cpu for one, other in pairs)


def _once(ledger: Ledger) -> Rows:
    phones = connect(range(PHONES), ledger.server.port)
    voices = [Voice(phone, TEXT, range(ROOMS), RATE / PHONES) for phone in phones]
    count = Count(ledger.rows) if ledger.rows is not None else None
    before, begun = ledger.server.cpu_of_all, time.perf_counter()
    converse(voices, SECONDS)
    said = sum(voice.said for voice in voices)
    expected = said * _PER_MESSAGE if count is not None else 0
    written, behind = count.end(expected, begun) if count is not None else (0, 0.0)
    used = ledger.server.cpu_of_all - before
    for phone in phones:
        phone.close()
    every = Times()
    for voice in voices:
        every.seconds += voice.times.seconds
        every.unanswered += voice.times.unanswered
    return Rows(every, used / said, expected, written, behind)


@contextmanager
def _ledgers() -> Iterator[dict[str, Ledger]]:
    """Four relays that all run all the time, so that each round meets the same."""
    mariadb = MariaDB()
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "rows.db")
            make_tables(mariadb.create("bench"))
            sqlite_url, mariadb_url = f"sqlite:{path}", mariadb.url("bench")
            counts = {"SQLite": lambda: _in_sqlite(path), "MariaDB": lambda: _in_mariadb(mariadb)}
            with (
                relay(keys={"url": f"sqlite:{folder}/none.db", "chat_log": "none"}) as no_sqlite,
                relay(keys={"url": sqlite_url}) as sqlite,
                relay(keys={"url": mariadb_url, "chat_log": "none"}) as no_mariadb,
                relay(keys={"url": mariadb_url}) as maria,
            ):
                yield {
                    without("SQLite"): Ledger(no_sqlite, None),
                    "SQLite": Ledger(sqlite, counts["SQLite"]),
                    without("MariaDB"): Ledger(no_mariadb, None),
                    "MariaDB": Ledger(maria, counts["MariaDB"]),
                }
    finally:
        mariadb.close()


def make_tables(url: str) -> None:
    """Make the relay's tables in an empty MariaDB database."""
    engine = create_engine(url.replace("mysql:", "mysql+pymysql:", 1))
    metadata.create_all(engine)
    engine.dispose()


def _in_sqlite(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(_ALL).fetchone()[0])


def _in_mariadb(mariadb: MariaDB) -> int:
    return int(mariadb.execute(_ALL, "bench")[0][0])
