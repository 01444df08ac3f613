"""What a phone that acknowledges was given, until it acknowledges it.

It is kept in the order of its writing.  On a new line the phone says what it has come to; the rest is
written again in that order, before anything new.  Who acknowledges nothing for as long as a reply may
wait is not believed to do so any more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from relaytw.boxes import Box, Entry
from relaytw.outbox.fates import Fates
from relaytw.outbox.settings import OutboxSettings

#: What a phone may say of a reply that it cannot type; anything else is its own affair.
CODES = frozenset({"no_room", "ambiguous_room", "bad_media", "media_failed", "too_old", "internal"})


class Receipts:
    """Keeps what was written and not acknowledged, within the bounds of an outbox."""

    def __init__(self, settings: OutboxSettings, fates: Fates) -> None:
        self._settings = settings
        self._fates = fates

    def roomy(self, box: Box, size: int) -> bool:
        """May one more of this size be kept?  One alone may be of any size."""
        held = box.count + (len(box.kept) if box.kept else 0)
        settings = self._settings
        return not held or (
            held < settings.per_client and box.bytes + box.kept_bytes + size <= settings.bytes
        )

    def keep(self, box: Box, entry: Entry, now: float) -> None:
        """It was written for the first time: keep it until it is acknowledged."""
        entry = self._fates.kept(entry._replace(at=now, written=True), 0.0)
        if not box.kept:
            box.kept, box.repeated, box.heard_at = deque(), 0, now
        box.kept.append(entry)
        box.kept_bytes += entry.size
        box.repeated += 1

    def restore(self, box: Box, entry: Entry) -> None:
        """An earlier run has kept it."""
        if box.kept is None:
            box.kept = deque()
        box.kept.append(entry)
        box.kept_bytes += entry.size

    def acknowledged(self, box: Box, ids: Sequence[str], now: float) -> None:
        """The phone has typed these."""
        box.heard_at = now
        kept, others = box.kept, set[str]()
        for name in ids:
            if kept and kept[0].reply.id == name:
                entry = kept.popleft()
                box.kept_bytes -= entry.size
                box.repeated = max(0, box.repeated - 1)
                self._fates.confirmed(entry)
            else:
                others.add(name)
        if others:
            for entry in self._take(box, others):
                self._fates.confirmed(entry)

    def failed(self, box: Box, name: str, code: str, why: str, now: float) -> None:
        """The phone cannot type this one, and says why."""
        box.heard_at = now
        for entry in self._take(box, {name}):
            self._fates.failed(entry, code if code in CODES else "internal", why)

    def resume(self, box: Box, name: str) -> None:
        """The phone has acknowledged or failed this one, and so all that was written before it."""
        kept = list(box.kept or ())
        last = next((at for at, entry in enumerate(kept) if entry.reply.id == name), None)
        waiting: list[Entry] = []
        if last is None:
            # It may wait as if it had never been written: its message is run again, and this is what it has
            # said before.  Of what was written since then nothing is known.
            waiting, last = box.take_where(lambda entry: entry.reply.id == name), -1
        rest = kept[last + 1 :]
        box.kept = deque(rest) or None
        box.kept_bytes = sum(entry.size for entry in rest)
        for entry in [*kept[: last + 1], *waiting]:
            self._fates.confirmed(entry)

    def give_up(self, box: Box) -> None:
        """The phone acknowledges nothing any more: what it was given is not written again."""
        kept, box.kept, box.kept_bytes, box.repeated = box.kept, None, 0, 0
        for entry in kept or ():
            self._fates.drop(entry, "expired")

    def expire(self, box: Box, now: float) -> float:
        """Drop what was written too long ago, with nothing heard of it; when the next one will have been."""
        kept, ttl = box.kept, self._settings.ttl
        since = max(box.heard_at, box.away_since if box.line is None else 0.0)
        while kept:
            until = max(kept[0].at, since) + ttl
            if until > now:
                return until
            entry = kept.popleft()
            box.kept_bytes -= entry.size
            box.repeated = max(0, box.repeated - 1)
            self._fates.drop(entry, "expired")
        box.kept = None
        return float("inf")

    def _take(self, box: Box, names: set[str]) -> list[Entry]:
        """Those of these names: what was written, and what waits as if it had not been."""
        found = box.take_kept(lambda entry: entry.reply.id in names)
        return found if len(found) == len(names) else found + box.take_where(lambda e: e.reply.id in names)
