"""A room's settings in its row: only what is named changes, and what others have put there stays."""

from __future__ import annotations

import json
from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Status
from relaytw.services.known import settings_of
from relaytw.settings import ChatLogPolicy, RoomSettings
from relaytw.store import rooms
from relaytw.store.room_settings import set_values
from relaytw.store.rooms import AskedRoom, StoredRoom
from relaytw.store.statements import Transaction
from relaytw.testing import MemoryDatabase

PHONE = ClientKey("bot", "phone")
NOON = "2025-07-15 12:00:00"


def _change(transaction: Transaction, values: Mapping[str, object]) -> StoredRoom:
    stored = rooms.find(transaction, [(PHONE, "100")])[PHONE, "100"]
    return set_values(transaction, stored, values, NOON)


def _read(transaction: Transaction) -> StoredRoom:
    return rooms.find(transaction, [(PHONE, "100")])[PHONE, "100"]


class RoomSettingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = MemoryDatabase()
        self.database.now(rooms.look_up, [AskedRoom(PHONE, "100", Status.APPROVED, "room")], 10, NOON)

    def change(self, **values: object) -> RoomSettings:
        """Change these; what the row says then."""
        changed = self.database.now(_change, values)
        self.assertEqual(self.database.now(_read), changed)
        return settings_of(changed)

    def log_settings(self) -> object:
        """What stands in the column that back offices know too."""
        [(text,)] = self.database.rows("SELECT log_settings FROM kb_rooms")
        return None if text is None else json.loads(text)

    def test_only_what_is_named(self) -> None:
        """Each setting changes by itself, and None takes it back."""
        self.assertEqual(self.change(muted=True), RoomSettings(muted=True))
        self.assertEqual(self.change(per_room=2), RoomSettings(muted=True, per_room=2))
        self.assertEqual(self.change(ordered=True, muted=False), RoomSettings(per_room=2, ordered=True))
        self.assertEqual(self.change(per_room=None, ordered=False), RoomSettings())
        self.assertEqual(self.log_settings(), None)

    def test_chat_log(self) -> None:
        """How much is kept, and for how long, stands in one column; both can be had alone."""
        self.assertEqual(
            self.change(chat_log=ChatLogPolicy.METADATA), RoomSettings(chat_log=ChatLogPolicy.METADATA)
        )
        self.change(retention_days=7)
        self.assertEqual(self.log_settings(), {"policy": "metadata", "retention_days": 7})
        self.assertEqual(self.change(chat_log=None), RoomSettings(retention_days=7))
        self.change(retention_days=None)
        self.assertEqual(self.log_settings(), None)

    def test_of_others(self) -> None:
        """What a back office keeps in that column is left to it; what is no JSON gives way."""
        self.database.change("""UPDATE kb_rooms SET log_settings = '{"note": "방", "policy": "none"}'""")
        self.change(muted=True)
        self.assertEqual(self.log_settings(), {"note": "방", "policy": "none"})
        self.change(retention_days=7)
        self.assertEqual(self.log_settings(), {"note": "방", "policy": "none", "retention_days": 7})
        for broken in ("", "{", "[1]", "5"):
            self.database.change("UPDATE kb_rooms SET log_settings = ?", broken)
            self.change(chat_log=ChatLogPolicy.FULL)
            self.assertEqual(self.log_settings(), {"policy": "full"})
