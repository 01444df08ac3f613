"""What one phone has not got yet, as the outbox keeps it."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple, Protocol

from twisted.internet.interfaces import IDelayedCall

from relaytw.messages import ClientKey, Dialect, Media, Reply, Text

#: How text-borne media begin; such a reply is paced as media.
MEDIA_PREFIXES = ("MEDIA_URL:", "IMAGE_BASE64:")


class Line(Protocol):
    """A phone's open line, as the outbox sees it."""

    @property
    def told(self) -> int:
        """How many bytes were said."""

    @property
    def unsent(self) -> int:
        """How many of them are still in this process, rather than in the kernel."""

    def say(self, data: bytes) -> None:
        """Write one packet."""

    def busy(self, seconds: float) -> None:
        """The phone will hear nothing for so long: it is sending media."""


class Ledger(Protocol):
    """Keeps what waits beyond the life of the process."""

    def waits(self, reply: Reply, age: float, *, spaced: bool) -> int:
        """A reply has to wait, and has for `age` seconds: the number it is known by."""

    def left(self, number: int, client: ClientKey | None) -> None:
        """It waits no more; `client` is the phone that was given it, None if nobody was."""


class Entry(NamedTuple):
    """A reply that waits; `spaced` after the one before it in its answer.  `at` on the relay's clock.

    `number` is what the ledger knows it by, 0 if it does not.
    """

    reply: Reply
    at: float
    size: int
    spaced: bool
    number: int = 0


class Room:
    """One room's replies; its next text is due at `next_at`."""

    __slots__ = ("entries", "next_at")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.next_at = 0.0


class Box:
    """One client's rooms, and what its line is doing."""

    __slots__ = (
        "away_since", "bytes", "client", "count", "dialect", "line", "media_until", "rooms", "timer",
        "unconfirmed", "unconfirmed_bytes", "working", "writable",
    )  # fmt: skip

    def __init__(self, client: ClientKey, now: float) -> None:
        self.client = client
        self.away_since = now
        self.line: Line | None = None
        self.dialect = Dialect.V32
        self.writable = True
        self.rooms: OrderedDict[str, Room] | None = None
        self.unconfirmed: list[Entry | Reply] | None = None
        self.unconfirmed_bytes = 0
        self.working = False
        self.count = 0
        self.bytes = 0
        self.media_until = 0.0
        self.timer: IDelayedCall | None = None


def is_media(reply: Reply) -> bool:
    """Is this media, by its type or by how its text begins?"""
    part = reply.part
    return isinstance(part, Media) or part.text.startswith(MEDIA_PREFIXES)


def kept_size(written: Entry | Reply) -> int:
    """The size of what was written: characters of text, bytes of media."""
    return written.size if isinstance(written, Entry) else size_of(written)


def size_of(reply: Reply) -> int:
    """Characters of text, bytes of media or of their addresses."""
    part = reply.part
    if isinstance(part, Text):
        return len(part.text)
    return sum(map(len, part.sources))
