"""The objects that packets of dialect 4.0 are made of, as docs/protocol-4.md spells them."""

from __future__ import annotations

import re
from sys import intern
from typing import Any

from msgspec import Struct

from relaytw.errors import BadLine
from relaytw.messages import Chat, CouldNot, Dialect, ErrorCode, Handshake, Hello, Pong, Proof, Typed
from relaytw.protocols.wire.seals import NONCE_BYTES
from relaytw.protocols.wire.shapes import BOT_CHARS, DEVICE_CHARS, MonitoringShape

#: What a phone may name a message.
CHAT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: The longest id of a reply, and how many one line may acknowledge.
REPLY_ID_CHARS = 80
MOST_IDS = 10_000
#: The longest uuid: with what stands before it in the table it fills its column.
UUID_CHARS = 96
#: The longest version and code of a failure that are kept.
_WORD_CHARS = 100
_LATEST = 2**53
_new: Any = tuple.__new__


class HelloShape(Struct):
    """A phone's introduction."""

    versions: list[int]
    bot: str
    device: str
    uuid: str
    version: str
    nonce: str
    client: str | None = None
    resume: str | None = None
    info: str | None = None

    def value(self) -> Hello:
        """The frozen value of it.  Raises BadLine for what is too long, and a nonce that is none."""
        if not self.bot.strip():
            raise BadLine("bot is empty", ErrorCode.BAD_HANDSHAKE)
        for name, value, limit in (
            ("bot", self.bot, BOT_CHARS),
            ("device", self.device, DEVICE_CHARS),
            ("uuid", self.uuid, UUID_CHARS),
            ("version", self.version, _WORD_CHARS),
        ):
            if len(value) > limit:
                raise BadLine(f"{name} is longer than {limit} characters", ErrorCode.BAD_HANDSHAKE)
        handshake = Handshake(
            Dialect.V40, intern(self.bot), self.device, intern(self.version),
            intern((self.client or "")[:50]), "", (self.info or "")[:255],
        )  # fmt: skip
        resume = self.resume if self.resume is None or len(self.resume) <= REPLY_ID_CHARS else None
        return Hello(tuple(self.versions[:100]), handshake, self.uuid, _nonce(self.nonce), resume)


def _nonce(digits: str) -> bytes:
    try:
        nonce = bytes.fromhex(digits)
    except ValueError:
        nonce = b""
    if len(nonce) != NONCE_BYTES or len(digits) != 2 * NONCE_BYTES:
        raise BadLine(f"nonce is not {2 * NONCE_BYTES} hex digits", ErrorCode.BAD_HANDSHAKE)
    return nonce


class ProofShape(Struct):
    """Nothing: its seal is what counts."""

    def value(self) -> Proof:
        """The frozen value of it."""
        return Proof()


class ChatShape(Struct):
    """One chat message."""

    id: str
    room: str
    text: str
    sender: str | None = None
    channel_id: str | None = None
    log_id: str | None = None
    user_hash: str | None = None
    is_group_chat: bool = False
    is_mention: bool = False
    sent_at: int | float | None = None
    age: int | float = 0
    resent: bool = False

    def value(self) -> Chat:
        """The frozen value of it.  Raises BadLine for an id that is none."""
        if CHAT_ID.fullmatch(self.id) is None:
            raise BadLine("a chat's id is 1 to 64 of A-Z a-z 0-9 . _ -", ErrorCode.BAD_CHAT)
        age = self.age
        values = (
            self.room,
            self.text,
            self.sender or "",
            self.channel_id,
            self.log_id,
            self.user_hash,
            self.is_group_chat,
            self.is_mention,
            str(self.sent_at) if self.sent_at is not None else "",
            None,
            self.id,
            int(age) if 0 <= age < _LATEST else 0,
            self.resent,
        )
        return _new(Chat, values)  # type: ignore[no-any-return]


class AckShape(Struct):
    """Replies that were typed out."""

    ids: list[str]

    def value(self) -> Typed:
        """The frozen value of it; what can be no id is left out."""
        return Typed(tuple(name for name in self.ids[:MOST_IDS] if len(name) <= REPLY_ID_CHARS))


class FailedShape(Struct):
    """A reply that cannot be typed."""

    id: str
    code: str = "internal"
    message: str = ""

    def value(self) -> CouldNot:
        """The frozen value of it, cut to what is kept."""
        return CouldNot(self.id[:REPLY_ID_CHARS], self.code[:_WORD_CHARS], self.message[:200])


class PongShape(Struct):
    """The answer to a ping."""

    server_timestamp: int | float | str | None = None
    monitoring: MonitoringShape | None = None

    def value(self) -> Pong:
        """The frozen value of it."""
        sent = self.server_timestamp
        figures = self.monitoring.value() if self.monitoring is not None else None
        return Pong(sent if type(sent) is int else None, figures, None)


class HelloEvent(Struct, tag_field="event", tag="hello"):
    """The envelope of an introduction."""

    data: HelloShape
    v: int


class ProofEvent(Struct, tag_field="event", tag="proof"):
    """The envelope of a proof."""

    data: ProofShape


class ChatEvent(Struct, tag_field="event", tag="chat"):
    """The envelope of chat."""

    data: ChatShape


class AckEvent(Struct, tag_field="event", tag="ack"):
    """The envelope of acknowledgements."""

    data: AckShape


class FailedEvent(Struct, tag_field="event", tag="failed"):
    """The envelope of a failure."""

    data: FailedShape


class PongEvent(Struct, tag_field="event", tag="pong"):
    """The envelope of a pong."""

    data: PongShape


Envelope = HelloEvent | ProofEvent | ChatEvent | AckEvent | FailedEvent | PongEvent
ENVELOPES: dict[str, type[Any]] = {
    "hello": HelloEvent,
    "proof": ProofEvent,
    "chat": ChatEvent,
    "ack": AckEvent,
    "failed": FailedEvent,
    "pong": PongEvent,
}
