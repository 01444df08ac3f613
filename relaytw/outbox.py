"""What a phone has not got yet, and when it gets it.

Replies of one room leave in the order they came; rooms take turns.  A reply to a phone that is here
and reads is written at once.  What has to wait (the phone is away or slow, the next text of an
answer, media behind media) stands in its room's queue, bounded in count, bytes and age.

What was written since the last sign of life is kept until the next one, and is sent again if the
connection turns out to be dead.  With a ledger, what waits outlives the process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaytw.boxes import MEDIA_PREFIXES, Box, Entry, Ledger, Line, Room, is_media, kept_size, size_of
from relaytw.messages import ClientKey, Dialect, Media, Reply, Text
from relaytw.metrics import Metrics


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Seconds, counts and bytes, each per client."""

    per_client: int = 1000
    bytes: int = 1024 * 1024
    ttl: float = 300.0
    text_chars: int = 65_000
    text_spacing: float = 1.0
    media_wait: float = 15.0


class Outbox:
    """Everybody's replies.  `dropped` is told of each that will not arrive, with the reason."""

    def __init__(
        self,
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        encode: Callable[[Dialect, Reply, float], bytes],
        settings: OutboxSettings,
        metrics: Metrics,
        dropped: Callable[[Reply, str], None],
        ledger: Ledger | None = None,
    ) -> None:
        self._clock = clock
        self._now = now
        self._encode = encode
        self._settings = settings
        self._metrics = metrics
        self._dropped = dropped
        self._ledger = ledger
        self._boxes: dict[ClientKey, Box] = {}
        self._stopped = False
        self._log = Logger(namespace="relaytw.outbox")

    @property
    def waiting(self) -> int:
        """How many replies wait in all."""
        return sum(box.count for box in self._boxes.values())

    @property
    def waiting_bytes(self) -> int:
        """How many bytes of text and media wait in all."""
        return sum(box.bytes for box in self._boxes.values())

    @property
    def boxes(self) -> int:
        """For how many clients something is kept."""
        return len(self._boxes)

    def waits_for(self, client: ClientKey) -> int:
        """How many replies wait for this client."""
        box = self._boxes.get(client)
        return box.count if box is not None else 0

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

    def restore(self, kept: Iterable[tuple[Reply, float, bool, int]]) -> None:
        """Put replies back that an earlier run kept, in order: reply, seconds it waits, spaced, number."""
        now = self._clock.seconds()
        boxes: dict[ClientKey, Box] = {}
        for reply, age, spaced, number in kept:
            box = self._boxes.get(reply.client)
            if box is None:
                box = self._boxes[reply.client] = Box(reply.client, now - age)
            boxes[reply.client] = box
            entry = Entry(reply, now - age, size_of(reply), spaced, number)
            self._queue(box, reply.channel_id or reply.room, entry)
        for box in boxes.values():
            self._work(box)

    # -- the stages before: answers and pushes

    def send(self, replies: Sequence[Reply]) -> None:
        """Send one answer: its parts in order, several texts `text_spacing` apart."""
        first = replies[0]
        client = first.client
        box = self._boxes.get(client)
        if len(replies) == 1 and box is not None and box.rooms is None and self._said(box, first):
            return
        room, at = first.channel_id or first.room, self._clock.seconds()
        if box is None:
            box = self._boxes[client] = Box(client, at)
        queued = spaced = False
        for reply in replies:
            entry = Entry(self._fit(reply), at, size_of(reply), spaced)
            spaced = True
            if self._at_once(box, room, entry, at):
                self._write(box, entry, at)
            else:
                queued = True
                self._queue(box, room, entry)
        if queued and box.line is not None and box.writable:
            self._work(box)
        elif queued and box.timer is None and not self._stopped:
            box.timer = self._clock.callLater(self._settings.ttl, self._wake, box)

    # -- the phone comes and goes

    def attach(self, client: ClientKey, line: Line, dialect: Dialect) -> None:
        """The phone has proven itself on this line: it gets what waits for it."""
        box = self._boxes.get(client)
        if box is None:
            box = self._boxes[client] = Box(client, self._clock.seconds())
        if box.line is not None and box.line is not line:
            self._recover(box)
        box.line, box.dialect, box.writable, box.media_until = line, dialect, True, 0.0
        self._work(box)

    def detach(self, client: ClientKey, line: Line, *, dead: bool) -> None:
        """The line is gone; `dead` when it broke, so that what was written last may not have arrived."""
        box = self._boxes.get(client)
        if box is None or box.line is not line:
            return
        box.line, box.away_since = None, self._clock.seconds()
        if dead:
            self._recover(box)
        box.unconfirmed = None
        self._work(box)

    def alive(self, client: ClientKey, line: Line) -> None:
        """Something was heard over this line: what was written before has arrived."""
        box = self._boxes.get(client)
        if box is not None and box.line is line:
            box.unconfirmed = None

    def writable(self, client: ClientKey, line: Line, *, writable: bool) -> None:
        """The phone reads slower than we write, or has caught up."""
        box = self._boxes.get(client)
        if box is not None and box.line is line:
            box.writable = writable
            box.away_since = self._clock.seconds()
            self._work(box)

    def discard(self, client: ClientKey, room: str | None) -> None:
        """Drop what waits for a client, or for one room of it, whose approval was taken back."""
        box = self._boxes.get(client)
        if box is None:
            return
        for name, queue in list((box.rooms or {}).items()):
            if room in (None, name):
                while queue.entries:
                    entry = queue.entries.popleft()
                    box.count -= 1
                    box.bytes -= entry.size
                    self._drop(entry.reply, "not_approved", entry.number)
                if box.rooms is not None:
                    del box.rooms[name]
        box.unconfirmed = None
        self._work(box)

    def stop(self) -> None:
        """Write the rest of every answer to the phones that are here, and leave no timer behind."""
        self._stopped = True
        now = self._clock.seconds()
        for box in list(self._boxes.values()):
            self._disarm(box)
            for room in list((box.rooms or {}).values()):
                while room.entries and not is_media(room.entries[0].reply) and box.line and box.writable:
                    entry = room.entries.popleft()
                    box.count -= 1
                    box.bytes -= entry.size
                    self._write(box, entry, now)

    # -- inside

    def _said(self, box: Box, reply: Reply) -> bool:
        """Write the usual answer, one text to a phone that is here and owed nothing, without more ado."""
        part, line = reply.part, box.line
        if line is None or not box.writable or type(part) is not Text:
            return False
        text = part.text
        if not text or len(text) > self._settings.text_chars or text.startswith(MEDIA_PREFIXES):
            return False
        try:
            data = self._encode(box.dialect, reply, self._now())
        except ValueError:
            return False  # what is wrong with it is said in `_write`
        line.say(data)
        metrics = self._metrics
        metrics.replies_sent += 1
        metrics.send.counts[0] += 1
        self._remember(box, reply, len(text))
        return True

    def _remember(self, box: Box, written: Entry | Reply, size: int) -> None:
        """Keep what was written until the phone gives a sign of life; of too much, the later half."""
        kept = box.unconfirmed
        if kept is None:
            kept, box.unconfirmed_bytes = [], 0
            box.unconfirmed = kept
        kept.append(written)
        box.unconfirmed_bytes += size
        if len(kept) > self._settings.per_client or box.unconfirmed_bytes > self._settings.bytes:
            del kept[: (len(kept) + 1) // 2]
            box.unconfirmed_bytes = sum(map(kept_size, kept))

    def _fit(self, reply: Reply) -> Reply:
        part = reply.part
        if isinstance(part, Text) and len(part.text) > self._settings.text_chars:
            self._metrics.replies_cut += 1
            return reply._replace(part=Text(part.text[: self._settings.text_chars]))
        return reply

    def _at_once(self, box: Box, room: str, entry: Entry, now: float) -> bool:
        if box.line is None or not box.writable or entry.spaced:
            return False
        if box.rooms is not None and room in box.rooms:
            return False
        return box.media_until <= now or not is_media(entry.reply)

    def _queue(self, box: Box, name: str, entry: Entry) -> None:
        settings = self._settings
        if box.count >= settings.per_client or box.bytes + entry.size > settings.bytes:
            self._drop(entry.reply, "outbox_full", entry.number)
            return
        if not entry.number:
            entry = self._kept(entry, self._clock.seconds() - entry.at)
        if box.rooms is None:
            box.rooms = OrderedDict()
        room = box.rooms.get(name)
        if room is None:
            room = box.rooms[name] = Room()
            if entry.spaced:
                room.next_at = entry.at + settings.text_spacing
        room.entries.append(entry)
        box.count += 1
        box.bytes += entry.size

    def _work(self, box: Box) -> None:
        """Write what is due, drop what is too old, and wake up when there will be more to do."""
        if box.working:
            return  # a write has found the phone deaf; whoever writes goes on from there
        self._disarm(box)
        now = self._clock.seconds()
        self._expire(box, now)
        box.working = True
        try:
            wake = self._write_due(box, now)
        finally:
            box.working = False
        wake = min(wake, self._expire(box, now))
        if not box.rooms:
            box.rooms = None
            if box.line is None:
                self._boxes.pop(box.client, None)
        elif wake < _NEVER and not self._stopped:
            box.timer = self._clock.callLater(max(0.0, wake - now), self._wake, box)

    def _write_due(self, box: Box, now: float) -> float:
        """Write what is due to a phone that reads; when there will be more."""
        while box.rooms and box.line is not None and box.writable:
            due = self._next(box, now)
            if isinstance(due, float):
                return due
            room = box.rooms[due]
            entry = room.entries.popleft()
            box.count -= 1
            box.bytes -= entry.size
            if room.entries:
                room.next_at = now + self._settings.text_spacing if room.entries[0].spaced else now
                box.rooms.move_to_end(due)
            else:
                del box.rooms[due]
            self._write(box, entry, now)
        return _NEVER

    def _wake(self, box: Box) -> None:
        box.timer = None
        self._work(box)

    def _next(self, box: Box, now: float) -> str | float:
        """The room whose turn it is, or when the next one will be due."""
        soonest = _NEVER
        for name, room in (box.rooms or {}).items():
            at = room.next_at
            if is_media(room.entries[0].reply):
                at = max(at, box.media_until)
            if at <= now:
                return name
            soonest = min(soonest, at)
        return soonest

    def _expire(self, box: Box, now: float) -> float:
        """Drop what waited longer than `ttl` for an absent or deaf phone; when the next one will have."""
        if box.rooms is None or (box.line is not None and box.writable):
            return _NEVER
        ttl, next_at = self._settings.ttl, _NEVER
        for name, room in list(box.rooms.items()):
            while room.entries and max(room.entries[0].at, box.away_since) + ttl <= now:
                entry = room.entries.popleft()
                box.count -= 1
                box.bytes -= entry.size
                self._drop(entry.reply, "expired", entry.number)
            if room.entries:
                next_at = min(next_at, max(room.entries[0].at, box.away_since) + ttl)
            else:
                del box.rooms[name]
        return next_at

    def _write(self, box: Box, entry: Entry, now: float) -> None:
        line, reply = box.line, entry.reply
        if line is None:
            return
        try:
            data = self._encode(box.dialect, reply, self._now())
        except ValueError as error:
            self._log.error(
                "a reply cannot be put on the wire: {error}",
                error=error,
                trace=reply.trace,
                client=reply.client,
            )
            self._drop(reply, "unencodable", entry.number)
            return
        line.say(data)
        if entry.number and self._ledger is not None:
            self._ledger.left(entry.number, reply.client)
            entry = entry._replace(number=0)
        self._metrics.replies_sent += 1
        self._metrics.send.observe(now - entry.at)
        self._remember(box, entry, entry.size)
        if is_media(reply):
            wait = self._media_wait(reply)
            box.media_until = now + wait
            line.busy(max(wait, self._settings.media_wait))

    def _media_wait(self, reply: Reply) -> float:
        part = reply.part
        if isinstance(part, Media) and part.wait_ms is not None:
            return part.wait_ms / 1000
        return self._settings.media_wait

    def _recover(self, box: Box) -> None:
        """Put what was written to a dead line back in front of its room's queue."""
        unconfirmed, box.unconfirmed = box.unconfirmed, None
        if not unconfirmed:
            return
        now = self._clock.seconds()
        if box.rooms is None:
            box.rooms = OrderedDict()
        for entry in reversed(self._kept_again(box.rooms, unconfirmed, now)):
            reply = entry.reply
            name = reply.channel_id or reply.room
            room = box.rooms.setdefault(name, Room())
            box.rooms.move_to_end(name, last=False)
            room.entries.appendleft(entry)
            room.next_at = 0.0
            box.count += 1
            box.bytes += entry.size

    def _kept(self, entry: Entry, age: float) -> Entry:
        """The entry, kept by the ledger."""
        if self._ledger is None:
            return entry
        return entry._replace(number=self._ledger.waits(entry.reply, age, spaced=entry.spaced))

    def _kept_again(
        self, rooms: Mapping[str, Room], written: Sequence[Entry | Reply], now: float
    ) -> list[Entry]:
        """What was written waits again, to the ledger for longer than what has waited behind it."""
        entries = []
        for behind, item in zip(range(len(written), 0, -1), written, strict=True):
            entry = item if isinstance(item, Entry) else Entry(item, now, size_of(item), False)
            room, age = rooms.get(entry.reply.channel_id or entry.reply.room), now - entry.at
            if room is not None and room.entries:
                age = max(age, now - room.entries[0].at + behind / 1000)
            entries.append(self._kept(entry, age))
        return entries

    def _drop(self, reply: Reply, why: str, number: int) -> None:
        if number and self._ledger is not None:
            self._ledger.left(number, None)
        self._metrics.replies_dropped[why] += 1
        self._dropped(reply, why)

    def _disarm(self, box: Box) -> None:
        if box.timer is not None:
            box.timer.cancel()
            box.timer = None


_NEVER = float("inf")
