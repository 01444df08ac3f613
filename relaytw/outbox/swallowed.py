"""What a phone that acknowledges nothing was given since its last sign of life.

If its connection turns out to be dead, that waits again, in front of what has waited behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from relaytw.boxes import Box, Entry, kept_size, size_of
from relaytw.messages import Reply
from relaytw.outbox.fates import Fates
from relaytw.outbox.settings import OutboxSettings


class Swallowed:
    """Remembers what was written last, within the bounds of an outbox."""

    def __init__(self, settings: OutboxSettings, fates: Fates) -> None:
        self._per_client = settings.per_client
        self._bytes = settings.bytes
        self._fates = fates

    def remember(self, box: Box, written: Entry | Reply, size: int) -> None:
        """Keep what was written until the phone gives a sign of life; of too much, the later half."""
        kept = box.unconfirmed
        if kept is None:
            kept, box.unconfirmed_bytes = [], 0
            box.unconfirmed = kept
        kept.append(written)
        box.unconfirmed_bytes += size
        if len(kept) > self._per_client or box.unconfirmed_bytes > self._bytes:
            del kept[: (len(kept) + 1) // 2]
            box.unconfirmed_bytes = sum(map(kept_size, kept))

    def recover(self, box: Box, now: float) -> None:
        """Put what was written to a dead line back in front of its room's queue."""
        unconfirmed, box.unconfirmed = box.unconfirmed, None
        if unconfirmed:
            for entry in reversed(self._kept_again(box, unconfirmed, now)):
                box.put(entry, first=True).next_at = 0.0

    def _kept_again(self, box: Box, written: Sequence[Entry | Reply], now: float) -> list[Entry]:
        """What was written waits again, to the ledger for longer than what has waited behind it."""
        entries = []
        for behind, item in zip(range(len(written), 0, -1), written, strict=True):
            entry = item if isinstance(item, Entry) else Entry(item, now, size_of(item), False)
            entry = entry._replace(written=True, told=True)
            room, age = box.rooms.get(entry.name) if box.rooms else None, now - entry.at
            if room is not None and room.entries:
                age = max(age, now - room.entries[0].at + behind / 1000)
            entries.append(self._fates.kept(entry, age))
        return entries
