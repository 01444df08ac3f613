"""The penalty box: clients that connect again and again without ever proving themselves.

A script that is refused comes back for ever.  Inside the box it is answered at its handshake and
closed, holding no slot.  An entry is keyed by client *and* host: a stranger who uses a phone's name
cannot put the phone itself into the box, and an address alone never does.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

from relaytw.messages import ClientKey

#: Connects are counted over this many seconds.
COUNTED_OVER = 60.0
#: A stay is never doubled more often than this.
MOST_DOUBLINGS = 32


@dataclass(frozen=True, slots=True)
class PenaltySettings:
    """Times in seconds; a stay doubles each time, from `duration` up to `max_duration`."""

    connects_per_minute: int = 30
    duration: float = 300.0
    max_duration: float = 3600.0
    grace: float = 60.0
    clients: int = 10_000


class Penalty(NamedTuple):
    """Somebody in the box: until when (on the relay's clock), for the how-many-th time."""

    client: ClientKey
    host: str
    until: float
    times: int


@dataclass(slots=True)
class _Record:
    counted_since: float
    connects: int = 0
    until: float = 0.0
    times: int = 0


class PenaltyBox:
    """Counts connects.  Every `now` is in seconds on one monotonic clock, `started` on the same."""

    def __init__(self, settings: PenaltySettings, started: float) -> None:
        self._settings = settings
        self._started = started
        self._records: OrderedDict[tuple[ClientKey, str], _Record] = OrderedDict()

    def connected(self, client: ClientKey, host: str, now: float) -> float | None:
        """Count a connect; how many seconds this client stays in the box, or None if it is not in it."""
        record = self._record(client, host, now)
        if record.until > now:
            return record.until - now
        if now - self._started < self._settings.grace:
            return None
        if now - record.counted_since > COUNTED_OVER:
            record.counted_since, record.connects = now, 0
        record.connects += 1
        if record.connects <= self._settings.connects_per_minute:
            return None
        return self._box(record, now)

    def proved(self, client: ClientKey, host: str) -> None:
        """A session of this client has proven itself: nothing is held against it any more."""
        self._records.pop((client, host), None)

    def boxed(self, now: float) -> list[Penalty]:
        """Who is in the box."""
        return [
            Penalty(client, host, record.until, record.times)
            for (client, host), record in self._records.items()
            if record.until > now
        ]

    def lift(self, client: ClientKey, now: float) -> bool:
        """Let a client out, from whatever host; False if it is not in the box."""
        keys = [key for key, record in self._records.items() if key[0] == client and record.until > now]
        for key in keys:
            del self._records[key]
        return bool(keys)

    def sweep(self, now: float, idle: float) -> int:
        """Forget who has not connected for `idle` seconds and is not in the box; how many."""
        oldest = now - idle
        gone = [
            key
            for key, record in self._records.items()
            if record.until <= now and max(record.until, record.counted_since) < oldest
        ]
        for key in gone:
            del self._records[key]
        return len(gone)

    def _box(self, record: _Record, now: float) -> float:
        record.connects = 0
        record.times += 1
        # Some scripts come back for ever: past a few doublings a float would overflow.
        doublings = min(record.times - 1, MOST_DOUBLINGS)
        stay = min(self._settings.duration * 2.0**doublings, self._settings.max_duration)
        record.until = now + stay
        return stay

    def _record(self, client: ClientKey, host: str, now: float) -> _Record:
        key = (client, host)
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = _Record(now)
            if len(self._records) > self._settings.clients:
                self._records.popitem(last=False)
        else:
            self._records.move_to_end(key)
            if now - max(record.until, record.counted_since) > self._settings.max_duration:
                record.times = 0
        return record
