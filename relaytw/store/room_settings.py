"""What is set for a room, in its row."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import bindparam, update

from relaytw.store.rooms import THIS_ROW, StoredRoom, named
from relaytw.store.schema import rooms
from relaytw.store.statements import Statement, Transaction

_c = rooms.c
#: What `log_settings` calls the settings that it holds.
_LOGGED = {"chat_log": "policy", "retention_days": "retention_days"}
_SET = Statement(
    update(rooms)
    .where(THIS_ROW)
    .values(
        {
            _c.per_room: bindparam("per_room"),
            _c.ordered: bindparam("ordered"),
            _c.muted: bindparam("muted"),
            _c.log_settings: bindparam("log_settings"),
            _c.updated_at: bindparam("at"),
        }
    )
)


def set_values(
    transaction: Transaction, stored: StoredRoom, values: Mapping[str, object], at: str
) -> StoredRoom:
    """Change these settings of a room, by their names in `RoomSettings`; what is not named stays."""
    changed = stored._replace(
        per_room=values.get("per_room", stored.per_room),
        ordered=int(bool(values.get("ordered", stored.ordered))),
        muted=int(bool(values.get("muted", stored.muted))),
        log_settings=_logging(stored.log_settings, values),
        updated_at=at,
    )
    transaction.run(
        _SET, **named(stored.key), per_room=changed.per_room, ordered=changed.ordered,
        muted=changed.muted, log_settings=changed.log_settings, at=at,
    )  # fmt: skip
    return changed


def _logging(stored: object, values: Mapping[str, object]) -> object:
    """The column that says how much is kept of a chat; what others have put there stays."""
    if not values.keys() & _LOGGED.keys():
        return stored
    try:
        told = json.loads(str(stored)) if stored else {}
    except (ValueError, RecursionError):
        told = {}
    told = told if isinstance(told, dict) else {}
    for name, key in _LOGGED.items():
        if name in values:
            told[key] = values[name]
    kept = {key: value for key, value in told.items() if value is not None}
    return json.dumps(kept, ensure_ascii=False) if kept else None
