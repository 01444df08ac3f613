"""Times as the tables hold them: wall time of the configured zone, as `YYYY-MM-DD HH:MM:SS`."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo


class WallClock:
    """Turns seconds since the epoch into a table's wall time and back."""

    def __init__(self, timezone: str) -> None:
        self._zone = ZoneInfo(timezone)
        self._second = -1
        self._text = ""

    def text(self, at: float) -> str:
        """The wall time; the same second again costs nothing."""
        second = int(at)
        if second != self._second:
            self._second, self._text = second, self._written(second)
        return self._text

    def seconds(self, stored: object) -> float:
        """Seconds since the epoch of what a driver gives: a datetime or text; 0 for anything else."""
        if isinstance(stored, str):
            try:
                stored = datetime.fromisoformat(stored)
            except ValueError:
                return 0.0
        if not isinstance(stored, datetime):
            return 0.0
        if stored.tzinfo is None:
            stored = stored.replace(tzinfo=self._zone)
        return stored.timestamp()

    def offset(self, at: float) -> str:
        """How far the zone is from UTC at that time: "+09:00"."""
        text = datetime.fromtimestamp(at, UTC).astimezone(self._zone).strftime("%z")
        return f"{text[:3]}:{text[3:5]}"

    def _written(self, second: int) -> str:
        return datetime.fromtimestamp(second, UTC).astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S")
