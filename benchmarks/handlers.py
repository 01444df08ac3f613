"""Commands for measuring: one that awaits once, one that takes a while."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import deferLater

from relaytw.bots import Bot, Message

bot = Bot()


@bot.command("# wait")
async def wait(message: Message, text: str) -> str:  # noqa: ARG001
    """Answer after one turn of the reactor."""
    await deferLater(reactor, 0)
    return text


@bot.command("# slow")
async def slow(message: Message, text: str) -> str:  # noqa: ARG001
    """Answer after 0.2 s."""
    await deferLater(reactor, 0.2)
    return text
