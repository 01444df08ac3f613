"""Which handler a message is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from relaytw.bots.bot import Bot, Command, Listener
from relaytw.messages import Message
from relaytw.settings import USUAL_PREFIX, BotSettings, SettingsOf

#: For how many bot names the routes are remembered; names come from phones.
REMEMBERED = 1_000
#: Characters of a command's name in the chat log.
DIRECTIVE_CHARS = 30


class Invocation(NamedTuple):
    """A handler to be called: `blocking` in a thread; `tell_errors` says its failures in the chat.

    Of the `ordered` ones of a room one is at work at a time.
    """

    name: str
    call: Callable[[Message], object]
    blocking: bool
    tell_errors: bool
    ordered: bool = False


class _Routes(NamedTuple):
    """One bot name's commands and their names in the chat log, by their prefix, and its fallback."""

    prefix: re.Pattern[str]
    commands: dict[str, Invocation]
    directives: dict[str, str]
    fallback: Invocation | None


class Router:
    """Finds the handler of a message: the longest prefix, then the bot that was loaded first.

    Commands are declared with "#"; for a bot whose settings have another prefix they begin with that.
    """

    def __init__(self, bots: Sequence[Bot], settings_of: SettingsOf = BotSettings) -> None:
        self._bots = tuple(bots)
        self._settings_of = settings_of
        self._routes: dict[str, _Routes] = {}

    def find(self, message: Message) -> Invocation | None:
        """The handler of this message, None if nobody wants it."""
        name = message.client.bot
        routes = self._routes.get(name) or self._learn(name)
        found = routes.prefix.match(message.text)
        return routes.fallback if found is None else routes.commands[found[0]]

    def directive_of(self, bot: str, text: str) -> str:
        """The command that a text to this bot begins with, as it was declared; empty if there is none."""
        routes = self._routes.get(bot) or self._learn(bot)
        found = routes.prefix.match(text)
        return "" if found is None else routes.directives[found[0]]

    def forget(self, bot: str) -> None:
        """Look at a bot's settings anew: they have changed."""
        self._routes.pop(bot, None)

    def forget_all(self) -> int:
        """Forget what was learned of every bot name, to learn it again when it is needed; of how many."""
        count = len(self._routes)
        self._routes.clear()
        return count

    def _learn(self, name: str) -> _Routes:
        if len(self._routes) >= REMEMBERED:
            self._routes.clear()
        own_prefix = self._settings_of(name).prefix
        commands: dict[str, Invocation] = {}
        directives: dict[str, str] = {}
        fallback: Invocation | None = None
        for bot in self._bots:
            if not bot.serves(name):
                continue
            for command in bot.commands:
                called = _under(own_prefix, command)
                if called.prefix not in commands:
                    commands[called.prefix] = _invocation(bot, called)
                    directives[called.prefix] = command.prefix[:DIRECTIVE_CHARS]
            if fallback is None and bot.listeners:
                fallback = _invocation(bot, bot.listeners[0])
        routes = self._routes[name] = _Routes(_any_of(commands), commands, directives, fallback)
        return routes


def _under(prefix: str, command: Command) -> Command:
    """The command as it is called under this prefix."""
    if prefix == USUAL_PREFIX or not command.prefix.startswith(USUAL_PREFIX):
        return command
    return replace(command, prefix=prefix + command.prefix.removeprefix(USUAL_PREFIX))


def _any_of(prefixes: Iterable[str]) -> re.Pattern[str]:
    """Recognises the longest of the prefixes that a text begins with, as a whole word."""
    longest_first = sorted(prefixes, key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(map(re.escape, longest_first))})(?!\\S)" if longest_first else "(?!)")


def _invocation(bot: Bot, target: Command | Listener) -> Invocation:
    handler = target.handler
    name = f"{handler.__module__}.{getattr(handler, '__qualname__', repr(handler))}"
    return Invocation(name, target, target.blocking, bot.admin, bot.ordered or target.ordered)
