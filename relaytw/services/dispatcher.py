"""Runs messages: takes what the lanes let go, calls the handler, sends the answer, frees the permits.

A handler's first step runs at once.  One that ends there costs no Deferred, no timer and no task;
only what suspends gets a time-out.  A burst is worked in slices by a cooperative task, so that the
reactor has its turn in between.  No watchdog restarts anything: slow work is normal here.
"""

from __future__ import annotations

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
from relaytw.services.parking import Parking
from relaytw.services.preparing import Preparer
from relaytw.services.questions import Questions
from relaytw.services.runs import Run
from relaytw.services.stalls import STALL, Stalls
from relaytw.services.steps import resume, run_first_step
from relaytw.services.tasks import call, go_on
from relaytw.services.threads import BlockingPool

#: Messages started before the reactor has its turn.
SLICE = 100


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Seconds, and numbers: that the consumers may grow to, of open questions, of replies to one message."""

    processing_timeout: float = 300.0
    cancel_grace: float = 5.0
    drain_timeout: float = 30.0
    consumers_max: int = 31
    conversations: int = 1000
    replies_per_message: int = 100


class Dispatcher(Service):
    """Gives consumers to messages; `find` names the handler of a message, None if nobody wants it.

    With `tasks` an asyncio loop runs, and coroutines are its tasks.
    """

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
        tasks: bool = False,
    ) -> None:
        self.lanes = lanes
        self._clock = clock
        self._intake = intake
        self._answers = Answers(
            clock, outbox, metrics, note_answer, may_hear, preparer, settings.replies_per_message
        )
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
        self._parking = Parking(lanes, threads)
        self.questions = Questions(
            clock=clock, lanes=lanes, intake=intake, answers=self._answers, deadlines=self._deadlines,
            metrics=metrics, limit=settings.conversations, release=self._release, regain=self._parking.begun,
            pump=self.pump,
        )  # fmt: skip
        self._stalls = Stalls(clock, metrics)
        self._call = call if tasks else run_first_step
        self._resume = go_on if tasks else resume
        self._bursting = False
        self._pumping = False
        self._abandoning = False
        self._stopping: Deferred[None] | None = None

    # -- the stages before

    def submit(self, jobs: Sequence[Job]) -> None:
        """Put accepted messages into their lanes, those that handlers wait for aside; `pump` starts them."""
        lanes, questions = self.lanes, self.questions
        for job in jobs:
            if not (questions.open and questions.takes(job)):
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
            if job.started_at is not None:
                self.questions.dropped(job, known=known)
            elif not known and (job.message.redelivered or job.owed):
                self._intake.leave(job)
            else:
                self._intake.finish(job)
        return len(jobs)

    def run(self, jobs: Sequence[Job]) -> None:
        """Start at once what need not wait for anything; only the rest goes through its lane."""
        lanes = self.lanes
        if self._pumping or self._bursting or self._stopping is not None or self.questions.open:
            self.submit(jobs)
            self.pump()
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
        self.questions.stop()
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

    def _start(self, lane: Lane[Job], job: Job, started: float) -> float:  # noqa: C901 (every message comes by)
        """Start a message's handler; when its first step was over."""
        message = job.message
        if job.started_at is not None:
            self._take_up(lane, job)
            return started
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
        if (invocation.blocking or invocation.ordered) and self._parking.parks(lane, job, invocation):
            return started
        job.started_at = started
        self._metrics.wait.observe(started - job.accepted_at)
        if message.redelivered:
            self._intake.started(job)
        if invocation.blocking:
            self._start_thread(Run(lane, job, invocation, started))
            return started
        try:
            suspended, result = self._call(invocation.call, message)
            if suspended is None and (result is not None or self._answers.parcels):
                suspended = self._answers.give(message, result)
        except BaseException:  # a Deferred would catch SystemExit too, and asyncio's CancelledError
            self._answers.report_failure(message, invocation, Failure(), cancelled=False)
            suspended = None
        ended = self._clock.seconds()
        if ended - started > STALL:
            self._stalls.note(message, invocation, ended - started)
        if suspended is None:
            message.over = True
            self._metrics.process.observe(ended - started)
            self._free(lane, job)
        else:
            run = Run(lane, job, invocation, started)
            self._deadlines.add(run)
            self._parking.begun(run)
            self.questions.began(run)
            self._wait_for(run, self._resume(suspended, result, self._stalls.of(run), self._clock))
        return ended

    def _take_up(self, lane: Lane[Job], job: Job) -> None:
        """Let a handler go on that has asked somebody something."""
        run = self.questions.returning(job)
        waits = run is not None and self._parking.parks(lane, job, run.invocation)
        if not waits and not self.questions.returns(lane, job):
            self.lanes.done(lane)

    def _start_thread(self, run: Run) -> None:
        run.thread = True
        self._parking.begun(run)
        message = run.job.message

        def begun() -> None:
            run.started = self._clock.seconds()
            self._deadlines.add(run)

        self._wait_for(run, self._threads.run(message.bot, lambda: run.invocation.call(message), begun))

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
            self._close(run)
        elif run.thread:
            self._end(run)
        self.pump()

    def _wait_for_media(self, run: Run, media: Deferred[None]) -> None:
        """What the handler has said is being made ready; its time goes on, though not in its thread."""
        thread, run.thread = run.thread, False
        self._wait_for(run, media)
        if run.cancelled:
            media.cancel()
        if thread:
            self._parking.give_thread()
            self.pump()

    def _broke(self, failure: Failure, run: Run) -> None:
        self._forget(run)
        if not run.job.message.over:
            self._answers.report_failure(run.job.message, run.invocation, failure, cancelled=run.cancelled)
            self._close(run, given_up=self._abandoning)
        elif run.thread:
            self._end(run)
        self.pump()

    def _close(self, run: Run, *, given_up: bool = False) -> None:
        run.job.message.over = True
        self._metrics.process.observe(self._clock.seconds() - run.started)
        self._end(run, given_up=given_up)

    def _end(self, run: Run, *, given_up: bool = False) -> None:
        self._metrics.finished += 1
        if given_up:
            self._intake.leave(run.job)
        else:
            self._intake.finish(run.job)
        self._release(run)
        if self._stopping is not None and not self.lanes.running:
            self._stopped()

    def _free(self, lane: Lane[Job], job: Job) -> None:
        self._metrics.finished += 1
        self._intake.finish(job)
        self.lanes.done(lane)

    def _release(self, run: Run) -> None:
        """Give the permits of a run to others."""
        lane, run.lane = run.lane, None
        if lane is not None:
            self._parking.ended(run, lane)
            self.lanes.done(lane)

    def _forget(self, run: Run) -> None:
        self.questions.over(run)
        run.work = None  # it knows the run: a circle that only the collector would open
        if run.thread:
            self._parking.give_thread()
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
            self._end(run)
            self.pump()

    # -- answers

    def reply(self, message: Message, answer: Answer) -> None:
        """Send what a handler says before it is over; what it says later is ignored, and logged."""
        self._answers.reply(message, answer)
