"""The vocabulary: the values that travel between the stages, and the names of outcomes.

Everything here is frozen and knows no stage, no transport and no database.  What a value means is
said once, here; how it looks on the wire is the codec's business (`relaytw.protocols.wire`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, MutableMapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol


class ClientKey(NamedTuple):
    """Who a phone is: one bot's script on one device.  Its network address is not part of it."""

    bot: str
    device: str

    def __str__(self) -> str:
        return f"{self.bot}@{self.device}"


class Dialect(StrEnum):
    """The way a script speaks; recognised from its handshake."""

    V32 = "3.2"
    V33 = "3.3"
    V40 = "4.0"


class Status(StrEnum):
    """Whether a device or a room may talk.  Anything else found in a table is not approved."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    REVOKED = "revoked"
    BLOCKED = "blocked"

    @property
    def refused(self) -> bool:
        """Is a device of this status turned away, rather than kept in restricted mode?"""
        return self in (Status.DENIED, Status.REVOKED, Status.BLOCKED)


class ErrorCode(StrEnum):
    """What an `error` packet says went wrong; part of the wire."""

    SERVER_FULL = "server_full"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    BAD_HANDSHAKE = "bad_handshake"
    UNKNOWN_DIALECT = "unknown_dialect"
    UNSUPPORTED_VERSION = "unsupported_version"
    BAD_LINE = "bad_line"
    BAD_CHAT = "bad_chat"
    LINE_TOO_LONG = "line_too_long"
    TEXT_TOO_LONG = "text_too_long"
    NO_AUTH = "no_auth"
    WRONG_IDENTITY = "wrong_identity"
    OLD_DIALECT = "old_dialect"
    BAD_SIGNATURE = "bad_signature"
    BAD_SEQUENCE = "bad_sequence"
    UNKNOWN_BOT = "unknown_bot"
    STALE = "stale"
    REPLAY = "replay"
    NOT_APPROVED = "not_approved"
    PENALTY = "penalty"
    HELD_TOO_MUCH = "held_too_much"
    INTERNAL = "internal"


class CloseReason(StrEnum):
    """Why a connection ended or was refused: log field, metric label and column of the page."""

    SERVER_FULL = "server_full"
    DISPLACED = "displaced"
    HANDSHAKE_TIMEOUT = "handshake_timeout"
    BAD_HANDSHAKE = "bad_handshake"
    UNKNOWN_DIALECT = "unknown_dialect"
    UNSUPPORTED_VERSION = "unsupported_version"
    HELD_TOO_MUCH = "held_too_much"
    LINE_TOO_LONG = "line_too_long"
    BAD_LINES = "bad_lines"
    BAD_SIGNATURE = "bad_signature"
    BROKEN_SEAL = "broken_seal"
    WRONG_IDENTITY = "wrong_identity"
    OLD_DIALECT = "old_dialect"
    NOT_APPROVED = "not_approved"
    PENALTY = "penalty"
    UNPROVEN = "unproven"
    SUPERSEDED = "superseded"
    REPLACED = "replaced"
    ZOMBIE = "zombie"
    SLOW_PEER = "slow_peer"
    PHONE_CLOSED = "phone_closed"
    CONNECTION_LOST = "connection_lost"
    OPERATOR = "operator"
    SHUTDOWN = "shutdown"
    INTERNAL = "internal"


class Handshake(NamedTuple):
    """A phone's introduction.  Unsigned: it says who the phone claims to be, and proves nothing."""

    dialect: Dialect
    bot: str
    device: str
    version: str
    client_type: str = ""
    device_ip: str = ""
    device_info: str = ""

    @property
    def key(self) -> ClientKey:
        """The client this phone claims to be."""
        return ClientKey(self.bot, self.device)


class Hello(NamedTuple):
    """A 4.0 phone's introduction, which proves nothing either; `resume` is the last reply it acknowledged."""

    versions: tuple[int, ...]
    handshake: Handshake
    uuid: str
    nonce: bytes
    resume: str | None


class Proof(NamedTuple):
    """The line whose seal shows that a 4.0 phone knows the secret."""


class Auth(NamedTuple):
    """The `auth` object of a packet: identity, time and signature.  `timestamp` is in ms (UTC)."""

    client_type: str
    bot: str
    device_uuid: str
    device: str
    mac: str
    ip: str
    timestamp: int
    version: str
    signature: str


class Chat(NamedTuple):
    """One chat message as a phone sent it.  `timestamp` is the phone's own wall time, as sent.

    In 4.0 alone the phone has named it: `id`; it was heard `age_ms` ago, and may have been `resent`.
    """

    room: str
    text: str
    sender: str
    channel_id: str | None
    log_id: str | None
    user_hash: str | None
    is_group_chat: bool
    is_mention: bool
    timestamp: str
    auth: Auth | None
    id: str = ""
    age_ms: int = 0
    resent: bool = False


class Monitoring(NamedTuple):
    """A phone's own figures, from its pong.  Memory in MB."""

    total_memory: float
    memory_usage: float
    memory_percent: float
    message_queue_size: int
    active_rooms: int


class Pong(NamedTuple):
    """A phone's answer to a ping.  `server_timestamp` is what the relay sent, in ms; None if absent."""

    server_timestamp: int | None
    monitoring: Monitoring | None
    auth: Auth | None


class Typed(NamedTuple):
    """A 4.0 phone has typed these replies out."""

    ids: tuple[str, ...]
    auth: None = None


class CouldNot(NamedTuple):
    """A 4.0 phone cannot type this reply; `code` and `why` say what is wrong."""

    id: str
    code: str
    why: str
    auth: None = None


class Unacceptable(NamedTuple):
    """A 4.0 phone's chat that can never be accepted, as `why` says."""

    id: str
    why: str
    auth: None = None


class Unknown(NamedTuple):
    """A well-formed packet of an event the relay does not know: logged and ignored."""

    event: str
    auth: Auth | None


#: What a phone says of replies, and chat that is none.
Receipt = Typed | CouldNot | Unacceptable
Packet = Handshake | Hello | Proof | Chat | Pong | Receipt | Unknown


class Text(NamedTuple):
    """A text for a chat room."""

    text: str


class Media(NamedTuple):
    """Media for a chat room: URLs (str) or file contents (bytes), shown in order.

    `kind` is image, audio, video or document; `format` a file ending such as "jpg"; `wait_ms` how
    long the phone shall stay in the room for the upload (None: the phone's own default).
    """

    sources: tuple[str, ...] | tuple[bytes, ...]
    kind: str = "image"
    format: str = "jpg"
    wait_ms: int | None = None


Part = Text | Media


class Draft:
    """Something that an author wants to send and that has to be made ready first; a `Part` afterwards."""

    __slots__ = ()


class ReplyKind(StrEnum):
    """What prompted a reply; names the event in dialect 3.3 (3.2 knows `messageResponse` alone)."""

    RESPONSE = "messageResponse"
    SCHEDULE = "scheduleMessage"
    BROADCAST = "broadcastMessage"


class Outcome(StrEnum):
    """What has become of a reply, as far as anybody can know.

    Confirmed: the phone says that it typed it (4.0 alone).  Sent: written, and nobody can tell more.
    Waiting: not written yet.  Expired: waited too long, or had no room.  Failed: cannot arrive.
    """

    CONFIRMED = "confirmed"
    SENT = "sent-unconfirmed"
    WAITING = "waiting"
    EXPIRED = "expired"
    FAILED = "failed"


class Reply(NamedTuple):
    """One part of an answer on its way to a room.

    `trace` is the trace id of what prompted it.  `id` names it for as long as anybody asks: the id of
    the message it answers, a slash and its index; for what nobody asked for one that begins with "~".
    """

    client: ClientKey
    room: str
    channel_id: str | None
    part: Part
    trace: str
    kind: ReplyKind = ReplyKind.RESPONSE
    id: str = ""


#: What a handler may return: nothing, one text or medium, or several (sent 1 s apart).
Answer = str | Text | Media | Draft | Sequence[str | Text | Media | Draft] | None


@dataclass(frozen=True, slots=True)
class PhoneInfo:
    """A connected phone: times in s since the epoch, round trip in ms, widest picture and longest line."""

    client: ClientKey
    dialect: Dialect
    version: str
    address: str
    device_info: str
    status: Status
    connected_at: float
    last_heard: float
    round_trip_ms: int | None
    monitoring: Monitoring | None
    messages: int
    proven: bool
    image_width: int = 900
    line_bytes: int = 1_048_576


class SettingChange(NamedTuple):
    """One setting of a bot that has changed, as people read it."""

    bot: str
    name: str
    before: str
    after: str


class State(MutableMapping[str, Any]):
    """What a bot remembers of somebody in a room, or of the room: JSON values by name, safe in threads.

    A value that is got is a copy: changing it changes nothing before it is set again.  Setting raises
    TypeError or ValueError for what is no JSON, and `StateFull` for what has no room.
    """

    __slots__ = ()

    @abstractmethod
    def set(self, key: str, value: Any, seconds: float) -> None:
        """Remember a value for so many seconds."""

    @abstractmethod
    def expire(self, seconds: float) -> None:
        """Forget all that is in it, and what is set in it until then, in so many seconds."""


class Context(Protocol):
    """What messages may ask of the relay while they are being handled; one for all of them."""

    def reply(self, message: Message, answer: Answer) -> None:
        """Send `answer` to the message's room now; ignored (and logged) once its handler is over."""

    def ask(self, message: Message, question: Answer, timeout: float) -> Awaitable[Message]:
        """What the message's sender says next, after `question`, within `timeout` seconds; else AskError."""

    def phone(self, client: ClientKey) -> PhoneInfo | None:
        """The phone of this client, or None if it is not connected."""

    def reload_settings(self, message: Message) -> Awaitable[Sequence[SettingChange] | None]:
        """Read every bot's settings anew because of this message: what has changed; None if they cannot."""

    def state(self, message: Message, *, of_room: bool) -> State:
        """What is remembered of the message's sender in its room, or of the room as a whole."""


@dataclass(slots=True)
class Message:
    """A chat message as handlers see it.

    `id` is the same for every delivery of the same message, `trace` follows it through the logs,
    `received_at` is in seconds since the epoch, `redelivered` says that an earlier delivery did
    not finish, `over` that its handler has ended, `chat_log` how much of its answers the chat log
    gets, `said` how many replies it has got so far, `heard` how many when somebody was last listened to;
    `answers` is the message whose handler has asked for this one.  It carries the client's key, never a
    transport.
    """

    id: str
    trace: str
    client: ClientKey
    room: str
    channel_id: str | None
    text: str
    sender: str
    user_hash: str | None
    is_group_chat: bool
    is_mention: bool
    is_admin: bool
    received_at: float
    redelivered: bool
    context: Context = field(repr=False, compare=False)
    over: bool = field(default=False, repr=False, compare=False)
    chat_log: str = field(default="metadata", repr=False, compare=False)
    said: int = field(default=0, repr=False, compare=False)
    heard: int = field(default=0, repr=False, compare=False)
    answers: Message | None = field(default=None, repr=False, compare=False)
    bot_turns: int = field(default=0, repr=False, compare=False)

    @property
    def bot(self) -> str:
        """The bot name the phone serves."""
        return self.client.bot

    def reply(self, answer: Answer) -> None:
        """Send `answer` to this message's room now, without ending the handler."""
        self.context.reply(self, answer)

    def ask(self, question: Answer, timeout: float = 60) -> Awaitable[Message]:
        """Send `question`: what the sender says next in the room.  Fails with AskError (AskTimeout, …)."""
        return self.context.ask(self, question, timeout)

    def phone(self) -> PhoneInfo | None:
        """The phone this message came by, or None if it is not connected any more."""
        return self.context.phone(self.client)

    @property
    def state(self) -> State:
        """What the bot remembers of the sender in this room; survives a restart."""
        return self.context.state(self, of_room=False)

    @property
    def room_state(self) -> State:
        """What the bot remembers of the room, whoever writes in it."""
        return self.context.state(self, of_room=True)
