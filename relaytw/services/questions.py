"""Handlers that ask somebody in a chat, and wait for the answer with empty hands.

While it waits a handler has no permits, no time-out and no place in its connection's account.  What its
person says next in the room goes straight to it and takes its turn in the room's lane: there the handler
gets its permits again, whatever it was that ended the waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import isfinite
from threading import get_ident

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw import texts
from relaytw.bots.answers import parts
from relaytw.bots.asking import AskEnded, AskError, AskRefused, AskReplaced, AskTimeout
from relaytw.intake import Intake, Job
from relaytw.lanes import Lane, LaneKey, Lanes
from relaytw.messages import Answer, ClientKey, Message, Text
from relaytw.metrics import Metrics
from relaytw.services.answers import Answers
from relaytw.services.deadlines import Deadlines
from relaytw.services.runs import Run

#: Whom a question is for: a room and the hash of a person, or the name if there is no hash.
Person = tuple[LaneKey, str]
#: The index of the reply that tells of an expired question; those of a handler are lower.
LAST_INDEX = 1_000_000


class Question:
    """A question that a handler waits for; `heard` fires with the answer, `turn` with its permits."""

    __slots__ = ("ended", "heard", "message", "person", "run", "since", "timer", "turn")

    def __init__(self, message: Message, person: Person, since: float) -> None:
        self.message = message
        self.person = person
        self.since = since
        self.heard: Deferred[Message] = Deferred()
        self.turn: Deferred[None] = Deferred()
        self.timer: IDelayedCall | None = None
        self.run: Run | None = None
        self.ended = ""


class Questions:
    """The questions that are open, one for each person in a room and at most `limit` in all.

    `release` gives a run's permits to others, `regain` is told that it has some again, `pump` starts what
    may start.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        lanes: Lanes[Job],
        intake: Intake,
        answers: Answers,
        deadlines: Deadlines[Run],
        metrics: Metrics,
        limit: int,
        release: Callable[[Run], None],
        regain: Callable[[Run], None],
        pump: Callable[[], None],
    ) -> None:
        self.open: dict[Person, Question] = {}
        self._clock = clock
        self._lanes = lanes
        self._intake = intake
        self._answers = answers
        self._deadlines = deadlines
        self._metrics = metrics
        self._limit = limit
        self._release = release
        self._regain = regain
        self._pump = pump
        self._thread = get_ident()
        self._runs: dict[int, Run] = {}
        self._asking: dict[int, Question] = {}
        self._returning: dict[Job, Question] = {}
        self._expired: set[Job] = set()
        self._fresh: Question | None = None
        self._log = Logger(namespace="relaytw.dispatch")

    def __len__(self) -> int:
        """How many handlers have asked and not gone on yet."""
        return len(self._asking)

    # -- asking

    def ask(self, message: Message, question: Answer, timeout: float) -> Awaitable[Message]:
        """Ask for the next message of this message's sender in its room, within `timeout` seconds.

        Raises AskError in a thread and ValueError for a bad time-out; what is awaited raises AskError.
        """
        if get_ident() != self._thread:
            raise AskError("a blocking handler cannot ask, for it keeps its thread; make it an `async def`")
        if not (isfinite(timeout) and timeout > 0):
            raise ValueError(f"the timeout of a question is a number of seconds, not {timeout!r}")
        parts(question)  # what cannot be sent is said before anybody waits
        return self._ask(message.answers or message, question, timeout)

    async def _ask(self, message: Message, question: Answer, seconds: float) -> Message:
        asked = self._open(message, seconds)
        self._answers.reply(message, question)
        answer, error = None, None
        try:
            answer = await asked.heard
        except GeneratorExit:
            raise  # nobody will go on with it
        except BaseException as raised:  # however the waiting ends, permits are needed to go on
            error = raised
            if self.open.get(asked.person) is asked:
                self._metrics.questions["ended"] += 1
            self._forget_open(asked)
        error = await self._permits(asked) or error
        if answer is None or error is not None:
            raise error or AskEnded(asked.ended)
        return answer

    def _open(self, message: Message, seconds: float) -> Question:
        run = self._runs.get(id(message))
        if message.over or (run is not None and run.cancelled):
            raise AskEnded("the handler is over, or out of time")
        if not self._answers.may_hear(message):
            raise AskEnded("the room may not be told anything any more")
        if id(message) in self._asking:
            raise AskError("the handler waits for an answer already")
        if len(self._asking) >= self._limit:
            self._metrics.questions["refused"] += 1
            self._log.warn(
                "{count} questions are open, as many as may be; another one is not asked",
                count=self._limit, trace=message.trace, client=message.client,
            )  # fmt: skip
            raise AskRefused("too many questions are open ([bots] conversations)")
        person = LaneKey(*message.client, message.channel_id or message.room), _who(message)
        older = self.open.get(person)
        if older is not None:
            why = AskReplaced("another handler has asked the same person something")
            self._hear(older, Failure(why), "replaced")
        asked = self.open[person] = self._asking[id(message)] = Question(
            message, person, self._clock.seconds()
        )
        asked.timer = self._clock.callLater(seconds, self._time_out, asked)
        if run is None:
            self._fresh = asked  # in its first step a handler has no run yet
            self._clock.callLater(0, self._look_at, asked)
        else:
            self._lend(asked, run)
            self._clock.callLater(0, self._pump)
        return asked

    def began(self, run: Run) -> None:
        """A handler has suspended; if it has asked in its first step its permits are free now."""
        message = run.job.message
        self._runs[id(message)] = run
        fresh = self._fresh
        if fresh is not None and fresh.message is message:
            self._fresh = None
            self._lend(fresh, run)

    def _look_at(self, asked: Question) -> None:
        """A handler that has ended in its first step takes its question with it."""
        if self._fresh is asked:
            self._fresh = None
            self._forget(asked)
            self._give_up(asked, "the handler is over")

    def over(self, run: Run) -> None:
        """A handler has ended, and with it what it may have left open."""
        message = run.job.message
        if self._runs.pop(id(message), None) is None:
            return
        asked = self._asking.get(id(message))
        if asked is not None:
            self._forget(asked)
            if not message.over and asked.run is run:
                self._intake.charge(run.job)  # for whoever finishes it now
            self._give_up(asked, "the handler is over")

    def _lend(self, asked: Question, run: Run) -> None:
        asked.run = run
        self._deadlines.discard(run)
        self._intake.asks(run.job)
        self._release(run)

    # -- answers

    def takes(self, job: Job) -> bool:
        """Is this message an answer?  Then it has ended, and whoever asked goes on in its place."""
        message = job.message
        asked = self.open.get((job.lane, _who(message)))
        if asked is None or message.redelivered:
            return False  # what was said before a restart was said before the question
        if asked.message.over or asked.run is None:
            self._forget(asked)
            return False
        job.started_at = self._clock.seconds()
        message.answers, message.over = asked.message, True
        self._metrics.finished += 1
        self._intake.finish(job)
        self._hear(asked, message, "answered")
        return True

    def _time_out(self, asked: Question) -> None:
        asked.timer = None
        self._hear(asked, Failure(AskTimeout("nobody has answered in time")), "timed_out")
        self._pump()

    def _hear(self, asked: Question, heard: Message | Failure, how: str) -> None:
        self._forget_open(asked)
        self._metrics.questions[how] += 1
        if not asked.heard.called:
            asked.heard.callback(heard)

    # -- permits

    async def _permits(self, asked: Question) -> BaseException | None:
        """Wait until the permits are there; what was raised meanwhile, and AskEnded if they will not come."""
        raised: BaseException | None = None
        run = asked.run
        while run is not None and run.lane is None and not asked.ended:
            asked.turn = Deferred()
            if run.job not in self._returning:
                self._returning[run.job] = asked
                self._lanes.put(run.job.lane, run.job)
                self._clock.callLater(0, self._pump)
            try:
                await asked.turn
            except GeneratorExit:
                raise
            except BaseException as error:  # a handler may cancel what it awaits, but not do without permits
                raised = error
        if run is None or asked.ended:
            self._forget(asked)
            return AskEnded(asked.ended or "the handler is over")
        return raised

    def returning(self, job: Job) -> Run | None:
        """The run that waits for its permits with this job."""
        asked = self._returning.get(job)
        return None if asked is None else asked.run

    def returns(self, lane: Lane[Job], job: Job) -> bool:
        """Let the handler of this job go on with the permits of this lane; False if it does not need them."""
        asked = self._returning.pop(job, None)
        if asked is None or asked.run is None:
            if job in self._expired:
                self._tell_expired(job)
            return False
        run, message = asked.run, asked.message
        run.lane = lane
        self._regain(run)
        run.started += self._clock.seconds() - asked.since
        del self._asking[id(message)]
        message.heard = message.said
        self._intake.charge(job)
        self._deadlines.add(run)
        if not asked.turn.called:
            asked.turn.callback(None)
        return True

    # -- ends

    def end_of(self, client: ClientKey, room_id: str | None = None) -> None:
        """End every question to this phone, or to one room of it: it may be told nothing any more."""
        self._end(lambda asked: _is_of(asked.person[0], client, room_id), "the room may not go on")

    def end_of_bot(self, bot: str) -> None:
        """End every question of this bot."""
        self._end(lambda asked: asked.message.bot == bot, "the bot is paused")

    def end_with(self, user_hash: str) -> None:
        """End every question to this person."""
        self._end(lambda asked: asked.message.user_hash == user_hash, "the person is forgotten")

    def stop(self) -> None:
        """Wait for nobody any more; what a journal keeps is told to its chat at the next start."""
        for asked in [*self._asking.values()]:
            kept = asked.run is not None and asked.run.job.number
            told = None if kept else texts.ASK_EXPIRED
            self._end_one(asked, "the relay stops", told, given_up=True)

    def dropped(self, job: Job, *, known: bool) -> None:
        """A job that was put into its lane here was taken out of it."""
        asked = self._returning.get(job)
        if asked is not None:
            self._end_one(asked, "the room may not go on")
        elif job in self._expired:
            self._expired.discard(job)
            (self._intake.finish if known else self._intake.leave)(job)

    def expire(self, job: Job) -> None:
        """Of a message that has asked in an earlier run: when its turn comes its chat is told so."""
        job.started_at = self._clock.seconds()
        self._expired.add(job)

    def _tell_expired(self, job: Job) -> None:
        self._expired.discard(job)
        message = job.message
        message.said = message.heard = LAST_INDEX
        self._metrics.questions["expired"] += 1
        self._metrics.finished += 1
        self._answers.send(message, (Text(texts.ASK_EXPIRED),))
        message.over = True
        self._intake.finish(job)

    def _end(self, which: Callable[[Question], bool], why: str, told: str | None = None) -> None:
        for asked in [asked for asked in self._asking.values() if which(asked)]:
            self._end_one(asked, why, told)

    def _end_one(self, asked: Question, why: str, told: str | None = None, *, given_up: bool = False) -> None:
        message, run = asked.message, asked.run
        if self.open.get(asked.person) is asked:
            self._metrics.questions["ended"] += 1
        self._forget(asked)
        if run is not None and not message.over:
            if told is not None:
                self._answers.send(message, (Text(told),))
            message.over = run.cancelled = True
            self._metrics.finished += 1
            self._intake.charge(run.job)
            (self._intake.leave if given_up else self._intake.finish)(run.job)
        self._give_up(asked, why)

    def _give_up(self, asked: Question, why: str) -> None:
        """Let the handler tidy up without permits; it is over."""
        asked.ended = why
        if not asked.heard.called:
            asked.heard.errback(AskEnded(why))
        elif not asked.turn.called:
            asked.turn.callback(None)

    def _forget(self, asked: Question) -> None:
        self._forget_open(asked)
        if self._asking.get(id(asked.message)) is asked:
            del self._asking[id(asked.message)]
        if asked.run is not None:
            self._returning.pop(asked.run.job, None)

    def _forget_open(self, asked: Question) -> None:
        if self.open.get(asked.person) is asked:
            del self.open[asked.person]
        if asked.timer is not None:
            asked.timer.cancel()
            asked.timer = None


def _who(message: Message) -> str:
    return message.user_hash or message.sender


def _is_of(lane: LaneKey, client: ClientKey, room_id: str | None) -> bool:
    return (lane.bot, lane.device) == client and room_id in (None, lane.room)
