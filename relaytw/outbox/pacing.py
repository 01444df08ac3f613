"""How fast replies may follow each other: a bucket of tokens for each phone, and for each room of it.

A bucket holds `burst` tokens and is refilled at its rate; a reply takes one of the phone's and one of its
room's.  Each is kept as the one moment at which it will be full again (GCRA), and a full one not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from relaytw.boxes import Box

#: Rooms remembered by one phone before those with full buckets are forgotten.
_ROOMS = 256
#: Seconds that a timer may come too early by rounding.
_EARLY = 1e-6


@dataclass(frozen=True, slots=True)
class PacingSettings:
    """Replies a minute, and at once, of a phone and of a room; a rate of 0 is no limit."""

    phone_per_minute: float = 0.0
    phone_burst: int = 5
    room_per_minute: float = 0.0
    room_burst: int = 3

    @property
    def on(self) -> bool:
        """Is anything limited?"""
        return self.phone_per_minute > 0 or self.room_per_minute > 0


class Pacing:
    """Says when the next reply may go, and is told of each that goes.  Times on the relay's clock."""

    def __init__(self, settings: PacingSettings) -> None:
        self.on = settings.on
        self._phone = _interval(settings.phone_per_minute)
        self._phone_ahead = self._phone * (settings.phone_burst - 1)
        self._room = _interval(settings.room_per_minute)
        self._room_ahead = self._room * (settings.room_burst - 1)

    def phone_at(self, box: Box) -> float:
        """When the phone may be given a reply."""
        return box.full_at - self._phone_ahead - _EARLY

    def room_at(self, box: Box, room: str) -> float:
        """When this room may have one, as far as it alone is concerned."""
        return box.rooms_full_at.get(room, 0.0) - self._room_ahead - _EARLY

    def at(self, box: Box, room: str) -> float:
        """When this room of this phone may have one."""
        return max(self.phone_at(box), self.room_at(box, room))

    def spent(self, box: Box, room: str, now: float) -> None:
        """A reply to this room was written."""
        if not self.on:
            return
        box.full_at = max(box.full_at, now) + self._phone
        if self._room:
            full_at = box.rooms_full_at
            full_at[room] = max(full_at.get(room, 0.0), now) + self._room
            if len(full_at) > _ROOMS:
                box.rooms_full_at = {name: at for name, at in full_at.items() if at > now}


def _interval(per_minute: float) -> float:
    return 60.0 / per_minute if per_minute > 0 else 0.0
