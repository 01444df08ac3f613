"""Whose turn it is among the rooms of a client, and whose time is over."""

from __future__ import annotations

from relaytw.boxes import Box, is_media
from relaytw.outbox.fates import Fates
from relaytw.outbox.pacing import Pacing
from relaytw.outbox.settings import OutboxSettings

NEVER = float("inf")


def next_room(box: Box, now: float, pacing: Pacing) -> str | float:
    """The room whose turn it is, or when the next one will be due."""
    if box.paced and pacing.phone_at(box) > now:
        return pacing.phone_at(box)
    soonest = NEVER
    for name, room in (box.rooms or {}).items():
        at = room.next_at
        if is_media(room.entries[0].reply):
            at = max(at, box.media_until)
        if box.paced:
            at = max(at, pacing.room_at(box, name))
        if at <= now:
            return name
        soonest = min(soonest, at)
    return soonest


def expire(box: Box, settings: OutboxSettings, fates: Fates, now: float) -> float:
    """Drop what waited longer than `ttl` for an absent or deaf phone; when the next one will have."""
    if box.rooms is None or (box.line is not None and box.writable):
        return NEVER
    ttl, next_at = settings.ttl, NEVER
    for name, room in list(box.rooms.items()):
        while room.entries and max(room.entries[0].at, box.away_since) + ttl <= now:
            fates.drop(box.take(room), "expired")
        if room.entries:
            next_at = min(next_at, max(room.entries[0].at, box.away_since) + ttl)
        else:
            del box.rooms[name]
    return next_at
