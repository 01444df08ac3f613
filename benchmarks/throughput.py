"""How many messages a second: pipelined, closed loop, every server in turn in every round."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

from benchmarks.servers import Server, bare, relay
from benchmarks.traffic import ROOMS, connect, watch

PHONES = 20
#: Messages that one phone has on their way.
WINDOW = 50
MESSAGES = 20_000
PATIENCE = 60.0

ECHO = "# echo hello number {number}, how are you today?"
NO_JOURNAL = "queued, no journal"
WAIT = "# wait hello number {number}, how are you today?"


def run(rounds: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Messages per second by server, a figure for each round."""
    with ExitStack() as stack:
        bench = [
            (stack.enter_context(bare(signed=False)), "bare", ECHO),
            (stack.enter_context(bare(signed=True)), "bare+HMAC", ECHO),
            (queued := stack.enter_context(relay("queued")), "queued", ECHO),
            (stack.enter_context(relay("queued", sync="none")), NO_JOURNAL, ECHO),
            (stack.enter_context(relay("queued", sync="full")), "queued, synced", ECHO),
            (stack.enter_context(relay("direct")), "direct", ECHO),
            (queued, "queued, awaiting", WAIT),
        ]
        rates: dict[str, list[float]] = {name: [] for _, name, _ in bench}
        for number in range(rounds + 1):
            for server, name, text in bench:
                rate = _once(server, text, MESSAGES // 4 if number == 0 else MESSAGES)
                if number:  # the first round warms up
                    rates[name].append(rate)
            if number:
                shown = ", ".join(f"{name} {figures[-1]:,.0f}" for name, figures in rates.items())
                say(f"throughput, round {number} of {rounds}: {shown} messages/s")
    return rates


def ratios(rates: dict[str, list[float]], of: str = "bare+HMAC") -> dict[str, float]:
    """The median over the rounds of each server's rate by that of the reference in the same round."""
    reference = rates[of]
    return {
        name: median(a / b for a, b in zip(figures, reference, strict=True))
        for name, figures in rates.items()
    }


def _once(server: Server, text: str, messages: int) -> float:
    phones = connect(range(PHONES), server.port)
    share = messages // PHONES
    to_send = {phone: deque(_lines(phone.line, text, share)) for phone in phones}
    ready, close = watch(phones)
    left = share * PHONES
    started = time.perf_counter()
    for phone, lines in to_send.items():
        phone.send(b"".join(lines.popleft() for _ in range(min(WINDOW, len(lines)))))
    while left:
        for phone in ready(1):
            came = len(phone.replies())
            left -= came
            lines = to_send[phone]
            if came and lines:
                phone.send(b"".join(lines.popleft() for _ in range(min(came, len(lines)))))
        if time.perf_counter() - started > PATIENCE:
            raise RuntimeError(f"{server.name}: {left} of {share * PHONES} messages were not answered")
    elapsed = time.perf_counter() - started
    close()
    for phone in phones:
        phone.close()
    return share * PHONES / elapsed


def _lines(line: Callable[..., bytes], text: str, count: int) -> list[bytes]:
    return [line(text.format(number=number), number % ROOMS) for number in range(count)]
