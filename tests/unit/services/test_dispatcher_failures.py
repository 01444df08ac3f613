"""What a handler can do wrong, and that it hurts only its own message."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw import texts
from relaytw.bots.answers import BadAnswer
from relaytw.messages import Media, Message, Text
from tests.unit.services.fakes import Bench, Handlers


class Breaks(Exception):
    """What the handlers here raise."""


def raises(message: object) -> None:
    raise Breaks


async def raises_before(message: Message) -> None:
    raise Breaks


class RaisingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.bench.on("well", lambda message: "well")

    def breaks(self, handler: Callable[[Message], object], *errors: type[BaseException]) -> None:
        """Everything that must hold when this handler has failed, between two that do not."""
        bench, before = self.bench, self.bench.metrics.failed
        bench.on("breaks", handler, tell_errors=True)
        del bench.said[:]
        bench.accept(*[bench.message(text) for text in ("well", "breaks", "well")])
        bench.clock.advance(0)
        failed = f"room: {texts.HANDLER_FAILED}"
        self.assertEqual(sorted(bench.said), sorted(["room: well", failed, "room: well"]))
        self.assertEqual(bench.metrics.failed, before + 1)
        self.assertEqual(bench.leftovers(), {})
        self.assertEqual(len(self.flushLoggedErrors(*errors or (Breaks,))), 1)

    def later(self) -> Deferred[None]:
        """Fires in the next turn of the reactor."""
        waits: Deferred[None] = Deferred()
        self.bench.clock.callLater(0, waits.callback, None)
        return waits

    def test_raises_at_once(self) -> None:
        """A plain function and a coroutine that raise before waiting fail alone, logged and told."""
        self.breaks(raises)
        self.breaks(raises_before)

    def test_raises_after_waiting(self) -> None:
        """A coroutine that raises after an await, and a Deferred that fails, fail alone."""

        async def raises_after(message: Message) -> None:
            await self.later()
            raise Breaks

        self.breaks(raises_after)
        self.breaks(lambda message: self.later().addCallback(raises))

    def test_raises_what_is_no_exception(self) -> None:
        """Leaving the interpreter or a cancelled asyncio call end the handler, not the relay."""

        async def leaves(message: Message) -> None:
            raise SystemExit

        async def gives_up(message: Message) -> None:
            raise asyncio.CancelledError

        self.breaks(leaves, SystemExit)
        self.breaks(gives_up, asyncio.CancelledError)

    def test_nonsense(self) -> None:
        """A handler that returns what cannot be sent fails alone."""
        for answer in (5, {"text": "hello"}, ["hello", None], [["hello"]], b"bytes", object()):
            self.breaks(lambda message, answer=answer: answer, BadAnswer)  # type: ignore[misc]
        self.breaks(lambda message: self.later().addCallback(lambda _: 5), BadAnswer)

    def test_nonsense_inside_an_answer(self) -> None:
        """Texts and media that hold something else than text and sources fail alone."""
        wrong: list[Any] = [Text(5), Text(["hello"]), Media(7), Media((None,))]  # type: ignore[arg-type]
        for answer in wrong:
            self.breaks(lambda message, answer=answer: answer, Exception)  # type: ignore[misc]

    def test_deferred_not_awaited(self) -> None:
        """A coroutine that returns a Deferred rather than awaiting it fails alone, and at once."""

        async def forgets(message: Message) -> object:
            return Deferred()

        async def forgets_later(message: Message) -> object:
            await self.later()
            return Deferred()

        self.breaks(forgets, BadAnswer)
        self.breaks(forgets_later, TypeError)

    def test_failures_are_told_only_where_wanted(self) -> None:
        """The chat hears of a failure only from bots that say so; the log always does."""
        self.bench.on("quiet", raises)
        self.bench.say("quiet")
        self.assertEqual(self.bench.said, [])
        self.assertEqual(len(self.flushLoggedErrors(Breaks)), 1)

    def test_nobody_can_be_found(self) -> None:
        """A look-up of handlers that raises fails the message, and the next one is looked up again."""

        class Lookup(dict[str, Any]):
            def get(self, key: str, default: object = None) -> Any:
                raise Breaks

        self.bench.handlers, handlers = Lookup(), self.bench.handlers
        self.bench.say("well")
        self.bench.handlers = handlers
        self.bench.say("well")
        self.assertEqual(self.bench.said, ["room: well"])
        self.assertEqual(self.bench.leftovers(), {})
        self.assertEqual(len(self.flushLoggedErrors(Breaks)), 1)


class HangingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(per_room=1)
        self.handlers = Handlers()
        self.bench.on("hangs", self.handlers.wait, tell_errors=True)
        self.bench.on("well", lambda message: "well")
        self.timed_out = f"room: {texts.HANDLER_TIMED_OUT}"

    def test_cancelled_after_the_timeout(self) -> None:
        """A handler that hangs is cancelled after 300 s; the chat is told and its room goes on."""
        self.bench.accept(self.bench.message("hangs"), self.bench.message("well"))
        self.bench.clock.advance(299.9)
        self.assertEqual(self.bench.said, [])
        self.bench.clock.advance(0.1)
        self.assertEqual(self.bench.said, [self.timed_out, "room: well"])
        self.assertEqual(self.bench.metrics.timed_out, 1)
        self.assertEqual(self.bench.leftovers(), {})

    def test_waiting_is_not_the_handlers_fault(self) -> None:
        """The time-out of a message counts from its handler's start, however long it waited."""
        self.bench.accept(self.bench.message("hangs"), self.bench.message("hangs"))
        self.bench.clock.advance(200)
        self.handlers.finish()
        self.bench.clock.advance(299)
        self.assertEqual(self.bench.metrics.timed_out, 0)
        self.bench.clock.advance(1)
        self.assertEqual(self.bench.metrics.timed_out, 1)
        self.assertEqual(self.bench.leftovers(), {})

    def test_successor_does_not_put_a_timeout_off(self) -> None:
        """What starts because another handler was cancelled does not lengthen anybody's time."""
        self.bench.accept(self.bench.message("hangs"), self.bench.message("hangs"))
        self.bench.clock.advance(1)
        self.bench.say("hangs", room="other")
        self.bench.clock.advance(299)
        self.assertEqual(self.bench.metrics.timed_out, 1)
        self.bench.clock.advance(1)
        self.assertEqual(self.bench.metrics.timed_out, 2)

    def test_ignores_its_cancellation(self) -> None:
        """A handler that goes on after its cancellation has 5 s more; then its permits are free."""
        later: list[Deferred[str]] = []

        async def stubborn(message: Message) -> str:
            try:
                await Deferred()
            except CancelledError:
                later.append(Deferred())
            message.reply("still here")
            answer = await later[0]
            message.reply("too late")
            return answer

        self.bench.on("stubborn", stubborn, tell_errors=True)
        self.bench.accept(self.bench.message("stubborn"), self.bench.message("well"))
        self.bench.clock.pump([300, 4.9])
        self.assertEqual(self.bench.said, ["room: still here"])
        self.bench.clock.advance(0.1)
        self.assertEqual(self.bench.said[1:], [self.timed_out, "room: well"])
        self.assertEqual(self.bench.leftovers(), {})
        later[0].callback("and an answer")
        self.assertEqual(len(self.bench.said), 3)
        self.assertEqual(self.bench.metrics.late_answers, 1)
        self.assertEqual((self.bench.metrics.failed, self.bench.metrics.finished), (1, 2))
        self.assertEqual(self.bench.leftovers(), {})

    def test_fails_after_it_was_given_up(self) -> None:
        """A handler that was given up and fails later is not counted, told or freed twice."""
        later: Deferred[None] = Deferred()

        async def stubborn(message: Message) -> None:
            try:
                await Deferred()
            except CancelledError:
                await later

        self.bench.on("stubborn", stubborn, tell_errors=True)
        self.bench.say("stubborn")
        self.bench.clock.pump([300, 5])
        later.errback(Breaks())
        self.assertEqual(self.bench.said, [self.timed_out])
        self.assertEqual(self.bench.metrics.failed, 1)
        self.assertEqual(self.bench.leftovers(), {})

    def test_answers_within_the_grace(self) -> None:
        """A handler that meets its cancellation with an answer has answered."""

        async def polite(message: Message) -> str:
            with contextlib.suppress(CancelledError):
                await Deferred()
            return "sorry, too slow"

        self.bench.on("polite", polite, tell_errors=True)
        self.bench.say("polite")
        self.bench.clock.advance(300)
        self.assertEqual(self.bench.said, ["room: sorry, too slow"])
        self.assertEqual(self.bench.leftovers(), {})

    def test_waits_for_an_asyncio_future(self) -> None:
        """A time-out reaches an asyncio future, whose own cancellation counts as the handler's."""
        loop, bench = asyncio.new_event_loop(), Bench(tasks=True)
        self.addCleanup(loop.close)
        future: asyncio.Future[None] = loop.create_future()

        async def waits(message: Message) -> None:
            await future

        bench.on("waits", waits, tell_errors=True)
        loop.call_soon(bench.say, "waits")
        loop.run_until_complete(_a_turn())
        bench.clock.advance(300)
        for _ in range(3):
            loop.run_until_complete(_a_turn())
        self.assertTrue(future.cancelled())
        self.assertEqual(bench.said, [self.timed_out])
        self.assertEqual(bench.metrics.failed, 0)
        self.assertEqual(bench.leftovers(), {})

    def test_cancels_itself(self) -> None:
        """A handler that raises CancelledError by itself has failed; it did not time out."""
        self.bench.on("cancels", self.handlers.wait, tell_errors=True)
        self.bench.say("cancels")
        self.handlers.running[0][1].cancel()
        self.assertEqual(self.bench.said, [f"room: {texts.HANDLER_FAILED}"])
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)


class ReplyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.handlers = Handlers()
        self.bench.on("wait", self.handlers.wait)

    def test_reply_while_running(self) -> None:
        """What a handler says by message.reply leaves at once, before its answer."""
        message = self.bench.say("wait")
        message.reply("one moment")
        self.assertEqual(self.bench.said, ["room: one moment"])
        message.reply(None)
        self.handlers.finish(answer="done")
        self.assertEqual(self.bench.said, ["room: one moment", "room: done"])

    def test_reply_after_the_end(self) -> None:
        """What is said when the handler is over is ignored and counted."""
        message = self.bench.say("wait")
        self.handlers.finish(answer="done")
        message.reply("one more thing")
        self.assertEqual(self.bench.said, ["room: done"])
        self.assertEqual(self.bench.metrics.late_answers, 1)

    def test_nonsense_is_the_handlers_fault(self) -> None:
        """Replying with what cannot be sent raises in the handler, which may go on."""
        message = self.bench.say("wait")
        self.assertRaises(BadAnswer, message.reply, 5)
        message.reply("better")
        self.assertEqual(self.bench.said, ["room: better"])


async def _a_turn() -> None:
    await asyncio.sleep(0)
