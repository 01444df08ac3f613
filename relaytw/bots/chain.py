"""What stands between a message and its handler: middleware, error handler, cool-downs, listeners.

Everything is put together once, when a bot's handlers are learned; what a bot does not use is not there.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial, wraps
from math import ceil
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw import texts
from relaytw.bots.asking import AskError
from relaytw.bots.bot import Bot, Listener, Middleware, Next
from relaytw.bots.cooldowns import Cooling
from relaytw.messages import Answer, Message

Call = Callable[[Message], object]
#: Runs a handler that blocks in a thread; what comes back is its answer.
InThread = Callable[[Message, Callable[[], object]], Awaitable[object]]
#: Lets a coroutine of its own begin.
Begin = Callable[[Coroutine[Any, Any, object]], Deferred[object]]
_log = Logger(namespace="relaytw.bots")


class ErrorAnswered(Exception):
    """A handler has failed with `error`, and its bot's error handler has said what shall be answered."""

    def __init__(self, error: Exception, answer: object) -> None:
        super().__init__(str(error))
        self.error = error
        self.answer = answer


def cooled(handler: Callable[..., object], cooling: Cooling, language: str) -> Callable[..., object]:
    """The handler, called as often as it may be; who comes too early is told so once in each period."""

    @wraps(handler)
    def call(message: Message, *words: object, **options: object) -> object:
        seconds, tell = cooling.wait(message)
        if seconds <= 0:
            return handler(message, *words, **options)
        return texts.say(texts.COOLING, language, seconds=ceil(seconds)) if tell else None

    return call


def around(bot: Bot, call: Call, *, blocking: bool, in_thread: InThread) -> tuple[Call, bool]:
    """The way to a handler of this bot, and whether all of it may run in a thread."""
    if not bot.middlewares and bot.error_handler is None:
        return call, blocking
    if blocking:
        call = threaded(call, in_thread)
    if bot.middlewares:
        call = _through(bot.middlewares, call)
    if bot.error_handler is not None:
        call = _guarded(call, bot.error_handler)
    return call, False


def watched(call: Call | None, observers: Sequence[Listener], begin: Begin) -> Call:
    """The way to a handler, with listeners that hear the message as well."""

    async def both(message: Message) -> object:
        started = (_hear(observer, message, begin) for observer in observers)
        hearing = [one for one in started if one is not None]
        try:
            answer = None if call is None else await _result_of(call(message))
            if all(one.called for one in hearing):
                return answer
            # Nobody waits for a listener to be answered; but the message is not finished before it is.
            message.reply(answer)  # type: ignore[arg-type]  # is looked at there
            for one in hearing:
                await one
        finally:
            for one in hearing:
                if not one.called:
                    one.cancel()
        return None

    return both


def name_of(handler: Callable[..., object]) -> str:
    """What a handler is called in logs."""
    return f"{handler.__module__}.{getattr(handler, '__qualname__', repr(handler))}"


def threaded(call: Call, in_thread: InThread) -> Call:
    """The way to a handler that blocks, with a thread for it at the end."""
    return lambda message: in_thread(message, partial(call, message))


def _through(middlewares: Sequence[Middleware], call: Call) -> Call:
    async def handler(message: Message) -> Answer:
        return await _result_of(call(message))  # type: ignore[return-value]  # is looked at when it is said

    follow: Next = handler
    for middleware in reversed(middlewares):
        follow = _Step(middleware, follow)
    return follow


class _Step:
    """A middleware with what follows it."""

    __slots__ = ("_follow", "_middleware")

    def __init__(self, middleware: Middleware, follow: Next) -> None:
        self._middleware = middleware
        self._follow = follow

    def __call__(self, message: Message) -> Any:
        return self._middleware(message, self._follow)


def _guarded(call: Call, handle: Callable[[Message, Exception], object]) -> Call:
    async def guarded(message: Message) -> object:
        try:
            return await _result_of(call(message))
        except (CancelledError, AskError):
            raise
        except Exception as error:
            answer = await _result_of(handle(message, error))
            raise ErrorAnswered(error, answer) from error

    return guarded


async def _result_of(result: object) -> object:
    return await result if inspect.isawaitable(result) else result


def _hear(observer: Listener, message: Message, begin: Begin) -> Deferred[object] | None:
    """Let a listener hear a message; None if it is done."""

    def failed(failure: Failure) -> None:
        if not failure.check(CancelledError):
            name = name_of(observer.handler)
            _log.failure("listener {name} failed", failure, name=name, trace=message.trace)

    try:
        result = observer.handler(message)
        if not inspect.isawaitable(result):
            return None
        hearing = begin(_result_of(result))
    except Exception:
        failed(Failure())
        return None
    hearing.addErrback(failed)
    return None if hearing.called else hearing
