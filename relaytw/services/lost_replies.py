"""Says of every reply that is given up which it was and why: in the log, and among the dead letters.

What it said is nobody's business there; that stands, as far as the room wants it, in the chat log.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from relaytw.boxes import size_of
from relaytw.messages import Media, Reply
from relaytw.services.dead_letters import DeadLetters
from relaytw.store.dead_letters import DeadLetter

#: How the reasons of replies begin, so that they are told from those of messages.
REASON = "reply_"
#: Lines of the log in so many seconds.  What goes beyond is counted there; the dead letters have all of it.
LINES, PERIOD = 20, 10.0


class LostReplies:
    """Records replies that are given up.  `now` gives seconds since the epoch."""

    def __init__(self, dead_letters: DeadLetters, now: Callable[[], float]) -> None:
        self._dead_letters = dead_letters
        self._now = now
        self._since = 0.0
        self._lines = 0
        self._log = Logger(namespace="relaytw.outbox")

    def note(self, reply: Reply, why: str) -> None:
        """The reply is not written any more."""
        now, room = self._now(), reply.channel_id or reply.room
        self._write_down(reply, why, now)
        letter = DeadLetter(
            0, now, f"{REASON}{why}", reply.client, room, reply.id, reply.trace, describe(reply), 0, now, b""
        )
        self._dead_letters.note(letter)

    def _write_down(self, reply: Reply, why: str, now: float) -> None:
        # A flood of replies would become a flood of lines, which cost more than the replies.
        if not 0 <= now - self._since < PERIOD:
            if self._lines > LINES:
                more = self._lines - LINES
                self._log.warn("{more} more replies were dropped before that", more=more)
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines <= LINES:
            self._log.warn(
                "a reply to {client} is dropped: {reason}", client=reply.client, reason=why,
                trace=reply.trace, room=reply.room, reply=reply.id,
            )  # fmt: skip


def describe(reply: Reply) -> str:
    """What kind of reply this is, and how large, without what it says."""
    part = reply.part
    if isinstance(part, Media):
        return f"({part.kind}, {len(part.sources)} sources, {size_of(reply)} bytes)"
    return f"({len(part.text)} characters)"
