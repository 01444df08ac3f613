"""What the operator's side sees of replies that have not ended, and what it may do: never what they say.

Times are in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated, Protocol

import msgspec

from relaytw.messages import ClientKey, Outcome


class Held(msgspec.Struct, frozen=True):
    """What is held for one client: replies that wait, and those that wait for its acknowledgement.

    `bytes` counts characters of text and bytes of media; `here` says that the phone is connected.
    """

    bot: str
    device: str
    here: bool
    waiting: int
    unacknowledged: int
    bytes: int
    rooms: int
    oldest: float


class HeldReply(msgspec.Struct, frozen=True):
    """A reply that has not ended; `written` says that a phone was given it."""

    id: str
    trace: str
    room: str
    channel_id: str | None
    what: str
    size: int
    since: float
    written: bool


class HeldFor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For whom."""

    bot: str
    device: str


class DropReplies(HeldFor, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which replies are not to be written any more: one client's, of one room or with one id if that is said.

    `room` is a channel id, or the name where there is none.
    """

    room: str | None = None
    id: str | None = None


class Dropped(msgspec.Struct, frozen=True):
    """How many replies were dropped."""

    replies: int


class SendText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A text for a room, by channel id or name; how it ended is waited for at most `wait` seconds."""

    bot: str
    device: str
    room: str
    text: Annotated[str, msgspec.Meta(min_length=1)]
    wait: Annotated[float, msgspec.Meta(ge=0, le=60)] = 5.0


class Sent(msgspec.Struct, frozen=True):
    """What has become of a reply so far, and why; "waiting" while it has not ended."""

    id: str
    outcome: Outcome
    why: str = ""


class TracedMessage(msgspec.Struct, frozen=True):
    """The life of a message; `started` is null if no handler was given it.  `bytes` are those of its line."""

    trace: str
    id: str
    bot: str
    device: str
    room: str
    channel_id: str | None
    received: float
    accepted: float
    started: float | None
    ended: float
    replies: int
    redelivered: bool
    bytes: int


class TracedReply(msgspec.Struct, frozen=True):
    """What happened to a reply: it waits, is not acknowledged, or ended; `written` when it was, if it was."""

    trace: str
    id: str
    bot: str
    device: str
    stage: str
    why: str
    written: float | None
    at: float


class Trace(msgspec.Struct, frozen=True):
    """What is known of a message and its replies, by id or trace id; oldest first."""

    messages: list[TracedMessage]
    replies: list[TracedReply]


class TraceQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which message or reply: its id, or the trace id from the log."""

    id: str


class SendRefused(Exception):
    """It was not even tried; `code` is the API's name for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OutboxView(Protocol):
    """Replies that have not ended, and the operator's own."""

    def holdings(self) -> Sequence[Held]:
        """Everybody for whom something is held."""

    def held_for(self, client: ClientKey) -> Sequence[HeldReply]:
        """What is held for one client, what was written first."""

    def drop(self, wanted: DropReplies, actor: str) -> int:
        """Drop replies; how many.  Each ends, and becomes a dead letter."""

    def trace(self, name: str) -> Awaitable[Trace]:
        """What is known of the message of this id or trace id.  Raises Unavailable if nothing is kept."""

    def send(self, wanted: SendText, actor: str) -> Awaitable[Sent]:
        """Send a text, and say what is known of it in time.  Raises SendRefused."""
