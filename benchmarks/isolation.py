"""What bots that misbehave cost the others: their times alone, and beside each kind of misbehaviour.

Every kind is measured right after the others alone, so that what else the machine does meets both.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event, Thread

from benchmarks.latency import Times, Voice, converse
from benchmarks.servers import relay
from benchmarks.traffic import ROOMS, Phone, connect

RATE = 100.0
SECONDS = 10.0
#: Below this many seconds a p99 is noise.
FLOOR = 0.010
#: What the phone of the misbehaving bot says, and how often a second.
KINDS = {"blocks": 20, "waits": 20, "floods": 10, "breaks": 0}

BOT = """
import time

from twisted.internet.defer import Deferred

from relaytw.bots import Bot, Message

bot = Bot()


@bot.command("# blocks", blocking=True)
def blocks(message: Message, number: int) -> str:
    time.sleep(2)
    return f"{number}"


@bot.command("# waits")
async def waits(message: Message, number: int) -> str:
    await Deferred()
    return "never"


@bot.command("# floods")
async def floods(message: Message, number: int) -> None:
    for answer in range(1_000):
        message.reply(f"{answer}")
"""
BROKEN = "from relaytw.bots import Bot\nbot = Bot()\n1 / 0  # {number}\n"


@dataclass
class Isolation:
    """The times of a phone of the same bot and of one of another bot, alone and beside a misbehaviour."""

    alone: dict[str, Times]
    beside: dict[str, Times]

    def ratio(self, who: str) -> float:
        """p99 beside it by p99 alone, neither taken as less than `FLOOR`."""
        return max(FLOOR, self.beside[who].at(99)) / max(FLOOR, self.alone[who].at(99))


def run(rounds: int, say: Callable[[str], None]) -> dict[str, list[Isolation]]:
    """The figures of each kind of misbehaviour, one for each round."""
    found: dict[str, list[Isolation]] = {kind: [] for kind in KINDS}
    for number in range(1, rounds + 1):
        for kind in KINDS:
            with _relay() as (port, folder):
                alone = _listen(port, 1)
                with _misbehaving(kind, folder):
                    one = Isolation(alone, _listen(port, 2, kind))
            found[kind].append(one)
            shown = ", ".join(
                f"{who} {one.ratio(who):.2f} ({one.alone[who].at(99) * 1000:.1f} ms, "
                f"{one.beside[who].at(99) * 1000:.1f} ms, {one.beside[who].unanswered} unanswered)"
                for who in one.alone
            )
            say(f"isolation, {kind}, round {number} of {rounds}: p99 by p99 alone: {shown}")
    return found


@contextmanager
def _relay() -> Iterator[tuple[int, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "misbehaving.py").write_text(BOT, "utf-8")
        keys = {"RELAYTW_BOTS__FOLDER": folder, "RELAYTW_LIMITS__DRAIN_TIMEOUT": "0.5"}
        os.environ.update(keys)
        try:
            with relay("queued") as server:
                yield server.port, Path(folder)
        finally:
            for key in keys:
                del os.environ[key]


@contextmanager
def _misbehaving(kind: str, folder: Path) -> Iterator[None]:
    """While it lasts, a file of the folder breaks again and again, if it is that kind."""
    ended = Event()

    def write() -> None:
        for number in count():
            Path(folder, "broken.py").write_text(BROKEN.format(number=number), "utf-8")
            if ended.wait(1.0):
                return

    writer = Thread(target=write)
    if kind == "breaks":
        writer.start()
    try:
        yield
    finally:
        ended.set()
        if kind == "breaks":
            writer.join()


class _Rogue(Voice):
    """Says what makes its bot misbehave, and does not care for answers."""

    def hear(self, now: float) -> None:  # noqa: ARG002 (as all voices)
        """Read and forget."""
        self.phone.replies()
        self.due.clear()


def _listen(port: int, part: int, kind: str = "") -> dict[str, Times]:
    [neighbour], [stranger] = (
        connect([10 * part], port, bot="bench"),
        connect([10 * part + 1], port, bot="other"),
    )
    text = "# echo hello number {number}, how are you today?"
    voices = {
        "same bot": Voice(neighbour, text, range(ROOMS), RATE),
        "other bot": Voice(stranger, text, range(ROOMS), RATE),
    }
    rogues: list[Phone] = []
    every = list(voices.values())
    if KINDS.get(kind):
        rogues = connect([10 * part + 2], port, bot="bench")
        every += [_Rogue(rogues[0], f"# {kind} {{number}}", range(ROOMS), KINDS[kind])]
    converse(every, SECONDS)
    for voice in every:
        voice.phone.close()
    time.sleep(0.2)
    return {who: voice.times for who, voice in voices.items()}
