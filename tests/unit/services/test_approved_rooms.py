"""Rooms: registered, renamed, set, and found under every id that old installations gave them."""

from __future__ import annotations

from relaytw.messages import ClientKey, Status
from relaytw.settings import RoomSettings
from relaytw.store.layout import Layout
from tests.unit.books import PHONE, BooksCase, done


class RoomTests(BooksCase):
    def test_unknown_is_pending(self) -> None:
        """A room nobody knows is registered as pending, for its client alone."""
        room = self.books.room()
        self.assertEqual((room.room_id, room.name, room.status), ("7", "family", Status.PENDING))
        other = self.books.room(client=ClientKey("bot", "other"))
        self.books.set_room("7", Status.APPROVED)
        self.assertEqual((room.status, other.status), (Status.APPROVED, Status.PENDING))
        self.assertEqual([row.status for row in self.books.rooms()], [Status.PENDING, Status.APPROVED])

    def test_renamed(self) -> None:
        """A room that is renamed is the same room under its new name, in the table too."""
        room = self.books.room()
        self.assertIs(self.books.room(name="relatives"), room)
        self.assertEqual(room.name, "relatives")
        self.assertEqual(self.books.database.rows("SELECT room_name FROM kb_rooms"), [("relatives",)])

    def test_cached(self) -> None:
        """A room that is known costs no look at the table."""
        self.books.room()
        before = self.books.database.ran
        for _ in range(100):
            self.books.room()
        self.assertEqual(self.books.database.ran, before)

    def test_approve_new(self) -> None:
        """Where new rooms are approved one never seen is; one that already waits stays pending."""
        self.books.room("waits")
        books = self.make(self.books, approve_new_rooms=True)
        self.assertIs(books.room().status, Status.APPROVED)
        self.assertIs(books.room("waits").status, Status.PENDING)

    def test_settings(self) -> None:
        """What is set for a room is with it, and whoever applies it is told; garbage keeps nothing."""
        self.books.room()
        cases = {
            '{"policy": "metadata", "retention_days": 7}': ("metadata", 7),
            '{"enabled": true, "retention_days": 30}': (None, 30),
            '{"enabled": false}': ("none", None),
            '{"policy": "fulll"}': ("none", None),
            '{"retention_days": true}': (None, None),
            "{": ("none", None),
            "[]": (None, None),
            "": (None, None),
        }
        for text, (policy, days) in cases.items():
            self.books.database.change(
                "UPDATE kb_rooms SET log_settings = ?, per_room = 5, ordered = 1, muted = 1", text
            )
            books = self.make(self.books)
            room = books.room()
            self.assertEqual((room.settings.chat_log, room.settings.retention_days), (policy, days), text)
            self.assertEqual(
                (room.settings.per_room, room.settings.ordered, room.settings.muted), (5, True, True)
            )
            self.assertEqual(books.rooms_changed, [room])

    def drop_key(self, key: str = "") -> None:
        """Let the table have another key, or none."""
        self.books.database.change("DROP TABLE kb_rooms")
        self.books.database.change(
            "CREATE TABLE kb_rooms (room_id, bot_name, device_id, room_name, status, approved_at, "
            f"rejection_reason, log_settings, per_room, ordered, muted, created_at, updated_at{key})"
        )

    def test_keyed_by_less(self) -> None:
        """Where a room has one row for all devices, or for all bots, that is written and found as ever."""
        for columns, row_id in ((("room_id", "bot_name"), "7"), (("room_id",), "7_bot")):
            self.drop_key(f", UNIQUE ({', '.join(columns)})")
            self.books.database.layout = Layout(rooms_per_device=False, room_key=columns)
            books = self.make(self.books)
            room, other = books.room(), books.room(client=ClientKey("bot", "other"))
            elsewhere = books.room(client=ClientKey("second bot", "phone"))
            self.assertEqual([one.saved for one in (room, other, elsewhere)], [True] * 3)
            rows = self.books.database.rows("SELECT room_id, device_id FROM kb_rooms WHERE bot_name = 'bot'")
            self.assertEqual(rows, [(row_id, None)])
            self.assertTrue(books.set_room("7", Status.APPROVED))
            statuses = [one.status for one in (room, other, elsewhere)]
            self.assertEqual(statuses, [Status.APPROVED, Status.APPROVED, Status.PENDING])
            self.books.database.change("UPDATE kb_rooms SET device_id = 'phone' WHERE bot_name = 'bot'")
            for device in ("phone", "other", "third"):
                again = self.make(self.books).room(client=ClientKey("bot", device))
                self.assertIs(again.status, Status.APPROVED)

    def test_set_by_less(self) -> None:
        """What is set for a room whose row is for all devices is set for all of them, and at once."""
        insert = "INSERT INTO kb_rooms (room_id, bot_name, device_id, status) VALUES ('7_bot', 'bot', ?, '')"
        for columns, device in ((("room_id", "bot_name", "device_id"), None), (("room_id",), "phone")):
            self.drop_key()
            self.books.database.change(insert, device)
            per_device = "device_id" in columns
            self.books.database.layout = Layout(rooms_per_device=per_device, room_key=columns)
            books = self.make(self.books)
            both = books.room(), books.room(client=ClientKey("bot", "other"))
            values = {"muted": True, "retention_days": 7}
            for client in (PHONE, ClientKey("bot", "")):
                values["per_room"] = len(client.device) + 1
                self.assertTrue(
                    done(books.desk.set_room_settings(client, "7", values, "admin", register=False))
                )
                wanted = RoomSettings(per_room=values["per_room"], muted=True, retention_days=7)
                self.assertEqual([room.settings for room in both], [wanted, wanted])
            rows = self.books.database.rows("SELECT room_id, device_id, muted FROM kb_rooms")
            self.assertEqual(rows, [("7_bot", device, 1)])
            self.assertEqual(set(books.rooms_changed), set(both))

    def test_old_ids(self) -> None:
        """Rows of old installations count: ids with a bot's name, and without a device for all of them."""
        insert = "INSERT INTO kb_rooms (room_id, bot_name, device_id, status) VALUES (?, ?, ?, ?)"
        self.drop_key()
        for row in (
            ("1_bot", "bot", "phone", "approved"),
            ("2_bot", "bot", None, "approved"),
            ("3", "bot", None, "approved"),
            ("4", "bot", "phone", "blocked"),
            ("4_bot", "bot", "phone", "approved"),
            ("5", "bot", "phone", "blocked"),
            ("5", "bot", None, "approved"),
            ("6", "other", None, "approved"),
        ):
            self.books.database.change(insert, *row)
        statuses = {room_id: self.books.room(room_id).status.value for room_id in "123456"}
        self.assertEqual(
            statuses,
            {
                "1": "approved", "2": "approved", "3": "approved", "4": "blocked", "5": "blocked",
                "6": "pending",
            },
        )  # fmt: skip
        self.books.room("3", client=ClientKey("bot", "other phone"))
        self.assertTrue(self.books.set_room("3", Status.BLOCKED))
        for client in (PHONE, ClientKey("bot", "other phone")):
            self.assertIs(self.books.room("3", client=client).status, Status.BLOCKED)

    def test_long_names(self) -> None:
        """Rooms known by long names never share an approval, however much alike they are."""
        long = "x" * 300
        room = self.books.room(long)
        [row] = self.books.rooms()
        self.assertEqual(len(row.room_id), 100)
        self.assertTrue(self.books.set_room(row.room_id, Status.APPROVED))
        self.assertIs(room.status, Status.APPROVED)
        for other in (long + "x", row.room_id):
            self.assertIs(self.books.room(other).status, Status.PENDING)
        self.assertEqual(len(self.books.rooms()), 3)
        self.assertIs(self.make(self.books).room(long).status, Status.APPROVED)
