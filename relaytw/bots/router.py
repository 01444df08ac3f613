"""Which handler a message is for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred

from relaytw.bots.bot import Bot, Command, Listener
from relaytw.bots.chain import Begin, InThread, around, cooled, name_of, threaded, watched
from relaytw.bots.cooldowns import Cooling
from relaytw.bots.help import help_bot
from relaytw.bots.patterns import Pattern
from relaytw.messages import Message
from relaytw.settings import USUAL_PREFIX, BotSettings, SettingsOf

#: For how many bot names the routes are remembered; names come from phones.
REMEMBERED = 1_000
#: Characters of a command's name in the chat log.
DIRECTIVE_CHARS = 30
#: Of how many calls a handler with a cool-down is reminded.
COOLDOWNS = 10_000
Target = Command | Listener | Pattern


class Invocation(NamedTuple):
    """A handler to be called: `blocking` in a thread; `tell_errors` says its failures in the chat.

    Of the `ordered` ones of a room one is at work at a time.  `language` is that of its bot.
    """

    name: str
    call: Callable[[Message], object]
    blocking: bool
    tell_errors: bool
    ordered: bool = False
    language: str = "ko"


class _Routes(NamedTuple):
    """One bot name's handlers.

    Commands and their names in the chat log are found by their prefix; `rooms` are those that some of its
    bots are for alone.
    """

    prefix: re.Pattern[str]
    commands: dict[str, Invocation]
    directives: dict[str, str]
    patterns: tuple[tuple[Pattern, Invocation], ...]
    fallback: Invocation | None
    rooms: frozenset[str]
    shown: tuple[Command, ...]


class Router:
    """Finds the handler of a message: the longest prefix, then a pattern, then whoever takes everything.

    Of equals the bot that was loaded first wins.  Commands are declared with "#"; for a bot whose settings
    have another prefix they begin with that.  `now` gives seconds that never go back, `cooldowns` is the
    number of calls that a handler with a cool-down is reminded of.  With `helps` there is a `# help`.
    """

    def __init__(
        self,
        bots: Sequence[Bot],
        settings_of: SettingsOf = BotSettings,
        *,
        language: str = "ko",
        now: Callable[[], float] = time.monotonic,
        cooldowns: int = COOLDOWNS,
        helps: bool = False,
    ) -> None:
        self.in_thread: InThread = _no_thread
        self.begin: Begin = Deferred.fromCoroutine
        self._settings_of = settings_of
        self._language = language
        self._now = now
        self._most = cooldowns
        self._helps = helps
        self._bots: tuple[Bot, ...] = ()
        self._coolings: dict[int, tuple[object, Cooling]] = {}
        self._routes: dict[str, _Routes] = {}
        self._in_rooms: dict[tuple[str, frozenset[str]], _Routes] = {}
        self.replace(bots)

    def replace(self, bots: Sequence[Bot]) -> None:
        """Ask these bots from now on; handlers at work end as what they were.  Cool-downs go on."""
        help_ = [help_bot(self.commands_of, self.language_of)] if self._helps else []
        self._bots = (*bots, *help_)
        known = self._coolings
        self._coolings = {}
        for bot in self._bots:
            targets: tuple[Target, ...] = (*bot.commands, *bot.patterns, *bot.listeners)
            for target in targets:
                wanted, key = target.marks.cooldown, id(target.handler)
                if wanted is not None:
                    before = known.get(key)
                    self._coolings[key] = before or (target.handler, Cooling(wanted, self._now, self._most))
        self.forget_all()

    def find(self, message: Message) -> Invocation | None:
        """The handler of this message, None if nobody wants it."""
        name = message.client.bot
        routes = self._routes.get(name) or self._learn(name)
        if routes.rooms:
            routes = self._here(routes, message)
        found = routes.prefix.match(message.text)
        if found is not None:
            return routes.commands[found[0]]
        for pattern, invocation in routes.patterns:
            if pattern.arguments(message) is not None:
                return invocation
        return routes.fallback

    def directive_of(self, bot: str, text: str) -> str:
        """The command that a text to this bot begins with, as it was declared; empty if there is none."""
        routes = self._routes.get(bot) or self._learn(bot)
        found = routes.prefix.match(text)
        return "" if found is None else routes.directives[found[0]]

    def commands_of(self, message: Message) -> Sequence[Command]:
        """The commands that the sender of this message may call in its room, as they are called there."""
        name = message.client.bot
        routes = self._routes.get(name) or self._learn(name)
        if routes.rooms:
            routes = self._here(routes, message)
        return [one for one in routes.shown if message.is_admin or not one.admin]

    def language_of(self, name: str) -> str:
        """What the first bot of this name that says so speaks, else what the relay does."""
        spoken = (bot.language for bot in self._bots if bot.serves(name) and bot.language)
        return next(spoken, self._language)

    def forget(self, bot: str) -> None:
        """Look at a bot's settings anew: they have changed."""
        self._routes.pop(bot, None)
        for key in [key for key in self._in_rooms if key[0] == bot]:
            del self._in_rooms[key]

    def forget_all(self) -> int:
        """Forget what was learned of every bot name, to learn it again when it is needed; of how many."""
        count = len(self._routes)
        self._routes.clear()
        self._in_rooms.clear()
        return count

    # -- learning

    def _here(self, routes: _Routes, message: Message) -> _Routes:
        """The routes in the room of this message."""
        name = message.client.bot
        names = routes.rooms & {message.room, message.channel_id or message.room}
        here = self._in_rooms.get((name, names))
        if here is None:
            if len(self._in_rooms) >= REMEMBERED:
                self._in_rooms.clear()
            bots = [bot for bot in self._serving(name) if bot.rooms is None or bot.rooms & names]
            here = self._in_rooms[name, names] = self._routes_of(name, bots)
        return here

    def _learn(self, name: str) -> _Routes:
        if len(self._routes) >= REMEMBERED:
            self._routes.clear()
        routes = self._routes[name] = self._routes_of(name, list(self._serving(name)))
        return routes

    def _serving(self, name: str) -> Iterator[Bot]:
        return (bot for bot in self._bots if bot.serves(name))

    def _routes_of(self, name: str, bots: Sequence[Bot]) -> _Routes:
        own_prefix = self._settings_of(name).prefix
        observers = [observer for bot in bots for observer in bot.observers]
        commands: dict[str, Invocation] = {}
        directives: dict[str, str] = {}
        shown: list[Command] = []
        patterns: list[tuple[Pattern, Invocation]] = []
        fallback: Invocation | None = None
        for bot in bots:
            language = bot.language or self._language
            for command in bot.commands:
                called = replace(_under(own_prefix, command), admin=command.marks.admin, language=language)
                if called.prefix not in commands:
                    commands[called.prefix] = self._invocation(bot, called, language, observers)
                    directives[called.prefix] = command.prefix[:DIRECTIVE_CHARS]
                    shown.append(called)
            patterns += [(one, self._invocation(bot, one, language, observers)) for one in bot.patterns]
            if fallback is None and bot.listeners:
                fallback = self._invocation(bot, bot.listeners[0], language, observers)
        if fallback is None and observers:
            name_ = name_of(observers[0].handler)
            fallback = Invocation(name_, watched(None, observers, self._begin), False, False)
        rooms = frozenset(room for bot in bots for room in bot.rooms or ())
        return _Routes(
            _any_of(commands), commands, directives, tuple(patterns), fallback, rooms, tuple(shown)
        )

    def _invocation(
        self, bot: Bot, target: Target, language: str, observers: Sequence[Listener]
    ) -> Invocation:
        marks, handler = target.marks, target.handler
        name = name_of(handler)
        cooling = self._coolings.get(id(handler))
        if cooling is not None:
            target = replace(target, handler=cooled(handler, cooling[1], language))
        call, blocking = around(bot, target, blocking=target.blocking, in_thread=self._in_thread)
        if observers:
            call = watched(threaded(call, self._in_thread) if blocking else call, observers, self._begin)
            blocking = False
        return Invocation(name, call, blocking, bot.admin, bot.ordered or marks.ordered, language)

    def _in_thread(self, message: Message, function: Callable[[], object]) -> Any:
        return self.in_thread(message, function)

    def _begin(self, coroutine: Coroutine[Any, Any, object]) -> Deferred[object]:
        return self.begin(coroutine)


def _no_thread(message: Message, function: Callable[[], object]) -> Any:  # noqa: ARG001 (nobody runs it)
    raise RuntimeError("this router was given no threads")


def _under(prefix: str, command: Command) -> Command:
    """The command as it is called under this prefix."""
    if prefix == USUAL_PREFIX or not command.prefix.startswith(USUAL_PREFIX):
        return command
    return replace(command, prefix=prefix + command.prefix.removeprefix(USUAL_PREFIX))


def _any_of(prefixes: Iterable[str]) -> re.Pattern[str]:
    """Recognises the longest of the prefixes that a text begins with, as a whole word."""
    longest_first = sorted(prefixes, key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(map(re.escape, longest_first))})(?!\\S)" if longest_first else "(?!)")
