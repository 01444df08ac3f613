"""A bot that takes its time: some messages are answered at once, some after a while."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.task import deferLater

from relaytw.bots import Bot, Message

bot = Bot()


@bot.command("# now")
def now(message: Message, number: int) -> str:
    """Answer at once."""
    return f"answer {number} {_again(message)}"


@bot.command("# soon")
async def soon(message: Message, number: int) -> str:
    """Answer after 20 ms."""
    await deferLater(reactor, 0.02)
    return f"answer {number} {_again(message)}"


def _again(message: Message) -> str:
    return "again" if message.redelivered else "first"
