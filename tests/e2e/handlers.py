"""A bot whose answers tell which message they are for."""

from __future__ import annotations

import hashlib

from twisted.internet import reactor
from twisted.internet.task import deferLater

from relaytw.bots import Bot, Message
from relaytw.messages import Media

bot = Bot()
#: More than fits into two lines of dialect 4.0.
PICTURE = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(256)) * 20


@bot.command("# now")
def now(message: Message, number: int) -> str:
    """Answer at once."""
    return f"answer {number}"


@bot.command("# soon")
async def soon(message: Message, number: int) -> str:
    """Answer after 20 ms."""
    await deferLater(reactor, 0.02)
    return f"answer {number}"


@bot.command("# picture")
def picture(message: Message) -> Media:
    """Show a picture."""
    return Media((PICTURE,), format="png", wait_ms=10)
