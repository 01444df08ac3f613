"""An outbox whose phone acknowledges, with a ledger that outlives it."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.boxes import Entry, size_of
from relaytw.messages import ClientKey, Dialect, Outcome, Part, Reply, Text
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox, OutboxSettings

PHONE = ClientKey("bot", "phone")


class Line:
    """Remembers the ids of what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.told = self.unsent = 0

    def say(self, data: bytes) -> None:
        self.said.append(data.decode())

    def busy(self, seconds: float) -> None:
        pass


class Book:
    """A ledger that outlives outboxes."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[Reply, float, bool, bool, bool]] = {}
        self.numbers = 0

    def waits(
        self, reply: Reply, age: float, *, spaced: bool, written: bool = False, told: bool = False
    ) -> int:
        self.numbers += 1
        self.kept[self.numbers] = (reply, age, spaced, written, told)
        return self.numbers

    def left(self, number: int, client: ClientKey | None) -> None:
        del self.kept[number]

    def entries(self, now: float) -> list[Entry]:
        """What there is, as a new run finds it."""
        found = [
            Entry(reply, now - age, size_of(reply), spaced, number, written, told)
            for number, (reply, age, spaced, written, told) in self.kept.items()
        ]
        return sorted(found, key=lambda entry: (not entry.written, entry.number))


def encode(dialect: Dialect, reply: Reply, now: float) -> bytes:
    if reply.part == Text("unencodable"):
        raise ValueError("no")
    return reply.id.encode()


class ReceiptCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.book = Book()
        self.dropped: list[tuple[str, str]] = []
        self.ended: list[tuple[str, Outcome, str]] = []
        self.line = Line()
        self.outbox = self.make()

    def make(self, **keys: Any) -> Outbox:
        return Outbox(
            clock=self.clock,
            now=self.clock.seconds,
            encode=encode,
            settings=OutboxSettings(**keys),
            metrics=self.metrics,
            dropped=lambda reply, why: self.dropped.append((reply.id, why)),
            settled=lambda reply, outcome, why: self.ended.append((reply.id, outcome, why)),
            ledger=self.book,
        )

    def send(self, *names: str, room: str = "room", part: Part = Text("x")) -> None:  # noqa: B008
        self.outbox.send([Reply(PHONE, room, None, part, "", id=name) for name in names])

    def attach(self, resume: str | None = None) -> Line:
        self.line = Line()
        self.outbox.attach(PHONE, self.line, Dialect.V33, acknowledges=True, resume=resume)
        return self.line

    def detach(self) -> None:
        self.outbox.detach(PHONE, self.line, dead=True)

    def acknowledge(self, *names: str) -> None:
        self.outbox.acknowledged(PHONE, self.line, names)

    def kill(self, **keys: Any) -> None:
        """The process dies; another takes its place, with a clock of its own."""
        self.clock.calls.clear()
        self.outbox = self.make(**keys)
        self.outbox.restore(self.book.entries(self.clock.seconds()))
