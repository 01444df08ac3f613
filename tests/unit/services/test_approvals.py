"""Who may talk, as the database says: registered, answered from memory, pinned, never approved by failure."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.gate import Device, Room
from relaytw.messages import ClientKey, Status
from relaytw.services.approval_effects import GOOD_FOR, UNANSWERED_FOR
from relaytw.services.known import approvable
from tests.unit.books import PHONE, Books, done, handshake

NAMELESS = ("", " ", "unknown", "Unknown", " UNKNOWN ", "null", "None", "undefined")


class BooksCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.books = self.make()

    def make(self, books: Books | None = None, **settings: Any) -> Books:
        """Approvals with these settings, over the same tables as others if they are given."""
        made = Books(self.clock, books.database if books else None, **settings)
        made.real.startService()
        made.audit.startService()
        self.addCleanup(made.real.stopService)
        return made

    def refresh(self, seconds: float = 2.0) -> None:
        """Let the approvals look at the tables."""
        self.books.pass_time(seconds)

    def stored(self, books: Books | None = None) -> list[tuple[str, str]]:
        """The devices in the table, with their status."""
        rows = (books or self.books).database.rows("SELECT device_id, status FROM kb_bot_devices ORDER BY id")
        return [(device, status) for device, status in rows]

    def asked(self, client: ClientKey = PHONE) -> list[Device]:
        """What a handshake of this client is answered with, as soon as it is."""
        answers: list[Device] = []
        found = self.books.real.device(handshake(client), "10.0.0.2:1")
        if isinstance(found, Deferred):
            found.addCallback(answers.append)
        else:
            answers.append(found)
        return answers

    def asked_room(self, room_id: str = "7") -> list[Room]:
        """The same for a message of a room."""
        answers: list[Room] = []
        found = self.books.real.room(PHONE, room_id, "family")
        if isinstance(found, Deferred):
            found.addCallback(answers.append)
        else:
            answers.append(found)
        return answers


class DeviceTests(BooksCase):
    def test_unknown_is_pending(self) -> None:
        """A device nobody knows is registered as pending, not pinned, with what it says of itself."""
        device = self.books.device()
        self.assertEqual((device.status, device.uuid, device.saved), (Status.PENDING, None, True))
        [row] = self.books.database.rows(
            "SELECT bot_name, device_id, status, ip_address, client_type, client_version, device_uuid, "
            "approved_at, created_at FROM kb_bot_devices"
        )
        self.assertEqual(
            row,
            (
                "bot", "phone", "pending", "10.0.0.2:1", "MessengerBotR", "3.3.0", None,
                None, "1970-01-12 22:46:40",
            ),
        )  # fmt: skip

    def test_same_object(self) -> None:
        """Whoever asks is given the same device, so that a change of it is seen by all."""
        device = self.books.device()
        self.assertIs(self.books.device(), device)
        self.clock.advance(10)
        self.assertIs(self.books.device(address="10.0.0.3:1", version="3.4.0"), device)
        self.assertEqual((device.address, device.version), ("10.0.0.3:1", "3.4.0"))
        rows = self.books.database.rows("SELECT ip_address, client_version FROM kb_bot_devices")
        self.assertEqual(rows, [("10.0.0.3:1", "3.4.0")])

    def test_long_words_are_cut(self) -> None:
        """What is only informative is cut to what its column holds."""
        self.books.device(address="x" * 99, version="y" * 99)
        rows = self.books.database.rows("SELECT ip_address, client_version FROM kb_bot_devices")
        self.assertEqual(rows, [("x" * 45, "y" * 20)])

    def test_names_too_long(self) -> None:
        """A name that fits into no row is never saved, cut down or approved."""
        for client in (ClientKey("b" * 31, "phone"), ClientKey("bot", "d" * 101)):
            device = self.books.device(client)
            self.assertEqual((device.status, device.saved), (Status.PENDING, False))
            with self.assertRaises(ValueError):
                self.books.set_device(client, Status.APPROVED)
            self.assertIs(device.status, Status.PENDING)
        self.assertEqual(self.stored(), [])

    def test_survives(self) -> None:
        """What was decided is known to the next relay before anybody has come."""
        self.books.device()
        self.books.set_device(PHONE, Status.APPROVED)
        self.books.real.pin(self.books.device(), "uuid")
        again = self.make(self.books)
        known = again.real.known_device(PHONE)
        assert known is not None
        self.assertEqual((known.status, known.uuid), (Status.APPROVED, "uuid"))

    def test_unknown_words(self) -> None:
        """A status that is none of ours, or none at all, is not approved, nor turned away."""
        self.books.device()
        for word in ("rejected", "suspended", "Approved", " approved", "", "1"):
            self.books.database.change("UPDATE kb_bot_devices SET status = ?", word)
            device = self.make(self.books).device()
            self.assertIs(device.status, Status.PENDING, word)

    def test_nameless(self) -> None:
        """A device without an identity is never approved, wherever that was written."""
        for name in NAMELESS:
            client = ClientKey("bot", name)
            self.assertFalse(approvable(client))
            with self.assertRaises(ValueError):
                self.books.set_device(client, Status.APPROVED, register=True)
            device = self.books.device(client)
            self.books.database.change("UPDATE kb_bot_devices SET status = 'approved'")
            self.refresh()
            self.assertIs(device.status, Status.PENDING, name)
            self.assertIs(self.make(self.books).device(client).status, Status.PENDING, name)

    def test_approve_new(self) -> None:
        """Where new devices are approved one never seen is; one that already waits stays pending."""
        self.books.device(ClientKey("bot", "waits"))
        books = self.make(self.books, approve_new_devices=True)
        self.assertIs(books.device().status, Status.APPROVED)
        self.assertIs(books.device(ClientKey("bot", "waits")).status, Status.PENDING)
        self.assertIs(books.device(ClientKey("bot", "unknown")).status, Status.PENDING)

    def test_conflict(self) -> None:
        """Where the table allows one bot a device, another bot's phone waits, and the log says why, once."""
        database = self.books.database
        database.change("CREATE UNIQUE INDEX uk_device_id ON kb_bot_devices (device_id)")
        self.books.device()
        other = ClientKey("other", "phone")
        device = self.books.device(other)
        self.assertEqual((device.status, device.saved), (Status.PENDING, False))
        with self.assertRaisesRegex(ValueError, "serves bot bot in this database"):
            self.books.set_device(other, Status.APPROVED)
        self.refresh(300)
        self.assertEqual((device.status, self.stored()), (Status.PENDING, [("phone", "pending")]))

    def test_names_alike(self) -> None:
        """A table that takes two names for one approves only the one that was approved, letter by letter."""
        self.books.database.change("DROP TABLE kb_bot_devices")
        self.books.database.change(
            "CREATE TABLE kb_bot_devices (id INTEGER PRIMARY KEY, bot_name TEXT COLLATE NOCASE, "
            "device_id TEXT COLLATE NOCASE, ip_address, client_type, client_version, status, approved_at, "
            "rejection_reason, max_message_size, image_resize_width, created_at, updated_at, device_uuid, "
            "UNIQUE (bot_name, device_id))"
        )
        self.books.device()
        self.books.set_device(PHONE, Status.APPROVED)
        books = self.make(self.books, approve_new_devices=True)
        for alike in (ClientKey("bot", "PHONE"), ClientKey("Bot", "phone")):
            device = books.device(alike)
            self.assertEqual((device.status, device.saved), (Status.PENDING, False))
            with self.assertRaisesRegex(ValueError, "takes its name for that of bot@phone"):
                books.set_device(alike, Status.APPROVED)
        self.assertEqual(self.stored(), [("phone", "approved")])


class SlowTests(BooksCase):
    def test_one_batch(self) -> None:
        """A thousand phones that come at once are looked up in a few transactions."""
        self.books.database.hold()
        before = self.books.database.ran
        answers = [self.asked(ClientKey("bot", str(number))) for number in range(1000)]
        self.books.database.let_go()
        self.assertEqual({len(answer) for answer in answers}, {1})
        self.assertLessEqual(self.books.database.ran - before, 5)
        self.assertEqual(len(self.stored()), 1000)

    def test_too_slow(self) -> None:
        """Who is not answered in time is pending; the answer counts when it comes, for who is on too."""
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        self.books = self.make(self.books)
        self.books.real.forget_absent()
        self.books.database.hold()
        self.books.on.here.add(PHONE)
        self.books.on.told.clear()
        answers = self.asked()
        self.clock.advance(2.9)
        self.assertEqual(answers, [])
        self.clock.advance(0.1)
        [device] = answers
        self.assertEqual((device.status, device.saved), (Status.PENDING, False))
        self.assertEqual(self.asked(), [device])
        self.books.database.let_go()
        self.assertEqual((device.status, device.saved), (Status.APPROVED, True))
        self.assertEqual(self.books.on.told, [(PHONE, Status.APPROVED)])
        self.assertEqual(self.books.metrics.lookups_unanswered, 1)

    def test_known_at_once(self) -> None:
        """One that is known is answered at once however slow the table is, and what it says counts later."""
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        self.books.database.change("UPDATE kb_bot_devices SET status = 'blocked'")
        self.clock.advance(GOOD_FOR)
        self.books.database.hold()
        [device] = self.asked()
        self.assertIs(device.status, Status.APPROVED)
        self.books.database.let_go()
        self.assertIs(device.status, Status.BLOCKED)

    def test_older_answer(self) -> None:
        """What was asked before an operator decided does not undo the decision."""
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        device = self.books.real.know(PHONE)
        old = device.stamp
        row = done(self.books.desk.devices(None, None, None, 10)).rows[0]
        self.assertEqual(row.word, "approved")
        self.books.set_device(PHONE, Status.BLOCKED)
        self.books.real.effects.device_found(device, None, old)
        self.assertIs(device.status, Status.BLOCKED)

    def test_room_too_slow(self) -> None:
        """A room that is not answered in time is not approved; what the table says counts once it does."""
        self.books.set_room("7", Status.APPROVED, register=True)
        self.books.database.hold()
        first, second = self.asked_room(), self.asked_room()
        self.clock.advance(3)
        self.assertEqual([room.status for room in first + second], [Status.PENDING] * 2)
        self.assertIs(self.books.room(), first[0])
        self.books.database.let_go()
        self.assertIs(first[0].status, Status.APPROVED)

    def test_one_poisoned(self) -> None:
        """One name that the driver cannot take does not keep the others from being looked up."""
        self.books.database.hold()
        names = ("one", "bad \ud83d", "two", "three")
        answers = [self.asked(ClientKey("bot", name)) for name in names]
        self.books.database.let_go()
        self.assertEqual([answer[0].saved for answer in answers], [True, False, True, True])
        self.assertEqual(len(self.flushLoggedErrors(UnicodeEncodeError)), 1)


class AwayTests(BooksCase):
    def test_known(self) -> None:
        """Without the database those that are known go on as they were, rooms too."""
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        self.books.set_room("7", Status.APPROVED, register=True)
        self.books.room()
        self.books.database.go_away()
        self.refresh(7200)
        self.books.real.forget_idle()
        self.assertIs(self.books.device().status, Status.APPROVED)
        self.assertIs(self.books.room().status, Status.APPROVED)

    def test_unknown(self) -> None:
        """Nobody is approved whom the database has not approved, also where new ones are."""
        self.books = self.make(approve_new_devices=True, approve_new_rooms=True)
        self.books.database.go_away()
        device, room = self.asked()[0], self.asked_room()[0]
        self.assertEqual((device.status, room.status), (Status.PENDING, Status.PENDING))
        self.refresh(60)
        self.assertEqual((device.status, room.status), (Status.PENDING, Status.PENDING))
        self.books.database.come_back()
        self.refresh(10)
        self.assertEqual((device.status, room.status), (Status.APPROVED, Status.APPROVED))
        self.assertEqual(self.stored(), [("phone", "approved")])

    def test_looked_up_later(self) -> None:
        """Who came while it was away is found or registered when it is back."""
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        self.books.real.forget_absent()
        self.books.database.go_away()
        device, stranger = self.asked()[0], self.asked(ClientKey("bot", "stranger"))[0]
        room = self.asked_room()[0]
        self.assertEqual((device.status, room.saved), (Status.PENDING, False))
        self.books.database.come_back()
        self.refresh(UNANSWERED_FOR + 2)
        self.assertEqual((device.status, stranger.saved, room.saved), (Status.APPROVED, True, True))
        self.assertEqual(self.stored(), [("phone", "approved"), ("stranger", "pending")])

    def test_pin_is_written_later(self) -> None:
        """What a device was bound to while the database was away is kept, and written when it is back."""
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        device = self.books.device()
        self.books.database.go_away()
        self.books.real.pin(device, "uuid")
        self.refresh(10)
        self.assertEqual(device.uuid, "uuid")
        self.books.real.forget_absent()
        self.assertIs(self.books.real.known_device(PHONE), device)
        self.books.database.come_back()
        self.refresh(4)
        self.assertEqual(self.books.database.rows("SELECT device_uuid FROM kb_bot_devices"), [("uuid",)])
        self.assertEqual((device.uuid, self.books.real.effects.pins), ("uuid", {}))

    def test_operator(self) -> None:
        """Nothing is changed by an operator either, in memory as in the table."""
        device = self.books.device()
        self.books.database.go_away()
        with self.assertRaisesRegex(Exception, "nothing was changed: the database is away"):
            self.books.set_device(PHONE, Status.APPROVED)
        self.assertIs(device.status, Status.PENDING)
        self.books.database.come_back()
        self.assertEqual(self.stored(), [("phone", "pending")])


class PinTests(BooksCase):
    def test_pinned(self) -> None:
        """A pin stands in the table at once, and holds while nobody decides anew."""
        for status in Status:
            self.books.set_device(PHONE, Status.APPROVED, register=True)
            device = self.books.device()
            self.books.real.pin(device, "uuid")
            self.assertEqual(self.books.database.rows("SELECT device_uuid FROM kb_bot_devices"), [("uuid",)])
            self.refresh(10)
            self.assertEqual(device.uuid, "uuid")
            self.books.set_device(PHONE, status)
            self.assertIsNone(device.uuid, status)
            self.assertEqual(self.books.database.rows("SELECT device_uuid FROM kb_bot_devices"), [(None,)])

    def test_first_pin_holds(self) -> None:
        """What another relay has bound a device to before holds, here as in the table."""
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        device = self.books.device()
        self.books.database.change("UPDATE kb_bot_devices SET device_uuid = 'first'")
        self.books.real.pin(device, "second")
        self.assertEqual(device.uuid, "first")
        self.assertEqual(self.books.database.rows("SELECT device_uuid FROM kb_bot_devices"), [("first",)])

    def test_cleared_by_hand(self) -> None:
        """A pin that somebody takes out of the table is taken off the device."""
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        device = self.books.device()
        self.books.real.pin(device, "uuid")
        self.books.on.here.add(PHONE)
        self.books.database.change("UPDATE kb_bot_devices SET device_uuid = NULL")
        self.refresh()
        self.assertIsNone(device.uuid)


class BoundTests(BooksCase):
    def names(self) -> list[str]:
        """The devices in the table."""
        return [device for device, _ in self.stored()]

    def test_pending_rows(self) -> None:
        """Unsigned handshakes cannot fill the table: of those never approved the oldest goes."""
        self.books = self.make(pending_rows=3)
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        self.books.set_device(PHONE, Status.PENDING)
        self.books.set_device(ClientKey("bot", "denied"), Status.DENIED, register=True)
        for number in range(10):
            self.clock.advance(1)
            self.books.device(ClientKey("bot", str(number)))
            if number == 0:
                self.books.set_device(ClientKey("bot", "0"), Status.APPROVED)
        self.assertEqual(self.names(), ["phone", "denied", "0", "8", "9"])

    def test_proven_are_spared(self) -> None:
        """A device that has shown a valid signature keeps its row; a stranger finds no place instead."""
        self.books = self.make(pending_rows=2)
        for name in ("a", "b"):
            self.books.real.proved(self.books.device(ClientKey("bot", name)))
        stranger = self.books.device(ClientKey("bot", "stranger"))
        self.assertEqual((self.names(), stranger.saved), (["a", "b"], False))

    def test_full_before(self) -> None:
        """A table that already holds more loses one row for each new one, not all at once."""
        for number in range(5):
            self.clock.advance(1)
            self.books.device(ClientKey("bot", str(number)))
        books = self.make(self.books, pending_rows=2)
        books.device(ClientKey("bot", "new"))
        self.assertEqual(self.names(), ["1", "2", "3", "4", "new"])

    def test_reconnecting(self) -> None:
        """Devices that have a row push nobody out."""
        self.books = self.make(pending_rows=2)
        for _ in range(3):
            for name in ("a", "b"):
                self.clock.advance(10)
                self.books.device(ClientKey("bot", name))
        self.assertEqual(self.names(), ["a", "b"])

    def test_approved_unseen(self) -> None:
        """Nor do handshakes fill it where new devices are approved; whoever has signed, or is on, stays."""
        self.books = self.make(approve_new_devices=True, pending_rows=2)
        signed = self.books.device(ClientKey("bot", "signed"))
        self.books.real.pin(signed, "uuid")
        self.books.on.here.add(ClientKey("bot", "on"))
        self.books.device(ClientKey("bot", "on"))
        for number in range(6):
            self.clock.advance(1)
            self.books.device(ClientKey("bot", str(number)))
        self.assertEqual(self.names()[:2], ["signed", "on"])
        self.assertLessEqual(len(self.names()), 5)

    def test_pending_rooms(self) -> None:
        """Of the rooms never approved the oldest goes; those decided upon stay."""
        self.books = self.make(pending_rows=2)
        for number in range(5):
            self.clock.advance(1)
            self.books.room(str(number))
            if number == 0:
                self.books.set_room("0", Status.APPROVED)
        self.assertEqual([room.room_id for room in self.books.rooms()][-3:], ["0", "3", "4"])

    def test_memory(self) -> None:
        """At most so many devices are kept in memory; those that are on or approved go last."""
        self.books = self.make(cached_devices=4)
        kept = [ClientKey("bot", name) for name in ("approved", "on")]
        self.books.set_device(kept[0], Status.APPROVED, register=True)
        self.books.on.here.add(kept[1])
        self.books.device(kept[1])
        for number in range(20):
            self.books.device(ClientKey("bot", str(number)))
        self.assertEqual(self.books.real.cache.counts[0], 4)
        for client in kept:
            self.assertIsNotNone(self.books.real.known_device(client))

    def test_memory_of_rooms(self) -> None:
        """At most so many rooms are kept in memory; what is forgotten is looked up again."""
        self.books = self.make(cached_rooms=10)
        away = ClientKey("bot", "away")
        self.books.on.here.add(PHONE)
        for client in (away, PHONE):
            self.books.device(client)
            for number in range(8):
                self.books.room(str(number), client=client)
        self.assertEqual(self.books.real.cache.rooms_of(away), [])
        for number in range(100):
            self.books.room(str(number))
        self.assertLessEqual(self.books.real.cache.counts[1], 10)
        self.books.set_room("3", Status.BLOCKED)
        self.assertIs(self.books.room("3").status, Status.BLOCKED)

    def test_idle(self) -> None:
        """What nobody has named for an hour is forgotten, but for phones that are on and approvals."""
        self.books.set_device(ClientKey("bot", "approved"), Status.APPROVED, register=True)
        self.books.device(ClientKey("bot", "stranger"))
        self.books.on.here.add(PHONE)
        self.books.device()
        self.books.room()
        self.assertEqual(self.books.real.forget_idle(), 0)
        self.clock.advance(3600)
        self.assertEqual(self.books.real.forget_idle(), 1)
        self.assertEqual(self.books.real.cache.counts, (2, 1))
        self.assertEqual(self.books.real.forget_absent(), 1)
        self.assertEqual(self.books.real.cache.counts, (1, 1))


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

    def test_old_ids(self) -> None:
        """Rows of old installations count: ids with a bot's name, and without a device for all of them."""
        insert = "INSERT INTO kb_rooms (room_id, bot_name, device_id, status) VALUES (?, ?, ?, ?)"
        self.books.database.change("DROP TABLE kb_rooms")
        self.books.database.change(
            "CREATE TABLE kb_rooms (room_id, bot_name, device_id, room_name, status, approved_at, "
            "rejection_reason, log_settings, per_room, ordered, muted, created_at, updated_at)"
        )
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
