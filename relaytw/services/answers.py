"""What handlers say on its way to the outbox, and what is said of those that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from threading import get_ident
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from relaytw import texts
from relaytw.bots.answers import BadAnswer, parts
from relaytw.bots.asking import AskError
from relaytw.bots.chain import ErrorAnswered
from relaytw.bots.router import Invocation
from relaytw.errors import BadMedia
from relaytw.messages import Answer, ClientKey, Message, Outcome, Part, Reply, ReplyKind, Text
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox
from relaytw.services.preparing import Parcels, Parts, Preparer
from relaytw.services.tasks import advice

#: Is told of every answer that is sent.
AnswerNote = Callable[[Message, Sequence[Part]], None]
#: Says whether a room of a client may be told anything.
MayHear = Callable[[ClientKey, str], bool]


class Answers:
    """Turns answers into replies, at most `limit` to what was said last.

    Made in the reactor's thread, to which blocking handlers are led back.
    """

    def __init__(
        self,
        clock: IReactorTime,
        outbox: Outbox,
        metrics: Metrics,
        note: AnswerNote,
        may_hear: MayHear,
        preparer: Preparer | None = None,
        limit: int = 100,
    ) -> None:
        self._clock = clock
        self._outbox = outbox
        self._metrics = metrics
        self._note = note
        self._may_hear = may_hear
        self._limit = limit
        self.parcels = Parcels(preparer, self.send) if preparer is not None else None
        self._thread = get_ident()
        self._log = Logger(namespace="relaytw.dispatch")

    def give(self, message: Message, result: object) -> Deferred[Any] | None:
        """Send what a handler returned; fires when all it said is sent, None if it is.

        Raises BadAnswer if that is nothing to send, and BadMedia.
        """
        answer = parts(result)
        if answer:
            self._say(message, answer)
            self._metrics.answered += 1
        return self.parcels.sent(message) if self.parcels else None

    def reply(self, message: Message, answer: Answer) -> None:
        """Send what a handler says before it is over; what it says later is ignored, and logged."""
        if get_ident() != self._thread:
            # A blocking handler speaks in its thread; the outbox is the reactor's alone.
            cast("IReactorFromThreads", self._clock).callFromThread(self.reply, message, parts(answer))
            return
        if message.over and message.answers is not None:
            message = message.answers  # what a handler has asked for is part of what it is at work on
        if message.over:
            self._metrics.late_answers += 1
            self._log.warn(
                "an answer came after its handler was over", trace=message.trace, client=message.client
            )
            return
        if message.said > message.heard + self._limit:
            # A flood, which the log has heard of: the less time it takes the better for everybody else.
            self._metrics.replies_dropped["too_many"] += 1
            self._metrics.outcomes[Outcome.FAILED] += 1
            return
        what = parts(answer)
        if what:
            self._say(message, what)

    def report_failure(
        self, message: Message, invocation: Invocation, failure: Failure, *, cancelled: bool
    ) -> None:
        """Say that a handler failed: in the log, and in the chat where its bot wants that.

        One that has got no answer has not failed; the chat is told what became of its question.
        """
        language, error, tell = invocation.language, failure.value, invocation.tell_errors
        text = texts.say(texts.HANDLER_FAILED, language)
        if isinstance(error, ErrorAnswered):
            self._answer_error(message, invocation, error)
            return
        if isinstance(error, AskError) and type(error) is not AskError:
            self._log.info("handler {handler} got no answer: {why}", handler=invocation.name, why=error)
            text, tell = texts.say(error.told or "", language), True
        elif cancelled and failure.check(CancelledError, asyncio.CancelledError):
            self._forget(message)
            text = texts.say(texts.HANDLER_TIMED_OUT, language)
        elif failure.check(BadMedia):
            self._metrics.failed += 1
            text = texts.say(texts.BAD_MEDIA, language, why=failure.getErrorMessage())
            self._log.error(
                "what {handler} answered cannot be sent: {error}",
                handler=invocation.name,
                error=failure.getErrorMessage(),
                trace=message.trace,
                client=message.client,
            )
        else:
            self._note_failure(message, invocation, failure)
        if tell and text:
            self._say(message, parts(text))
        if self.parcels:
            self.parcels.leave(message)

    def _answer_error(self, message: Message, invocation: Invocation, error: ErrorAnswered) -> None:
        """A bot's own error handler has had its say."""
        self._note_failure(message, invocation, Failure(error.error))
        try:
            what = parts(error.answer)
        except BadAnswer:
            self._note_failure(message, invocation, Failure())
        else:
            if what:
                self._say(message, what)
        if self.parcels:
            self.parcels.leave(message)

    def _note_failure(self, message: Message, invocation: Invocation, failure: Failure) -> None:
        self._metrics.failed += 1
        todo = advice(failure.value)
        self._log.failure(
            "handler {handler} failed" + (": {todo}" if todo else ""),
            failure,
            LogLevel.error,
            todo=todo,
            handler=invocation.name,
            trace=message.trace,
            client=message.client,
        )

    def report_abandoned(self, message: Message, invocation: Invocation) -> None:
        """Say that a handler goes on after its time; what it has said and is not sent is given up."""
        self._forget(message)
        self._log.error(
            "handler {handler} goes on after its cancellation; its answers are ignored",
            handler=invocation.name,
            trace=message.trace,
            client=message.client,
        )
        if invocation.tell_errors:
            self.send(message, (Text(texts.say(texts.HANDLER_TIMED_OUT, invocation.language)),))

    def _forget(self, message: Message) -> None:
        if self.parcels:
            self.parcels.drop(message)

    def _say(self, message: Message, what: Parts) -> None:
        """Send this now, or behind what the message has said before and is still being made ready."""
        parcels = self.parcels
        if (
            parcels is None
            or (len(what) == 1 and type(what[0]) is Text and not parcels)
            or not parcels.add(message, what)
        ):
            self.send(message, cast("Sequence[Part]", what))

    def send(self, message: Message, answer: Sequence[Part]) -> None:
        """Send the parts of an answer to the room the message came from."""
        client, room, channel, trace = message.client, message.room, message.channel_id, message.trace
        if not self._may_hear(client, channel or room):
            # Its approval was taken back while its handler was at work.
            self._metrics.replies_dropped["not_approved"] += len(answer)
            self._metrics.outcomes[Outcome.FAILED] += len(answer)
            return
        name, index = message.id, message.said
        message.said = index + len(answer)
        if message.said > message.heard + self._limit:
            answer = self._cut(message, answer, message.heard + self._limit - index)
        if not answer:
            return
        if len(answer) == 1:
            replies: Sequence[Reply] = (
                Reply(client, room, channel, answer[0], trace, ReplyKind.RESPONSE, f"{name}/{index}"),
            )
        else:
            replies = [
                Reply(client, room, channel, part, trace, ReplyKind.RESPONSE, f"{name}/{at}")
                for at, part in enumerate(answer, index)
            ]
        if message.redelivered:
            # What an earlier delivery has said and the phone has not got yet is not said twice.
            replies = [reply for reply in replies if not self._outbox.holds(client, reply.id)]
        if replies:
            self._outbox.send(replies)
        self._note(message, answer)

    def may_hear(self, message: Message) -> bool:
        """May the room of this message be told anything?"""
        return self._may_hear(message.client, message.channel_id or message.room)

    def _cut(self, message: Message, answer: Sequence[Part], left: int) -> Sequence[Part]:
        """What may still be sent of an answer; the log hears of the first that may not."""
        kept = answer[: max(0, left)]
        if left >= 0:
            self._log.warn(
                "a handler gives more than {limit} replies to one message; the others are dropped",
                limit=self._limit, trace=message.trace, client=message.client,
            )  # fmt: skip
        dropped = len(answer) - len(kept)
        self._metrics.replies_dropped["too_many"] += dropped
        self._metrics.outcomes[Outcome.FAILED] += dropped
        return kept
