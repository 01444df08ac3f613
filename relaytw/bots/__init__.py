"""What bot authors import: `Bot`, the `Message` its handlers get, and what they may answer with.

from relaytw.bots import Bot, Message

bot = Bot()

@bot.command("# hello")
async def hello(message: Message, name: str) -> str:
return f"Hello {name}!"
"""

from relaytw.bots.arguments import Range
from relaytw.bots.asking import AskEnded, AskError, AskRefused, AskReplaced, AskTimeout
from relaytw.bots.bot import Bot
from relaytw.errors import StateFull
from relaytw.messages import Media, Message, State, Text

__all__ = [
    "AskEnded",
    "AskError",
    "AskRefused",
    "AskReplaced",
    "AskTimeout",
    "Bot",
    "Media",
    "Message",
    "Range",
    "State",
    "StateFull",
    "Text",
]
