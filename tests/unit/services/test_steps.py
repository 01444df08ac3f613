"""Running a handler: its first step at once, and the rest of what suspends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import Message
from relaytw.services.steps import resume, run_first_step

#: No handler here looks at its message.
MESSAGE: Any = None


def run(handler: Callable[[Message], object]) -> Deferred[object]:
    """Both halves of a handler's run, for one that suspends."""
    suspended, waits_for = run_first_step(handler, MESSAGE)
    assert suspended is not None
    return resume(suspended, waits_for, lambda step, value: step(value), Clock())


class FirstStepTests(SynchronousTestCase):
    def first(self, handler: Callable[[Message], object]) -> object:
        suspended, result = run_first_step(handler, MESSAGE)
        self.assertIsNone(suspended)
        return result

    def test_plain_function(self) -> None:
        """What a plain function returns is the result."""
        self.assertEqual(self.first(lambda message: "answer"), "answer")

    def test_coroutine_that_does_not_wait(self) -> None:
        """A coroutine that ends in its first step gives its result at once."""

        async def prompt(message: Message) -> str:
            return "answer"

        self.assertEqual(self.first(prompt), "answer")

    def test_coroutine_that_awaits_what_has_fired(self) -> None:
        """Awaiting Deferreds that have fired already suspends nothing."""

        async def prompt(message: Message) -> str:
            try:
                await fail(KeyError())
            except KeyError:
                return str(await succeed("fired"))
            return "not reached"

        self.assertEqual(self.first(prompt), "fired")

    def test_raises(self) -> None:
        """What a handler raises in its first step is raised."""

        async def breaks(message: Message) -> None:
            raise KeyError

        self.assertRaises(KeyError, run_first_step, breaks, MESSAGE)
        self.assertRaises(TypeError, run_first_step, lambda: None, MESSAGE)


class RestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.waits: list[Deferred[str]] = [Deferred(), Deferred()]

    async def both(self, message: Message) -> str:
        return await self.waits[0] + await self.waits[1]

    def test_steps(self) -> None:
        """A coroutine gets the result of each Deferred it awaits, and its own becomes the result."""
        done = run(self.both)
        self.waits[0].callback("one, ")
        self.assertNoResult(done)
        self.waits[1].callback("two")
        self.assertEqual(self.successResultOf(done), "one, two")

    def test_failures_can_be_caught(self) -> None:
        """A Deferred that fails raises where it is awaited, and the coroutine may go on."""

        async def careful(message: Message) -> str:
            try:
                await self.waits[0]
            except KeyError:
                return await self.waits[1]
            return "not reached"

        done = run(careful)
        self.waits[0].errback(KeyError())
        self.waits[1].callback("recovered")
        self.assertEqual(self.successResultOf(done), "recovered")

    def test_failures_are_the_result(self) -> None:
        """What a coroutine does not catch is its Deferred's failure."""
        done = run(self.both)
        self.waits[0].callback("one")
        self.waits[1].errback(KeyError())
        self.failureResultOf(done, KeyError)

    def test_a_handlers_own_deferred(self) -> None:
        """A handler that returns a Deferred is waited for, and cancelled, by that very Deferred."""
        done = run(lambda message: self.waits[0])
        self.assertIs(done, self.waits[0])

    def test_a_bare_yield(self) -> None:
        """A handler that only yields lets others have their turn, and can be cancelled meanwhile."""

        class Turn:
            def __await__(self) -> Generator[None, None, None]:
                yield

        async def patient(message: Message) -> str:
            for _ in range(3):
                await Turn()
            return "done"

        for cancelled in (False, True):
            clock = Clock()
            suspended, waits_for = run_first_step(patient, MESSAGE)
            assert suspended is not None
            done = resume(suspended, waits_for, lambda step, value: step(value), clock)
            self.assertNoResult(done)
            if cancelled:
                done.cancel()
                self.failureResultOf(done, CancelledError)
            else:
                clock.advance(0)
                self.assertEqual(self.successResultOf(done), "done")
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_a_deferred_not_awaited(self) -> None:
        """A coroutine that ends with a Deferred has failed."""

        async def forgets(message: Message) -> object:
            await self.waits[0]
            return Deferred()

        done = run(forgets)
        self.waits[0].callback("")
        self.failureResultOf(done, TypeError)

    def test_every_later_step_is_timed(self) -> None:
        """Each step after the first is run by whoever measures it."""
        steps: list[object] = []

        def timed(step: Callable[[Any], object], value: object) -> object:
            steps.append(step)
            return step(value)

        suspended, waits_for = run_first_step(self.both, MESSAGE)
        assert suspended is not None
        done = resume(suspended, waits_for, timed, Clock())
        self.assertEqual(len(steps), 0)
        self.waits[0].callback("")
        self.waits[1].callback("")
        self.assertEqual(len(steps), 2)
        self.successResultOf(done)


class CancellationTests(SynchronousTestCase):
    def test_reaches_what_is_awaited(self) -> None:
        """Cancelling cancels the Deferred awaited now, in the first step and in later ones."""
        cancelled: list[Deferred[None]] = []
        for step in range(3):
            waits: list[Deferred[None]] = [Deferred(cancelled.append) for _ in range(3)]

            async def handler(message: Message, waits: list[Deferred[None]] = waits) -> None:
                for wait in waits:
                    await wait

            done = run(handler)
            for wait in waits[:step]:
                wait.callback(None)
            done.cancel()
            self.failureResultOf(done, CancelledError)
            self.assertIs(cancelled.pop(), waits[step])
        self.assertEqual(cancelled, [])

    def test_reaches_nested_coroutines(self) -> None:
        """Cancelling reaches what a coroutine awaits by way of another, and unwinds both."""
        unwound: list[str] = []
        waits: Deferred[None] = Deferred()

        async def inner() -> None:
            try:
                await waits
            finally:
                unwound.append("inner")

        async def outer(message: Message) -> None:
            try:
                await inner()
            finally:
                unwound.append("outer")

        done = run(outer)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertEqual(unwound, ["inner", "outer"])

    def test_can_be_survived(self) -> None:
        """A coroutine that catches its cancellation goes on, and can be cancelled again."""

        async def stubborn(message: Message) -> str:
            for _ in range(2):
                with contextlib.suppress(CancelledError):
                    await Deferred()
            return "enough"

        done = run(stubborn)
        done.cancel()
        self.assertNoResult(done)
        done.cancel()
        self.assertEqual(self.successResultOf(done), "enough")


class AsyncioTests(SynchronousTestCase):
    def test_a_future(self) -> None:
        """A future, which no loop of ours would ever fire, raises where it is awaited and says what to do."""
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        future = loop.create_future()

        async def awaits(message: Message) -> None:
            await future

        failure = self.failureResultOf(run(awaits), RuntimeError)
        self.assertIn("--reactor=asyncio", str(failure.value))

    def test_no_loop(self) -> None:
        """Where no loop runs, asking asyncio to wait fails by itself."""

        async def sleeps(message: Message) -> None:
            await asyncio.sleep(1)

        self.assertRaises(RuntimeError, run_first_step, sleeps, MESSAGE)
