"""What a line costs that drips in: its first tenth, its last tenth, and a bystander's wait meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.latency import Times, Voice, converse
from benchmarks.servers import Server, relay
from benchmarks.traffic import ROOMS, Phone, connect

LINE = 1024 * 1024 - 4096
SEGMENT = 64
#: Below this many seconds a p99 is noise.
FLOOR = 0.005
RATE = 200.0
SECONDS = 6.0


@dataclass
class Drip:
    """CPU seconds of the first and the last tenth, and a bystander's times alone and meanwhile."""

    first: float
    last: float
    alone: Times
    meanwhile: Times

    @property
    def ratio(self) -> float:
        """The last tenth by the first."""
        return self.last / self.first

    @property
    def bystander(self) -> float:
        """p99 meanwhile by p99 alone, neither taken as less than `FLOOR`."""
        return max(FLOOR, self.meanwhile.at(99)) / max(FLOOR, self.alone.at(99))


def run(rounds: int, say: Callable[[str], None]) -> list[Drip]:
    """A figure for each round."""
    results = []
    with relay("queued") as server:
        for number in range(1, rounds + 1):
            first, last = _tenths(server)
            alone = _bystander(server, dripping=False)
            result = Drip(first, last, alone, _bystander(server, dripping=True))
            results.append(result)
            say(
                f"drip, round {number} of {rounds}: first tenth {first * 1000:.0f} ms, last "
                f"{last * 1000:.0f} ms of CPU; bystander's p99 by p99 alone {result.bystander:.2f}"
            )
    return results


def ratio(drips: list[Drip]) -> float:
    """The median over the rounds of the last tenth by the first."""
    return median(drip.ratio for drip in drips)


def _tenths(server: Server) -> tuple[float, float]:
    """The relay's CPU for the first and the last tenth of a dripping line, nothing else going on."""
    [phone] = connect([77], server.port)
    line = phone.line("x" * LINE, 1)
    tenth = len(line) // 10 // SEGMENT * SEGMENT
    costs = []
    for part in range(10):
        before = server.cpu
        _drip(phone, line[part * tenth : (part + 1) * tenth])
        costs.append(server.cpu - before)
    phone.close()
    return costs[0], costs[-1]


def _bystander(server: Server, *, dripping: bool) -> Times:
    [phone] = connect([78], server.port)
    voice = Voice(phone, "# echo hello number {number}, how are you today?", range(ROOMS), RATE)
    thread = None
    if dripping:
        [dripper] = connect([79], server.port)
        line = dripper.line("x" * LINE, 1)
        thread = threading.Thread(target=_drip, args=(dripper, line))
        thread.start()
    converse([voice], SECONDS)
    if thread is not None:
        thread.join()
        dripper.close()
    phone.close()
    return voice.times


def _drip(phone: Phone, data: bytes) -> None:
    # A pause after each segment keeps the kernel from joining them.
    for start in range(0, len(data), SEGMENT):
        phone.send(data[start : start + SEGMENT])
        time.sleep(0.0001)
