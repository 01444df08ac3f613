"""What ends a question besides an answer, and handlers that ask in a wrong way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from relaytw import texts
from relaytw.bots import AskEnded, AskError, AskRefused, AskReplaced, AskTimeout
from relaytw.messages import ClientKey, Message
from relaytw.services.dispatcher import DispatchSettings
from tests.unit.services.fakes import Bench
from tests.unit.services.test_questions import PHONE, QuestionCase, asks


def asking(message: Message, question: str) -> Deferred[Any]:
    """A question asked beside what the handler does."""
    coroutine: Any = message.ask(question)
    return Deferred.fromCoroutine(coroutine)


class EndTests(QuestionCase):
    def ask(self, *, catches: type[BaseException] = AskError, timeout: float = 60) -> list[BaseException]:
        """A handler that catches what it gets instead of an answer."""
        caught: list[BaseException] = []

        async def careful(message: Message) -> str:
            try:
                await message.ask("which?", timeout=timeout)
            except catches as error:
                caught.append(error)
            return "went on"

        self.bench.on("careful", careful)
        self.bench.say("careful")
        return caught

    def test_time_out(self) -> None:
        """Without an answer in time a handler may go on, with its permits."""
        caught = self.ask(timeout=5)
        self.bench.clock.advance(4.9)
        self.assertEqual(caught, [])
        self.bench.clock.advance(0.1)
        self.assertIsInstance(caught[0], AskTimeout)
        self.assertEqual(self.bench.said[-1], "room: went on")
        self.assertEqual(self.ends(), {"timed_out": 1})
        self.tidy()

    def test_time_out_uncaught(self) -> None:
        """A time-out that is not caught is told to the chat, and is no failure."""
        bench = self.bench
        bench.say("ask")
        bench.clock.advance(60)
        self.assertEqual(bench.said[-1], f"room: {texts.ASK_TIMED_OUT}")
        self.assertEqual(bench.metrics.failed, 0)
        self.tidy()

    def test_replaced_by_another_handler(self) -> None:
        """A handler that asks whom another one waits for already replaces it; nothing is told of that."""
        fires: Deferred[None] = Deferred()

        async def later(message: Message) -> str:
            await fires
            return await asks(message)

        self.bench.on("later", later)
        self.bench.say("later")
        caught = self.ask()
        fires.callback(None)
        self.bench.clock.advance(0)
        self.assertIsInstance(caught[0], AskReplaced)
        self.bench.say("blue")
        self.assertEqual(self.bench.said[-1], "room: so blue")
        self.assertEqual(self.ends(), {"replaced": 1, "answered": 1})
        self.tidy()

    def test_full(self) -> None:
        """No more questions are open than may be; one more is refused, told, counted and logged."""
        self.use(Bench(settings=DispatchSettings(conversations=1)))
        bench = self.bench
        bench.say("ask", room="first")
        bench.say("ask")
        self.assertEqual(bench.said[-1], f"room: {texts.ASK_REFUSED}")
        self.assertEqual(bench.metrics.failed, 0)
        caught = self.ask(catches=AskRefused)
        self.assertEqual(len(caught), 1)
        self.assertEqual(self.ends(), {"refused": 2})
        bench.say("blue", room="first")
        bench.say("ask")
        bench.say("blue")
        self.tidy()

    def test_cancelled(self) -> None:
        """A handler that does not want to wait any longer gets its permits all the same, in its turn."""
        cancel: list[Deferred[Any]] = []

        async def impatient(message: Message) -> str:
            waiting = asking(message, "which?")
            cancel.append(waiting)
            with contextlib.suppress(CancelledError):
                await waiting
            return f"{self.bench.lanes.running} at work"

        self.bench.on("impatient", impatient)
        self.bench.say("impatient")
        cancel[0].cancel()
        self.bench.clock.advance(0)
        self.assertEqual(self.bench.said[-1], "room: 1 at work")
        self.bench.say("blue")
        self.assertEqual(self.bench.said[-1], "room: not a command")
        self.tidy()

    def test_ended(self) -> None:
        """Withdrawn, paused, forgotten: the handler may tidy up, and what it says is ignored."""
        questions = self.bench.dispatcher.questions
        ways: list[Callable[[], None]] = [
            lambda: questions.end_of(PHONE),
            lambda: questions.end_of(PHONE, "room"),
            lambda: questions.end_of_bot("bot"),
        ]
        for end in ways:
            caught = self.ask(catches=AskEnded)
            end()
            self.assertEqual(len(caught), 1)
            self.assertEqual(self.bench.said.pop(), "room: which?")
            self.tidy()

    def test_others_go_on(self) -> None:
        """An end is the end of what it is about alone."""
        questions = self.bench.dispatcher.questions
        caught = self.ask()
        questions.end_of(ClientKey("bot", "other phone"))
        questions.end_of(PHONE, "other room")
        questions.end_of_bot("other bot")
        questions.end_with("somebody")
        self.assertEqual(caught, [])
        self.bench.say("blue")
        self.tidy()

    def test_forgotten(self) -> None:
        """Nobody waits for what a person says who was forgotten."""
        message = self.bench.message("ask")
        message.user_hash = "hash"
        self.bench.accept(message)
        self.bench.dispatcher.questions.end_with("hash")
        self.assertEqual(self.ends(), {"ended": 1})
        self.tidy()

    def test_dropped_while_it_waits_for_its_turn(self) -> None:
        """A room whose messages are dropped ends the handler that waits for its turn in it."""
        self.use(Bench(per_room=1))
        caught = self.ask(catches=AskEnded)
        other = self.bench.message("wait")
        other.sender = "somebody else"
        self.bench.accept(other)
        self.bench.say("blue")
        for key, _, _ in self.bench.lanes.snapshot():
            self.bench.dispatcher.drop(key)
        self.assertEqual(len(caught), 1)
        self.handlers.finish(answer="done")
        self.assertEqual(self.bench.said, ["room: which?", "room: done"])
        self.tidy()

    def test_stop(self) -> None:
        """Open questions do not hold up the stop; without a journal their chats are told at once."""
        caught = self.ask(catches=AskEnded)
        self.successResultOf(self.bench.dispatcher.stopService())
        self.assertEqual(len(caught), 1)
        self.assertEqual(self.bench.said[-1], f"room: {texts.ASK_EXPIRED}")
        self.bench.clock.advance(0)
        self.assertEqual(self.bench.leftovers(), {})


class MisuseTests(QuestionCase):
    def fails(self, handler: Callable[[Message], object], *, blocking: bool = False) -> str:
        """What is logged of a handler that asks in a wrong way."""
        self.bench.on("wrong", handler, blocking=blocking)
        self.bench.say("wrong")
        if blocking:
            asyncio.run(asyncio.to_thread(self.bench.threads.finish))
        (failure,) = self.flushLoggedErrors(AskError, ValueError)
        self.tidy()
        return str(failure.value)

    def test_blocking(self) -> None:
        """A blocking handler is told at once that it cannot ask, and why."""
        self.assertIn("async def", self.fails(lambda message: message.ask("?"), blocking=True))

    def test_timeout(self) -> None:
        """A time-out is a number of seconds."""
        for seconds in (0, -1, float("inf"), float("nan")):

            async def wrong(message: Message, seconds: float = seconds) -> None:
                await message.ask("?", timeout=seconds)

            self.assertIn("seconds", self.fails(wrong))

    def test_twice(self) -> None:
        """A handler asks one thing at a time."""

        async def twice(message: Message) -> None:
            asking(message, "one?").addErrback(lambda _: None)
            await message.ask("two?")

        self.assertIn("already", self.fails(twice))

    def test_over(self) -> None:
        """What has ended asks nothing."""
        message = self.bench.say("blue")
        self.failureResultOf(asking(message, "?"), AskEnded)
        self.tidy()

    def test_out_of_time(self) -> None:
        """A handler that has run out of time cannot go on by asking."""
        bench = self.bench

        async def slow(message: Message) -> None:
            with contextlib.suppress(CancelledError):
                await Deferred()
            await message.ask("?")

        bench.on("slow", slow)
        bench.say("slow")
        bench.clock.advance(300)
        self.assertEqual(bench.said, [])
        self.tidy()

    def test_left_open(self) -> None:
        """A handler that ends while it asks takes its question with it."""
        fires: Deferred[None] = Deferred()

        async def careless(message: Message) -> str:
            asking(message, "?").addErrback(lambda _: None)
            await fires
            return "done"

        bench = self.bench
        bench.on("careless", careless)
        bench.say("careless")
        fires.callback(None)
        bench.say("blue")
        self.assertEqual(bench.said, ["room: ?", "room: done", "room: not a command"])
        self.tidy()
