"""The figures as a table, with the bar that each should reach."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

import twisted
from benchmarks import drip, latency, throughput
from benchmarks import rows as remembering
from benchmarks.drip import Drip
from benchmarks.flood import Flood
from benchmarks.idle import Idle
from benchmarks.isolation import Isolation
from benchmarks.journal import Pile
from benchmarks.latency import Times
from benchmarks.routing import Cost
from benchmarks.rows import Rows

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


class Row(NamedTuple):
    """One figure: what, how much, the bar in words, and whether it was reached (None: no bar)."""

    what: str
    figure: str
    bar: str = ""
    reached: bool | None = None


def of_throughput(rates: dict[str, list[float]]) -> list[Row]:
    """Messages a second, and ratios to the bare server with HMAC."""
    bars = {"queued": 0.45, "direct": 0.55, "queued, awaiting": 0.12}
    ratios = throughput.ratios(rates)
    rows = [Row(f"throughput, {name}", f"{median(rate):,.0f} messages/s") for name, rate in rates.items()]
    for name, bar in bars.items():
        ratio = ratios[name]
        rows.append(
            Row(f"throughput, {name} by bare+HMAC", f"{ratio:.2f}", f"at least {bar:.2f}", ratio >= bar)
        )
    ratio = throughput.ratios(rates, throughput.NO_JOURNAL)["queued"]
    rows.append(Row("throughput, journal normal by none", f"{ratio:.2f}", "at least 0.80", ratio >= 0.8))
    return rows


def of_latency(times: dict[str, list[Times]]) -> list[Row]:
    """Percentiles at the given rate, and what they are measured against."""
    rows = []
    base50, base99 = (latency.middle(times["bare+HMAC"], percent) for percent in (50, 99))
    for name, every in times.items():
        p50, p99 = latency.middle(every, 50), latency.middle(every, 99)
        unanswered = sum(one.unanswered for one in every)
        shown = f"p50 {p50 * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms, {unanswered} unanswered"
        if name == "bare+HMAC":
            rows.append(Row(f"latency at {latency.RATE:,}/s, {name}", shown))
            continue
        reached = p50 <= 2 * base50 and p99 <= base99 + 0.010 and not unanswered
        bar = "p50 at most 2 x bare's, p99 at most bare's + 10 ms"
        rows.append(Row(f"latency at {latency.RATE:,}/s, {name}", shown, bar, reached))
    return rows


def of_flood(floods: Sequence[Flood]) -> list[Row]:
    """Others' p99 under a flood by their p99 alone."""
    rows = []
    for who in floods[0].alone:
        ratio = median(flood.ratio(who) for flood in floods)
        unanswered = sum(flood.flooded[who].unanswered for flood in floods)
        p99 = median(flood.flooded[who].at(99) for flood in floods)
        figure = f"{ratio:.2f} (p99 {p99 * 1000:.1f} ms, {unanswered} unanswered)"
        rows.append(
            Row(
                f"one room flooded, rooms of {who}",
                figure,
                "at most 1.5, all answered",
                ratio <= 1.5 and not unanswered,
            )
        )
    return rows


def of_isolation(found: dict[str, list[Isolation]]) -> list[Row]:
    """Others' p99 beside bots that misbehave by their p99 alone."""
    rows = []
    for kind, every in found.items():
        for who in every[0].alone:
            ratio = median(one.ratio(who) for one in every)
            p99 = median(one.beside[who].at(99) for one in every)
            unanswered = sum(one.beside[who].unanswered for one in every)
            reached = ratio <= 1.5 and not unanswered
            figure = f"{ratio:.2f} (p99 {p99 * 1000:.1f} ms, {unanswered} unanswered)"
            rows.append(Row(f"a bot that {kind}, {who}", figure, "at most 1.5, all answered", reached))
    return rows


def of_drip(drips: list[Drip]) -> list[Row]:
    """The last tenth of a dripping line by its first, and the bystander."""
    tenths, bystander = drip.ratio(drips), median(one.bystander for one in drips)
    return [
        Row(
            "1 MiB line in 64-byte segments, last tenth by first",
            f"{tenths:.2f}",
            "at most 1.5",
            tenths <= 1.5,
        ),
        Row("bystander's p99 meanwhile by alone", f"{bystander:.2f}", "at most 1.5", bystander <= 1.5),
    ]


def of_idle(one: Idle) -> list[Row]:
    """Memory and CPU of idle phones."""
    memory, core = one.bytes_per_phone, one.core
    return [
        Row("memory of an idle phone", f"{memory / 1024:.1f} KiB", "at most 5 KiB", memory <= 5 * 1024),
        Row("1,000 idle phones", f"{core * 100:.2f} % of a core", "under 2 %", core < 0.02),
    ]


def of_journal(pile: Pile) -> list[Row]:
    """What a million messages leave, and how memory went."""
    grown = pile.late / pile.early
    return [
        Row(
            f"journal, files of {pile.messages:,} finished messages",
            f"{pile.segments} ({pile.bytes / 1e6:.0f} MB, at most {pile.most_bytes / 1e6:.0f} MB)",
            "at most 2", pile.segments <= 2,
        ),
        Row(
            "journal, memory at saturation, last fifth by second",
            f"{grown:.2f} ({pile.late / 1e6:.0f} MB)", "flat: at most 1.10", grown <= 1.1,
        ),
    ]  # fmt: skip


def of_acks(rounds: list[Times]) -> list[Row]:
    """How long a message of 4.0 takes to be durable and acknowledged."""
    middle = median(one.at(50) for one in rounds)
    worst = median(one.at(99) for one in rounds)
    unanswered = sum(one.unanswered for one in rounds)
    return [
        Row(
            f"4.0, from a chat to its ack at {latency.RATE:,}/s",
            f"{middle * 1000:.1f} ms (p99 {worst * 1000:.1f} ms)",
            "median under 5 ms", middle < 0.005 and not unanswered,
        ),
    ]  # fmt: skip


def of_rows(runs: dict[str, list[Rows]]) -> list[Row]:
    """What remembering costs, by engine."""
    table = []
    for engine in remembering.ENGINES:
        runs_with, runs_without = runs[engine], runs[remembering.without(engine)]
        ratio = remembering.cost(runs, engine)
        cpu = median(one.cpu for one in runs_with) * 1e6
        what = f"chat log on {engine}, at {remembering.RATE:,}/s"
        table.append(
            Row(
                f"{what}: CPU a message by that without",
                f"{ratio:.2f} ({cpu:.0f} µs)",
                "at most 1.30",
                ratio <= 1.3,
            )
        )
        p99 = latency.middle([one.times for one in runs_with], 99)
        base = latency.middle([one.times for one in runs_without], 99)
        shown = f"p99 {p99 * 1000:.2f} ms, without {base * 1000:.2f} ms"
        table.append(Row(what, shown, "p99 at most 10 ms more", p99 <= base + 0.010))
        missing = sum(one.expected - one.written for one in runs_with)
        behind = max(one.behind for one in runs_with)
        table.append(
            Row(
                f"{what}: rows",
                f"{missing} missing, at most {behind:.1f} s behind",
                f"none missing, {remembering.ALLOWED:g} s",
                missing == 0 and behind <= remembering.ALLOWED,
            )
        )
    return table


def of_router(costs: dict[str, list[Cost]]) -> list[Row]:
    """What a command costs above its bare handler."""
    rows = []
    for name, every in costs.items():
        above = median(cost.above for cost in every)
        what = f"router and arguments, {name}, above the bare handler"
        rows.append(Row(what, f"{above * 1e6:.2f} µs", "at most 6 µs", above <= 6e-6))
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    words = {None: "", True: "yes", False: "**no**"}
    lines = ["| what | measured | bar | reached |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.figure} | {row.bar} | {words[row.reached]} |" for row in rows]
    return "\n".join(lines)


def write(document: Path, text: str, rounds: int) -> None:
    """Put the table into its place in the document."""
    memory = psutil.virtual_memory().total / 2**30
    about = (
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {psutil.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}, Twisted {twisted.__version__}; "
        f"median of {rounds} rounds."
    )
    old = document.read_text(encoding="utf-8")
    new = f"{BEGIN}\n{about}\n\n{text}\n{END}"
    document.write_text(
        re.sub(f"{BEGIN}.*{END}", lambda _: new, old, count=1, flags=re.DOTALL), encoding="utf-8"
    )
