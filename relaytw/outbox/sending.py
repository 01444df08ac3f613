"""What a phone has not got yet, and when it gets it.

Replies of one room leave in the order they came; rooms take turns.  A reply to a phone that is here
and reads is written at once.  What has to wait (the phone is away or slow, the next text of an
answer, media behind media) stands in its room's queue, bounded in count, bytes and age.

What a phone that acknowledges was given is kept until it does.  Of any other, what was written since
its last sign of life is kept until the next one, and is sent again if the connection turns out to be
dead.  With a ledger, what is not at its end outlives the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import is_

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaytw.boxes import MEDIA_PREFIXES, Addresses, Box, Entry, Ledger, Line, is_media, size_of
from relaytw.messages import ClientKey, Dialect, Media, Outcome, Reply, Text
from relaytw.metrics import Metrics
from relaytw.outbox.fates import Dropped, Fates, Noted, Settled
from relaytw.outbox.looking import Boxes
from relaytw.outbox.pacing import Pacing, PacingSettings
from relaytw.outbox.receipts import Receipts
from relaytw.outbox.settings import OutboxSettings
from relaytw.outbox.swallowed import Swallowed
from relaytw.outbox.turns import NEVER, expire, next_room


def _nobody(reply: Reply, outcome: Outcome, why: str) -> None:
    """Nobody asks what becomes of replies."""


class Outbox(Boxes):
    """Everybody's replies.  `dropped` is told of each that is not written (again), with the reason.

    `settled` is told how each has ended, once: all but those that were simply written to a phone which
    acknowledges nothing, unless nobody had asked for them.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        encode: Callable[[Dialect, Reply, float], bytes],
        settings: OutboxSettings,
        metrics: Metrics,
        dropped: Dropped,
        settled: Settled = _nobody,
        ledger: Ledger | None = None,
        addresses: Addresses | None = None,
        pacing: PacingSettings | None = None,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._now = now
        self._encode = encode
        self._addresses = addresses
        self._pacing = Pacing(pacing or PacingSettings())
        self._settings = settings
        self._metrics = metrics
        self._fates = Fates(metrics, dropped, settled, ledger)
        self._swallowed = Swallowed(settings, self._fates)
        self._receipts = Receipts(settings, self._fates)
        self._few = min(settings.per_client, settings.bytes // max(1, settings.text_chars))
        self._stopped = False
        self._log = Logger(namespace="relaytw.outbox")

    def restore(self, kept: Iterable[Entry]) -> None:
        """Put replies back that an earlier run kept: what was written in that order, then what was not."""
        boxes: dict[ClientKey, Box] = {}
        for entry in kept:
            client = entry.reply.client
            box = self._boxes.get(client)
            if box is None:
                box = self._boxes[client] = Box(client, entry.at, paced=self._pacing.on)
            boxes[client] = box
            if entry.written and not entry.told:
                self._receipts.restore(box, entry)
            else:
                self._queue(box, entry)
        for box in boxes.values():
            self._work(box)

    def tell(self, noted: Noted) -> None:
        """Tell this of what happens to replies that are not simply written."""
        self._fates.noted = noted

    # -- the stages before: answers and pushes

    def send(self, replies: Sequence[Reply]) -> None:
        """Send one answer: its parts in order, several texts `text_spacing` apart."""
        first = replies[0]
        client = first.client
        box = self._boxes.get(client)
        if len(replies) == 1 and box is not None and box.rooms is None and self._said(box, first):
            return
        at = self._clock.seconds()
        if box is None:
            box = self._boxes[client] = Box(client, at, paced=self._pacing.on)
        queued = spaced = False
        for reply in replies:
            entry = Entry(self._fit(reply), at, size_of(reply), spaced)
            spaced = True
            if self._at_once(box, entry, at):
                self._write(box, entry, at)
            else:
                queued = True
                self._queue(box, entry)
        if queued and box.line is not None and box.writable:
            self._work(box)
        elif box.timer is None and not self._stopped and not box.empty:
            box.timer = self._clock.callLater(self._settings.ttl, self._wake, box)

    # -- the phone comes and goes

    def attach(
        self,
        client: ClientKey,
        line: Line,
        dialect: Dialect,
        acknowledges: bool = False,
        resume: str | None = None,
    ) -> None:
        """The phone has proven itself on this line: it gets what waits for it.

        With `acknowledges` what is written is kept until `acknowledged` or `could_not`; `resume` is the
        last reply that the phone acknowledged, or could not type, on an earlier line.
        """
        box, now = self._boxes.get(client), self._clock.seconds()
        if box is None:
            box = self._boxes[client] = Box(client, now, paced=self._pacing.on)
        if box.line is not None and box.line is not line:
            self._swallowed.recover(box, now)
        box.acknowledges, box.dialect, box.media_until = acknowledges, dialect, 0.0
        names = None if acknowledges else self._addresses
        box.troubled = names is not None and names.expect(client)
        box.see(line, writable=True)
        box.repeated, box.heard_at = 0, now
        if not acknowledges:
            self._receipts.give_up(box)
        elif resume is not None:
            self._receipts.resume(box, resume)
        self._work(box)

    def detach(self, client: ClientKey, line: Line, *, dead: bool) -> None:
        """The line is gone; `dead` when it broke, so that what was written last may not have arrived."""
        box = self._boxes.get(client)
        if box is None or box.line is not line:
            return
        box.see(None, writable=box.writable)
        box.away_since, box.repeated = self._clock.seconds(), 0
        if dead:
            self._swallowed.recover(box, box.away_since)
        box.unconfirmed = None
        self._work(box)

    def alive(self, client: ClientKey, line: Line) -> None:
        """Something was heard over this line: what was written before has arrived."""
        box = self._boxes.get(client)
        if box is not None and box.line is line:
            box.unconfirmed = None

    def acknowledged(self, client: ClientKey, line: Line, ids: Sequence[str]) -> None:
        """The phone has typed these replies."""
        box = self._boxes.get(client)
        if box is not None and box.line is line:
            self._receipts.acknowledged(box, ids, self._clock.seconds())

    def could_not(self, client: ClientKey, line: Line, reply_id: str, code: str, why: str) -> None:
        """The phone cannot type this reply, and says why."""
        box = self._boxes.get(client)
        if box is not None and box.line is line:
            self._receipts.failed(box, reply_id, code, why, self._clock.seconds())

    def writable(self, client: ClientKey, line: Line, *, writable: bool) -> None:
        """The phone reads slower than we write, or has caught up."""
        box = self._boxes.get(client)
        if box is not None and box.line is line:
            box.see(line, writable=writable)
            box.away_since = self._clock.seconds()
            self._work(box)

    def troubled(self, client: ClientKey, troubled: bool) -> None:
        """May the name of one of its rooms mislead now?"""
        box = self._boxes.get(client)
        if box is not None and not box.acknowledges:
            box.troubled = troubled
            box.see(box.line, writable=box.writable)

    def discard(self, client: ClientKey, room: str | None) -> None:
        """Drop what waits for a client, or for one room of it, whose approval was taken back."""
        box = self._boxes.get(client)
        if box is not None:
            self.drop(client, lambda entry: room in (None, entry.name), "not_approved")
            box.unconfirmed = None

    def drop(self, client: ClientKey, wanted: Callable[[Entry], bool], why: str) -> int:
        """Drop those that wait for a client, or for its acknowledgement, and are wanted; how many."""
        box = self._boxes.get(client)
        if box is None:
            return 0
        entries = [*box.take_kept(wanted), *box.take_where(wanted)]
        for entry in entries:
            self._fates.drop(entry, why)
        self._work(box)
        return len(entries)

    def stop(self) -> None:
        """Write the rest of every answer to the phones that are here, and leave no timer behind."""
        self._stopped = True
        now = self._clock.seconds()
        for box in list(self._boxes.values()):
            self._disarm(box)
            for room in list((box.rooms or {}).values()):
                while room.entries and self._may_finish(box) and not is_media(room.entries[0].reply):
                    self._write(box, box.take(room), now)

    # -- inside

    def _said(self, box: Box, reply: Reply) -> bool:
        """Write the usual answer, one text to a phone that is here and owed nothing, without more ado."""
        part = reply.part
        if not box.says_at_once or type(part) is not Text or reply.id[:1] == "~":
            return False  # what nobody asked for has somebody who wants to know what becomes of it
        text = part.text
        if not text or len(text) > self._settings.text_chars or text.startswith(MEDIA_PREFIXES):
            return False
        try:
            data = self._encode(box.dialect, reply, self._now())
        except ValueError:
            return False  # what is wrong with it is said in `_write`
        box.line.say(data)  # type: ignore[union-attr]  # there is one: it says at once
        metrics = self._metrics
        metrics.replies_sent += 1
        metrics.send.counts[0] += 1
        kept = box.unconfirmed
        if kept is None or len(kept) >= self._few:
            self._swallowed.remember(box, reply, len(text))
        else:
            kept.append(reply)
            box.unconfirmed_bytes += len(text)
        return True

    def _fit(self, reply: Reply) -> Reply:
        part = reply.part
        if isinstance(part, Text) and len(part.text) > self._settings.text_chars:
            self._metrics.replies_cut += 1
            return reply._replace(part=Text(part.text[: self._settings.text_chars]))
        return reply

    def _at_once(self, box: Box, entry: Entry, now: float) -> bool:
        if box.line is None or not box.writable or entry.spaced:
            return False
        if box.rooms is not None and entry.name in box.rooms:
            return False
        if box.acknowledges and (box.behind or not self._receipts.roomy(box, entry.size)):
            return False
        if box.paced and self._pacing.at(box, entry.name) > now:
            return False
        return box.media_until <= now or not is_media(entry.reply)

    def _may_finish(self, box: Box) -> bool:
        return box.line is not None and box.writable and not box.behind

    def _queue(self, box: Box, entry: Entry) -> None:
        settings = self._settings
        held, held_bytes = box.count, box.bytes
        if box.kept:
            held, held_bytes = held + len(box.kept), held_bytes + box.kept_bytes
        if held >= settings.per_client or held_bytes + entry.size > settings.bytes:
            self._fates.drop(entry, "outbox_full")
            return
        if not entry.number:
            entry = self._fates.kept(entry, self._clock.seconds() - entry.at)
        room = box.put(entry)
        if entry.spaced and len(room.entries) == 1:
            room.next_at = entry.at + settings.text_spacing

    def _work(self, box: Box) -> None:
        """Write what is due, drop what is too old, and wake up when there will be more to do."""
        if box.working:
            return  # a write has found the phone deaf; whoever writes goes on from there
        self._disarm(box)
        now = self._clock.seconds()
        self._expire(box, now)
        box.working = True
        try:
            wake = min(self._repeat(box, now), self._write_due(box, now))
        finally:
            box.working = False
        wake = min(wake, self._expire(box, now))
        if not box.rooms:
            box.rooms = None
        if box.empty and box.line is None:
            self._boxes.pop(box.client, None)
        elif wake < NEVER and not self._stopped:
            box.timer = self._clock.callLater(max(0.0, wake - now), self._wake, box)

    def _expire(self, box: Box, now: float) -> float:
        until = expire(box, self._settings, self._fates, now)
        return min(until, self._receipts.expire(box, now)) if box.kept else until

    def _repeat(self, box: Box, now: float) -> float:
        """Write again what an earlier line may have swallowed, in its order; when that can go on."""
        while box.behind and box.kept is not None and box.line is not None and box.writable:
            entry = box.kept[box.repeated]
            due = self._pacing.at(box, entry.name) if box.paced else 0.0
            if is_media(entry.reply):
                due = max(due, box.media_until)
            if due > now:
                return due
            box.repeated += 1
            if not self._put_on_the_line(box, entry, now):
                box.take_kept(partial(is_, entry))
            else:
                self._metrics.replies_again += 1
        return NEVER

    def _write_due(self, box: Box, now: float) -> float:
        """Write what is due to a phone that reads; when there will be more."""
        while box.rooms and box.line is not None and box.writable and not box.behind:
            due = next_room(box, now, self._pacing)
            if isinstance(due, float):
                return due
            room = box.rooms[due]
            entry = box.take(room)
            if room.entries:
                room.next_at = now + self._settings.text_spacing if room.entries[0].spaced else now
                box.rooms.move_to_end(due)
            else:
                del box.rooms[due]
            self._write(box, entry, now)
        return NEVER

    def _wake(self, box: Box) -> None:
        box.timer = None
        self._work(box)

    def _write(self, box: Box, entry: Entry, now: float) -> None:
        """Write a reply for the first time on any line, as far as is known."""
        if not self._put_on_the_line(box, entry, now):
            return
        self._metrics.send.observe(now - entry.at)
        if box.acknowledges:
            self._metrics.replies_again += 1
            self._receipts.keep(box, entry, now)
        else:
            self._swallowed.remember(box, self._fates.sent(entry), entry.size)

    def _put_on_the_line(self, box: Box, entry: Entry, now: float) -> bool:
        """Write a reply; False, and it is dropped, if it cannot be."""
        line, reply = box.line, entry.reply
        if line is None:
            return False
        if self._addresses is not None and not box.acknowledges and not is_media(reply):
            name = self._addresses.address(reply)
            if name is None:
                self._fates.drop(entry, "ambiguous_room")
                return False
            reply = reply._replace(room=name)
        try:
            data = self._encode(box.dialect, reply, self._now())
        except ValueError as error:
            self._log.error(
                "a reply cannot be put on the wire: {error}",
                error=error,
                trace=reply.trace,
                client=reply.client,
            )
            self._fates.drop(entry, "unencodable")
            return False
        line.say(data)
        self._pacing.spent(box, entry.name, now)
        self._metrics.replies_sent += 1
        if is_media(reply):
            wait = self._media_wait(reply)
            box.media_until = now + wait
            line.busy(max(wait, self._settings.media_wait))
        return True

    def _media_wait(self, reply: Reply) -> float:
        part = reply.part
        if isinstance(part, Media) and part.wait_ms is not None:
            return part.wait_ms / 1000
        return self._settings.media_wait

    def _disarm(self, box: Box) -> None:
        if box.timer is not None:
            box.timer.cancel()
            box.timer = None
