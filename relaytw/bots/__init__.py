"""What bot authors import: `Bot`, the `Message` its handlers get, and what they may answer with.

from relaytw.bots import Bot, Message

bot = Bot()

@bot.command("# hello")
async def hello(message: Message, name: str) -> str:
return f"Hello {name}!"
"""

from relaytw.bots.arguments import Range
from relaytw.bots.asking import AskEnded, AskError, AskRefused, AskReplaced, AskTimeout
from relaytw.bots.bot import Bot, Next
from relaytw.bots.marks import Cooldown, admin, cooldown, ordered
from relaytw.bots.media import Image, Media
from relaytw.errors import StateFull
from relaytw.messages import Message, State, Text

__all__ = [
    "AskEnded",
    "AskError",
    "AskRefused",
    "AskReplaced",
    "AskTimeout",
    "Bot",
    "Cooldown",
    "Image",
    "Media",
    "Message",
    "Next",
    "Range",
    "State",
    "StateFull",
    "Text",
    "admin",
    "cooldown",
    "ordered",
]
