"""Runs a handler's first step at once, and makes a Deferred only of what suspends.

Most handlers answer without waiting for anything.  Making a Deferred and a cancellation for each
of them would be half the price of a message, so every step is done by hand.  What suspends may wait
for Deferreds; under an asyncio loop handlers are run by `relaytw.services.tasks`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from relaytw.messages import Message

#: What to do for a handler that wants asyncio.
ADVICE = "start the relay with `twistd --reactor=asyncio`"
Suspended = Coroutine[Any, Any, object] | Deferred[object]
#: Runs one step of a handler, a function and what it is called with; whoever passes it may measure it.
Timed = Callable[[Callable[[Any], object], object], object]


def run_first_step(call: Callable[[Message], object], message: Message) -> tuple[Suspended | None, object]:
    """Call a handler: (None, its result), or what is suspended and what it waits for.

    Raises whatever the handler raises.
    """
    result = call(message)
    if type(result) is str or result is None:
        return None, result
    if isinstance(result, CoroutineType):
        try:
            waits_for = result.send(None)
        except StopIteration as stop:
            return None, stop.value
        return result, waits_for
    if isinstance(result, Deferred):
        return result, None
    return None, result


def resume(suspended: Suspended, waits_for: object, timed: Timed, clock: IReactorTime) -> Deferred[object]:
    """A Deferred of the rest of a handler; cancelling it cancels what the handler waits for."""
    if isinstance(suspended, CoroutineType):
        rest = _Rest(suspended, timed, clock)
        rest.wait_for(waits_for)
        return rest
    return suspended  # type: ignore[return-value]  # a Deferred of its own


class _Rest(Deferred[object]):
    """The result of a coroutine that goes on whenever what it waits for is there.

    `Deferred.fromCoroutine` would do for it, at three times the price of a step.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, object], timed: Timed, clock: IReactorTime) -> None:
        super().__init__()
        self._clock = clock
        self._coroutine = coroutine
        self._timed = timed
        self._awaited: Deferred[Any] | None = None

    def cancel(self) -> None:
        """Cancel what is waited for; the coroutine may tidy up, or go on."""
        if self._awaited is not None:
            self._awaited.cancel()

    def wait_for(self, awaited: Any) -> None:
        """Go on when this has fired."""
        if getattr(awaited, "_asyncio_future_blocking", False):
            # How a future tells whoever runs the coroutine that it is awaited.  No loop of ours fires it.
            awaited._asyncio_future_blocking = False  # noqa: SLF001
            awaited = fail(RuntimeError(f"an asyncio future cannot be awaited: {ADVICE}"))
        elif getattr(awaited, "addCallbacks", None) is None:
            # A bare yield, as of asyncio.sleep(0), wants others to have their turn.
            awaited = deferLater(self._clock, 0)
        self._awaited = awaited
        awaited.addCallbacks(self._succeeded, self._failed)

    def _succeeded(self, value: object) -> None:
        self._go_on(self._coroutine.send, value)

    def _failed(self, failure: Failure) -> None:
        self._go_on(self._coroutine.throw, failure.value)

    def _go_on(self, step: Callable[[Any], object], value: object) -> None:
        """Run the coroutine until it waits for something, or ends."""
        self._awaited = None
        try:
            awaited = self._timed(step, value)
        except StopIteration as stop:
            if isinstance(stop.value, Deferred):
                self.errback(TypeError("a handler returned a Deferred instead of awaiting it"))
            else:
                self.callback(stop.value)
        except BaseException:  # SystemExit and asyncio's CancelledError too: it is the handler that failed
            self.errback(Failure())
        else:
            self.wait_for(awaited)
