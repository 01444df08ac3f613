"""One text said twice within an instant: scripts have two code paths, one of them without a logId."""

from __future__ import annotations

from relaytw.messages import Chat, ClientKey

#: Later than any time that stands for never.
_EVER = 1e-9


class Recent:
    """When which text was said lately, by anybody: with a logId, and without.

    Held as hashes, in two generations that replace each other: nothing of a chat is kept alive, and
    nothing is looked through.
    """

    __slots__ = ("_bare", "_limit", "_named", "_older_bare", "_older_named", "_since", "_window")

    def __init__(self, window: float, limit: int) -> None:
        self._window = window
        self._limit = limit
        self._named: dict[int, float] = {}
        self._bare: dict[int, float] = {}
        self._older_named: dict[int, float] = {}
        self._older_bare: dict[int, float] = {}
        self._since = 0.0

    def is_twin(self, client: ClientKey, chat: Chat, now: float) -> bool:
        """Was the same said within the window, with a logId if this has none, or the other way round?"""
        if now - self._since > self._window or len(self._named) + len(self._bare) >= self._limit:
            self.turn_over(now)
        what = hash((client, chat.room, chat.sender, chat.text))
        oldest = now - self._window
        if chat.log_id:
            if (self._bare or self._older_bare) and _taken(what, self._bare, self._older_bare, oldest):
                return True
            self._named[what] = now
        else:
            if _taken(what, self._named, self._older_named, oldest):
                return True
            self._bare[what] = now
        return False

    def turn_over(self, now: float) -> None:
        """Begin a new generation, and forget the one before the last."""
        self._older_named, self._named = self._named, {}
        self._older_bare, self._bare = self._bare, {}
        self._since = now


def _taken(what: int, generation: dict[int, float], older: dict[int, float], oldest: float) -> bool:
    """Take this out of both generations: was it there, and late enough?"""
    return max(generation.pop(what, 0.0), older.pop(what, 0.0)) >= max(oldest, _EVER)
