"""What operators see of the approvals and decide: pages, codes, reasons, and who did what."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from relaytw.messages import ClientKey, Status
from tests.unit.books import PHONE, BooksCase, done


class ListTests(BooksCase):
    def test_pages(self) -> None:
        """Lists come page by page, each row once, whatever its names consist of."""
        for number in range(25):
            self.books.set_device(ClientKey("봇", f"{number}"), Status.APPROVED, register=True)
            self.books.set_room(
                f"방 {number}", Status.APPROVED, ClientKey("봇", f"{number % 3}"), register=True
            )
        devices, rooms = [], []
        after = None
        while True:
            page = done(self.books.desk.devices(None, None, after, 10))
            devices += [row.client.device for row in page.rows]
            if (after := page.next) is None:
                break
        while True:
            room_page = done(self.books.desk.rooms(None, None, after, 10))
            rooms += [row.room_id for row in room_page.rows]
            if (after := room_page.next) is None:
                break
        self.assertEqual(devices, [f"{number}" for number in range(25)])
        self.assertEqual(sorted(rooms), sorted(f"방 {number}" for number in range(25)))

    def test_status(self) -> None:
        """A list may be of one status."""
        self.books.device()
        self.books.room()
        self.books.set_device(ClientKey("bot", "other"), Status.BLOCKED, register=True)
        self.assertEqual([row.client for row in self.books.devices(Status.PENDING)], [PHONE])
        self.assertEqual([row.client.device for row in self.books.devices(Status.BLOCKED)], ["other"])
        self.assertEqual(self.books.rooms(Status.APPROVED), [])

    def test_words(self) -> None:
        """A status that is none of ours is listed with the word that stands there."""
        self.books.device()
        self.books.database.change("UPDATE kb_bot_devices SET status = 'suspended'")
        [row] = self.books.devices()
        self.assertEqual((row.status, row.word), (Status.PENDING, "suspended"))

    def test_without_a_row(self) -> None:
        """What could not be saved is listed from memory, and marked."""
        self.books.database.go_away()
        self.asked()
        self.asked_room()
        self.books.database.come_back()
        [device], [room] = self.books.devices(), self.books.rooms()
        self.assertEqual((device.saved, room.saved), (False, False))
        self.assertEqual(self.books.devices(Status.APPROVED), [])

    def test_bad_page(self) -> None:
        """A page that nobody has told of is refused."""
        for work in (
            self.books.desk.devices(None, None, "x", 10),
            self.books.desk.rooms(None, None, "x", 10),
            self.books.desk.rooms(None, None, "[1]", 10),
            self.books.desk.audit("x", 10),
            self.books.desk.devices(None, "nonsense", None, 10),
        ):
            with self.assertRaises(ValueError):
                done(work)


class CodeTests(BooksCase):
    def test_found(self) -> None:
        """What waits is found by the code that its phone shows; what does not wait has none."""
        self.books.device()
        self.books.room()
        code = self.books.real.code_of(PHONE)
        [device] = done(self.books.desk.devices(None, code.lower(), None, 10)).rows
        self.assertEqual((device.client, device.code), (PHONE, code))
        room_code = self.books.real.code_of(PHONE, "7")
        [room] = done(self.books.desk.rooms(None, room_code, None, 10)).rows
        self.assertEqual((room.client, room.room_id), (PHONE, "7"))
        self.books.set_device(PHONE, Status.APPROVED)
        self.books.set_room("7", Status.APPROVED)
        self.assertEqual(done(self.books.desk.devices(None, code, None, 10)).rows, [])
        self.assertEqual(done(self.books.desk.rooms(None, room_code, None, 10)).rows, [])
        self.assertEqual([row.code for row in self.books.devices()], [None])
        self.assertEqual([row.code for row in self.books.rooms()], [None])

    def test_not_in_memory(self) -> None:
        """It is found in the table, too, and with a word there that is no status."""
        self.books.device()
        self.books.database.change("UPDATE kb_bot_devices SET status = 'suspended'")
        code = self.books.real.code_of(PHONE)
        books = self.make(self.books)
        self.assertEqual(done(books.desk.devices(None, code, None, 10)).rows, [])
        books.device()
        self.assertEqual(len(done(books.desk.devices(None, code, None, 10)).rows), 1)
        self.books.database.change("UPDATE kb_bot_devices SET status = 'pending'")
        self.assertEqual(len(done(self.make(self.books).desk.devices(None, code, None, 10)).rows), 1)

    def test_the_same(self) -> None:
        """Two that happen to have one code are both found, so that nobody approves the wrong one."""
        seen: dict[str, ClientKey] = {}
        for number in range(100_000):
            client = ClientKey("bot", str(number))
            code = self.books.codes.device(client)
            if code in seen:
                break
            seen[code] = client
        for one in (client, seen[code]):
            self.books.device(one)
        rows = done(self.books.desk.devices(None, code, None, 10)).rows
        self.assertEqual({row.client for row in rows}, {client, seen[code]})


class DecisionTests(BooksCase):
    def test_written(self) -> None:
        """A decision is in the row with its time and reason, and written down with who took it."""
        self.books.device()
        self.books.set_device(PHONE, Status.APPROVED)
        self.books.set_device(PHONE, Status.BLOCKED, reason="분실 신고")
        [row] = self.books.database.rows("SELECT status, approved_at, rejection_reason FROM kb_bot_devices")
        self.assertEqual(row, ("blocked", "1970-01-12 22:46:40", "분실 신고"))
        acts = done(self.books.desk.audit(None, 10)).rows
        self.assertEqual(
            [(act.actor, act.act, act.device, act.detail) for act in acts],
            [("admin", "device blocked", "phone", "분실 신고"), ("admin", "device approved", "phone", None)],
        )
        self.assertEqual(acts[0].at, self.clock.seconds())
        device = self.books.device()
        self.assertEqual(device.reason, "분실 신고")
        self.books.set_device(PHONE, Status.APPROVED)
        self.assertEqual(device.reason, "")

    def test_unknown(self) -> None:
        """What nobody knows is decided about only if it shall be registered, and nothing is written."""
        self.assertFalse(self.books.set_device(PHONE, Status.APPROVED))
        self.assertFalse(self.books.set_room("7", Status.APPROVED))
        self.assertEqual((self.books.devices(), self.books.rooms()), ([], []))
        self.assertEqual(done(self.books.desk.audit(None, 10)).rows, [])
        self.assertTrue(self.books.set_device(PHONE, Status.APPROVED, register=True))
        self.assertTrue(self.books.set_room("7", Status.APPROVED, register=True))
        self.assertIs(self.books.device().status, Status.APPROVED)
        room = self.books.room()
        self.assertEqual((room.status, room.name), (Status.APPROVED, "family"))

    def test_reason(self) -> None:
        """A reason is for those who are turned away, and has its length."""
        self.books.device()
        for status, reason in ((Status.APPROVED, "nice"), (Status.PENDING, "so"), (Status.DENIED, "x" * 501)):
            with self.assertRaises(ValueError):
                self.books.set_device(PHONE, status, reason=reason)
        self.assertEqual(self.stored(), [("phone", "pending")])

    def test_in_turn(self) -> None:
        """Decisions are written in the order in which they were taken."""
        self.books.device()
        self.books.database.hold()
        for status in (Status.APPROVED, Status.BLOCKED):
            Deferred.fromCoroutine(
                self.books.desk.set_device(PHONE, status, "admin", register=False, reason=None)
            )
        self.books.database.let_go()
        self.assertEqual(self.stored(), [("phone", "blocked")])
        self.assertIs(self.books.device().status, Status.BLOCKED)
