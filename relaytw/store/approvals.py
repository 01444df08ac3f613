"""Devices and rooms looked up together, and what others have changed about them."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from relaytw.messages import ClientKey
from relaytw.store import devices, rooms
from relaytw.store.devices import AskedDevice
from relaytw.store.rooms import AskedRoom, RowKey
from relaytw.store.statements import Transaction
from relaytw.store.urls import Engine

_DATA_VERSION = "PRAGMA data_version"


class Asked(NamedTuple):
    """What one transaction looks up.

    At most `pending_rows` devices, and as many rooms, may wait in the tables; the devices `spared` are
    not deleted for others.  The rows `unproven` were approved unseen, and are deleted.
    """

    devices: list[AskedDevice]
    rooms: list[AskedRoom]
    pending_rows: int = 0
    spared: Collection[ClientKey] = ()
    unproven: Collection[int] = ()


class Answers(NamedTuple):
    """What was found, in the order of what was asked."""

    devices: devices.Answers
    rooms: rooms.Answers


def look_up(transaction: Transaction, asked: Asked, at: str) -> Answers:
    """Look devices and rooms up, and register those that shall be."""
    devices.forget_unproven(transaction, asked.unproven)
    return Answers(
        devices.look_up(transaction, asked.devices, asked.pending_rows, asked.spared, at),
        rooms.look_up(transaction, asked.rooms, asked.pending_rows, at),
    )


class Since(NamedTuple):
    """Where a look for changes begins, in either table."""

    devices: devices.Since
    rooms: rooms.Since


class Changes(NamedTuple):
    """What was changed, and where to go on in a table of which there is more.

    `version` is the same as long as nobody else has written to the database; None where that cannot be
    told.
    """

    devices: list[ClientKey]
    rooms: list[RowKey]
    more_devices: devices.Since | None
    more_rooms: rooms.Since | None
    version: tuple[int, int] | None


def changes(transaction: Transaction, since: Since, limit: int) -> Changes:
    """What was changed since then, at most `limit` rows of each table."""
    # Asked first: what is written afterwards shows in the next look.
    version = _version(transaction)
    changed_devices, more_devices = devices.changed(transaction, since.devices, limit)
    changed_rooms, more_rooms = rooms.changed(transaction, since.rooms, limit)
    return Changes(changed_devices, changed_rooms, more_devices, more_rooms, version)


def _version(transaction: Transaction) -> tuple[int, int] | None:
    if transaction.engine is not Engine.SQLITE:
        return None
    # The number means something only next to another one of the same connection.
    return transaction.connection, transaction.number(_DATA_VERSION)
