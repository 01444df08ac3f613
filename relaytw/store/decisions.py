"""An operator's decision: the row, and the act written down, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from relaytw.messages import Status
from relaytw.store import audit, devices, rooms
from relaytw.store.audit import Act
from relaytw.store.devices import AskedDevice, Conflict, StoredDevice
from relaytw.store.room_settings import set_values
from relaytw.store.rooms import AskedRoom, StoredRoom
from relaytw.store.statements import Transaction


class Decision(NamedTuple):
    """The status that a device or room shall have, and why; with `register` it gets a row if it has none."""

    status: Status
    reason: str | None
    register: bool
    act: Act


def decide_device(
    transaction: Transaction, about: AskedDevice, decision: Decision, at: str
) -> StoredDevice | Conflict | None:
    """Decide about a device; its row then, why there can be none, or None if there is none."""
    stored: devices.Found = devices.find(transaction, [about.client]).get(about.client)
    if stored is None and decision.register:
        stored = devices.register(transaction, about, Status.PENDING, at)
    if isinstance(stored, StoredDevice):
        stored = devices.decide(transaction, stored, decision.status, decision.reason, at)
        audit.write(transaction, [decision.act])
    return stored


def decide_room(
    transaction: Transaction, about: AskedRoom, decision: Decision, at: str
) -> StoredRoom | Conflict | None:
    """The same for a room, by the table's id for it."""
    stored = _room(transaction, about, decision.register, at)
    if isinstance(stored, StoredRoom):
        stored = rooms.decide(transaction, stored, decision.status, decision.reason, at)
        audit.write(transaction, [decision.act])
    return stored


class RoomChange(NamedTuple):
    """Settings that a room shall have, by their names in `RoomSettings`; `register` likewise."""

    values: Mapping[str, object]
    register: bool
    act: Act


def change_room(
    transaction: Transaction, about: AskedRoom, change: RoomChange, at: str
) -> StoredRoom | Conflict | None:
    """Change some of a room's settings; what comes back is as for a decision."""
    stored = _room(transaction, about, change.register, at)
    if isinstance(stored, StoredRoom):
        stored = set_values(transaction, stored, change.values, at)
        audit.write(transaction, [change.act])
    return stored


def _room(transaction: Transaction, about: AskedRoom, register: bool, at: str) -> rooms.Found:
    key = (about.client, about.room_id)
    stored: rooms.Found = rooms.find(transaction, [key]).get(key)
    if stored is None and register:
        stored = rooms.register(transaction, about, Status.PENDING, at)
    return stored
