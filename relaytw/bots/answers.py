"""What a handler returned, as the parts of a reply."""

from __future__ import annotations

from relaytw.bots import media as drafts
from relaytw.bots.media import FORMATS, LONGEST_WAIT
from relaytw.messages import Media, Part, Text


class BadAnswer(TypeError):
    """A handler returned something that cannot be sent."""


def parts(answer: object) -> tuple[Part | drafts.Media, ...]:
    """The parts of an answer, in order; empty texts are left out, media that need work are as they were.

    Raises BadAnswer for anything but text, media, a list or tuple of them, or None.
    """
    if type(answer) is str:
        return (Text(answer),) if answer else ()
    if answer is None:
        return ()
    if isinstance(answer, (str, Text, Media, drafts.Media)):
        return _part(answer)
    if isinstance(answer, (list, tuple)):
        return tuple(part for item in answer for part in _part(item))
    raise BadAnswer(f"a handler answers with text, media, a list of them or None, not {_kind(answer)}")


def _part(item: object) -> tuple[Part | drafts.Media, ...]:
    if isinstance(item, str):
        return (Text(str(item)),) if item else ()
    if isinstance(item, Text):
        if not isinstance(item.text, str):
            raise BadAnswer(f"a Text holds a str, not {_kind(item.text)}")
        return (item,) if item.text else ()
    if isinstance(item, Media):
        return (_checked(item),) if item.sources else ()
    if isinstance(item, drafts.Media):
        ready = drafts.ready(item)
        return (item,) if ready is None else ready
    raise BadAnswer(f"a list of answers holds text and media, not {_kind(item)}")


def _checked(media: Media) -> Media:
    sources = media.sources
    same = isinstance(sources, (tuple, list)) and {type(source) for source in sources} in ({str}, {bytes})
    if not same:
        raise BadAnswer("the sources of Media are a tuple of URLs (str), or one of contents (bytes)")
    if media.kind not in FORMATS:
        raise BadAnswer(f"Media are of kind {', '.join(FORMATS)}, not {media.kind!r}")
    if type(media.format) is not str or not media.format.isalnum():
        raise BadAnswer(f"the format of Media is a file ending such as 'jpg', not {media.format!r}")
    wait = media.wait_ms
    if wait is not None and (type(wait) is not int or not 0 <= wait <= LONGEST_WAIT):
        raise BadAnswer(f"wait_ms of Media is a number of milliseconds up to {LONGEST_WAIT}, not {wait!r}")
    return media if isinstance(sources, tuple) else media._replace(sources=tuple(sources))


def _kind(value: object) -> str:
    return type(value).__name__
