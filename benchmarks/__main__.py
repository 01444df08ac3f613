"""`python -m benchmarks [WHAT …]`: measure, print, and write `docs/performance.md` when all was measured."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

from benchmarks import drip, flood, idle, journal, latency, report, routing, throughput
from benchmarks import rows as remembering

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
ALL = ("throughput", "latency", "flood", "drip", "idle", "rows", "journal", "router")


def main() -> None:
    """Measure what was asked for; everything takes about ten minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"any of {', '.join(ALL)}; all of them without")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if unknown := set(given.what) - set(ALL):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(ALL)}")
    wanted, rounds = given.what or ALL, given.rounds
    rows = _measure(wanted, rounds)
    table = report.table(rows)
    print(f"\n{table}")
    if set(wanted) == set(ALL):
        report.write(DOCUMENT, table, rounds)
        print(f"\nwritten to docs/{DOCUMENT.name}")


def _measure(wanted: Collection[str], rounds: int) -> list[report.Row]:
    rows: list[report.Row] = []
    if "throughput" in wanted:
        rows += report.of_throughput(throughput.run(rounds, print))
    if "latency" in wanted:
        rows += report.of_latency(latency.run(rounds, print))
    if "flood" in wanted:
        rows += report.of_flood(flood.run(max(1, rounds // 2), print))
    if "drip" in wanted:
        rows += report.of_drip(drip.run(max(1, rounds // 2), print))
    if "idle" in wanted:
        rows += report.of_idle(idle.run(print))
    if "rows" in wanted:
        rows += report.of_rows(remembering.run(max(1, rounds // 2), print))
    if "journal" in wanted:
        rows += report.of_journal(journal.run(print))
    if "router" in wanted:
        rows += report.of_router(routing.run(rounds, print))
    return rows


if __name__ == "__main__":
    main()
