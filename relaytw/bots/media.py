"""What authors send besides text: pictures, and other media, from files, memory or the web."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath
from urllib.parse import urlsplit

from relaytw.messages import Draft
from relaytw.messages import Media as ReadyMedia

#: The longest that a phone may be kept in a room for an upload, in ms.
LONGEST_WAIT = 300_000
#: What a phone can be told to send besides text, and what a file of it is taken for without an ending.
FORMATS = {"image": "jpg", "audio": "mp3", "video": "mp4", "document": "pdf"}
#: How many sources one of them may have.
MOST_SOURCES = 30
#: How long a phone waits where the author does not say: for the room, for each source, for its content.
WAIT_MS, WAIT_PER_SOURCE_MS, WAIT_BYTES_PER_MS = 4_000, 1_500, 100
#: The content that a URL is taken to have.
URL_BYTES = 200_000
_ENDING_CHARS = 8

Source = str | bytes | PurePath


@dataclass(frozen=True, slots=True)
class Media(Draft):
    """Media of a kind (image, audio, video, document): URLs, paths of files, contents (bytes), in order.

    A `str` that begins with http:// or https:// is a URL, any other a path.  `format` is a file ending such
    as "mp3"; `wait_ms` how long the phone shall wait for the upload; both are found out if they are not
    given.  Raises TypeError and ValueError for what cannot be sent.
    """

    kind: str
    sources: tuple[Source, ...]
    format: str = ""
    wait_ms: int | None = None

    def __init__(self, kind: str, *sources: Source, format: str = "", wait_ms: int | None = None) -> None:  # noqa: A002 (the phones' own word)
        if kind not in FORMATS:
            raise ValueError(f"Media are of kind {', '.join(FORMATS)}, not {kind!r}")
        for source in sources:
            if not isinstance(source, (str, bytes, PurePath)):
                raise TypeError(f"a source is a URL, a path or bytes, not {type(source).__name__}")
            if not source or (is_url(source) and not _usable(str(source))):
                raise ValueError("a source of Media is empty, or a URL that cannot be sent")
        if len(sources) > MOST_SOURCES:
            raise ValueError(f"Media have at most {MOST_SOURCES} sources")
        if not isinstance(format, str) or (format and not format.isalnum()):
            raise ValueError(f"the format of Media is a file ending such as 'jpg', not {format!r}")
        if wait_ms is not None and (type(wait_ms) is not int or not 0 <= wait_ms <= LONGEST_WAIT):
            raise ValueError(f"wait_ms is a number of milliseconds up to {LONGEST_WAIT}, not {wait_ms!r}")
        for name, value in (("kind", kind), ("sources", sources), ("format", format), ("wait_ms", wait_ms)):
            object.__setattr__(self, name, value)


class Image(Media):
    """Pictures: `Image("cat.png")`, `Image(data)`, `Image("https://…/a.jpg", "https://…/b.jpg")`.

    Those from files and memory are made as narrow as the phone wants them.
    """

    __slots__ = ()

    def __init__(self, *sources: Source, format: str = "", wait_ms: int | None = None) -> None:  # noqa: A002 (as above)
        super().__init__("image", *sources, format=format, wait_ms=wait_ms)


def is_url(source: Source) -> bool:
    """Is this something for the phone to fetch?"""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def _usable(url: str) -> bool:
    # Dialect 3.2 joins URLs with bars, and every dialect ends with a line.
    return "|||" not in url and url.isprintable()


def ready(media: Media) -> tuple[ReadyMedia, ...] | None:
    """The media as they are sent, if that needs no file and no work; else None."""
    if not all(map(is_url, media.sources)):
        return None
    return tuple(by_url(media, [str(source) for source in media.sources])) if media.sources else ()


def by_url(media: Media, urls: list[str]) -> Iterator[ReadyMedia]:
    """Some URLs of the media as they are sent: one for each run of the same file ending."""
    for ending, run in groupby(urls, lambda url: media.format or ending_of(urlsplit(url).path, media.kind)):
        same = tuple(run)
        wait = wait_of(len(same), URL_BYTES * len(same)) if media.wait_ms is None else media.wait_ms
        yield ReadyMedia(same, media.kind, ending, wait)


def ending_of(path: str, kind: str) -> str:
    """The ending of a file's name, or the usual one of its kind."""
    ending = PurePath(path).suffix.removeprefix(".").lower()
    usable = ending.isascii() and ending.isalnum() and len(ending) <= _ENDING_CHARS
    return ending if usable else FORMATS[kind]


def wait_of(count: int, size: int) -> int:
    """How long a phone waits for `count` sources of `size` bytes in all, in ms."""
    return min(LONGEST_WAIT, WAIT_MS + WAIT_PER_SOURCE_MS * count + size // WAIT_BYTES_PER_MS)
