"""Approvals when much comes together: strangers, outages, other writers, tables that know few letters."""

from __future__ import annotations

from dataclasses import replace

from relaytw.messages import ClientKey, Status
from relaytw.services.approval_refresh import RefreshSettings
from relaytw.store.layout import FRESH, TextColumn
from tests.unit.books import PHONE, BooksCase, handshake


class StrangerTests(BooksCase):
    def test_away(self) -> None:
        """However many invent themselves while the database is away, few of them are remembered for it."""
        self.books = self.make(cached_devices=100)
        self.books.database.go_away()
        self.books.real.effects.most_rowless = 150
        for number in range(400):
            self.books.real.device(handshake(ClientKey("bot", str(number))), "10.0.0.2:1")
        self.assertLessEqual(len(self.books.real.effects.rowless), 150)

    def test_hanging(self) -> None:
        """Nor do questions pile up behind a database that does not answer; the first get none for now."""
        self.books = self.make(cached_devices=100)
        self.books.database.hold()
        self.books.real._lookups.most = 150
        for number in range(400):
            self.books.real.device(handshake(ClientKey("bot", str(number))), "10.0.0.2:1")
        self.assertLessEqual(len(self.books.real._lookups._devices), 150)
        self.clock.advance(10)
        self.books.database.let_go()


class EmergencyTests(BooksCase):
    def test_away(self) -> None:
        """An emergency while the database is away costs nobody an approval that only memory knows."""
        stranger = ClientKey("bot", "stranger")
        self.books.set_device(PHONE, Status.APPROVED, register=True)
        self.books.device(stranger)
        self.books.database.go_away()
        self.refresh()
        self.books.real.forget_absent()
        self.assertIsNone(self.books.real.known_device(stranger))
        self.assertIs(self.books.device().status, Status.APPROVED)
        self.books.database.come_back()
        self.refresh()
        self.books.real.forget_absent()
        self.assertIsNone(self.books.real.known_device(PHONE))


class NarrowTests(BooksCase):
    def test_letters_that_a_table_does_not_know(self) -> None:
        """A name that an old table cannot even compare is not asked for: it has no row, and stops nothing."""
        narrow = {f"kb_bot_devices.{name}": TextColumn(100, 300, "utf8mb3") for name in ("device_id",)}
        self.books.database.layout = replace(FRESH, texts={**FRESH.texts, **narrow})
        strange = ClientKey("bot", "x😀")
        device = self.books.device(strange)
        self.assertEqual((device.status, device.saved), (Status.PENDING, False))
        self.assertRaises(ValueError, self.books.set_device, strange, Status.APPROVED, register=True)
        self.assertEqual(self.stored(), [])
        self.books.on.here |= {strange, PHONE}
        known = self.books.device()
        self.books.database.change("UPDATE kb_bot_devices SET status = 'blocked'")
        self.refresh()
        self.assertIs(known.status, Status.BLOCKED)


class WalkTests(BooksCase):
    def test_others_write_all_the_time(self) -> None:
        """A walk over many rooms comes to its end although others write; devices are in each round."""
        self.books.on.here.add(PHONE)
        device = self.books.device()
        rooms = [self.books.room(str(number)) for number in range(20)]
        self.refresh(20)
        self.books.real._refresher._settings = RefreshSettings(2.0, 2000, 6)
        self.books.database.change("UPDATE kb_rooms SET status = 'approved' WHERE room_id = '19'")
        for number in range(12):
            self.books.database.change("UPDATE kb_schedule_logs SET duration_ms = ?", number)
            self.books.database.change("INSERT INTO kb_schedule_logs (duration_ms) VALUES (?)", number)
            self.refresh()
        self.assertIs(rooms[19].status, Status.APPROVED)
        self.books.database.change("UPDATE kb_bot_devices SET status = 'approved'")
        self.refresh()
        self.assertIs(device.status, Status.APPROVED)
