"""Runs a handler's first step at once, and makes a Deferred only of what suspends.

Most handlers answer without waiting for anything.  Making a Deferred and a cancellation for each
of them would be half the price of a message, so the first `send` is done by hand.  What suspends may wait
for Deferreds, and where an asyncio loop runs for its futures too.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from types import CoroutineType
from typing import Any

from twisted.internet.defer import Deferred

from relaytw.messages import Message

Suspended = Coroutine[Any, Any, object] | Deferred[object]
#: Runs one step of a handler; whoever passes it may measure it.
Timed = Callable[[Callable[[], object]], object]


def run_first_step(call: Callable[[Message], object], message: Message) -> tuple[Suspended | None, object]:
    """Call a handler: (None, its result), or what is suspended and what it waits for.

    Raises whatever the handler raises.
    """
    result = call(message)
    if type(result) is str:
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


def resume(suspended: Suspended, waits_for: object, timed: Timed) -> Deferred[object]:
    """A Deferred of the rest of a handler; cancelling it cancels what the handler waits for."""
    if isinstance(suspended, Deferred):
        return suspended
    return Deferred.fromCoroutine(_rest(suspended, waits_for, timed))


def _rest(
    coroutine: Coroutine[Any, Any, object], waits_for: Any, timed: Timed
) -> Generator[Deferred[Any], Any, object]:
    while True:
        step: Callable[[], object]
        try:
            value = yield _deferred(waits_for)
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:
            step = _throwing(coroutine, error)
        else:
            step = _sending(coroutine, value)
        try:
            waits_for = timed(step)
        except StopIteration as stop:
            if isinstance(stop.value, Deferred):
                raise TypeError("a handler returned a Deferred instead of awaiting it") from None
            return stop.value


def _deferred(waits_for: Any) -> Any:
    # How a future tells whoever runs the coroutine that it is awaited; asyncio's own tasks do the same.
    if getattr(waits_for, "_asyncio_future_blocking", False):
        waits_for._asyncio_future_blocking = False  # noqa: SLF001
        return Deferred.fromFuture(waits_for)
    return waits_for


def _throwing(coroutine: Coroutine[Any, Any, object], error: BaseException) -> Callable[[], object]:
    return lambda: coroutine.throw(error)


def _sending(coroutine: Coroutine[Any, Any, object], value: object) -> Callable[[], object]:
    return lambda: coroutine.send(value)
