"""Which handler a message is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from relaytw.bots.bot import Bot, Command, Listener
from relaytw.messages import Message

#: For how many bot names the routes are remembered; names come from phones.
REMEMBERED = 1_000


class Invocation(NamedTuple):
    """A handler to be called: `blocking` in a thread; `tell_errors` says its failures in the chat."""

    name: str
    call: Callable[[Message], object]
    blocking: bool
    tell_errors: bool


class _Routes(NamedTuple):
    """One bot name's commands by their first word, longest prefix first, and its fallback."""

    commands: dict[str, list[tuple[str, Invocation]]]
    fallback: Invocation | None


class Router:
    """Finds the handler of a message: the longest prefix, then the bot that was loaded first."""

    def __init__(self, bots: Sequence[Bot]) -> None:
        self._bots = tuple(bots)
        self._routes: dict[str, _Routes] = {}

    def find(self, message: Message) -> Invocation | None:
        """The handler of this message, None if nobody wants it."""
        name = message.client.bot
        routes = self._routes.get(name) or self._learn(name)
        text = message.text
        word = text.split(None, 1)[:1]
        for prefix, invocation in routes.commands.get(word[0], ()) if word else ():
            end = len(prefix)
            if text.startswith(prefix) and (len(text) == end or text[end].isspace()):
                return invocation
        return routes.fallback

    def _learn(self, name: str) -> _Routes:
        if len(self._routes) >= REMEMBERED:
            self._routes.clear()
        commands: dict[str, list[tuple[str, Invocation]]] = {}
        fallback: Invocation | None = None
        for bot in self._bots:
            if not bot.serves(name):
                continue
            for command in bot.commands:
                found = commands.setdefault(command.prefix.split(None, 1)[0], [])
                found.append((command.prefix, _invocation(bot, command)))
            if fallback is None and bot.listeners:
                fallback = _invocation(bot, bot.listeners[0])
        for found in commands.values():
            found.sort(key=lambda route: -len(route[0]))
        routes = self._routes[name] = _Routes(commands, fallback)
        return routes


def _invocation(bot: Bot, target: Command | Listener) -> Invocation:
    handler = target.handler
    name = f"{handler.__module__}.{getattr(handler, '__qualname__', repr(handler))}"
    return Invocation(name, target, target.blocking, bot.admin)
