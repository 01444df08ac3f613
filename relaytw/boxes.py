"""What one phone has not got yet, as the outbox keeps it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice
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

    def waits(
        self, reply: Reply, age: float, *, spaced: bool, written: bool = False, told: bool = False
    ) -> int:
        """A reply has to wait, and has for `age` seconds: the number it is known by.

        Of what was `written` the numbers are in the order of the writing.
        """

    def left(self, number: int, client: ClientKey | None) -> None:
        """It waits no more; `client` is the phone that was given it, None if nobody was."""


class Addresses(Protocol):
    """Knows what phones call their rooms."""

    def expect(self, client: ClientKey) -> bool:
        """A phone that finds rooms by name is on: may a name mislead?"""

    def address(self, reply: Reply) -> str | None:
        """The name that a text goes to now, None if nobody can say which room that is."""


class Entry(NamedTuple):
    """A reply that waits; `spaced` after the one before it in its answer.  `at` on the relay's clock.

    `number` is what the ledger knows it by, 0 if it does not.  `written` says that a phone was given it,
    `told` that its outcome has been told.
    """

    reply: Reply
    at: float
    size: int
    spaced: bool
    number: int = 0
    written: bool = False
    told: bool = False

    @property
    def name(self) -> str:
        """The queue it stands in: its room's."""
        return self.reply.channel_id or self.reply.room


class Room:
    """One room's replies; its next text is due at `next_at`."""

    __slots__ = ("entries", "next_at")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.next_at = 0.0


class Box:
    """One client's rooms, and what its line is doing.

    `kept` is what a phone that acknowledges was given and has not acknowledged, in the order of the
    writing; the first `repeated` of it were written on the present line.
    """

    __slots__ = (
        "acknowledges",
        "away_since",
        "bytes",
        "client",
        "count",
        "dialect",
        "full_at",
        "heard_at",
        "kept",
        "kept_bytes",
        "line",
        "media_until",
        "paced",
        "repeated",
        "rooms",
        "rooms_full_at",
        "says_at_once",
        "timer",
        "troubled",
        "unconfirmed",
        "unconfirmed_bytes",
        "working",
        "writable",
    )  # fmt: skip

    def __init__(self, client: ClientKey, now: float, *, paced: bool = False) -> None:
        self.client = client
        self.paced = paced
        self.full_at = 0.0
        self.rooms_full_at: dict[str, float] = {}
        self.away_since = self.heard_at = now
        self.line: Line | None = None
        self.dialect = Dialect.V32
        self.acknowledges = False
        self.writable = True
        self.troubled = False
        #: Here, reading, acknowledging nothing, not paced, and no name of a room may mislead.
        self.says_at_once = False
        self.rooms: OrderedDict[str, Room] | None = None
        self.kept: deque[Entry] | None = None
        self.kept_bytes = 0
        self.repeated = 0
        self.unconfirmed: list[Entry | Reply] | None = None
        self.unconfirmed_bytes = 0
        self.working = False
        self.count = 0
        self.bytes = 0
        self.media_until = 0.0
        self.timer: IDelayedCall | None = None

    @property
    def behind(self) -> bool:
        """Must something be written again before anything new is?"""
        return self.kept is not None and self.repeated < len(self.kept)

    @property
    def empty(self) -> bool:
        """Is nothing kept for this client?"""
        return not self.rooms and not self.kept

    def see(self, line: Line | None, *, writable: bool) -> None:
        """The phone is on this line, or on none, and reads or does not."""
        self.line, self.writable = line, writable
        slow = self.acknowledges or self.troubled or self.paced
        self.says_at_once = line is not None and writable and not slow

    def put(self, entry: Entry, *, first: bool = False) -> Room:
        """Let an entry wait, last in its room's queue or `first` of all; its room."""
        if self.rooms is None:
            self.rooms = OrderedDict()
        name = entry.name
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = Room()
        if first:
            self.rooms.move_to_end(name, last=False)
            room.entries.appendleft(entry)
        else:
            room.entries.append(entry)
        self.count += 1
        self.bytes += entry.size
        return room

    def take(self, room: Room) -> Entry:
        """The first entry of a room, which waits no more."""
        entry = room.entries.popleft()
        self.count -= 1
        self.bytes -= entry.size
        return entry

    def take_where(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Every entry that is wanted, which waits no more; those that stay keep their order."""
        taken: list[Entry] = []
        for name, room in list((self.rooms or {}).items()):
            found = [entry for entry in room.entries if wanted(entry)]
            if found:
                taken += found
                room.entries = deque(entry for entry in room.entries if not wanted(entry))
                if self.rooms is not None and not room.entries:
                    del self.rooms[name]
        self.count -= len(taken)
        self.bytes -= sum(entry.size for entry in taken)
        return taken

    def take_kept(self, wanted: Callable[[Entry], bool]) -> list[Entry]:
        """Every entry that was written, is wanted, and is not kept any more."""
        kept = self.kept
        if not kept:
            return []
        taken = [entry for entry in kept if wanted(entry)]
        if taken:
            self.repeated -= sum(wanted(entry) for entry in islice(kept, self.repeated))
            self.kept = deque(entry for entry in kept if not wanted(entry)) or None
            self.kept_bytes -= sum(entry.size for entry in taken)
        return taken


def is_media(reply: Reply) -> bool:
    """Is this media, by its type or by how its text begins?"""
    part = reply.part
    return isinstance(part, Media) or part.text.startswith(MEDIA_PREFIXES)


def is_unasked(reply: Reply) -> bool:
    """Did nobody ask for it: is it a push, a schedule, a broadcast?"""
    return reply.id[:1] == "~"


def kept_size(written: Entry | Reply) -> int:
    """The size of what was written: characters of text, bytes of media."""
    return written.size if isinstance(written, Entry) else size_of(written)


def size_of(reply: Reply) -> int:
    """Characters of text, bytes of media or of their addresses."""
    part = reply.part
    if isinstance(part, Text):
        return len(part.text)
    return sum(map(len, part.sources))
