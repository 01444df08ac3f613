"""A bot: handlers, and the messages they are for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from relaytw import texts
from relaytw.bots.arguments import Signature, UsageError
from relaytw.messages import Message

Handler = Callable[..., object]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Command:
    """A handler and the literal prefix that calls it."""

    prefix: str
    handler: Handler
    signature: Signature
    admin: bool
    blocking: bool
    ordered: bool = False

    @property
    def usage(self) -> str:
        """How a chat user writes it, with the first line of its docstring."""
        line = f"{self.prefix} {self.signature.usage}".rstrip()
        about = (inspect.getdoc(self.handler) or "").partition("\n")[0]
        return texts.USAGE.format(usage=line) + (f"\n{about}" if about else "")

    def __call__(self, message: Message) -> object:
        """Read the arguments and call the handler; what the user got wrong is answered in words."""
        if self.admin and not message.is_admin:
            return texts.ADMIN_ONLY
        # One white-space character ends the prefix; everything behind it is the argument text.
        text = message.text[len(self.prefix) + 1 :]
        if text and self.signature.only_rest and "--" not in text:
            return self.handler(message, text)
        try:
            words, options = self.signature.read(text)
        except UsageError as error:
            return f"{error}\n{self.usage}"
        return self.handler(message, *words, **options)


@dataclass(frozen=True, slots=True)
class Listener:
    """A handler for every message that no command took."""

    handler: Handler
    blocking: bool
    ordered: bool = False

    def __call__(self, message: Message) -> object:
        """Call the handler."""
        return self.handler(message)


@dataclass(eq=False)
class Bot:
    """Handlers for the bots of these names; without names, for every bot.

    With `admin` its chat users are told when a handler of it fails; with `ordered` all its handlers are
    ordered.
    """

    names: tuple[str, ...] = ()
    admin: bool = False
    ordered: bool = False
    commands: list[Command] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)

    def __init__(self, *names: str, admin: bool = False, ordered: bool = False) -> None:
        self.names = names
        self.admin = admin
        self.ordered = ordered
        self.commands = []
        self.listeners = []

    def command(
        self, prefix: str, *, admin: bool = False, blocking: bool = False, ordered: bool = False
    ) -> Callable[[H], H]:
        """Call the decorated handler for messages that begin with `prefix` as a whole word.

        `admin` commands are for `auth.admins` alone; `blocking` ones run in a thread; of the `ordered`
        ones, one is at work at a time in each room.  Raises TypeError for a signature that cannot be read
        from a message, ValueError for a bad prefix.
        """
        if not prefix.strip() or prefix != prefix.strip():
            raise ValueError(f"a command's prefix is a word or several, not {prefix!r}")

        def register(handler: H) -> H:
            _check(handler, blocking)
            self.commands.append(Command(prefix, handler, Signature(handler), admin, blocking, ordered))
            return handler

        return register

    def message(self, handler: H | None = None, *, blocking: bool = False, ordered: bool = False) -> Any:
        """Call the decorated handler for every message that no command took."""

        def register(handler: H) -> H:
            _check(handler, blocking)
            self.listeners.append(Listener(handler, blocking, ordered))
            return handler

        return register(handler) if handler is not None else register

    def serves(self, name: str) -> bool:
        """Are this bot's handlers for the bot of this name?"""
        return not self.names or name in self.names


def _check(handler: Handler, blocking: bool) -> None:
    if blocking and inspect.iscoroutinefunction(handler):
        raise TypeError(f"{handler.__name__} is async and cannot be blocking: it would not block a thread")
