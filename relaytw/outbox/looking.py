"""What an outbox holds, to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from relaytw.boxes import Box, Entry
from relaytw.messages import ClientKey


class Holding(NamedTuple):
    """What is held for one client; is its phone `here`?  `oldest` on the relay's clock."""

    client: ClientKey
    here: bool
    waiting: int
    bytes: int
    unacknowledged: int
    rooms: int
    oldest: float


class Boxes:
    """Everybody's replies that have not ended."""

    def __init__(self) -> None:
        self._boxes: dict[ClientKey, Box] = {}

    @property
    def waiting(self) -> int:
        """How many replies wait in all."""
        return sum(box.count for box in self._boxes.values())

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of text and media wait in all."""
        return sum(box.bytes for box in self._boxes.values())

    @property
    def unacknowledged(self) -> int:
        """How many replies were written to phones that acknowledge, and are not acknowledged."""
        return sum(len(box.kept) for box in self._boxes.values() if box.kept)

    @property
    def boxes(self) -> int:
        """For how many clients something is kept."""
        return len(self._boxes)

    def waits_for(self, client: ClientKey) -> int:
        """How many replies wait for this client, or for its acknowledgement."""
        box = self._boxes.get(client)
        return box.count + (len(box.kept) if box.kept else 0) if box is not None else 0

    def holds(self, client: ClientKey, name: str) -> bool:
        """Does a reply of this id wait for this client, or for its acknowledgement?"""
        box = self._boxes.get(client)
        return box is not None and any(entry.reply.id == name for entry in _entries(box))

    def mark(self, client: ClientKey) -> object | None:
        """Everything this client's phone was told up to now, None if it is not here."""
        box = self._boxes.get(client)
        return None if box is None or box.line is None else (box.line, box.line.told)

    def taken(self, client: ClientKey, mark: object) -> bool:
        """Has all of that left the process?  What a dead line has swallowed waits again, which is as good."""
        box = self._boxes.get(client)
        line = box.line if box is not None else None
        if line is None or not isinstance(mark, tuple) or mark[0] is not line:
            return True
        return line.told - line.unsent >= int(mark[1])

    def holdings(self) -> list[Holding]:
        """Everybody for whom something is held."""
        found = []
        for client, box in self._boxes.items():
            entries = list(_entries(box))
            if entries:
                kept = len(box.kept) if box.kept else 0
                held, oldest = box.bytes + box.kept_bytes, min(entry.at for entry in entries)
                rooms = len({entry.name for entry in entries})
                here = box.line is not None
                found.append(Holding(client, here, box.count, held, kept, rooms, oldest))
        return found

    def entries(self, client: ClientKey) -> list[Entry]:
        """What is held for a client: what was written first, then room by room."""
        box = self._boxes.get(client)
        return list(_entries(box)) if box is not None else []


def _entries(box: Box) -> Iterator[Entry]:
    yield from box.kept or ()
    for room in (box.rooms or {}).values():
        yield from room.entries
