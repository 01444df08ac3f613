"""A bot: handlers, and the messages they are for."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from re import Pattern as Expression
from typing import Any, Literal, TypeVar

from relaytw import texts
from relaytw.bots.arguments import Signature, UsageError
from relaytw.bots.marks import Cooldown, Marks, check, marks_of
from relaytw.bots.patterns import LONGEST, Pattern
from relaytw.messages import Answer, Message

Handler = Callable[..., object]
#: What a middleware is given to call: the rest of the way to the handler.
Next = Callable[[Message], Awaitable[Answer]]
Middleware = Callable[[Message, Next], Awaitable[object]]
Hook = Callable[[], object]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Command:
    """A handler and the literal prefix that calls it; `language` is what its user is told in."""

    prefix: str
    handler: Handler
    signature: Signature
    admin: bool
    blocking: bool
    ordered: bool = False
    cooldown: Cooldown | None = None
    language: str = "ko"

    @property
    def marks(self) -> Marks:
        """What was said at its registration, and what decorators say."""
        return marks_of(self.handler).also(Marks(self.admin, self.ordered, self.cooldown))

    @property
    def about(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.handler) or "").partition("\n")[0]

    @property
    def usage(self) -> str:
        """How a chat user writes it, with the first line of its docstring."""
        line = f"{self.prefix} {self.signature.usage}".rstrip()
        about = self.about
        return texts.say(texts.USAGE, self.language, usage=line) + (f"\n{about}" if about else "")

    def __call__(self, message: Message) -> object:
        """Read the arguments and call the handler; what the user got wrong is answered in words."""
        if self.admin and not message.is_admin:
            return texts.say(texts.ADMIN_ONLY, self.language)
        # One white-space character ends the prefix; everything behind it is the argument text.
        text = message.text[len(self.prefix) + 1 :]
        if text and self.signature.only_rest and "--" not in text:
            return self.handler(message, text)
        try:
            words, options = self.signature.read(text)
        except UsageError as error:
            return f"{error.said(self.language)}\n{self.usage}"
        return self.handler(message, *words, **options)


@dataclass(frozen=True, slots=True)
class Listener:
    """A handler for every message, or for every one that no command and no pattern took."""

    handler: Handler
    blocking: bool
    ordered: bool = False
    cooldown: Cooldown | None = None

    @property
    def marks(self) -> Marks:
        """What was said at its registration, and what decorators say."""
        return marks_of(self.handler).also(Marks(False, self.ordered, self.cooldown))

    def __call__(self, message: Message) -> object:
        """Call the handler."""
        return self.handler(message)


class Bot:
    """Handlers for the bots of these names; without names, for every bot.

    With `rooms` only for rooms of these names or channel ids.  With `admin` its chat users are told when a
    handler of it fails; with `ordered` all its handlers are ordered.  `language` is what users are told in
    of wrong arguments and the like, the relay's (`[bots] language`) if it is not given.
    """

    def __init__(
        self,
        *names: str,
        admin: bool = False,
        ordered: bool = False,
        rooms: Collection[str] | None = None,
        language: Literal["ko", "en"] | None = None,
    ) -> None:
        if isinstance(rooms, str):
            raise TypeError(f'rooms are a tuple of names or channel ids, ("{rooms}",)')
        if language not in (None, "ko", "en"):
            raise ValueError(f'a bot speaks "ko" or "en", not {language!r}')
        self.names = names
        self.admin = admin
        self.ordered = ordered
        self.rooms = None if rooms is None else frozenset(rooms)
        self.language = language
        self.commands: list[Command] = []
        self.patterns: list[Pattern] = []
        self.listeners: list[Listener] = []
        self.observers: list[Listener] = []
        self.middlewares: list[Middleware] = []
        self.error_handler: Callable[[Message, Exception], object] | None = None
        self.start_hooks: list[Hook] = []
        self.stop_hooks: list[Hook] = []

    # -- handlers

    def command(
        self,
        prefix: str,
        *,
        admin: bool = False,
        blocking: bool = False,
        ordered: bool = False,
        cooldown: Cooldown | None = None,
    ) -> Callable[[H], H]:
        """Call the decorated handler for messages that begin with `prefix` as a whole word.

        `admin` commands are for `auth.admins` alone; `blocking` ones run in a thread; of the `ordered`
        ones, one is at work at a time in each room; one with a `cooldown` is called once in a while.  Raises
        TypeError for a signature that cannot be read from a message, ValueError for a bad prefix.
        """
        if not prefix.strip() or prefix != prefix.strip():
            raise ValueError(f"a command's prefix is a word or several, not {prefix!r}")
        check(cooldown)

        def register(handler: H) -> H:
            _check(handler, blocking)
            signature = Signature(handler)
            self.commands.append(Command(prefix, handler, signature, admin, blocking, ordered, cooldown))
            return handler

        return register

    def pattern(
        self,
        expression: str | Expression[str],
        *,
        longest: int = LONGEST,
        admin: bool = False,
        blocking: bool = False,
        ordered: bool = False,
        cooldown: Cooldown | None = None,
    ) -> Callable[[H], H]:
        """Call the decorated handler for messages that no command took and that fit the expression.

        The whole text has to fit, and have at most `longest` characters; the groups are the handler's
        arguments, by name or in order.  Raises TypeError and ValueError for what cannot be.
        """
        marks = Marks(admin, ordered, check(cooldown))

        def register(handler: H) -> H:
            _check(handler, blocking)
            self.patterns.append(
                Pattern.of(expression, handler, longest=longest, marks=marks, blocking=blocking)
            )
            return handler

        return register

    def message(
        self,
        handler: H | None = None,
        *,
        blocking: bool = False,
        ordered: bool = False,
        cooldown: Cooldown | None = None,
    ) -> Any:
        """Call the decorated handler for every message that no command and no pattern took."""
        check(cooldown)

        def register(handler: H) -> H:
            _check(handler, blocking)
            self.listeners.append(Listener(handler, blocking, ordered, cooldown))
            return handler

        return register(handler) if handler is not None else register

    def listen(self, handler: H) -> H:
        """Call the decorated handler for every message, whoever else answers it.

        What it returns is ignored, and what it raises is logged.
        """
        self.observers.append(Listener(handler, blocking=False))
        return handler

    # -- what stands around them

    def middleware(self, middleware: Middleware) -> Middleware:
        """Call the decorated `async` function around the commands, patterns and fallback of this bot.

        It is given the message and `next`: `await next(message)` gives what the handler answers, and what
        it returns itself is said.  The first one is the outermost.  Raises TypeError if it is not async.
        """
        if not inspect.iscoroutinefunction(middleware):
            raise TypeError(f"{middleware!r} must be async: it awaits next(message)")
        self.middlewares.append(middleware)
        return middleware

    def on_error(self, handler: H) -> H:
        """Call `handler(message, error)` when another handler of this bot has raised: its answer is said.

        Raises TypeError if there is one already.
        """
        if self.error_handler is not None:
            raise TypeError("a bot has one error handler")
        self.error_handler = handler
        return handler

    def on_start(self, hook: H) -> H:
        """Call the decorated function, which takes nothing, when the relay starts or has loaded it anew."""
        self.start_hooks.append(hook)
        return hook

    def on_stop(self, hook: H) -> H:
        """Call the decorated function, which takes nothing, when the relay stops or newer code has come."""
        self.stop_hooks.append(hook)
        return hook

    # -- whom they are for

    def serves(self, name: str) -> bool:
        """Are this bot's handlers for the bot of this name?"""
        return not self.names or name in self.names


def _check(handler: Handler, blocking: bool) -> None:
    if blocking and inspect.iscoroutinefunction(handler):
        raise TypeError(f"{handler.__name__} is async and cannot be blocking: it would not block a thread")
