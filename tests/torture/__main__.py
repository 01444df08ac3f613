"""`python -m tests.torture`: kill relays by seed, check the books, say what was found.

A run is one relay, started, killed a few times at random moments under load, and started once more to
finish.  Runs that are done are noted in a file, so that a later call goes on from there.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.torture.books import Books, Verdict
from tests.torture.relays import Phone, Relay, converse, listen
from tests.torture.sealed import SealedPhone

PHONES = 4
#: Seconds that the last life of a relay has to answer everything.
PATIENCE = 15.0


def run(seed: int, folder: Path, kills: int) -> Verdict:
    """One relay, killed so many times; everything random comes from the seed."""
    chance = random.Random(seed)
    books, numbers = Books(), [0]
    relay = Relay(
        folder,
        sync=chance.choice(("normal", "normal", "normal", "full")),
        segment=chance.choice((65_536, 33_554_432)),
    )
    phones = [
        SealedPhone(number, relay.port, books, chance) if number % 2 else Phone(number, relay.port, books)
        for number in range(PHONES)
    ]
    for _ in range(kills):
        relay.start()
        converse(phones, chance, time.monotonic() + chance.uniform(0.05, 1.0), numbers)
        at = relay.kill()
        for phone in phones:
            phone.hang_up()  # what it takes until then was said in this life
        books.kills.append(at)
    relay.start()
    _finish(phones, books)
    relay.stop()
    for phone in phones:
        phone.hang_up()
    return books.check(relay.journal)


def _finish(phones: list[Phone], books: Books) -> None:
    """Listen until every message is answered, or nothing has come for a while."""
    until = time.monotonic() + PATIENCE
    quiet_since = time.monotonic()
    while time.monotonic() < until:
        for phone in phones:
            if phone.connected is None:
                phone.connect()
        if listen(phones, 0.05):
            quiet_since = time.monotonic()
        answered = {answer.number for answer in books.answers}
        if answered >= books.sent.keys() or time.monotonic() - quiet_since > 1.5:
            return


def main() -> int:
    """Run what is asked for; 0 when every run was good."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="kills in all")
    parser.add_argument("--per-run", type=int, default=5, help="kills of one relay")
    parser.add_argument("--seed", type=int, default=1, help="the first run's; each further one is next")
    parser.add_argument("--done", type=Path, help="a file of runs that are done, to go on from")
    given = parser.parse_args()
    done = set(given.done.read_text().split()) if given.done and given.done.exists() else set()
    total, bad = Verdict(), 0
    for seed in range(given.seed, given.seed + -(-given.kills // given.per_run)):
        if str(seed) in done:
            continue
        with tempfile.TemporaryDirectory(prefix="relaytw-torture-") as folder:
            verdict = run(seed, Path(folder), given.per_run)
        bad += not verdict.good
        for name in ("sent", "sealed", "answered", "journalled", "outside", "unread", "repeated"):
            setattr(total, name, getattr(total, name) + getattr(verdict, name))
        print(f"seed {seed}: {'good' if verdict.good else 'BAD'}  {verdict}", flush=True)  # noqa: T201
        if given.done and verdict.good:
            with given.done.open("a") as notes:
                notes.write(f"{seed}\n")
    print(f"{bad} bad runs; {total}")  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
