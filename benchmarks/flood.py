"""What one flooded room costs the others: their times alone, and while it is being flooded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.latency import Times, Voice, converse
from benchmarks.servers import relay
from benchmarks.traffic import ROOMS, connect

FLOOD = 400
#: Messages a second of each of the others, and for how long: more than 1,000 samples each.
RATE = 100.0
SECONDS = 12.0
#: Below this many seconds a p99 is noise.
FLOOR = 0.005


@dataclass
class Flood:
    """The times of rooms of the same phone, of another phone of the same bot, and of another bot."""

    alone: dict[str, Times]
    flooded: dict[str, Times]

    def ratio(self, who: str) -> float:
        """p99 under the flood by p99 alone, neither taken as less than `FLOOR`."""
        return max(FLOOR, self.flooded[who].at(99)) / max(FLOOR, self.alone[who].at(99))


def run(rounds: int, say: Callable[[str], None]) -> list[Flood]:
    """A figure for each round."""
    results = []
    with relay("queued") as server:
        for number in range(1, rounds + 1):
            result = Flood(_listen(server.port, flood=False), _listen(server.port, flood=True))
            results.append(result)
            shown = ", ".join(f"{who} {result.ratio(who):.2f}" for who in result.alone)
            say(f"flood, round {number} of {rounds}: p99 by p99 alone: {shown}")
    return results


def _listen(port: int, *, flood: bool) -> dict[str, Times]:
    [flooded], [neighbour], [stranger] = (
        connect([1], port, bot="bench"),
        connect([2], port, bot="bench"),
        connect([3], port, bot="other"),
    )
    text = "# echo hello number {number}, how are you today?"
    voices = {
        "same phone": Voice(flooded, text, range(1, ROOMS), RATE),
        "same bot": Voice(neighbour, text, range(ROOMS), RATE),
        "other bot": Voice(stranger, text, range(ROOMS), RATE),
    }
    if flood:
        flooded.send(b"".join(flooded.line(f"# slow {number}", 0) for number in range(FLOOD)))
    converse(list(voices.values()), SECONDS)
    for voice in voices.values():
        voice.phone.close()
    return {who: voice.times for who, voice in voices.items()}
