"""The last connections that ended or were refused, and why."""

from __future__ import annotations

from collections import deque

from relaytw.admin.view import CloseRow
from relaytw.protocols.conversation import Conversation, Ending

#: How many are remembered.
REMEMBERED = 1_000


class Closes:
    """A list that forgets its oldest."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._rows: deque[CloseRow] = deque(maxlen=remembered)

    def note(self, at: float, conversation: Conversation, ending: Ending) -> None:
        """Remember one close.  `at` in seconds since the epoch."""
        self._rows.append(
            CloseRow(at, conversation.peer, conversation.key, ending.reason, ending.text, conversation.age)
        )

    def clear(self) -> int:
        """Forget them all; how many."""
        count = len(self._rows)
        self._rows.clear()
        return count

    def rows(self) -> list[CloseRow]:
        """What is remembered, newest last."""
        return list(self._rows)
