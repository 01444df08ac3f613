"""Two bots in one room that answer each other would never end: this notices, and one of them falls silent.

A message that says what another phone's bot was just given to say in the same room is a bot's, and not a
person's.  It may be answered, for bots may well ask each other; but what comes of that is counted on, and
beyond `depth` such turns nothing more is answered until people have said something else.
"""

from __future__ import annotations

from collections.abc import Sequence

from relaytw.messages import ClientKey, Message, Part, Text

#: How much of a text is compared: a phone may have cut the rest.
_CHARS = 500


class LoopGuard:
    """Knows what bots have said lately: for `window` seconds, of `limit` answers at most.

    Held as hashes, in two generations that replace each other, so nothing is looked through.
    """

    def __init__(self, depth: int, window: float, limit: int) -> None:
        self._depth = depth
        self._window = window
        self._limit = limit
        self._said: dict[int, tuple[ClientKey, int]] = {}
        self._older: dict[int, tuple[ClientKey, int]] = {}
        self._since = 0.0

    def said(self, message: Message, parts: Sequence[Part], now: float) -> None:
        """A bot answers this message."""
        if now - self._since > self._window or len(self._said) >= self._limit:
            self._older = self._said if now - self._since <= 2 * self._window else {}
            self._said, self._since = {}, now
        turn = (message.client, message.bot_turns + 1)
        for part in parts:
            if type(part) is Text:
                text = part.text[:_CHARS].strip()
                self._said[hash((message.room, text))] = turn
                if message.channel_id is not None:
                    self._said[hash((message.channel_id, text))] = turn

    def stops(self, message: Message, now: float) -> bool:
        """Has this message come of too many answers of bots to each other?"""
        if now - self._since > 2 * self._window:
            return False
        text = message.text[:_CHARS].strip()
        turn = self._turn(message.room, text)
        if turn is None and message.channel_id is not None:
            turn = self._turn(message.channel_id, text)
        if turn is None or turn[0] == message.client:
            return False
        message.bot_turns = turn[1]
        return turn[1] > self._depth

    def _turn(self, room: str, text: str) -> tuple[ClientKey, int] | None:
        what = hash((room, text))
        return self._said.get(what) or self._older.get(what)
