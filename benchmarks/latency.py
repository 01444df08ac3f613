"""How long an answer takes, open loop: messages are sent when they are due, answered or not.

Every time counts from when a message was due, so that a stall is seen by all that were due meanwhile.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median

from benchmarks.servers import Server, bare, relay
from benchmarks.traffic import ROOMS, Phone, connect, watch

RATE = 1_000
SECONDS = 5.0
PHONES = 20
#: Seconds to wait for the last answers.
TAIL = 5.0
_NUMBER = re.compile(rb"number (\d+)")


@dataclass
class Times:
    """Seconds from due to answered, of every message; `unanswered` never came back."""

    seconds: list[float] = field(default_factory=list)
    unanswered: int = 0

    def at(self, percent: float) -> float:
        """A percentile, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass
class Voice:
    """A phone that speaks in some rooms at a steady rate; what it says contains `number N`."""

    phone: Phone
    text: str
    rooms: Sequence[int]
    rate: float
    times: Times = field(default_factory=Times)
    due: dict[int, float] = field(default_factory=dict)
    said: int = 0

    def speak(self, begun: float, now: float, until: float) -> float:
        """Say what is due; when the next is."""
        while (at := begun + self.said / self.rate) <= now and at < until:
            room = self.rooms[self.said % len(self.rooms)]
            self.phone.send(self.phone.line(self.text.format(number=self.said), room))
            self.due[self.said] = at
            self.said += 1
        return min(until, at)

    def hear(self, now: float) -> None:
        """Note the answers that have come; a bare server's have no number and come in order."""
        for reply in self.phone.replies():
            found = _NUMBER.search(reply)
            number = int(found[1]) if found else next(iter(self.due), -1)
            due = self.due.pop(number, None)
            if due is not None:
                self.times.seconds.append(now - due)


def converse(voices: Sequence[Voice], seconds: float, others: Sequence[Phone] = ()) -> None:
    """Let them speak for so long, staggered, and wait for the answers; `others` are only read."""
    ready, close = watch([*(voice.phone for voice in voices), *others])
    by_phone = {voice.phone: voice for voice in voices}
    begun = time.perf_counter()
    until = begun + seconds
    starts = [begun + number / len(voices) / voices[0].rate for number in range(len(voices))]
    while True:
        now = time.perf_counter()
        following = min(voice.speak(start, now, until) for voice, start in zip(voices, starts, strict=True))
        waiting = any(voice.due for voice in voices)
        if now >= until and (not waiting or now >= until + TAIL):
            break
        for phone in ready(max(0.0, min(following, until + TAIL if now >= until else until) - now)):
            voice = by_phone.get(phone)
            if voice is None:
                phone.replies()
            else:
                voice.hear(time.perf_counter())
    close()
    for voice in voices:
        voice.times.unanswered = len(voice.due)


def run(rounds: int, say: Callable[[str], None]) -> dict[str, list[Times]]:
    """The times by server, for each round."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(bare(signed=True)),
            stack.enter_context(relay("queued")),
            stack.enter_context(relay("direct")),
        ]
        times: dict[str, list[Times]] = {server.name: [] for server in servers}
        for number in range(1, rounds + 1):
            for server in servers:
                times[server.name].append(_once(server))
            shown = ", ".join(
                f"{name} p50 {all_[-1].at(50) * 1000:.2f} p99 {all_[-1].at(99) * 1000:.2f}"
                for name, all_ in times.items()
            )
            say(f"latency, round {number} of {rounds}: {shown} ms")
    return times


def _once(server: Server) -> Times:
    phones = connect(range(PHONES), server.port)
    text = "# echo hello number {number}, how are you today?"
    voices = [Voice(phone, text, range(ROOMS), RATE / PHONES) for phone in phones]
    converse(voices, SECONDS)
    for phone in phones:
        phone.close()
    every = Times()
    for voice in voices:
        every.seconds += voice.times.seconds
        every.unanswered += voice.times.unanswered
    return every


def middle(times: Sequence[Times], percent: float) -> float:
    """The median over the rounds of a percentile, in seconds."""
    return median(one.at(percent) for one in times)
