"""What is known of a message while its handler is at work."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from relaytw.bots.router import Invocation
from relaytw.intake import Job
from relaytw.lanes import Lane


class Run:
    """A message whose handler has not ended in its first step.

    `lane` is where its permits are from, None while it has none; `started` counts its seconds of work,
    `thread` says that they pass in a thread, `cancelled` that they are over.
    """

    __slots__ = ("cancelled", "invocation", "job", "lane", "started", "thread", "work")

    def __init__(self, lane: Lane[Job], job: Job, invocation: Invocation, started: float) -> None:
        self.lane: Lane[Job] | None = lane
        self.job = job
        self.invocation = invocation
        self.started = started
        self.work: Deferred[object] | None = None
        self.thread = False
        self.cancelled = False
