"""Pictures and other media as authors write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Image, Media
from relaytw.bots.answers import parts
from relaytw.bots.media import LONGEST_WAIT, wait_of
from relaytw.messages import Media as ReadyMedia

URL = "https://example.org/a.png"


class MediaTests(SynchronousTestCase):
    def test_by_url(self) -> None:
        """What the phone fetches itself needs no work; its ending and its wait are found out."""
        self.assertEqual(parts(Image(URL)), (ReadyMedia((URL,), "image", "png", wait_of(1, 200_000)),))
        self.assertEqual(
            parts(Media("audio", "http://example.org/x", wait_ms=7)),
            (ReadyMedia(("http://example.org/x",), "audio", "mp3", 7),),
        )
        (video,) = parts(Media("video", URL, format="avi"))
        assert isinstance(video, ReadyMedia)
        self.assertEqual(video.format, "avi")

    def test_endings(self) -> None:
        """URLs of several endings are several replies, in order."""
        made = parts(Image(URL, "https://example.org/b.png?x=1.gif", "https://example.org/c.JPG"))
        told = [(len(one.sources), one.format) for one in made if isinstance(one, ReadyMedia)]
        self.assertEqual(told, [(2, "png"), (1, "jpg")])

    def test_needs_work(self) -> None:
        """Files and contents are left as they are: making them ready is not done here."""
        for draft in (Image("a.png"), Image(Path("a.png")), Image(b"x"), Image(URL, b"x")):
            self.assertEqual(parts(["hi", draft])[1:], (draft,))
        self.assertEqual(parts([Image()]), ())

    def test_wrong(self) -> None:
        """What cannot be sent is refused where it is written."""
        wrong: list[tuple[type[Exception], Any, tuple[Any, ...], dict[str, Any]]] = [
            (ValueError, Media, ("picture", b"x"), {}),
            (TypeError, Image, ((URL,),), {}),
            (TypeError, Image, (1,), {}),
            (ValueError, Image, (b"",), {}),
            (ValueError, Image, ("https://a.b/|||https://c.d/",), {}),
            (ValueError, Image, ("https://a.b/\nc",), {}),
            (ValueError, Image, (b"x",) * 31, {}),
            (ValueError, Image, (b"x",), {"format": ".jpg"}),
            (ValueError, Image, (b"x",), {"wait_ms": LONGEST_WAIT + 1}),
            (ValueError, Image, (b"x",), {"wait_ms": True}),
        ]
        for error, kind, sources, options in wrong:
            self.assertRaises(error, kind, *sources, **options)

    def test_wait(self) -> None:
        """A phone waits 4 s, 1.5 s for each source and 1 s for each 100 kB, five minutes at most."""
        self.assertEqual(wait_of(1, 0), 5_500)
        self.assertEqual(wait_of(3, 250_000), 4_000 + 4_500 + 2_500)
        self.assertEqual(wait_of(30, 10**9), LONGEST_WAIT)
