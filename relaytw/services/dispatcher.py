"""Runs messages: takes what the lanes let go, calls the handler, sends the answer, frees the permits.

A handler's first step runs at once.  One that ends there costs no Deferred, no timer and no task;
only what suspends gets a time-out.  A burst is worked in slices by a cooperative task, so that the
reactor has its turn in between.  No watchdog restarts anything: slow work is normal here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.bots.router import Invocation
from relaytw.intake import Intake, Job
from relaytw.lanes import Lane, LaneKey, Lanes
from relaytw.messages import Answer, Message
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox
from relaytw.services.answers import AnswerNote, Answers, MayHear
from relaytw.services.deadlines import Deadlines
from relaytw.services.preparing import Preparer
from relaytw.services.steps import resume, run_first_step
from relaytw.services.threads import BlockingPool

#: Messages started before the reactor has its turn.
SLICE = 100
#: A handler's step longer than this many seconds stalls everybody and is logged.
STALL = 1.0


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Seconds, and the number that the consumers may grow to."""

    processing_timeout: float = 300.0
    cancel_grace: float = 5.0
    drain_timeout: float = 30.0
    consumers_max: int = 31


class Run:
    """A message whose handler has not ended in its first step."""

    __slots__ = ("cancelled", "invocation", "job", "lane", "started", "thread", "work")

    def __init__(self, lane: Lane[Job], job: Job, invocation: Invocation, started: float) -> None:
        self.lane = lane
        self.job = job
        self.invocation = invocation
        self.started = started
        self.work: Deferred[object] | None = None
        self.thread = False
        self.cancelled = False


class Dispatcher(Service):
    """Gives consumers to messages; `find` names the handler of a message, None if nobody wants it."""

    name = "dispatcher"

    def __init__(
        self,
        *,
        clock: IReactorTime,
        lanes: Lanes[Job],
        intake: Intake,
        outbox: Outbox,
        find: Callable[[Message], Invocation | None],
        threads: BlockingPool,
        metrics: Metrics,
        settings: DispatchSettings,
        note_answer: AnswerNote = lambda _message, _parts: None,
        may_hear: MayHear = lambda _client, _room: True,
        preparer: Preparer | None = None,
    ) -> None:
        self.lanes = lanes
        self._clock = clock
        self._intake = intake
        self._answers = Answers(clock, outbox, metrics, note_answer, may_hear, preparer)
        self._find = find
        self._threads = threads
        self._metrics = metrics
        self._settings = settings
        self._log = Logger(namespace="relaytw.dispatch")
        self._deadlines: Deadlines[Run] = Deadlines(clock, settings.processing_timeout, self._time_out)
        self._graces: Deadlines[Run] = Deadlines(clock, settings.cancel_grace, self._give_up)
        self._cooperator = Cooperator(
            terminationPredicateFactory=lambda: lambda: True, scheduler=lambda f: clock.callLater(0, f)
        )
        self._threadless: dict[str, deque[LaneKey]] = {}
        self._bursting = False
        self._pumping = False
        self._abandoning = False
        self._stopping: Deferred[None] | None = None

    # -- the stages before

    def submit(self, jobs: Sequence[Job]) -> None:
        """Put accepted messages into their lanes; `pump` starts them."""
        lanes = self.lanes
        for job in jobs:
            lanes.put(job.lane, job)

    def hold(self, lane: LaneKey) -> None:
        """Start nothing in this room until it is known whether it may talk."""
        self.lanes.hold(lane)

    def release(self, lane: LaneKey, *, approved: bool, known: bool = True) -> None:
        """It is known now: let the room's messages run, or finish them unanswered.

        Those of an earlier run stay in the journal if it is not `known`, and they are refused for that.
        """
        if not approved:
            self._metrics.room_refused += self.drop(lane, known=known)
        self.lanes.free(lane)
        self.pump()

    def drop(self, lane: LaneKey, *, known: bool = True) -> int:
        """Finish what waits in this room without running it; how many messages that were."""
        jobs = self.lanes.clear(lane)
        for job in jobs:
            if job.message.redelivered and not known:
                self._intake.leave(job)
            else:
                self._intake.finish(job)
        return len(jobs)

    def run(self, jobs: Sequence[Job]) -> None:
        """Start at once what need not wait for anything; only the rest goes through its lane."""
        lanes = self.lanes
        if self._pumping or self._bursting or self._stopping is not None:
            self.submit(jobs)
            return
        self._pumping, now = True, self._clock.seconds()
        try:
            for job in jobs:
                lane = lanes.enter(job.lane)
                if lane is not None:
                    now = self._start(lane, job, now)
                else:
                    lanes.put(job.lane, job)
        finally:
            self._pumping = False
        self.pump()

    def pump(self) -> None:
        """Start what may start; what exceeds a slice goes on in turns of its own."""
        if self._pumping or self._bursting or self._stopping is not None:
            return
        more = self._slice()
        self._tidy()
        if more:
            self._bursting = True
            self._cooperator.cooperate(self._burst())

    # -- Service

    def stopService(self) -> Deferred[None]:
        """Start nothing more; fires when the running handlers have ended, or been cancelled in time."""
        super().stopService()
        done = self._stopping = Deferred()
        if not self.lanes.running:
            self._stopped()
            return done
        self._log.info("waiting for {running} running handlers", running=self.lanes.running)
        timer = self._clock.callLater(self._settings.drain_timeout, self._stop_now)
        done.addBoth(lambda result: timer.cancel() if timer.active() else result)
        return done

    def _stop_now(self) -> None:
        runs = [*self._deadlines.clear(), *self._graces.clear()]
        self._log.warn("{count} handlers did not end in time and are cancelled", count=len(runs))
        for run in runs:
            if run.work is not None and not run.thread:
                run.cancelled = self._abandoning = True
                run.work.cancel()
                self._abandoning = False
        self._stopped()

    def _stopped(self) -> None:
        done, self._stopping = self._stopping, Deferred()
        self._deadlines.clear()
        self._graces.clear()
        self._cooperator.stop()
        self.lanes.sweep()
        if done is not None and not done.called:
            done.callback(None)

    # -- starting

    def _burst(self) -> Iterator[None]:
        try:
            yield None
            while self._stopping is None and self._slice():
                self._tidy()
                yield None
            self._tidy()
        finally:
            self._bursting = False

    def _slice(self) -> bool:
        """Start at most `SLICE` messages; is there more that could start?"""
        self._pumping = True
        lanes, now = self.lanes, self._clock.seconds()
        try:
            for _ in range(SLICE):
                taken = lanes.take()
                if taken is not None:
                    now = self._start(*taken, now)
                elif not (self._may_stretch() and lanes.stretch(self._settings.consumers_max)):
                    return False
            return True
        finally:
            self._pumping = False

    def _tidy(self) -> None:
        self.lanes.sweep()
        self.lanes.relax()

    def _may_stretch(self) -> bool:
        # More consumers help only where those at work wait for something; threads are at work.
        return self._threads.at_work < self.lanes.running

    def _start(self, lane: Lane[Job], job: Job, started: float) -> float:
        """Start a message's handler; when its first step was over."""
        message = job.message
        try:
            invocation = self._find(message)
        except Exception:
            self._log.failure("no handler could be looked up", trace=message.trace)
            self._metrics.failed += 1
            self._free(lane, job)
            return started
        if invocation is None:
            self._metrics.unhandled += 1
            self._free(lane, job)
            return started
        if invocation.blocking and not self._threads.has_room(message.bot):
            # Its permits go to others meanwhile, as for whatever waits.
            self._threadless.setdefault(message.bot, deque()).append(lane.key)
            self.lanes.park(lane, job)
            return started
        job.started_at = started
        self._metrics.wait.observe(started - job.accepted_at)
        if message.redelivered:
            self._intake.started(job)
        if invocation.blocking:
            self._start_thread(Run(lane, job, invocation, started))
            return started
        try:
            suspended, result = run_first_step(invocation.call, message)
            if suspended is None and (result is not None or self._answers.parcels):
                suspended = self._answers.give(message, result)
        except BaseException:  # a Deferred would catch SystemExit too, and asyncio's CancelledError
            self._answers.report_failure(message, invocation, Failure(), cancelled=False)
            suspended = None
        ended = self._clock.seconds()
        if ended - started > STALL:
            self._note_stall(message, invocation, ended - started)
        if suspended is None:
            message.over = True
            self._metrics.process.observe(ended - started)
            self._free(lane, job)
        else:
            run = Run(lane, job, invocation, started)
            self._deadlines.add(run)
            self._wait_for(run, resume(suspended, result, self._stall_of(run), self._clock))
        return ended

    def _start_thread(self, run: Run) -> None:
        run.thread = True
        message = run.job.message

        def begun() -> None:
            run.started = self._clock.seconds()
            self._deadlines.add(run)

        self._wait_for(run, self._threads.run(message.bot, lambda: run.invocation.call(message), begun))

    def _give_thread(self) -> None:
        """A thread has become free: of each bot that may have it, the lane that waited longest goes on."""
        for bot, lanes in list(self._threadless.items()):
            if self._threads.has_room(bot):
                # One whose messages were dropped meanwhile has no use for it.
                while lanes and not self.lanes.unpark(lanes.popleft()):
                    pass
                if not lanes:
                    del self._threadless[bot]

    def _wait_for(self, run: Run, work: Deferred[Any]) -> None:
        run.work = work
        work.addCallbacks(self._ended, self._broke, callbackArgs=(run,), errbackArgs=(run,))

    # -- ending

    def _ended(self, result: object, run: Run) -> None:
        media, message = None, run.job.message
        if not message.over:
            try:
                media = self._answers.give(message, result)
            except Exception:
                self._answers.report_failure(message, run.invocation, Failure(), cancelled=False)
        if media is not None:
            self._wait_for_media(run, media)
            return
        self._forget(run)
        if not message.over:
            self._close(run.lane, run.job, self._clock.seconds() - run.started)
        elif run.thread:
            self._free(run.lane, run.job)
        self.pump()

    def _wait_for_media(self, run: Run, media: Deferred[None]) -> None:
        """What the handler has said is being made ready; its time goes on, though not in its thread."""
        thread, run.thread = run.thread, False
        self._wait_for(run, media)
        if run.cancelled:
            media.cancel()
        if thread:
            self._give_thread()
            self.pump()

    def _broke(self, failure: Failure, run: Run) -> None:
        self._forget(run)
        if not run.job.message.over:
            self._answers.report_failure(run.job.message, run.invocation, failure, cancelled=run.cancelled)
            self._close(run.lane, run.job, self._clock.seconds() - run.started, given_up=self._abandoning)
        elif run.thread:
            self._free(run.lane, run.job)
        self.pump()

    def _close(self, lane: Lane[Job], job: Job, seconds: float, *, given_up: bool = False) -> None:
        job.message.over = True
        self._metrics.process.observe(seconds)
        self._free(lane, job, given_up=given_up)

    def _free(self, lane: Lane[Job], job: Job, *, given_up: bool = False) -> None:
        self._metrics.finished += 1
        if given_up:
            self._intake.leave(job)
        else:
            self._intake.finish(job)
        self.lanes.done(lane)
        if self._stopping is not None and not self.lanes.running:
            self._stopped()

    def _forget(self, run: Run) -> None:
        run.work = None  # it knows the run: a circle that only the collector would open
        if run.thread:
            self._give_thread()
        self._deadlines.discard(run)
        self._graces.discard(run)

    # -- time

    def _time_out(self, run: Run) -> None:
        message = run.job.message
        self._metrics.timed_out += 1
        self._log.warn(
            "handler {handler} exceeded {seconds:g} s and is cancelled",
            handler=run.invocation.name,
            seconds=self._settings.processing_timeout,
            trace=message.trace,
            client=message.client,
        )
        run.cancelled = True
        self._graces.add(run)
        if run.work is not None and not run.thread:
            run.work.cancel()

    def _give_up(self, run: Run) -> None:
        """The handler ignored its cancellation; a thread cannot even be cancelled and keeps its permits."""
        run.job.message.over = True
        self._metrics.failed += 1
        self._answers.report_abandoned(run.job.message, run.invocation)
        if not run.thread:
            self._free(run.lane, run.job)
            self.pump()

    def _stall_of(self, run: Run) -> Callable[[Callable[[Any], object], object], object]:
        def timed(step: Callable[[Any], object], value: object) -> object:
            before = self._clock.seconds()
            try:
                return step(value)
            finally:
                seconds = self._clock.seconds() - before
                if seconds > STALL:
                    self._note_stall(run.job.message, run.invocation, seconds)

        return timed

    def _note_stall(self, message: Message, invocation: Invocation, seconds: float) -> None:
        self._metrics.stalls += 1
        self._log.warn(
            "handler {handler} kept the reactor for {seconds:.1f} s; declare it blocking",
            handler=invocation.name,
            seconds=seconds,
            trace=message.trace,
        )

    # -- answers

    def reply(self, message: Message, answer: Answer) -> None:
        """Send what a handler says before it is over; what it says later is ignored, and logged."""
        self._answers.reply(message, answer)
