"""Devices and rooms as the approvals keep them: what everybody shares, and what is known of its row."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from relaytw.gate import NAMELESS, Device, Room
from relaytw.messages import ClientKey, Status
from relaytw.pins import follows
from relaytw.settings import MOST_AT_A_TIME, ChatLogPolicy, RoomSettings
from relaytw.store.devices import StoredDevice
from relaytw.store.rooms import RowKey, StoredRoom
from relaytw.store.times import WallClock


@dataclass(slots=True, eq=False)
class KnownDevice(Device):
    """A device in memory.

    `number` is that of its row, `word` what stands there for its status, `stamp` tells how new that is.
    Before `again_at` (seconds of the relay's clock) nobody asks the table because of it; `fresh` says
    that it may be approved as one that was never seen.
    """

    number: int | None = None
    word: str | None = None
    stamp: int = 0
    fresh: bool = True
    again_at: float = 0.0
    used_at: float = 0.0
    conflict: str | None = None
    waiters: list[Deferred[Any]] = field(default_factory=list)

    def take(self, row: StoredDevice, wall: WallClock, *, pinning: bool) -> None:
        """Be what the row says; while it is `pinning` what it is bound to is not in the row yet."""
        self.number, self.word, self.saved = row.number, row.word, True
        self.looked_up = True
        self.status = status_of_device(self.client, row.word)
        self.reason = row.reason or ""
        if not (pinning and self.uuid is not None and follows(self.uuid, row.uuid)):
            self.uuid = row.uuid
        self.line_bytes, self.image_width = row.line_bytes, row.image_width
        self.created_at, self.updated_at = wall.seconds(row.created_at), wall.seconds(row.updated_at)
        self.conflict = None

    def lose(self) -> None:
        """Be one that has no row."""
        self.number, self.word, self.saved = None, None, False
        self.looked_up = True
        self.status, self.uuid, self.reason = Status.PENDING, None, ""
        self.line_bytes = self.image_width = None


@dataclass(slots=True, eq=False)
class KnownRoom(Room):
    """A room in memory; `table_id` is the table's id for it, `row` the row that speaks for it."""

    table_id: str = ""
    row: RowKey | None = None
    word: str | None = None
    stamp: int = 0
    fresh: bool = True
    again_at: float = 0.0
    conflict: str | None = None
    waiters: list[Deferred[Any]] = field(default_factory=list)

    def take(self, row: StoredRoom, wall: WallClock) -> None:
        """Be what the row says."""
        self.row, self.word, self.saved = row.key, row.word, True
        self.looked_up = True
        self.status = status_of(row.word)
        self.settings = settings_of(row)
        self.created_at, self.updated_at = wall.seconds(row.created_at), wall.seconds(row.updated_at)
        self.conflict = None

    def lose(self) -> None:
        """Be one that has no row."""
        self.row, self.word, self.saved = None, None, False
        self.looked_up = True
        self.status, self.settings = Status.PENDING, RoomSettings()


def status_of(word: str | None) -> Status:
    """What a word in the table means: whatever is not one of ours is not approved."""
    try:
        return Status(word)  # type: ignore[arg-type]
    except ValueError:
        return Status.PENDING


def status_of_device(client: ClientKey, word: str | None) -> Status:
    """The same for a device; one that calls itself nothing is never approved."""
    status = status_of(word)
    return status if status is not Status.APPROVED or approvable(client) else Status.PENDING


def approvable(client: ClientKey) -> bool:
    """Can this client be approved at all?  A device that calls itself nothing cannot."""
    return client.device.strip().lower() not in NAMELESS


def settings_of(row: StoredRoom) -> RoomSettings:
    """What was set for a room; who cannot say what is to be kept of a chat has nothing kept."""
    per_room = row.per_room if isinstance(row.per_room, int) and row.per_room > 0 else None
    policy, days = _log_settings(row.log_settings)
    return RoomSettings(
        per_room=None if per_room is None else min(per_room, MOST_AT_A_TIME),
        ordered=bool(row.ordered),
        muted=bool(row.muted),
        chat_log=policy,
        retention_days=days,
    )


def _log_settings(stored: object) -> tuple[ChatLogPolicy | None, int | None]:
    try:
        told = json.loads(str(stored)) if stored else {}
    except (ValueError, RecursionError):
        return ChatLogPolicy.NONE, None
    if not isinstance(told, dict):
        return None, None
    days = told.get("retention_days")
    days = days if isinstance(days, int) and not isinstance(days, bool) and days > 0 else None
    word = told.get("policy")
    if word is None:
        return ChatLogPolicy.NONE if told.get("enabled") is False else None, days
    try:
        return ChatLogPolicy(word), days
    except ValueError:
        return ChatLogPolicy.NONE, days
