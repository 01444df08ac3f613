"""What the admin API says and hears of messages that nobody has asked for, and what the relay does for it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated, Literal, Protocol

import msgspec

from relaytw.admin.callers import Caller

#: The longest key by which a request is recognised when it comes again.
KEY_CHARS = 200
#: The most tags that one request names, and their longest.
TAGS, TAG_CHARS = 50, 50

Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_CHARS)]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=TAG_CHARS)]


class PushRefused(Exception):
    """What was asked cannot be done; `code` names why, and the text says so."""

    def __init__(self, status: int, code: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.code = code


class MediaBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Media by `urls`, or by their contents in `base64`.  `wait_ms` is how long an upload may take."""

    urls: list[str] = []
    base64: list[str] = []
    kind: Literal["image", "audio", "video", "document"] = "image"
    format: str = "jpg"
    wait_ms: int | None = None


class Saying(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What shall be said: a text, and after it media."""

    text: str | None = None
    media: list[MediaBody] = []


class RoomNamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A room: by its id, or by its bot and what it is called; `device` where that is not enough."""

    room_id: str | None = None
    room: str | None = None
    bot: str | None = None
    device: str | None = None


class PushBody(Saying, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A message for one room, now or at `when` (ISO 8601; without an offset in the relay's time zone)."""

    room_id: str | None = None
    room: str | None = None
    bot: str | None = None
    device: str | None = None
    when: str | None = None
    idempotency_key: Key | None = None

    @property
    def target(self) -> RoomNamed:
        """The room."""
        return RoomNamed(room_id=self.room_id, room=self.room, bot=self.bot, device=self.device)


class RoomOutcome(msgspec.Struct, frozen=True):
    """A room that is told something, and what has become of that as far as anybody knows."""

    bot: str
    device: str
    room_id: str
    room: str
    outcome: str
    why: str | None = None


class Push(msgspec.Struct, frozen=True):
    """A message that nobody has asked for.  Times in seconds since the epoch."""

    id: str
    actor: str
    created_at: float
    due_at: float
    handed_at: float | None
    done_at: float | None
    rooms: list[RoomOutcome]


class BroadcastBody(Saying, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A message for every room of a bot, for those that bear a tag, or for those of a list.

    `per_minute` rooms of one phone are told at most, if that is fewer than the relay allows.
    """

    bot: str | None = None
    tag: Tag | None = None
    rooms: list[RoomNamed] = []
    per_minute: Annotated[float, msgspec.Meta(gt=0)] | None = None
    idempotency_key: Key | None = None


class Preview(msgspec.Struct, frozen=True):
    """What a broadcast would do: how many rooms, the first of them, and how many seconds it would take.

    `left_out` are rooms of the list that nothing can be said in, and why.
    """

    count: int
    rooms: list[RoomOutcome]
    seconds: float
    left_out: list[str]


class Broadcast(msgspec.Struct, frozen=True):
    """A broadcast; `outcomes` counts its rooms, `ends_at` is when the last is due (None: nothing is)."""

    id: str
    actor: str
    target: str
    state: str
    rooms: int
    per_minute: float
    outcomes: dict[str, int]
    created_at: float
    changed_at: float
    ends_at: float | None


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which push or broadcast."""

    id: str


class RoomTags(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Tags that a room shall have, and not have any more."""

    bot: str
    device: str
    room_id: str
    add: Annotated[list[Tag], msgspec.Meta(max_length=TAGS)] = []
    remove: Annotated[list[Tag], msgspec.Meta(max_length=TAGS)] = []


class RoomTagged(msgspec.Struct, frozen=True):
    """A room and all of its tags."""

    bot: str
    device: str
    room_id: str
    tags: list[str]


class PushesView(Protocol):
    """Messages to single rooms, and rooms' tags.  What cannot be done raises PushRefused and Unavailable."""

    def push(self, body: PushBody, caller: Caller) -> Awaitable[Push]:
        """Keep a message, and send it when it is due."""

    def find(self, id: str, caller: Caller) -> Awaitable[Push]:  # noqa: A002 (the API's name)
        """A message and what has become of it."""

    def pushes(
        self, after: str | None, limit: int, caller: Caller
    ) -> Awaitable[tuple[Sequence[Push], str | None]]:
        """The newest messages, newest first, and what to ask for older ones with."""

    def take_back(self, id: str, caller: Caller) -> Awaitable[Push]:  # noqa: A002 (the API's name)
        """Cancel a message that was not given to its phone yet."""

    def tag(self, wanted: RoomTags, caller: Caller) -> Awaitable[RoomTagged]:
        """Give a room tags, and take others away."""


class BroadcastsView(Protocol):
    """Messages to many rooms, likewise."""

    def preview(self, body: BroadcastBody, caller: Caller) -> Awaitable[Preview]:
        """What a broadcast would do."""

    def start(self, body: BroadcastBody, caller: Caller) -> Awaitable[Broadcast]:
        """Keep a broadcast and begin with it."""

    def find(self, id: str, caller: Caller) -> Awaitable[Broadcast]:  # noqa: A002 (the API's name)
        """A broadcast and how far it has come."""

    def newest(self, caller: Caller) -> Awaitable[Sequence[Broadcast]]:
        """The newest broadcasts, newest first."""

    def rooms(self, id: str, caller: Caller) -> Awaitable[Sequence[RoomOutcome]]:  # noqa: A002 (the API's name)
        """What has become of it in each room."""

    def change(self, verb: str, id: str, caller: Caller) -> Awaitable[Broadcast]:  # noqa: A002 (the API's name)
        """Pause a broadcast, resume it, or cancel the rest of it."""
