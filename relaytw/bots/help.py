"""`# help`: the commands that somebody may use in a room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from relaytw import texts
from relaytw.bots.bot import Bot, Command
from relaytw.messages import Message

#: How the help is called, before a bot's own prefix takes the place of the usual one.
CALL = "# help"
#: Commands that are listed at most.
_LISTED = 100


def help_bot(commands_of: Callable[[Message], Sequence[Command]], language_of: Callable[[str], str]) -> Bot:
    """A bot that explains the commands of all the others.

    `commands_of` gives those that a message may call, as they are called here, in their order; `language_of`
    what a bot name is spoken with in.
    """
    bot = Bot()

    @bot.command(CALL)
    def explain(message: Message, name: str = "") -> str:
        """쓸 수 있는 명령을 보여줍니다."""
        commands, language = commands_of(message), language_of(message.bot)
        if name.strip():
            return _usage(commands, name.strip(), language)
        lines = [texts.say(texts.HELP, language)]
        for command in islice(commands, _LISTED):
            line = texts.say(texts.HELP_LINE, language, prefix=command.prefix, about=command.about)
            lines.append(line.rstrip())
        own = next((one.prefix for one in commands if one.handler is explain), CALL)
        return "\n".join([*lines, texts.say(texts.HELP_MORE, language, prefix=own)])

    return bot


def _usage(commands: Sequence[Command], name: str, language: str) -> str:
    """How the command of this name is used; the sign that commands begin with may be left out."""
    for command in commands:
        if name == command.prefix or name == command.prefix.partition(" ")[2]:
            return command.usage
    return texts.say(texts.NO_SUCH_COMMAND, language, name=name[:50])
