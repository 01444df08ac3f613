"""A bot that draws: `# dice 2` answers with a picture of two dice."""

from __future__ import annotations

from io import BytesIO
from random import SystemRandom
from typing import Annotated

from PIL import Image as Canvas
from PIL import ImageDraw

from relaytw.bots import Bot, Image, Message, Range

bot = Bot()
SPOTS = {1: "E", 2: "AI", 3: "AEI", 4: "ACGI", 5: "ACEGI", 6: "ACDFGI"}


def die(eyes: int) -> bytes:
    """A picture of a die; its spots are named A to I, line by line."""
    canvas = Canvas.new("RGB", (120, 120), "white")
    draw = ImageDraw.Draw(canvas)
    for spot in SPOTS[eyes]:
        row, column = divmod(ord(spot) - ord("A"), 3)
        x, y = 25 + 35 * column, 25 + 35 * row
        draw.ellipse((x - 10, y - 10, x + 10, y + 10), "black")
    into = BytesIO()
    canvas.save(into, "PNG")
    return into.getvalue()


@bot.command("# dice", blocking=True)
def dice(message: Message, count: Annotated[int, Range(1, 5)] = 1) -> list[str | Image]:
    """Throws dice."""
    eyes = [SystemRandom().randint(1, 6) for _ in range(count)]
    return [f"{message.sender}: {sum(eyes)}", Image(*map(die, eyes))]
