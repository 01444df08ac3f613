"""Runs handlers under an asyncio loop: each coroutine is a task, so that asyncio's libraries work in it.

What those do (`asyncio.timeout`, `TaskGroup`, most clients) needs a task around it, from the first step
on.  A handler may await Deferreds in its task all the same.  Without such a loop what wants one fails,
and `advice` says what to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from relaytw.messages import Message
from relaytw.services.steps import ADVICE, Suspended, Timed, resume, run_first_step

#: Packages that ask for a loop, and whose errors say that there is none.
_ASYNCIO = ("asyncio", "sniffio", "anyio")


def call(handler: Callable[[Message], object], message: Message) -> tuple[Suspended | None, object]:
    """Call a handler like `run_first_step`, but leave a coroutine's first step to its task."""
    result = handler(message)
    if isinstance(result, CoroutineType):
        return result, None
    return run_first_step(lambda _: result, message)


def go_on(suspended: Suspended, waits_for: object, timed: Timed, clock: IReactorTime) -> Deferred[object]:
    """A Deferred of what a handler gives; cancelling it cancels the handler's task."""
    if isinstance(suspended, CoroutineType):
        return _TaskResult(_Steps(suspended, timed))
    return resume(suspended, waits_for, timed, clock)


def advice(error: BaseException | None) -> str:
    """What to do about this error of a handler, if it was raised for want of an asyncio loop; else empty."""
    frame = error.__traceback__ if error is not None else None
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    module = str(frame.tb_frame.f_globals.get("__name__", "")) if frame is not None else ""
    theirs = module.partition(".")[0] in _ASYNCIO and isinstance(error, RuntimeError)
    return f"it needs asyncio; {ADVICE}" if theirs and not _has_loop() else ""


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class _Steps:
    """A coroutine's steps as a task awaits them: a Deferred that it awaits is a future to the task."""

    def __init__(self, coroutine: Coroutine[Any, Any, object], timed: Timed) -> None:
        self._coroutine = coroutine
        self._timed = timed

    def __await__(self) -> Generator[Any, None, object]:
        step: Callable[[Any], object] = self._coroutine.send
        value: object = None
        while True:
            try:
                awaited = self._timed(step, value)
            except StopIteration as stop:
                return stop.value
            waits_for = _future_of(awaited) if isinstance(awaited, Deferred) else awaited
            try:
                yield waits_for
            except GeneratorExit:
                self._coroutine.close()
                raise
            except BaseException as error:
                step, value = self._coroutine.throw, error
            else:
                step, value = self._coroutine.send, None


class _TaskResult(Deferred[object]):
    """What a task gives, as a Deferred."""

    def __init__(self, steps: _Steps) -> None:
        super().__init__()
        self._task = asyncio.get_running_loop().create_task(_outcome(steps))
        self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Cancel the task; the handler may tidy up, or go on."""
        self._task.cancel()

    def _ended(self, task: asyncio.Task[object]) -> None:
        if task.cancelled():
            self.errback(asyncio.CancelledError())
            return
        result = task.result()
        if isinstance(result, Deferred):
            self.errback(TypeError("a handler returned a Deferred instead of awaiting it"))
        else:
            self.callback(result)


async def _outcome(steps: _Steps) -> object:
    try:
        return await steps
    except (
        BaseException
    ):  # SystemExit would end the loop, and with it the relay: it is the handler that failed
        return Failure()


def _future_of(deferred: Deferred[Any]) -> asyncio.Future[None]:
    """A future that is there when the Deferred has fired, which keeps its result for who awaits it."""
    future: Any = asyncio.get_running_loop().create_future()

    def fired(result: object) -> object:
        if future.done():
            return None  # its failure is nobody's business any more
        future.set_result(None)
        return result

    deferred.addBoth(fired)
    future.add_done_callback(lambda done: deferred.cancel() if done.cancelled() else None)
    # How a future tells a task that it is awaited.
    future._asyncio_future_blocking = True  # noqa: SLF001
    return future  # type: ignore[no-any-return]
