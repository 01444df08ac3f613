"""What a million messages leave behind: the files of the journal, and the memory of the relay.

The load is a closed loop that keeps the relay saturated.  Memory is looked at all the time, once the windows
of ids and signatures are as full as they may be; the files when everything is answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.servers import Server, relay
from benchmarks.throughput import ECHO, PHONES, WINDOW
from benchmarks.traffic import ROOMS, Phone, connect, watch

MESSAGES = 1_000_000
#: Ids and signatures that the relay may remember: few enough to be full early in the run.
REMEMBERED = 50_000
_LOOK_EVERY = 0.25
#: Seconds that the last of what has ended may take to be written, and old files to go.
_SETTLE = 5.0
_STUCK = 60.0


class Pile(NamedTuple):
    """Messages answered and a second, segments and bytes in the end, and the most there ever were.

    `early` and `late` are the most memory in bytes in the second and in the last fifth of the run.
    """

    messages: int
    rate: float
    segments: int
    bytes: int
    most_bytes: int
    early: int
    late: int


def run(say: Callable[[str], None], messages: int = MESSAGES) -> Pile:
    """Have so many messages answered by one relay."""
    with relay("queued", extra=f"[dedup]\ntotal = {REMEMBERED}\n") as server:
        pile = _pile(server, server.state / "journal", messages)
    say(
        f"journal: {pile.messages:,} messages at {pile.rate:,.0f}/s left {pile.segments} files of "
        f"{pile.bytes / 1e6:.0f} MB (at most {pile.most_bytes / 1e6:.0f} MB); memory at most "
        f"{pile.early / 1e6:.0f} MB in the second fifth, {pile.late / 1e6:.0f} MB in the last"
    )
    return pile


def _pile(server: Server, folder: Path, messages: int) -> Pile:
    phones = connect(range(PHONES), server.port)
    lines = {phone: _lines(phone, messages // PHONES) for phone in phones}
    ready, stop = watch(phones)
    total = left = messages // PHONES * PHONES
    fifths, most_bytes, look_at = [0] * 5, 0, 0.0
    begun = heard_at = time.perf_counter()
    for phone in phones:
        _send(phone, lines[phone], WINDOW)
    while left:
        for phone in ready(1):
            came = len(phone.replies())
            left -= came
            _send(phone, lines[phone], came)
            heard_at = time.perf_counter() if came else heard_at
        now = time.perf_counter()
        if now - heard_at > _STUCK:
            raise RuntimeError(f"{left} of {total} messages were not answered")
        if now >= look_at and left:
            look_at = now + _LOOK_EVERY
            fifth = (total - left) * 5 // total
            fifths[fifth] = max(fifths[fifth], server.rss)
            most_bytes = max(most_bytes, _size(folder)[1])
    rate = total / (time.perf_counter() - begun)
    stop()
    for phone in phones:
        phone.close()
    time.sleep(_SETTLE)
    return Pile(total, rate, *_size(folder), most_bytes, fifths[1], fifths[4])


def _send(phone: Phone, lines: Iterator[bytes], some: int) -> None:
    batch = b"".join(islice(lines, some))
    if batch:
        phone.send(batch)


def _lines(phone: Phone, messages: int) -> Iterator[bytes]:
    for number in range(messages):
        yield phone.line(ECHO.format(number=number), number % ROOMS)


def _size(folder: Path) -> tuple[int, int]:
    sizes = []
    for path in folder.glob("*.log"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue
    return len(sizes), sum(sizes)
