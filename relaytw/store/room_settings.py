"""What is set for a room, in its row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, update

from relaytw.settings import ChatLogPolicy
from relaytw.store.rooms import THIS_ROW, StoredRoom, named
from relaytw.store.schema import rooms
from relaytw.store.statements import Statement, Transaction

_c = rooms.c
#: What `log_settings` calls the settings that it holds.
_LOGGED = {"chat_log": "policy", "retention_days": "retention_days"}
_COLUMNS = {
    "per_room": _c.per_room,
    "ordered": _c.ordered,
    "muted": _c.muted,
    "log_settings": _c.log_settings,
}
_SET = {
    name: Statement(
        update(rooms).where(THIS_ROW).values({column: bindparam("value"), _c.updated_at: bindparam("at")})
    )
    for name, column in _COLUMNS.items()
}


def set_values(
    transaction: Transaction, stored: StoredRoom, values: Mapping[str, object], at: str
) -> StoredRoom:
    """Change these settings of a room, by their names in `RoomSettings`; no other column is touched."""
    changes: dict[str, Any] = {name: values[name] for name in _COLUMNS if name in values}
    for name in changes.keys() & {"ordered", "muted"}:
        changes[name] = int(bool(changes[name]))
    if values.keys() & _LOGGED.keys():
        changes["log_settings"] = _logging(transaction, stored.log_settings, values)
    for name, value in changes.items():
        transaction.run(_SET[name], **named(stored.key), value=value, at=at)
    return stored._replace(**changes, updated_at=at)


def _logging(transaction: Transaction, stored: object, values: Mapping[str, object]) -> object:
    """The column that says how much is kept of a chat; what others have put there stays."""
    told = _told(stored)
    if told.get("enabled") is False and values.get("chat_log", ChatLogPolicy.NONE) != ChatLogPolicy.NONE:
        # The old word for keeping nothing would speak against this, and hold where it is taken back.
        del told["enabled"]
    for name, key in _LOGGED.items():
        if name in values:
            told[key] = values[name]
    kept = {key: value for key, value in told.items() if value is not None}
    if not kept and "log_settings" not in transaction.layout.nulls.get("kb_rooms", {}):
        return None
    # In ASCII it fits whatever character set the column has, and half a character does no harm.
    return json.dumps(kept)


def _told(stored: object) -> dict[str, object]:
    try:
        told = json.loads(str(stored)) if stored else {}
    except (ValueError, RecursionError):
        # What nobody can read keeps nothing, and shall not keep more for having been changed.
        return {"policy": ChatLogPolicy.NONE}
    return told if isinstance(told, dict) else {}
