"""What the operator's side may see and do: snapshots in, verbs out, never the insides."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from relaytw.admin.modules import ModulesView
from relaytw.admin.outbox import OutboxView
from relaytw.admin.pushing import BroadcastsView, PushesView
from relaytw.admin.scheduling import SchedulesView
from relaytw.admin.secrets import SecretsView
from relaytw.admin.state import StateView
from relaytw.admin.tokens import TokensView
from relaytw.messages import ClientKey, CloseReason, PhoneInfo, Status
from relaytw.settings import USUAL_ROOM, BotSettings, RoomSettings

Row = TypeVar("Row")


class Page(NamedTuple, Generic[Row]):
    """Some rows of a list; `next` is what to ask for the ones after them with, None after the last."""

    rows: Sequence[Row]
    next: str | None


class DeviceRow(NamedTuple):
    """A device the relay knows.  Times in seconds since the epoch.

    `word` is its status as it stands in the table, `code` a short name for it while it waits; one that is
    not `saved` has no row.
    """

    client: ClientKey
    status: Status
    address: str
    version: str
    device_uuid: str | None
    created_at: float
    updated_at: float
    word: str | None
    reason: str
    saved: bool
    code: str | None


class RoomRow(NamedTuple):
    """A room the relay knows; `room_id` is the channel id, or the name where there is none.

    Long names are shortened, and old tables have rows without a device.
    """

    client: ClientKey
    room_id: str
    name: str
    status: Status
    created_at: float
    updated_at: float
    word: str | None
    saved: bool
    code: str | None
    settings: RoomSettings = USUAL_ROOM


class AuditRow(NamedTuple):
    """What somebody did.  `at` in seconds since the epoch."""

    at: float
    actor: str
    act: str
    bot: str | None
    device: str | None
    room_id: str | None
    detail: str | None


class CloseRow(NamedTuple):
    """One connection that ended or was refused.  `at` in seconds since the epoch."""

    at: float
    address: str
    client: ClientKey | None
    reason: CloseReason
    detail: str
    seconds: float


class PenaltyRow(NamedTuple):
    """A client in the penalty box.  `until` in seconds since the epoch."""

    client: ClientKey
    until: float
    why: str
    times: int


class SegmentRow(NamedTuple):
    """A file of the journal: its size in bytes, and how much in it is not finished."""

    name: str
    bytes: int
    unfinished: int


class JournalRow(NamedTuple):
    """The journal.  `sync` is "none" without one, `oldest` when the oldest unfinished message came."""

    sync: str
    problem: str | None
    segments: tuple[SegmentRow, ...]
    bytes: int
    unfinished: int
    unfinished_bytes: int
    oldest: float | None
    bad_records: int
    torn_tails: int
    loading: int


class DeadLetterRow(NamedTuple):
    """A message that is not run any more.  Times in seconds since the epoch."""

    id: int
    at: float
    reason: str
    client: ClientKey
    room_id: str
    message_id: str
    trace: str
    text: str
    deliveries: int
    received_at: float


class Forgotten(NamedTuple):
    """What was deleted of one person's chat: messages, and answers to them; is there `more`?"""

    messages: int
    answers: int
    more: bool


class WebhookRow(NamedTuple):
    """A webhook by the name of its bot ("*": every other).  `state` is closed, open or half-open.

    `again_in` is how many seconds it is left alone yet, `at_work` how many requests are under way.
    """

    name: str
    state: str
    again_in: float
    calls: int
    failures: int
    at_work: int


class Overview(NamedTuple):
    """The relay in one glance.  Memory and queues in bytes where named so, times in seconds."""

    name: str
    version: str
    mode: str
    started_at: float
    listening: tuple[str, ...]
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
    webhooks: Sequence[WebhookRow] = ()


class PushingView(Protocol):
    """All that has to do with messages which nobody has asked for."""

    @property
    def tokens(self) -> TokensView:
        """The tokens of programs."""

    @property
    def pushes(self) -> PushesView:
        """Messages to single rooms."""

    @property
    def broadcasts(self) -> BroadcastsView:
        """Messages to many rooms."""

    @property
    def schedules(self) -> SchedulesView:
        """Messages that come again."""


class RelayView(Protocol):
    """Everything the admin API needs from a running relay."""

    @property
    def secrets(self) -> SecretsView:
        """The secrets that phones sign with."""

    @property
    def pushing(self) -> PushingView:
        """What is said without a question, and who may have it said."""

    @property
    def state(self) -> StateView:
        """What bots remember."""

    @property
    def modules(self) -> ModulesView:
        """The code of the bots."""

    @property
    def outbox(self) -> OutboxView:
        """Replies that have not ended."""

    def ready(self) -> str | None:
        """None when phones are served, else a sentence on why not."""

    def overview(self) -> Overview:
        """The figures of `/api/v1/status`."""

    def phones(self) -> Sequence[PhoneInfo]:
        """Every connected phone that has introduced itself."""

    def devices(
        self, status: Status | None, code: str | None, after: str | None, limit: int
    ) -> Awaitable[Page[DeviceRow]]:
        """A page of the devices, of those of one status, or of those that wait under a code.

        Raises ValueError if `code` or `after` is none, and Unavailable while the table cannot be read.
        """

    def set_device(
        self,
        client: ClientKey,
        status: Status,
        actor: str,
        *,
        register: bool = False,
        reason: str | None = None,
    ) -> Awaitable[bool]:
        """Change a device's status, at once on its live connection; False if it is unknown.

        With `register` an unknown device is made known rather than refused.  Raises ValueError, with a
        sentence for the operator, if that cannot be, and Unavailable, with nothing changed, while the
        table cannot be written.
        """

    def rooms(
        self, status: Status | None, code: str | None, after: str | None, limit: int
    ) -> Awaitable[Page[RoomRow]]:
        """A page of the rooms likewise."""

    def set_room(
        self,
        client: ClientKey,
        room_id: str,
        status: Status,
        actor: str,
        *,
        register: bool = False,
        reason: str | None = None,
    ) -> Awaitable[bool]:
        """Change a room's status likewise."""

    def set_room_settings(
        self,
        client: ClientKey,
        room_id: str,
        values: Mapping[str, object],
        actor: str,
        *,
        register: bool = False,
    ) -> Awaitable[bool]:
        """Change these of a room's settings, at once; False if it is unknown.

        Raises ValueError with a sentence on every value that is not allowed, and Unavailable.
        """

    def audit(self, before: str | None, limit: int) -> Awaitable[Page[AuditRow]]:
        """A page of what operators did, newest first.  Raises ValueError and Unavailable."""

    def bots(self) -> Sequence[BotSettings]:
        """Every bot that has settings of its own, by name."""

    def set_bot(
        self, bot: str, values: Mapping[str, object], actor: str, *, register: bool = False
    ) -> Awaitable[BotSettings | None]:
        """Change these of a bot's settings, at once for live connections; the settings it has then.

        None if it is unknown and `register` does not make it known.  Raises ValueError, with a sentence
        for the operator, if a value is not allowed, and Unavailable if it cannot be written at the moment.
        """

    def closes(self) -> Sequence[CloseRow]:
        """The last 1,000 connections that ended or were refused, newest last."""

    def penalties(self) -> Sequence[PenaltyRow]:
        """Who is in the penalty box."""

    def lift_penalty(self, client: ClientKey, actor: str) -> bool:
        """Let a client out of the penalty box; False if it is not in it."""

    def disconnect(self, client: ClientKey, actor: str) -> bool:
        """Close a client's connection; False if it is not connected."""

    def forget(self, user_hash: str, actor: str) -> Awaitable[Forgotten]:
        """Delete some of what a person said and was answered; to be asked again while there is more.

        Fails with `Unavailable`, with a sentence for the operator, while that cannot be done.
        """

    def journal(self) -> JournalRow:
        """The figures of the journal."""

    async def dead_letters(self, count: int) -> Sequence[DeadLetterRow]:
        """The newest messages that are not run any more, newest first.  Raises Unavailable."""

    async def requeue(self, number: int, actor: str) -> bool:
        """Accept a dead letter as if it had just come; False if there is none.  Raises Unavailable."""

    async def drop_dead_letter(self, number: int, actor: str) -> bool:
        """Delete a dead letter; False if there is none.  Raises Unavailable."""
