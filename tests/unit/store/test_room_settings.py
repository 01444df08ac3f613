"""A room's settings in its row: only what is named changes, and what others have put there stays."""

from __future__ import annotations

import json
from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Status
from relaytw.services.known import settings_of
from relaytw.settings import ChatLogPolicy, RoomSettings
from relaytw.store import rooms
from relaytw.store.layout import Layout
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

    def test_not_more_by_the_way(self) -> None:
        """Where nobody can read what is to be kept nothing is; to set for how long does not change that."""
        for broken in ("{", "[" * 100_000):
            self.database.change("UPDATE kb_rooms SET log_settings = ?", broken)
            self.assertEqual(
                self.change(retention_days=7), RoomSettings(chat_log=ChatLogPolicy.NONE, retention_days=7)
            )

    def test_old_word(self) -> None:
        """The old word for keeping nothing goes when something else is set, and holds until then."""
        old, nothing = '{"enabled": false, "note": 1}', ChatLogPolicy.NONE
        for values, policy, left in (
            ({"retention_days": 7}, nothing, {"enabled": False, "note": 1, "retention_days": 7}),
            ({"chat_log": nothing}, nothing, {"enabled": False, "note": 1, "policy": "none"}),
            ({"chat_log": None}, None, {"note": 1}),
            ({"chat_log": ChatLogPolicy.FULL}, ChatLogPolicy.FULL, {"note": 1, "policy": "full"}),
        ):
            self.database.change("UPDATE kb_rooms SET log_settings = ?", old)
            self.assertIs(self.change(**values).chat_log, policy)
            self.assertEqual(self.log_settings(), left)

    def test_any_text(self) -> None:
        """What others have put there is written back as every column can hold it, half characters too."""
        self.database.change(
            "UPDATE kb_rooms SET log_settings = ?", r'{"note": "\ud83d \ubc29 \ud83d\udc4b"}'
        )
        self.change(retention_days=7)
        [(text,)] = self.database.rows("SELECT log_settings FROM kb_rooms")
        self.assertTrue(text.isascii())
        self.assertEqual(json.loads(text), {"note": "\ud83d 방 👋", "retention_days": 7})

    def test_no_null(self) -> None:
        """Where the column takes no NULL, nothing set is an empty object."""
        self.database.layout = Layout(nulls={"kb_rooms": {"log_settings": ""}})
        self.change(retention_days=7)
        self.assertEqual(self.change(retention_days=None), RoomSettings())
        self.assertEqual(self.log_settings(), {})

    def test_nothing_else(self) -> None:
        """What another changed a moment before stays, as long as it is not what is named."""
        stored = self.database.now(_read)
        self.database.change("""UPDATE kb_rooms SET per_room = 7, log_settings = '{"policy": "none"}'""")
        self.database.now(set_values, stored, {"muted": True}, NOON)
        self.assertEqual(
            settings_of(self.database.now(_read)),
            RoomSettings(per_room=7, muted=True, chat_log=ChatLogPolicy.NONE),
        )
