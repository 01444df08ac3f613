"""What the operator's side may see and do: snapshots in, verbs out, never the insides."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import NamedTuple, Protocol

from relaytw.admin.secrets import SecretsView
from relaytw.messages import ClientKey, CloseReason, PhoneInfo, Status
from relaytw.settings import BotSettings


class DeviceRow(NamedTuple):
    """A device the relay knows.  Times in seconds since the epoch."""

    client: ClientKey
    status: Status
    address: str
    version: str
    device_uuid: str | None
    created_at: float
    updated_at: float


class RoomRow(NamedTuple):
    """A room the relay knows; `room_id` is the channel id, or the name where there is none."""

    client: ClientKey
    room_id: str
    name: str
    status: Status
    created_at: float
    updated_at: float


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


class Forgotten(NamedTuple):
    """What was deleted of one person's chat: messages, and answers to them; is there `more`?"""

    messages: int
    answers: int
    more: bool


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


class RelayView(Protocol):
    """Everything the admin API needs from a running relay."""

    @property
    def secrets(self) -> SecretsView:
        """The secrets that phones sign with."""

    def ready(self) -> str | None:
        """None when phones are served, else a sentence on why not."""

    def overview(self) -> Overview:
        """The figures of `/api/v1/status`."""

    def phones(self) -> Sequence[PhoneInfo]:
        """Every connected phone that has introduced itself."""

    def devices(self) -> Sequence[DeviceRow]:
        """Every known device."""

    def set_device(self, client: ClientKey, status: Status, *, register: bool = False) -> bool:
        """Change a device's status, at once on its live connection; False if it is unknown.

        With `register` an unknown device is made known rather than refused.
        Raises ValueError, with a sentence for the operator, if this device can never be approved.
        """

    def rooms(self) -> Sequence[RoomRow]:
        """Every known room."""

    def set_room(self, client: ClientKey, room_id: str, status: Status, *, register: bool = False) -> bool:
        """Change a room's status; False if it is unknown and `register` does not make it known."""

    def bots(self) -> Sequence[BotSettings]:
        """Every bot that has settings of its own, by name."""

    def set_bot(
        self, bot: str, values: Mapping[str, object], *, register: bool = False
    ) -> Awaitable[BotSettings | None]:
        """Change these of a bot's settings, at once for live connections; the settings it has then.

        None if it is unknown and `register` does not make it known.  Raises ValueError, with a sentence
        for the operator, if a value is not allowed, and Unavailable if it cannot be written at the moment.
        """

    def closes(self) -> Sequence[CloseRow]:
        """The last 1,000 connections that ended or were refused, newest last."""

    def penalties(self) -> Sequence[PenaltyRow]:
        """Who is in the penalty box."""

    def lift_penalty(self, client: ClientKey) -> bool:
        """Let a client out of the penalty box; False if it is not in it."""

    def disconnect(self, client: ClientKey) -> bool:
        """Close a client's connection; False if it is not connected."""

    def forget(self, user_hash: str) -> Awaitable[Forgotten]:
        """Delete some of what a person said and was answered; to be asked again while there is more.

        Fails with `Unavailable`, with a sentence for the operator, while that cannot be done.
        """
