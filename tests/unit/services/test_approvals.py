"""Who may talk, as the database says: registered, answered from memory, pinned, never approved by failure."""

from __future__ import annotations

from relaytw.messages import ClientKey, Status
from relaytw.services.approval_effects import GOOD_FOR, UNANSWERED_FOR
from relaytw.services.known import approvable
from tests.unit.books import PHONE, BooksCase, done

NAMELESS = ("", " ", "unknown", "Unknown", " UNKNOWN ", "null", "None", "undefined")


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
            "rejection_reason, max_message_size, image_resize_width, image_resize_enabled, created_at, "
            "updated_at, device_uuid, "
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
