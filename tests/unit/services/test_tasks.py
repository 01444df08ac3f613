"""Handlers as tasks of an asyncio loop, and what is said where there is none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import Message
from relaytw.services.tasks import advice, call, go_on
from tests.unit.services.fakes import Bench

#: No handler here looks at its message.
MESSAGE: Any = None


class TaskTests(SynchronousTestCase):
    """A loop turned by hand stands for the asyncio reactor's."""

    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.addCleanup(self.loop.close)
        self.futures: list[asyncio.Future[str]] = [self.loop.create_future() for _ in range(2)]
        self.steps = 0

    def turn(self, times: int = 3) -> None:
        """Let the loop call what is ready."""
        for _ in range(times):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def run_handler(self, handler: Callable[[Message], object]) -> Deferred[object]:
        """What a handler gives, once the loop has been turned a little."""
        results: list[Deferred[object]] = []

        def timed(step: Callable[[Any], object], value: object) -> object:
            self.steps += 1
            return step(value)

        def begin() -> None:
            suspended, waits_for = call(handler, MESSAGE)
            assert suspended is not None
            results.append(go_on(suspended, waits_for, timed, Clock()))

        self.loop.call_soon(begin)
        self.turn()
        return results[0]

    def test_plain_function(self) -> None:
        """What is no coroutine is run at once, without a task."""
        self.assertEqual(call(lambda message: "answer", MESSAGE), (None, "answer"))
        waits: Deferred[str] = Deferred()
        done = self.run_handler(lambda message: waits)
        self.assertIs(done, waits)

    def test_mixed(self) -> None:
        """A coroutine may await Deferreds, futures, and what has fired already, by turns."""
        waits: Deferred[str] = Deferred()

        async def mixed(message: Message) -> str:
            await asyncio.sleep(0)
            return await waits + await self.futures[0] + await succeed("c")

        done = self.run_handler(mixed)
        waits.callback("a")
        self.turn()
        self.futures[0].set_result("b")
        self.turn()
        self.assertEqual(self.successResultOf(done), "abc")
        self.assertEqual(self.steps, 4)

    def test_failures(self) -> None:
        """Deferreds and futures that fail raise where they are awaited."""
        waits: Deferred[str] = Deferred()

        async def careful(message: Message) -> str:
            for awaited in (waits, self.futures[0]):
                with contextlib.suppress(KeyError):
                    await awaited
            return str(await fail(ValueError()))

        done = self.run_handler(careful)
        waits.errback(KeyError())
        self.turn()
        self.futures[0].set_exception(KeyError())
        self.turn()
        self.failureResultOf(done, ValueError)

    def test_time_out(self) -> None:
        """Asyncio's own time-outs work around Deferreds, and cancel them."""
        cancelled: list[Deferred[None]] = []

        async def impatient(message: Message) -> str:
            try:
                async with asyncio.timeout(0):
                    await Deferred(cancelled.append)
            except TimeoutError:
                return "too slow"
            return "not reached"

        done = self.run_handler(impatient)
        self.turn(5)
        self.assertEqual(self.successResultOf(done), "too slow")
        self.assertEqual(len(cancelled), 1)

    def test_task_group(self) -> None:
        """A handler may start several things at once."""

        async def both(message: Message) -> str:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(asyncio.sleep(0, text)) for text in "ab"]
            return "".join(task.result() for task in tasks)

        done = self.run_handler(both)
        self.turn(5)
        self.assertEqual(self.successResultOf(done), "ab")

    def test_cancelled(self) -> None:
        """Cancelling reaches what is awaited, Deferred or future; the handler may go on."""
        waits: Deferred[str] = Deferred()

        async def stubborn(message: Message) -> str:
            with contextlib.suppress(asyncio.CancelledError):
                await waits
            await self.futures[0]
            return "not reached"

        done = self.run_handler(stubborn)
        done.cancel()
        self.turn()
        self.assertTrue(waits.called)
        self.assertNoResult(done)
        done.cancel()
        self.turn()
        self.assertTrue(self.futures[0].cancelled())
        self.failureResultOf(done, asyncio.CancelledError)

    def test_what_is_no_exception(self) -> None:
        """Leaving the interpreter is the handler's failure, and does not end the loop."""

        async def leaves(message: Message) -> None:
            raise SystemExit

        self.failureResultOf(self.run_handler(leaves), SystemExit)

    def test_a_deferred_not_awaited(self) -> None:
        """A coroutine that ends with a Deferred has failed."""

        async def forgets(message: Message) -> object:
            return Deferred()

        self.failureResultOf(self.run_handler(forgets), TypeError)

    def test_cancelled_deferred(self) -> None:
        """A Deferred that somebody else cancels raises what it always does."""
        waits: Deferred[str] = Deferred()

        async def handler(message: Message) -> str:
            return await waits

        done = self.run_handler(handler)
        waits.cancel()
        self.turn()
        self.failureResultOf(done, CancelledError)


class AdviceTests(SynchronousTestCase):
    def advised(self, handler: Callable[[Message], object]) -> str:
        """What the log says of this handler without a loop."""
        bench = Bench()
        bench.on("handler", handler)
        with capturedLogs() as events:
            bench.say("handler")
        self.flushLoggedErrors(RuntimeError, KeyError)
        return "\n".join(str(formatEvent(event)) for event in events)

    def test_sleep_and_time_out(self) -> None:
        """What asks asyncio for a loop is told how to get one."""

        async def sleeps(message: Message) -> None:
            await asyncio.sleep(1)

        async def hurries(message: Message) -> None:
            async with asyncio.timeout(1):
                await succeed(None)

        for handler in (sleeps, hurries):
            self.assertIn("twistd --reactor=asyncio", self.advised(handler))

    def test_others(self) -> None:
        """Errors that have nothing to do with it are left alone."""

        async def breaks(message: Message) -> None:
            raise KeyError

        self.assertNotIn("asyncio", self.advised(breaks))
        self.assertEqual(advice(None), "")
        self.assertEqual(advice(Failure(RuntimeError("no running event loop")).value), "")
