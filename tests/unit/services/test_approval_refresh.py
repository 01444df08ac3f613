"""What others change in the tables holds within seconds, for whoever is on."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Status
from relaytw.store.times import WallClock
from tests.unit.books import PHONE, Books, BooksCase, handshake


class ChangeTests(BooksCase):
    def setUp(self) -> None:
        super().setUp()
        self.books.on.here.add(PHONE)
        self.device = self.books.device()
        self.room = self.books.room()
        self.refresh(20)

    def edit(self, sql: str, *values: Any) -> None:
        """Change a table as the back office does, and wait for the next look."""
        self.books.database.change(sql, *values)
        self.refresh()

    def test_without_a_time(self) -> None:
        """An edit that leaves updated_at alone is seen all the same."""
        for status in (Status.APPROVED, Status.BLOCKED, Status.PENDING):
            self.edit("UPDATE kb_bot_devices SET status = ?", status.value)
            self.edit("UPDATE kb_rooms SET status = ?", status.value)
            self.assertEqual((self.device.status, self.room.status), (status, status))
        self.assertEqual(
            self.books.on.told,
            [(PHONE, status) for status in (Status.APPROVED, Status.BLOCKED, Status.PENDING)],
        )

    def test_written_down(self) -> None:
        """What others have changed is written down as done in the database."""
        self.edit("UPDATE kb_bot_devices SET status = 'approved'")
        self.edit("UPDATE kb_rooms SET status = 'approved'")
        self.books.set_device(PHONE, Status.BLOCKED)
        self.refresh()
        rows = self.books.database.rows(
            "SELECT actor, act, device_id, room_id FROM relaytw_audit ORDER BY id"
        )
        self.assertEqual(
            rows,
            [
                ("database", "device approved", "phone", None),
                ("database", "room approved", "phone", "7"),
                ("admin", "device blocked", "phone", None),
            ],
        )

    def test_deleted(self) -> None:
        """A deleted row makes its device and its room wait again, under new rows, approved by nobody."""
        self.books.set_device(PHONE, Status.APPROVED)
        self.books.set_room("7", Status.APPROVED)
        self.edit("DELETE FROM kb_bot_devices")
        self.assertEqual((self.device.status, self.device.uuid), (Status.PENDING, None))
        self.edit("DELETE FROM kb_rooms")
        self.assertIs(self.room.status, Status.PENDING)
        self.refresh(4)
        self.assertEqual(self.stored(), [("phone", "pending")])
        self.assertEqual([row.status for row in self.books.rooms()], [Status.PENDING])

    def test_deleted_at_once(self) -> None:
        """It is not approved from the moment its row was not found, before it has a new one."""
        self.books.set_device(PHONE, Status.APPROVED)
        self.refresh()
        self.books.database.change("DELETE FROM kb_bot_devices")
        self.books.database.hold()
        self.refresh()
        for _ in ("what was changed", "and how"):
            self.books.database.let_go(1)
        self.assertEqual((self.stored(), self.device.status), ([], Status.PENDING))
        self.books.database.let_go()

    def test_deleted_where_new_ones_are_approved(self) -> None:
        """A deleted row is no way to be approved as one never seen."""
        self.books = self.make(self.books, approve_new_devices=True, approve_new_rooms=True)
        self.books.on.here.add(PHONE)
        device, room = self.books.device(), self.books.room()
        self.books.set_device(PHONE, Status.BLOCKED)
        self.books.set_room("7", Status.BLOCKED)
        for table in ("kb_bot_devices", "kb_rooms"):
            self.edit(f"DELETE FROM {table}")
        self.refresh(10)
        self.assertEqual((device.status, room.status), (Status.PENDING, Status.PENDING))

    def test_limits(self) -> None:
        """A longest line set in the table is told to the connection; the tables' own defaults are none."""
        told = len(self.books.on.told)
        self.edit("UPDATE kb_bot_devices SET max_message_size = 5000, image_resize_width = 320")
        self.assertEqual((self.device.line_bytes, self.device.image_width), (5000, 320))
        self.assertEqual(len(self.books.on.told), told + 1)
        self.edit("UPDATE kb_bot_devices SET image_resize_enabled = 0")
        self.assertEqual(self.device.image_width, 0)
        self.edit("UPDATE kb_bot_devices SET image_resize_enabled = 1")
        self.edit("UPDATE kb_bot_devices SET max_message_size = 1048576, image_resize_width = 900")
        self.assertEqual((self.device.line_bytes, self.device.image_width), (None, None))

    def test_room_settings(self) -> None:
        """What is set for a room in the table is applied."""
        self.edit("UPDATE kb_rooms SET muted = 1")
        self.assertEqual(self.books.rooms_changed, [self.room])

    def test_away_meanwhile(self) -> None:
        """What was changed while the phone was away holds moments after it has come back, rooms too."""
        self.books.set_device(PHONE, Status.APPROVED)
        self.books.set_room("7", Status.APPROVED)
        self.books.on.here.clear()
        self.edit("UPDATE kb_bot_devices SET status = 'blocked'")
        self.edit("UPDATE kb_rooms SET status = 'blocked'")
        self.clock.advance(1)
        self.assertIs(self.books.device(), self.device)
        self.assertEqual((self.device.status, self.room.status), (Status.BLOCKED, Status.BLOCKED))

    def test_by_time(self) -> None:
        """Of phones that are away what was changed with its time is seen too."""
        self.books.on.here.clear()
        now = WallClock("Asia/Seoul").text(self.clock.seconds())
        self.edit("UPDATE kb_bot_devices SET status = 'approved', updated_at = ?", now)
        self.assertIs(self.device.status, Status.APPROVED)

    def test_many_in_one_second(self) -> None:
        """More rows of one second than a round takes are all seen, round by round."""
        self.books = self.make(refresh_page=10)
        clients = [ClientKey("bot", str(number)) for number in range(35)]
        for client in clients:
            self.books.device(client)
            self.books.room("7", client=client)
        self.refresh(20)
        now = WallClock("Asia/Seoul").text(self.clock.seconds())
        self.books.database.change("UPDATE kb_bot_devices SET status = 'approved', updated_at = ?", now)
        self.books.database.change("UPDATE kb_rooms SET status = 'approved', updated_at = ?", now)
        self.refresh(10)
        devices = [self.books.real.known_device(client) for client in clients]
        self.assertEqual({device.status for device in devices if device}, {Status.APPROVED})
        rooms = [self.books.room("7", client=client) for client in clients]
        self.assertEqual({room.status for room in rooms}, {Status.APPROVED})

    def test_quiet(self) -> None:
        """While nobody else writes a look is one transaction, whatever the relay itself has written."""
        self.refresh(20)
        for _ in range(3):
            self.books.set_device(PHONE, Status.APPROVED)
            self.refresh(20)
            before = self.books.database.ran
            self.refresh(2)
            self.assertEqual(self.books.database.ran - before, 1)

    def test_in_rotation(self) -> None:
        """More rooms than a round looks at are all looked at, in turn."""
        self.books = self.make(self.books, refresh_keys=10)
        self.books.on.here.add(PHONE)
        self.books.device()
        rooms = [self.books.room(str(number)) for number in range(35)]
        self.refresh(20)
        self.books.database.change("UPDATE kb_rooms SET status = 'approved'")
        self.refresh(2)
        approved = [room for room in rooms if room.status is Status.APPROVED]
        self.assertTrue(0 < len(approved) < 35)
        self.refresh(8)
        self.assertEqual({room.status for room in rooms}, {Status.APPROVED})

    def test_no_overlap(self) -> None:
        """A look that takes long is not joined by another one."""
        self.refresh(4)
        self.books.database.hold()
        before = self.books.database.ran
        self.refresh(20)
        self.assertEqual(self.books.database.ran - before, 1)
        self.books.database.let_go()

    def test_failed(self) -> None:
        """A look that fails is counted, and the next one sees what it has missed."""
        self.books.database.go_away()
        self.edit("UPDATE kb_bot_devices SET status = 'approved'")
        self.assertIs(self.device.status, Status.PENDING)
        self.assertGreaterEqual(self.books.metrics.approval_errors, 1)
        self.books.database.come_back()
        self.refresh()
        self.assertIs(self.device.status, Status.APPROVED)

    def test_common_rows(self) -> None:
        """A row without a device is followed by the rooms of all devices of its bot."""
        self.books.database.change("DELETE FROM kb_rooms")
        self.books.database.change("DROP TABLE kb_rooms")
        self.books.database.change(
            "CREATE TABLE kb_rooms (room_id PRIMARY KEY, bot_name, device_id, room_name, status, "
            "approved_at, rejection_reason, log_settings, per_room, ordered, muted, created_at, updated_at)"
        )
        self.books.database.change(
            "INSERT INTO kb_rooms (room_id, bot_name, status) VALUES ('9_bot', 'bot', 'approved')"
        )
        rooms = [self.books.room("9", client=ClientKey("bot", name)) for name in ("a", "b")]
        self.assertEqual([room.status for room in rooms], [Status.APPROVED] * 2)
        now = WallClock("Asia/Seoul").text(self.clock.seconds())
        self.edit("UPDATE kb_rooms SET status = 'blocked', updated_at = ?", now)
        self.assertEqual([room.status for room in rooms], [Status.BLOCKED] * 2)


WORDS = ("pending", "approved", "denied", "blocked", "rejected", None)
NAMES = ("a", "b")
WHOLE = ("away", "back", "hold", "go", "wait", "look", "forget")
STEPS = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from(NAMES), st.sampled_from(WORDS)),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("decide"), st.sampled_from(NAMES), st.sampled_from(list(Status))),
    st.tuples(st.just("come"), st.sampled_from(NAMES), st.none()),
    st.tuples(st.just("leave"), st.sampled_from(NAMES), st.none()),
    st.tuples(
        st.sampled_from(("away", "back", "hold", "go", "wait", "look", "forget")), st.none(), st.none()
    ),
)


class TrustTests(SynchronousTestCase):
    """Whatever happens in whatever order, trust comes from the table alone."""

    @settings(max_examples=200, deadline=None)
    @given(st.lists(STEPS, max_size=40))
    def test_nobody_by_failure(self, steps: list[tuple[str, str | None, Any]]) -> None:
        """Nobody is approved whom the table did not approve since it was last read of him."""
        world = World()
        for step in steps:
            world.take(*step)
            world.check()
        world.end()
        world.check()
        world.check_settled()


class World:
    """Approvals, and what the table has said of each device since it was last read for certain."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.books = Books(self.clock)
        self.books.real.startService()
        self.said: dict[str, set[str | None]] = {name: {None} for name in NAMES}
        self.held = self.gone = False

    def take(self, step: str, name: str | None, value: Any) -> None:
        """Do one thing."""
        database, on = self.books.database, self.books.on.here
        client = ClientKey("bot", name or "")
        if step == "edit":
            database.change(
                "UPDATE kb_bot_devices SET status = ? WHERE device_id = ?", value or "", client.device
            )
        elif step == "delete":
            database.change("DELETE FROM kb_bot_devices WHERE device_id = ?", client.device)
        elif step == "decide" and not (self.held or self.gone):
            self.books.set_device(client, value, register=True)
        elif step == "come":
            self.books.real.device(handshake(client), "10.0.0.2:1")
            on.add(client)
        elif step == "leave":
            on.discard(client)
        elif step in ("away", "back"):
            self.gone = step == "away"
            (database.go_away if self.gone else database.come_back)()
        elif step in ("hold", "go"):
            self.held = step == "hold"
            (database.hold if self.held else database.let_go)()
        elif step == "forget":
            self.books.real.forget_absent()
        else:
            self.books.pass_time(4 if step == "wait" else 2)
        self.note(certain=step == "wait" and not (self.held or self.gone))

    def note(self, *, certain: bool) -> None:
        """Remember what stands in the table now; after a certain look that alone."""
        there = dict(self.books.database.rows("SELECT device_id, status FROM kb_bot_devices"))
        for name in NAMES:
            if certain and ClientKey("bot", name) in self.books.on.here:
                self.said[name] = set()
            self.said[name].add(there.get(name))

    def check(self) -> None:
        """Is everybody who is approved so by the table?"""
        for name in NAMES:
            device = self.books.real.known_device(ClientKey("bot", name))
            if device is not None and device.status is Status.APPROVED:
                assert "approved" in self.said[name], name

    def end(self) -> None:
        """Let the database work, and whoever is on be looked at."""
        self.books.database.come_back()
        self.books.database.let_go()
        self.held = self.gone = False
        self.books.pass_time(10)
        self.note(certain=True)

    def check_settled(self) -> None:
        """Whoever is on is what the table says."""
        there = dict(self.books.database.rows("SELECT device_id, status FROM kb_bot_devices"))
        for client in self.books.on.here:
            device = self.books.real.known_device(client)
            assert device is not None
            word = there[client.device]
            assert device.status == (word if word in list(Status) else Status.PENDING), client
        self.books.real.stopService()
