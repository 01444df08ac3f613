"""Pictures and files on their way to a phone: made to fit, and refused where they cannot be."""

from __future__ import annotations

import random
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BadMedia
from relaytw.pictures import Picture, PictureLimits, fitted, read
from tests.unit.folders import OwnFolder

LIMITS = PictureLimits(file_bytes=1_000_000, pixels=1_000_000, width=90, most_bytes=100_000)


def picture(kind: str, width: int = 120, height: int = 60, mode: str = "RGB", frames: int = 1) -> bytes:
    """A picture of this kind."""
    images = [
        Image.new(mode, (width, height), n * 40 % 256 if mode in "LP" else "red") for n in range(frames)
    ]
    for number, image in enumerate(images):
        image.putpixel((number, 0), 1 if mode in "1LP" else (1,) * len(image.getbands()))
    into = BytesIO()
    images[0].save(into, kind, **({"save_all": True, "append_images": images[1:]} if frames > 1 else {}))
    return into.getvalue()


def noise(kind: str, width: int, height: int) -> bytes:
    """A picture that nothing can be saved on."""
    into = BytesIO()
    Image.frombytes("RGB", (width, height), random.Random(1).randbytes(3 * width * height)).save(into, kind)
    return into.getvalue()


def opened(made: Picture) -> Image.Image:
    """The picture in what was made."""
    return Image.open(BytesIO(made.content))


class FittedTests(SynchronousTestCase):
    def test_as_it_is(self) -> None:
        """A picture that fits stays as it is, to the byte."""
        for kind, ending in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif")):
            content = picture(kind, 90)
            self.assertEqual(fitted(content, LIMITS), Picture(content, ending))

    def test_narrower(self) -> None:
        """A wider one becomes as narrow as is wanted, in its own format and proportions."""
        for kind in ("JPEG", "PNG", "WEBP", "GIF"):
            made = opened(fitted(picture(kind), LIMITS))
            self.assertEqual((made.size, made.format), ((90, 45), kind))

    def test_modes(self) -> None:
        """Whatever its colours are made of."""
        for kind, mode in (("PNG", "RGBA"), ("PNG", "L"), ("PNG", "P"), ("PNG", "1"), ("JPEG", "CMYK")):
            self.assertEqual(opened(fitted(picture(kind, mode=mode), LIMITS)).width, 90, mode)

    def test_any_width(self) -> None:
        """Width 0 stands for a phone that wants pictures as they are."""
        content = picture("PNG")
        self.assertEqual(fitted(content, LIMITS._replace(width=0)).content, content)

    def test_animation(self) -> None:
        """A moving picture goes on moving when it is made narrower."""
        made = opened(fitted(picture("GIF", frames=3), LIMITS))
        self.assertEqual((made.width, getattr(made, "n_frames", 1)), (90, 3))

    def test_turned(self) -> None:
        """A picture taken with the camera on its side stands upright afterwards."""
        exif, into = Image.Exif(), BytesIO()
        exif[0x0112] = 6
        Image.new("RGB", (200, 100)).save(into, "JPEG", exif=exif)
        self.assertEqual(opened(fitted(into.getvalue(), LIMITS)).size, (90, 180))

    def test_too_many_bytes(self) -> None:
        """One that takes more than the phone takes is saved as a smaller JPEG, or refused if that fails."""
        limits = LIMITS._replace(width=900, most_bytes=20_000)
        made = fitted(noise("PNG", 300, 200), limits)
        self.assertEqual(made.ending, "jpg")
        self.assertLessEqual(len(made.content), 20_000)
        with self.assertRaisesRegex(BadMedia, "as small as this phone"):
            fitted(noise("PNG", 300, 200), limits._replace(most_bytes=500))

    def test_bombs(self) -> None:
        """Pixels are counted before any is decoded, those of all frames."""
        for content in (picture("PNG", 20_000, 9_000, mode="1"), picture("GIF", 400, 400, frames=7)):
            with self.assertRaisesRegex(BadMedia, "media.pixels"):
                fitted(content, LIMITS)
        with self.assertRaisesRegex(BadMedia, "media.file_bytes"):
            fitted(b"\0" * 1_000_001, LIMITS)

    def test_damaged(self) -> None:
        """A picture that breaks off, and what is no picture at all, is refused with a sentence."""
        for kind in ("JPEG", "PNG", "WEBP", "GIF"):
            content = noise(kind, 90, 60)
            with self.assertRaises(BadMedia):
                fitted(content[: len(content) // 2], LIMITS)
        for content in (b"", b"GIF89a", b"hello", picture("BMP")):
            with self.assertRaises(BadMedia):
                fitted(content, LIMITS)

    @given(st.data())
    def test_any_bytes(self, data: st.DataObject) -> None:
        """Whatever a file holds, the outcome is a picture that fits, or BadMedia."""
        content = bytearray(picture(data.draw(st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]))))
        for _ in range(data.draw(st.integers(0, 8))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        try:
            made = fitted(bytes(content), LIMITS)
        except BadMedia:
            return
        self.assertLessEqual(opened(made).width, 90)


class ReadTests(OwnFolder):
    def test_file(self) -> None:
        """A file is read whole, up to its limit, or refused with its name."""
        folder = self.enter_folder()
        (folder / "a.bin").write_bytes(b"12345")
        (folder / "empty").touch()
        self.assertEqual(read("a.bin", 5), b"12345")
        for name, why in (
            ("a.bin", "larger than 4"),
            ("b", "No such file"),
            (".", "directory"),
            ("empty", "empty"),
            ("\0", "null"),
        ):
            with self.assertRaisesRegex(BadMedia, why):
                read(name, 4)
