"""What somebody wants said, as the parts of replies: checked, kept as JSON, and read back."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import cast

import msgspec

from relaytw.admin.pushing import MediaBody, PushRefused, Saying
from relaytw.bots.answers import BadAnswer, parts
from relaytw.messages import Media, Part, Text

_DECODER: msgspec.json.Decoder[list[Saying]] = msgspec.json.Decoder(list[Saying])


def parts_of(saying: Saying, *, text_chars: int, media_bytes: int) -> list[Part]:
    """A text, and media after it.  Raises PushRefused for what cannot be sent."""
    found: list[Part] = []
    if saying.text:
        if len(saying.text) > text_chars:
            raise PushRefused(400, "too_long", f"a text may have {text_chars} characters (limits.text_chars)")
        found.append(Text(saying.text))
    found += [_media(media) for media in saying.media]
    if not found:
        raise PushRefused(400, "bad_request", "there is nothing to say: give a text or media")
    size = sum(len(source) for part in found if isinstance(part, Media) for source in part.sources)
    if size > media_bytes:
        raise PushRefused(400, "too_large", f"media may have {media_bytes} bytes (push.media_bytes)")
    return found


def kept(said: list[Part]) -> str:
    """The parts as JSON."""
    return msgspec.json.encode([_saying(part) for part in said]).decode()


def read(body: str) -> list[Part]:
    """The parts that were kept.  Raises msgspec.DecodeError and PushRefused for what is none."""
    found: list[Part] = []
    for saying in _DECODER.decode(body.encode()):
        if saying.text is not None:
            found.append(Text(saying.text))
        found += [_media(media) for media in saying.media]
    return found


def _saying(part: Part) -> Saying:
    if isinstance(part, Text):
        return Saying(text=part.text)
    urls = [source for source in part.sources if isinstance(source, str)]
    contents = [b64encode(source).decode() for source in part.sources if isinstance(source, bytes)]
    body = MediaBody(urls=urls, base64=contents, kind=part.kind, format=part.format, wait_ms=part.wait_ms)  # type: ignore[arg-type]
    return Saying(media=[body])


def _media(body: MediaBody) -> Part:
    if bool(body.urls) == bool(body.base64):
        raise PushRefused(400, "bad_request", "media have either urls or base64")
    try:
        contents = tuple(b64decode(text, validate=True) for text in body.base64)
    except (binascii.Error, ValueError):
        raise PushRefused(400, "bad_request", "what stands in base64 is no Base64") from None
    if not all(body.urls) or not all(contents) or any("|||" in url or "\n" in url for url in body.urls):
        raise PushRefused(400, "bad_request", "a URL or a content of media is empty, or cannot be sent")
    try:
        (media,) = parts([Media(contents or tuple(body.urls), body.kind, body.format, body.wait_ms)])
    except BadAnswer as error:
        raise PushRefused(400, "bad_request", str(error)) from None
    return cast("Part", media)  # `messages.Media` need no work
