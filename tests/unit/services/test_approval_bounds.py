"""Rows and memory that strangers can fill have their bounds, and what matters goes last."""

from __future__ import annotations

from relaytw.messages import ClientKey, Status
from tests.unit.books import PHONE, BooksCase


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
