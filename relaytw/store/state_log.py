"""What handlers remember, in files that survive the process.

Every change appends the whole conversation as one record, so that the last good record of a
conversation is what it is.  What is live is in memory; when the files hold more than twice as much they
are written anew, in steps of a bounded size.  Nothing here waits or keeps time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from pathlib import Path
from typing import NamedTuple

import msgspec

from relaytw.store.records import HEAD_SIZE, HEADER_SIZE, encode
from relaytw.store.segments import (
    Segment,
    create,
    last_number,
    open_segment,
    paths,
    remove_begun,
)

#: The kind of its records; those of the journal have others, so that neither passes for the other.
KIND = 17
#: Files smaller than this are left as they are.
SMALL = 64 * 1024
_ANY = "surrogatepass"  # names come from phones and may hold half of a surrogate pair


class Place(NamedTuple):
    """Whose conversation: `user` is "#" and a hash, "@" and a name, or empty for the whole room."""

    bot: str
    device: str
    room: str
    user: str


class Value(NamedTuple):
    """A value as JSON, and when it is forgotten, in seconds since the epoch."""

    json: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is remembered of one place; `deadline` is when what has no time of its own is forgotten."""

    values: Mapping[str, Value] = field(default_factory=dict)
    deadline: float | None = None

    def fresh(self, now: float) -> Conversation:
        """The same without what is to be forgotten by now."""
        if all(value.at > now for value in self.values.values()):
            return self
        kept = {key: value for key, value in self.values.items() if value.at > now}
        return Conversation(kept, self.deadline if kept else None)

    @property
    def ends(self) -> float:
        """When the last of it is forgotten."""
        latest = -inf
        for value in self.values.values():
            latest = max(latest, value.at)
        return latest


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    bot: bytes
    device: bytes
    room: bytes
    user: bytes
    deadline: float | None
    values: list[tuple[bytes, float, bytes]]


@dataclass(slots=True)
class _Held:
    conversation: Conversation
    size: int
    segment: int  # the number of the file with its record; 0 while it has none
    ends: float  # when the last of it is forgotten


def encode_conversation(place: Place, conversation: Conversation) -> bytes:
    """The payload of a conversation's record."""
    bot, device, room, user = (name.encode("utf-8", _ANY) for name in place)
    values = [(key.encode("utf-8", _ANY), at, json) for key, (json, at) in conversation.values.items()]
    return msgspec.msgpack.encode(_Stored(bot, device, room, user, conversation.deadline, values))


def decode_conversation(payload: bytes) -> tuple[Place, Conversation]:
    """What a record says.  Raises ValueError, and nothing else."""
    said = _DECODER.decode(payload)
    place = Place(*(name.decode("utf-8", _ANY) for name in (said.bot, said.device, said.room, said.user)))
    values = {key.decode("utf-8", _ANY): Value(json, at) for key, at, json in said.values}
    return place, Conversation(values, said.deadline)


_DECODER = msgspec.msgpack.Decoder(_Stored)


class StateLog:
    """The conversations of one folder; without a folder they live in memory only.

    `live_bytes` is what their records take, `bad` and `torn` count what was damaged when it was opened.
    """

    def __init__(self, folder: Path | None, salt: Callable[[], int]) -> None:
        self.segments: list[Segment] = []
        self.live_bytes = 0
        self.bad = 0
        self.torn = 0
        self._folder = folder
        self._salt = salt
        self._held: dict[Place, _Held] = {}
        self._unwritten: dict[Place, None] = {}
        self._carrying: Iterator[Place] | None = None
        self._last = 0

    def __len__(self) -> int:
        """How many conversations there are."""
        return len(self._held)

    @property
    def folder(self) -> Path | None:
        """Where the files are."""
        return self._folder

    @property
    def size(self) -> int:
        """What the files take, in bytes."""
        return sum(segment.size for segment in self.segments)

    @property
    def unwritten(self) -> int:
        """How many conversations have changed since the disk took anything of them."""
        return len(self._unwritten)

    def open(self, now: float) -> None:
        """Read what an earlier run has left and is not to be forgotten yet.  Raises OSError."""
        if self._folder is None or not self._folder.is_dir():
            return
        remove_begun(self._folder)
        for path in paths(self._folder):
            self._read(path)
        self._last = last_number(self._folder)
        self.forget_expired(now)

    def close(self) -> None:
        """Let go of the files."""
        for segment in self.segments:
            segment.close()
        self.segments = []

    def get(self, place: Place) -> Conversation | None:
        """What is remembered of a place."""
        held = self._held.get(place)
        return None if held is None else held.conversation

    def bytes_with(self, place: Place, payload: bytes) -> int:
        """What everything would take if this were the record of a place."""
        held = self._held.get(place)
        return self.live_bytes + HEAD_SIZE + len(payload) - (0 if held is None else held.size)

    @property
    def earliest(self) -> float:
        """When the first of the conversations is forgotten."""
        return min((held.ends for held in self._held.values()), default=inf)

    def items(self) -> Iterator[tuple[Place, Conversation, int]]:
        """Every conversation, and the bytes of its record."""
        for place, held in self._held.items():
            yield place, held.conversation, held.size

    def put(self, place: Place, conversation: Conversation, payload: bytes) -> None:
        """Remember this from now on.  Raises OSError when it is remembered, but could not be written."""
        self._keep(place, conversation, len(payload), 0)
        self._unwritten[place] = None
        self._write(place, payload)

    def write_rest(self, count: int) -> bool:
        """Write so many of those that could not be written when they changed; are there more?

        Raises OSError.
        """
        for place in list(islice(self._unwritten, count)):
            self._write(place, encode_conversation(place, self.get(place) or Conversation()))
        return bool(self._unwritten)

    def forget_expired(self, now: float) -> int:
        """Forget what has no value left, which needs no record; how many conversations that were."""
        gone = [place for place, held in self._held.items() if held.ends <= now]
        for place in gone:
            self._drop(place)
        return len(gone)

    # -- writing the files anew

    @property
    def wasteful(self) -> bool:
        """Do the files hold more than twice what is live?"""
        return self.size > 2 * self.live_bytes + SMALL or len(self.segments) > 1

    def rewrite(self) -> None:
        """Begin a new file, to which `carry` brings what is live.  Raises OSError."""
        if self._folder is None:
            return
        self._begin()
        self._carrying = iter(list(self._held))

    def carry(self, count: int) -> bool:
        """Write so many conversations to the new file; is there more to do?  Raises OSError."""
        if self._carrying is None or not self.segments:
            return False
        newest, carried, records = self.segments[-1], [], []
        for place in self._carrying:
            held = self._held.get(place)
            if held is not None and held.segment != newest.number:
                carried.append(held)
                records.append(encode(newest.salt, KIND, encode_conversation(place, held.conversation)))
                if len(records) == count:
                    break
        else:
            self._carrying = None
        if records:
            try:
                newest.append(b"".join(records))
            except OSError:
                self._carrying = iter(list(self._held))
                raise
        for held in carried:
            held.segment = newest.number
        return self._carrying is not None

    def take_old(self) -> list[Segment]:
        """The files that are not needed any more, oldest first, once everything is carried."""
        old, self.segments = self.segments[:-1], self.segments[-1:]
        return old

    # -- inside

    def _read(self, path: Path) -> None:
        opened = open_segment(path)
        if opened is None:
            self.bad += 1
            return
        segment, records, found = opened
        unreadable = 0
        for record in records:
            try:
                place, conversation = decode_conversation(record.payload)
            except (ValueError, msgspec.MsgspecError):
                unreadable += 1
                continue
            self._keep(place, conversation, len(record.payload), segment.number)
        self.bad += found.bad + unreadable
        if found.torn:
            self.torn += 1
            segment.cut(max(found.end, HEADER_SIZE))
        self.segments.append(segment)

    def _begin(self) -> None:
        if self._folder is None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        segment = create(self._folder, self._last + 1, self._salt())
        self._last = segment.number
        self.segments.append(segment)

    def _write(self, place: Place, payload: bytes) -> None:
        if self._folder is not None:
            if not self.segments:
                self._begin()
            newest = self.segments[-1]
            newest.append(encode(newest.salt, KIND, payload))
            held = self._held.get(place)
            if held is not None:
                held.segment = newest.number
        self._unwritten.pop(place, None)

    def _keep(self, place: Place, conversation: Conversation, size: int, segment: int) -> None:
        self._drop(place)
        if conversation.values:
            self._held[place] = _Held(conversation, size + HEAD_SIZE, segment, conversation.ends)
            self.live_bytes += size + HEAD_SIZE

    def _drop(self, place: Place) -> None:
        held = self._held.pop(place, None)
        if held is not None:
            self.live_bytes -= held.size
