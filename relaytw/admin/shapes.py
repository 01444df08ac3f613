"""What the admin API says and hears, as typed JSON; `relayctl` reads answers back into the same shapes.

Times are in seconds since the epoch, sizes in bytes unless named otherwise.  Request bodies refuse
fields they do not know, so that a misspelt one is noticed.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Generic, TypeVar

import msgspec

from relaytw.admin.view import (
    AuditRow,
    CloseRow,
    DeviceRow,
    Overview,
    PenaltyRow,
    RoomRow,
)
from relaytw.admin.view import Forgotten as ForgottenRows
from relaytw.messages import ClientKey, CloseReason, PhoneInfo, Status
from relaytw.settings import BotSettings, ChatLogPolicy, RoomSettings

Item = TypeVar("Item")


#: The most that one page holds, and how much it does where nobody says.
MOST_ON_A_PAGE = 1000
PAGE = 200


class Listing(msgspec.Struct, Generic[Item], frozen=True, omit_defaults=True):
    """Items of one kind; with `next` there are more, to be had by giving it as `after`."""

    items: list[Item]
    next: str | None = None


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which page: the one that begins `after` what the one before gave as `next`."""

    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_ON_A_PAGE)] = PAGE


class ApprovalQuery(PageQuery, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which devices or rooms: those of one status, or those that wait under a short code."""

    status: Status | None = None
    code: str | None = None


class Client(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bot's script on one device."""

    bot: str
    device: str

    @property
    def key(self) -> ClientKey:
        """The key the relay knows this client by."""
        return ClientKey(self.bot, self.device)


class DeviceStatus(Client, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The status a device shall have; with `register` one that was never seen is made known.

    `reason` is told to a phone that is turned away.
    """

    status: Status
    register: bool = False
    reason: str | None = None


class RoomStatus(Client, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The status a room shall have; with `register` one that was never heard of is made known."""

    room_id: str
    status: Status
    register: bool = False
    reason: str | None = None


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One chat user, by the hash that phones give."""

    user_hash: str


class Forgotten(msgspec.Struct, frozen=True):
    """What was deleted of one person's chat: messages, and answers to them; is there `more`?"""

    messages: int
    answers: int
    more: bool

    @classmethod
    def of(cls, row: ForgottenRows) -> Forgotten:
        """The shape of what was deleted."""
        return cls(*row)


class Webhook(msgspec.Struct, frozen=True):
    """A webhook by the name of its bot ("*": every other); `again_in` in seconds."""

    name: str
    state: str
    again_in: float
    calls: int
    failures: int
    at_work: int


class RelayStatus(msgspec.Struct, frozen=True):
    """The relay in one glance; `not_ready` says why phones are not served, if they are not."""

    name: str
    version: str
    mode: str
    not_ready: str | None
    started_at: float
    listening: list[str]
    connections: int
    connections_limit: int
    overflow: int
    provisional: int
    clients: int
    waiting: int
    waiting_bytes: int
    running: int
    consumers: int
    lanes: int
    outbox: int
    outbox_bytes: int
    penalties: int
    memory_bytes: int
    accepted: int
    finished: int
    failed: int
    replies_sent: int
    rows_waiting: int
    rows_waiting_bytes: int
    database_up: bool
    database_errors: int
    journal_segments: int
    journal_bytes: int
    journal_unfinished: int
    webhooks: list[Webhook] = []

    @classmethod
    def of(cls, overview: Overview, not_ready: str | None) -> RelayStatus:
        """The shape of an overview."""
        webhooks = [row._asdict() for row in overview.webhooks]
        return msgspec.convert({**overview._asdict(), "not_ready": not_ready, "webhooks": webhooks}, cls)


class Figures(msgspec.Struct, frozen=True):
    """What a phone says about itself in its pongs.  Memory in MB."""

    total_memory: float
    memory_usage: float
    memory_percent: float
    message_queue_size: int
    active_rooms: int


class Phone(msgspec.Struct, frozen=True):
    """A connected phone; `proven` says that it has shown a valid signature."""

    bot: str
    device: str
    dialect: str
    version: str
    address: str
    device_info: str
    status: Status
    connected_at: float
    last_heard: float
    round_trip_ms: int | None
    messages: int
    proven: bool
    monitoring: Figures | None

    @classmethod
    def of(cls, phone: PhoneInfo) -> Phone:
        """The shape of a snapshot."""
        return cls(
            *phone.client,
            dialect=phone.dialect.value,
            version=phone.version,
            address=phone.address,
            device_info=phone.device_info,
            status=phone.status,
            connected_at=phone.connected_at,
            last_heard=phone.last_heard,
            round_trip_ms=phone.round_trip_ms,
            messages=phone.messages,
            proven=phone.proven,
            monitoring=Figures(*phone.monitoring) if phone.monitoring is not None else None,
        )


class Device(msgspec.Struct, frozen=True):
    """A device the relay knows; `device_uuid` is what it is pinned to, if it is.

    `word` is its status as it stands in the table, `code` a short name for it while it waits; one that is
    not `saved` has no row.
    """

    bot: str
    device: str
    status: Status
    address: str
    version: str
    device_uuid: str | None
    created_at: float
    updated_at: float
    word: str | None = None
    reason: str = ""
    saved: bool = True
    code: str | None = None

    @classmethod
    def of(cls, row: DeviceRow) -> Device:
        """The shape of a row."""
        return cls(
            *row.client,
            status=row.status,
            address=row.address,
            version=row.version,
            device_uuid=row.device_uuid,
            created_at=row.created_at,
            updated_at=row.updated_at,
            word=row.word,
            reason=row.reason,
            saved=row.saved,
            code=row.code,
        )


class Room(msgspec.Struct, frozen=True):
    """A room the relay knows; `room_id` is the channel id, or the name where there is none."""

    bot: str
    device: str
    room_id: str
    name: str
    status: Status
    created_at: float
    updated_at: float
    word: str | None = None
    saved: bool = True
    code: str | None = None
    per_room: int | None = None
    ordered: bool = False
    muted: bool = False
    chat_log: ChatLogPolicy | None = None
    retention_days: int | None = None

    @classmethod
    def of(cls, row: RoomRow) -> Room:
        """The shape of a row."""
        return cls(
            *row.client,
            room_id=row.room_id,
            name=row.name,
            status=row.status,
            created_at=row.created_at,
            updated_at=row.updated_at,
            word=row.word,
            saved=row.saved,
            code=row.code,
            **{field.name: getattr(row.settings, field.name) for field in fields(row.settings)},
        )


class RoomChange(Client, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of a room's settings shall change; with `register` one that was never heard of is made known."""

    room_id: str
    per_room: int | msgspec.UnsetType | None = msgspec.UNSET
    ordered: bool | msgspec.UnsetType = msgspec.UNSET
    muted: bool | msgspec.UnsetType = msgspec.UNSET
    chat_log: ChatLogPolicy | msgspec.UnsetType | None = msgspec.UNSET
    retention_days: int | msgspec.UnsetType | None = msgspec.UNSET
    register: bool = False

    def values(self) -> dict[str, object]:
        """The values by their names in `RoomSettings`."""
        given = {field.name: getattr(self, field.name) for field in fields(RoomSettings)}
        return {name: value for name, value in given.items() if value is not msgspec.UNSET}


class Bot(msgspec.Struct, frozen=True):
    """A bot's settings; None is what the configuration says.  Sizes in bytes, widths in pixels."""

    bot: str
    prefix: str
    admins: list[str]
    per_bot: int | None
    per_room: int | None
    chat_log: ChatLogPolicy | None
    max_message_size: int | None
    image_width: int
    paused: bool

    @classmethod
    def of(cls, settings: BotSettings) -> Bot:
        """The shape of a bot's settings."""
        return cls(
            settings.bot,
            prefix=settings.prefix,
            admins=sorted(settings.admins),
            per_bot=settings.per_bot,
            per_room=settings.per_room,
            chat_log=settings.chat_log,
            max_message_size=settings.line_bytes,
            image_width=settings.image_width,
            paused=settings.paused,
        )


class BotChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of a bot's settings shall change; with `register` a bot that was never seen is made known."""

    bot: str
    prefix: str | msgspec.UnsetType = msgspec.UNSET
    admins: list[str] | msgspec.UnsetType = msgspec.UNSET
    per_bot: int | msgspec.UnsetType | None = msgspec.UNSET
    per_room: int | msgspec.UnsetType | None = msgspec.UNSET
    chat_log: ChatLogPolicy | msgspec.UnsetType | None = msgspec.UNSET
    max_message_size: int | msgspec.UnsetType | None = msgspec.UNSET
    image_width: int | msgspec.UnsetType = msgspec.UNSET
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    register: bool = False

    def values(self) -> dict[str, object]:
        """The values by their names in `BotSettings`."""
        given = {
            name: getattr(self, name) for name in self.__struct_fields__ if name not in ("bot", "register")
        }
        if isinstance(self.admins, list):
            given["admins"] = frozenset(self.admins)
        given["line_bytes"] = given.pop("max_message_size")
        return {name: value for name, value in given.items() if value is not msgspec.UNSET}


class Close(msgspec.Struct, frozen=True):
    """A connection that ended or was refused after so many `seconds`; without a client if it named none."""

    at: float
    address: str
    bot: str | None
    device: str | None
    reason: CloseReason
    detail: str
    seconds: float

    @classmethod
    def of(cls, row: CloseRow) -> Close:
        """The shape of a row."""
        bot, device = row.client if row.client is not None else (None, None)
        return cls(row.at, row.address, bot, device, row.reason, row.detail, row.seconds)


class Penalty(msgspec.Struct, frozen=True):
    """A client in the penalty box."""

    bot: str
    device: str
    until: float
    why: str
    times: int

    @classmethod
    def of(cls, row: PenaltyRow) -> Penalty:
        """The shape of a row."""
        return cls(*row.client, until=row.until, why=row.why, times=row.times)


class Act(msgspec.Struct, frozen=True):
    """What an operator, or somebody with access to the database, did."""

    at: float
    actor: str
    act: str
    bot: str | None
    device: str | None
    room_id: str | None
    detail: str | None

    @classmethod
    def of(cls, row: AuditRow) -> Act:
        """The shape of a row."""
        return cls(*row)


class ErrorDetail(msgspec.Struct, frozen=True):
    """A code for programs and a sentence for people."""

    code: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """What every refusal looks like."""

    error: ErrorDetail
