"""`python -m benchmarks [WHAT …]`: measure, print, and write `docs/performance.md` when all was measured."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import acks, drip, flood, idle, isolation, journal, latency, report, routing, throughput
from benchmarks import rows as remembering

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
#: What is measured, in this order, each in so many rounds.
MEASURES: dict[str, Callable[[int], list[report.Row]]] = {
    "throughput": lambda rounds: report.of_throughput(throughput.run(rounds, print)),
    "latency": lambda rounds: report.of_latency(latency.run(rounds, print)),
    "flood": lambda rounds: report.of_flood(flood.run(max(1, rounds // 2), print)),
    "isolation": lambda rounds: report.of_isolation(isolation.run(max(1, rounds // 2), print)),
    "drip": lambda rounds: report.of_drip(drip.run(max(1, rounds // 2), print)),
    "idle": lambda _: report.of_idle(idle.run(print)),
    "rows": lambda rounds: report.of_rows(remembering.run(max(1, rounds // 2), print)),
    "journal": lambda _: report.of_journal(journal.run(print)),
    "acks": lambda rounds: report.of_acks(acks.run(rounds, print)),
    "router": lambda rounds: report.of_router(routing.run(rounds, print)),
}
ALL = tuple(MEASURES)


def main() -> None:
    """Measure what was asked for; everything takes about ten minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", help=f"any of {', '.join(ALL)}; all of them without")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if unknown := set(given.what) - set(ALL):
        parser.error(f"there is no {', '.join(sorted(unknown))}; choose from {', '.join(ALL)}")
    wanted, rounds = given.what or ALL, given.rounds
    rows: list[report.Row] = []
    for name, measure in MEASURES.items():
        if name in wanted:
            rows += measure(rounds)
    table = report.table(rows)
    print(f"\n{table}")
    if set(wanted) == set(ALL):
        report.write(DOCUMENT, table, rounds)
        print(f"\nwritten to docs/{DOCUMENT.name}")


if __name__ == "__main__":
    main()
