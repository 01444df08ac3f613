"""Draws a word on a coloured square; plain functions for a thread."""

from __future__ import annotations

from colorsys import hls_to_rgb
from io import BytesIO
from pathlib import Path
from zlib import crc32

from PIL import Image, ImageDraw, ImageFont

SIDE = 100
_MARGIN = 8
_LARGEST, _SMALLEST = 48, 9
_CHARS = 40
#: Where systems keep a font that knows Korean; without one Korean is written in Latin letters.
_KOREAN_FONTS = (
    "/usr/share/fonts/truetype/nanum/NanumGothic.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/unfonts-core/UnDotum.ttf",
    "/System/Library/Fonts/AppleSDGothicNeo.ttc",
    "C:/Windows/Fonts/malgun.ttf",
)
_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_INITIALS = "g kk n d tt r m b pp s ss  j jj ch k t p h".split(" ")  # noqa: SIM905 (easier to check)
_VOWELS = "a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i".split()  # noqa: SIM905
_FINALS = " k k k n n n t l k m l l l p l m p p t t ng t t k t p t".split(" ")  # noqa: SIM905

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def square(word: str, font: str | None = None) -> bytes:
    """A PNG of `SIDE` pixels each way with this word; its colour is always the same for the same word.

    `font` is a font file for Korean; without one the usual places are searched.
    """
    hue = crc32(word.encode("utf-8", "replace")) % 360 / 360
    colour = tuple(round(255 * part) for part in hls_to_rgb(hue, 0.38, 0.65))
    picture = Image.new("RGB", (SIDE, SIDE), (colour[0], colour[1], colour[2]))
    shown, file = word[:_CHARS], None
    if not shown.isascii():
        file = font or next((path for path in _KOREAN_FONTS if Path(path).exists()), None)
        shown = shown if file is not None else latin(shown)
    draw = ImageDraw.Draw(picture)
    draw.text((SIDE / 2, SIDE / 2), shown, "white", _font_for(draw, shown, file), anchor="mm")
    into = BytesIO()
    picture.save(into, "PNG")
    return into.getvalue()


def latin(text: str) -> str:
    """The text with Korean syllables in Latin letters, and a question mark for what is neither."""
    return "".join(_letters(character) for character in text)


def _letters(character: str) -> str:
    number = ord(character) - _FIRST_SYLLABLE
    if not 0 <= number <= _LAST_SYLLABLE - _FIRST_SYLLABLE:
        return character if character.isascii() else "?"
    rest, final = divmod(number, len(_FINALS))
    initial, vowel = divmod(rest, len(_VOWELS))
    return _INITIALS[initial] + _VOWELS[vowel] + _FINALS[final]


def _font_for(draw: ImageDraw.ImageDraw, text: str, file: str | None) -> Font:
    """The largest font in which the text fits."""
    for size in range(_LARGEST, _SMALLEST, -3):
        font: Font = ImageFont.truetype(file, size) if file is not None else ImageFont.load_default(size)
        if draw.textlength(text, font) <= SIDE - 2 * _MARGIN:
            break
    return font
