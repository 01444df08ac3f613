"""Messages that could start but for a thread, or for an ordered one that is at work in their room.

Each holds up its lane and no other, and its permits go to others meanwhile, as for whatever waits.
"""

from __future__ import annotations

from collections import deque

from relaytw.bots.router import Invocation
from relaytw.intake import Job
from relaytw.lanes import Lane, LaneKey, Lanes
from relaytw.services.runs import Run
from relaytw.services.threads import BlockingPool


class Parking:
    """Parks lanes, and lets them go on when what they wait for is free."""

    def __init__(self, lanes: Lanes[Job], threads: BlockingPool) -> None:
        self._lanes = lanes
        self._threads = threads
        self._threadless: dict[str, deque[LaneKey]] = {}
        self._ordered: set[LaneKey] = set()

    def parks(self, lane: Lane[Job], job: Job, invocation: Invocation) -> bool:
        """Must this message wait?  Then it is the first of its lane again, and the lane is parked."""
        threadless = invocation.blocking and not self._threads.has_room(lane.key.bot)
        if threadless:
            self._threadless.setdefault(lane.key.bot, deque()).append(lane.key)
        waits = threadless or (invocation.ordered and lane.key in self._ordered)
        if waits:
            self._lanes.park(lane, job)
        return waits

    def begun(self, run: Run) -> None:
        """A run has its permits: nothing else that is ordered starts in its room if it is ordered."""
        if run.invocation.ordered and run.lane is not None:
            self._ordered.add(run.lane.key)

    def ended(self, run: Run, lane: Lane[Job]) -> None:
        """A run gives back the permits of this lane: what is ordered may start there."""
        if run.invocation.ordered:
            self._ordered.discard(lane.key)
            self._lanes.unpark(lane.key)

    def give_thread(self) -> None:
        """A thread has become free: of each bot that may have it, the lane that waited longest goes on."""
        for bot, lanes in list(self._threadless.items()):
            if self._threads.has_room(bot):
                # One whose messages were dropped meanwhile has no use for it.
                while lanes and not self._lanes.unpark(lanes.popleft()):
                    pass
                if not lanes:
                    del self._threadless[bot]
