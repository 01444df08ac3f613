"""The segments of one journal: which is written, which may go, and what lives in each.

Nothing here waits or keeps time.  Whoever writes takes the newest segment; only the oldest ever goes,
for a later one may say that a message of an earlier one is finished.  What lives on in the oldest is
carried forward into the newest when that frees more than it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from relaytw.messages import ClientKey
from relaytw.store.records import (
    HEAD_SIZE,
    HEADER_SIZE,
    Accepted,
    BadRecord,
    Finished,
    Kind,
    Message,
    Started,
    Waits,
    decode,
    encode,
    encode_finished,
    encode_messages,
    with_deliveries,
)
from relaytw.store.segments import (
    Opened,
    Place,
    Segment,
    create,
    last_number,
    open_segment,
    paths,
    remove_begun,
)

#: This many segments are kept even when nothing in them lives: they know what was seen lately.
KEPT = 2
#: Records carried forward together.
PAGE = 200


class Unfinished(NamedTuple):
    """A message that an earlier run accepted and did not finish; `size` counts the bytes of its line."""

    number: int
    deliveries: int
    received_at: float
    client: ClientKey
    room: str
    trace: str
    size: int


class Found(NamedTuple):
    """What an earlier run has left: messages, oldest first, and replies in their order."""

    unfinished: Sequence[Unfinished]
    waiting: Sequence[Waits]


class SegmentRow(NamedTuple):
    """A segment as the operator sees it."""

    name: str
    bytes: int
    unfinished: int


class JournalRow(NamedTuple):
    """The journal as the operator sees it; `oldest` in seconds since the epoch."""

    sync: str
    problem: str | None
    segments: tuple[SegmentRow, ...]
    bytes: int
    unfinished: int
    unfinished_bytes: int
    oldest: float | None
    bad_records: int
    torn_tails: int


class Shelf:
    """The segments of a folder, and where in them everything stands that is not finished.

    `salt` makes up the salts of new segments, `now` gives seconds since the epoch.  `bad` and `torn` count
    what could not be read.
    """

    def __init__(
        self, folder: Path, segment_bytes: int, salt: Callable[[], int], now: Callable[[], float]
    ) -> None:
        self.segments: list[Segment] = []
        self.live: dict[int, Place] = {}
        self.deliveries: dict[int, int] = {}
        self.bad = 0
        self.torn = 0
        self.next_number = 1
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._salt = salt
        self._now = now

    @property
    def complete(self) -> bool:
        """Is nothing of it deleted yet?"""
        return self.segments[0].number == 1

    @property
    def size(self) -> int:
        """What all segments take."""
        return sum(segment.size for segment in self.segments)

    @property
    def live_bytes(self) -> int:
        """What of it is not finished."""
        return sum(segment.live_bytes for segment in self.segments)

    def row(self, sync: str, problem: str | None) -> JournalRow:
        """What the operator is shown of it."""
        oldest = min((place[3] for place in self.live.values()), default=None)
        rows = tuple(SegmentRow(one.path.name, one.size, one.live) for one in self.segments)
        return JournalRow(
            sync, problem, rows, self.size, len(self.live), self.live_bytes, oldest, self.bad, self.torn
        )

    # -- opening

    def open(self, remember: Callable[[Accepted], None]) -> Found:
        """Read every segment; `remember` is told of every message, finished or not.  Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_begun(self._folder)
        messages: dict[int, Unfinished] = {}
        waiting: dict[int, Waits] = {}
        last = None
        for path in paths(self._folder):
            opened = open_segment(path)
            if opened is None:
                self.bad += 1
                continue
            self.segments.append(opened.segment)
            self._read(opened, remember, messages, waiting)
            last = opened
            self.bad += opened.found.bad
            self.torn += opened.found.torn
        if last is None or not self._usable(last):
            self.rotate()
        for number in messages.keys() & self.deliveries.keys():
            messages[number] = messages[number]._replace(deliveries=self.deliveries[number])
        return Found(
            [messages[number] for number in sorted(messages)], [waiting[number] for number in sorted(waiting)]
        )

    def _read(
        self,
        opened: Opened,
        remember: Callable[[Accepted], None],
        messages: dict[int, Unfinished],
        waiting: dict[int, Waits],
    ) -> None:
        segment = opened.segment
        for record in opened.records:
            try:
                said = decode(record)
            except BadRecord:
                self.bad += 1
                continue
            if isinstance(said, Finished):
                for number in said.numbers:
                    messages.pop(number, None)
                    waiting.pop(number, None)
                    self._leave(number)
                    self.deliveries.pop(number, None)
                self.next_number = max(self.next_number, *(number + 1 for number in said.numbers), 1)
            elif isinstance(said, Started):
                if said.number in messages:
                    self.deliveries[said.number] = said.deliveries
            elif isinstance(said, Waits):
                waiting[said.number] = said
                self.put(said.number, (segment, record.offset, record.size, said.at))
            else:
                remember(said)
                messages[said.number] = unfinished(said)
                self.put(said.number, (segment, record.offset, record.size, said.received_at))

    def _usable(self, last: Opened) -> bool:
        """May the last segment be written on?  Not behind damage; behind a tear, once that is cut off."""
        if last.found.bad or last.segment.size >= self._segment_bytes:
            return False
        if last.found.torn:
            last.segment.cut(last.found.end)
        return True

    # -- what lives

    def put(self, number: int, place: Place) -> None:
        """Something lives there now, and nowhere else."""
        if number in self.live:
            self._leave(number)
        segment, _, size, at = place
        self.live[number] = place
        segment.live += 1
        segment.live_bytes += size
        segment.newest = max(segment.newest, at)
        if number >= self.next_number:
            self.next_number = number + 1

    def _leave(self, number: int) -> None:
        place = self.live.pop(number, None)
        if place is not None:
            segment = place[0]
            segment.live -= 1
            segment.live_bytes -= place[2]

    # -- writing

    def roomy(self) -> Segment:
        """The segment to write to, a new one if the last is full.  Raises OSError."""
        active = self.segments[-1]
        if active.size < self._segment_bytes:
            return active
        return self.rotate()

    def rotate(self) -> Segment:
        """Begin a new segment.  Raises OSError."""
        segment = create(self._folder, last_number(self._folder) + 1, self._salt())
        self.segments.append(segment)
        return segment

    def write(self, messages: Iterable[Message]) -> int:
        """Append accepted messages, numbered from the number returned.  Raises OSError."""
        active, first = self.roomy(), self.next_number
        number = first
        records = encode_messages(active.salt, first, messages)
        data = records[0] if len(records) == 1 else b"".join(records)
        offset, live, at = active.append(data), self.live, self._now()
        for record in records:
            size = len(record)
            live[number] = (active, offset, size, at)
            number += 1
            offset += size
        active.live += len(records)
        active.live_bytes += len(data)
        active.newest = max(active.newest, at)
        self.next_number = number
        return first

    def write_others(self, others: Sequence[tuple[int, bytes]], ended: Sequence[int]) -> None:
        """Append replies that wait, by number and payload, and what has ended.  Raises OSError."""
        active = self.roomy()
        records = [encode(active.salt, Kind.WAITS, payload) for _, payload in others]
        if ended or not records:
            records.append(encode(active.salt, Kind.FINISHED, encode_finished(ended)))
        offset, at = active.append(b"".join(records)), self._now()
        for (number, _), record in zip(others, records, strict=False):
            self.put(number, (active, offset, len(record), at))
            offset += len(record)
        live, deliveries = self.live, self.deliveries
        for number in ended:
            place = live.pop(number, None)
            if place is not None:
                segment = place[0]
                segment.live -= 1
                segment.live_bytes -= place[2]
            if deliveries:
                deliveries.pop(number, None)

    def write_record(self, kind: Kind, payload: bytes) -> None:
        """Append one record that takes no place of its own.  Raises OSError."""
        active = self.roomy()
        active.append(encode(active.salt, kind, payload))

    # -- old segments

    def take_finished(self, before: float | None = None) -> list[Segment]:
        """The oldest segments with nothing alive; of the last few only those without news since `before`."""
        taken: list[Segment] = []
        while len(self.segments) > 1 and not self.segments[0].live:
            if len(self.segments) <= KEPT and (before is None or self.segments[0].newest >= before):
                break
            taken.append(self.segments.pop(0))
        return taken

    def worth_carrying(self) -> Segment | None:
        """The oldest segment, if what lives in it had better be carried forward."""
        if len(self.segments) <= KEPT:
            return None
        oldest = self.segments[0]
        few = oldest.live_bytes * 2 <= self._segment_bytes
        wasteful = self.size > 2 * self._segment_bytes + 2 * self.live_bytes
        return oldest if few or wasteful else None

    def alive_in(self, segment: Segment) -> list[tuple[int, Place]]:
        """A page of what lives in a segment."""
        there = ((number, place) for number, place in self.live.items() if place[0] is segment)
        return list(islice(there, PAGE))

    def carry(self, items: Sequence[tuple[int, Place]], records: Sequence[bytes]) -> None:
        """Write these records anew, unless they have ended or moved meanwhile.  Raises OSError."""
        active = self.roomy()
        moved: list[tuple[int, float, bytes]] = []
        for (number, place), record in zip(items, records, strict=True):
            if self.live.get(number) is place:
                kind, payload = record[4], record[HEAD_SIZE:]
                if number in self.deliveries and kind == Kind.ACCEPTED:
                    payload = with_deliveries(payload, self.deliveries[number])
                moved.append((number, place[3], encode(active.salt, kind, payload)))
        if not moved:
            return
        offset = active.append(b"".join(record for _, _, record in moved))
        for number, at, record in moved:
            self.put(number, (active, offset, len(record), at))
            offset += len(record)

    def stale(self, before: float) -> bool:
        """Is everything in the newest segment finished, and older than `before`?"""
        active = self.segments[-1]
        return active.size > HEADER_SIZE and not active.live and active.newest < before


def unfinished(said: Accepted) -> Unfinished:
    """What is kept in memory of a message until it runs."""
    return Unfinished(
        said.number, said.deliveries, said.received_at, said.client, said.room, said.trace, len(said.line)
    )
