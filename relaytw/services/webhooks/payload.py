"""What a webhook is sent, how that is signed, and what its answer means."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode
from typing import Any

import msgspec

from relaytw.bots.media import Media, is_url
from relaytw.messages import Message, Text
from relaytw.protocols.wire.lenient import mend

#: How many replies one answer may hold.
MOST_REPLIES = 20
VERSION = 1
_encoder = msgspec.json.Encoder()

Reply = Text | Media


class BadReply(Exception):
    """What a webhook answered is no answer; the text says why."""


def encode(message: Message) -> bytes:
    """The body of the POST for this message."""
    phone = message.phone()
    return _encoder.encode({
        "version": VERSION,
        "id": message.id,
        "trace": message.trace,
        "bot": mend(message.client.bot),
        "device": mend(message.client.device),
        "room": mend(message.room),
        "channel_id": None if message.channel_id is None else mend(message.channel_id),
        "room_id": mend(message.channel_id or message.room),
        "text": mend(message.text),
        "sender": mend(message.sender),
        "user_hash": None if message.user_hash is None else mend(message.user_hash),
        "is_group_chat": message.is_group_chat,
        "is_mention": message.is_mention,
        "is_admin": message.is_admin,
        "received_at": message.received_at,
        "redelivered": message.redelivered,
        "image_width": None if phone is None else phone.image_width,
    })  # fmt: skip


def key_of(message: Message) -> str:
    """What names this message among those of all phones: the same for each delivery and each attempt."""
    told = "\0".join((*message.client, message.id))
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:32]


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over the timestamp (seconds since the epoch), a dot and the body, as hex digits."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def decode(body: bytes, content_type: str) -> list[Reply]:
    """What a webhook wants said.  Raises BadReply, and nothing else, for any bytes."""
    if not body.strip():
        return []
    try:
        if content_type.partition(";")[0].strip().lower() == "text/plain":
            return [Text(body.decode())]
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadReply(f"it is no JSON and no text/plain: {error}") from error
    if isinstance(value, dict) and "replies" in value:
        value = value["replies"]
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    if len(items) > MOST_REPLIES:
        raise BadReply(f"it holds more than {MOST_REPLIES} replies")
    return [_reply(item) for item in items]


def _reply(item: Any) -> Reply:
    if isinstance(item, str):
        return Text(item)
    if not isinstance(item, dict):
        raise BadReply(f"a reply is a text or an object, not {type(item).__name__}")
    if "media" not in item:
        text = item.get("text")
        if not isinstance(text, str):
            raise BadReply('a reply has a "text" that is a string, or "media"')
        return Text(text)
    ending, wait = item.get("format"), item.get("wait_ms")
    try:
        return Media(
            item["media"], *_sources(item), format="" if ending is None else ending,
            wait_ms=None if wait is None else wait,
        )  # fmt: skip
    except (TypeError, ValueError) as error:
        raise BadReply(str(error)) from error


def _sources(item: dict[str, Any]) -> list[str | bytes]:
    urls, contents = _strings(item, "url"), _strings(item, "base64")
    if bool(urls) == bool(contents):
        raise BadReply('media have one of "url" and "base64", a string or a list of them')
    if not all(map(is_url, urls)):
        # Anything else would be the path of a file on the relay's machine.
        raise BadReply("a URL of media begins with http:// or https://")
    try:
        return [*urls, *(b64decode(content, validate=True) for content in contents)]
    except (binascii.Error, ValueError) as error:
        raise BadReply(f"the content of media is no Base64: {error}") from error


def _strings(item: dict[str, Any], name: str) -> list[str]:
    value = item.get(name)
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(one, str) for one in values):
        raise BadReply(f'"{name}" of media is a string or a list of them')
    return values
