"""Reads files and makes pictures fit: plain functions of plain values, to be called in a thread.

Whatever is in a file, the outcome is its content, fit to be sent, or `BadMedia`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from relaytw.errors import BadMedia

#: What phones show, by what Pillow calls it; anything else becomes the first of them that fits.
ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}
#: Tried one after the other where a picture takes too much: JPEG of this quality, this wide.
_SMALLER = ((85, 1.0), (70, 1.0), (55, 1.0), (70, 0.7), (55, 0.5), (55, 0.3))
_QUALITY = 88


class PictureLimits(NamedTuple):
    """What a picture may be: bytes read and pixels decoded, then its width (0: any) and its bytes."""

    file_bytes: int
    pixels: int
    width: int
    most_bytes: int


class Picture(NamedTuple):
    """The content of a picture that fits, and its file ending."""

    content: bytes
    ending: str


def read(path: str, most: int) -> bytes:
    """The content of a file of at most `most` bytes.  Raises BadMedia."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(most + 1)
    except (OSError, ValueError) as error:
        raise BadMedia(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > most:
        raise BadMedia(f"{path} is larger than {most} bytes (media.file_bytes)")
    if not content:
        raise BadMedia(f"{path} is empty")
    return content


def fitted(content: bytes, limits: PictureLimits) -> Picture:
    """The picture, made narrower and smaller as far as that is needed.  Raises BadMedia."""
    if len(content) > limits.file_bytes:
        raise BadMedia(f"a picture is larger than {limits.file_bytes} bytes (media.file_bytes)")
    try:
        with warnings.catch_warnings():
            # Its pixels are counted here, by a limit of the operator's.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(BytesIO(content), formats=tuple(ENDINGS)) as opened:
                return _fitted(opened, content, limits)
    except UnidentifiedImageError as error:
        raise BadMedia(f"a picture is none of {', '.join(ENDINGS)}") from error
    except Image.DecompressionBombError as error:
        raise BadMedia(f"a picture has more than {limits.pixels} pixels (media.pixels)") from error
    except (OSError, ValueError, SyntaxError, EOFError, ArithmeticError, LookupError) as error:
        # What Pillow's readers raise for damaged files is whatever comes.
        raise BadMedia(f"a picture cannot be decoded: {error}") from error


def _fitted(opened: Image.Image, content: bytes, limits: PictureLimits) -> Picture:
    frames = getattr(opened, "n_frames", 1)
    if opened.width * opened.height * frames > limits.pixels:
        raise BadMedia(
            f"a picture of {opened.width}x{opened.height} pixels and {frames} frames has more than "
            f"{limits.pixels} pixels (media.pixels)"
        )
    kind = opened.format or "PNG"
    wide = bool(limits.width) and opened.width > limits.width
    opened.load()
    if not wide and len(content) <= limits.most_bytes:
        return Picture(content, ENDINGS[kind])
    if frames > 1:
        content = _animation(opened, kind, limits.width if wide else opened.width)
    else:
        content = _saved(_resized(ImageOps.exif_transpose(opened), limits.width), kind, _QUALITY)
    if len(content) <= limits.most_bytes:
        return Picture(content, ENDINGS[kind])
    opened.seek(0)
    return _smaller(opened, limits)


def _smaller(opened: Image.Image, limits: PictureLimits) -> Picture:
    first = _flat(_resized(ImageOps.exif_transpose(opened), limits.width))
    for quality, share in _SMALLER:
        content = _saved(_resized(first, max(1, int(first.width * share))), "JPEG", quality)
        if len(content) <= limits.most_bytes:
            return Picture(content, ENDINGS["JPEG"])
    raise BadMedia(f"a picture cannot be made as small as this phone takes it ({limits.most_bytes} bytes)")


def _resized(picture: Image.Image, width: int) -> Image.Image:
    if not width or picture.width <= width:
        return picture
    height = max(1, round(picture.height * width / picture.width))
    mode = picture.mode
    if mode in ("1", "P", "PA"):
        # A palette's numbers have no average.
        picture = picture.convert("RGBA" if "transparency" in picture.info or mode == "PA" else "RGB")
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _animation(opened: Image.Image, kind: str, width: int) -> bytes:
    times: list[int] = []

    def frames() -> Iterator[Image.Image]:
        for frame in ImageSequence.Iterator(opened):
            times.append(int(frame.info.get("duration", 100)))
            yield _resized(frame.convert("RGBA"), width)

    first, *rest = frames()
    into = BytesIO()
    first.save(into, kind, save_all=True, append_images=rest, duration=times, loop=opened.info.get("loop", 0))
    return into.getvalue()


def _saved(picture: Image.Image, kind: str, quality: int) -> bytes:
    into = BytesIO()
    if kind == "JPEG":
        _flat(picture).save(into, kind, quality=quality, optimize=True)
    else:
        picture.save(into, kind, quality=quality)
    return into.getvalue()


def _flat(picture: Image.Image) -> Image.Image:
    """The picture as JPEG can hold it: what one can see through is white."""
    if picture.mode in ("RGB", "L"):
        return picture
    seen_through = picture.convert("RGBA")
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(seen_through, mask=seen_through.getchannel("A"))
    return ground
