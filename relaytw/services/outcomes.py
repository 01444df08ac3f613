"""Tells whoever sent what nobody had asked for how it ended."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from relaytw.boxes import is_unasked
from relaytw.messages import Outcome, Reply

#: Is told of a reply, how it has ended, and why; what it raises is logged.
Watcher = Callable[[Reply, Outcome, str], None]


class Outcomes:
    """The ends of replies, as the outbox tells them, for those who watch."""

    def __init__(self) -> None:
        self._watchers: list[Watcher] = []
        self._log = Logger(namespace="relaytw.outbox")

    def watch(self, watcher: Watcher) -> None:
        """Tell this watcher of every reply whose id begins with "~", those of an earlier run too."""
        self._watchers.append(watcher)

    def settled(self, reply: Reply, outcome: Outcome, why: str) -> None:
        """A reply has ended."""
        # A colon stands in no push's name, but in the names that phones of 3.x give to messages.
        if not is_unasked(reply) or ":" in reply.id:
            return
        for watcher in self._watchers:
            try:
                watcher(reply, outcome, why)
            except Exception:
                self._log.failure("who watches reply {reply} has failed", reply=reply.id, trace=reply.trace)
