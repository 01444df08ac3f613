"""Old rows go, in small chunks, each room's chat in its own time; nothing else does."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.services.retention import CHUNK, EVERY, FIRST, PAUSE, STOP_PATIENCE, Days, Retention
from relaytw.store.expiry import own_days
from relaytw.store.layout import Layout
from relaytw.store.times import WallClock
from relaytw.testing import MemoryDatabase

EPOCH = 1_752_548_400.0  # 12:00 in Seoul
WALL = WallClock("Asia/Seoul")
DAY = 86_400


class RetentionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.database = Clock(), MemoryDatabase()
        self.retention = Retention(
            self.clock, self.database, Days(), WALL, lambda: EPOCH + self.clock.seconds()
        )

    def at(self, days: float) -> str:
        """The wall time so many days before the first look."""
        return WALL.text(EPOCH + FIRST - days * DAY)

    def chat(
        self,
        days: float,
        message: str,
        room: str = "100",
        *,
        bot: str = "bot",
        device: str | None = "phone",
        name: str = "room",
    ) -> None:
        """Have a row of the chat log from so many days ago."""
        self.database.change(
            "INSERT INTO kb_chat_logs (created_at, message, channel_id, bot_name, device_id, room_name) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            self.at(days), message, room, bot, device, name,
        )  # fmt: skip

    def room(self, room_id: str, settings: object, bot: str = "bot") -> None:
        """Have a room with settings."""
        self.database.change("DELETE FROM kb_rooms WHERE room_id = ? AND bot_name = ?", room_id, bot)
        self.database.change(
            "INSERT INTO kb_rooms (room_id, bot_name, device_id, log_settings) VALUES (?, ?, 'phone', ?)",
            room_id, bot, settings if isinstance(settings, str) else json.dumps(settings),
        )  # fmt: skip

    def left(self) -> list[str]:
        """The messages that are there."""
        return [row[0] for row in self.database.rows("SELECT message FROM kb_chat_logs ORDER BY id")]

    def look(self) -> list[str]:
        """Start, and let the first look be made; the messages that are there."""
        self.retention.startService()
        self.clock.advance(FIRST)
        self.clock.pump([PAUSE] * 20)
        return self.left()


class TableTests(RetentionCase):
    def test_each_table_its_time(self) -> None:
        """Pings go after a week, figures after a month, the audit after a year."""
        for days in (6.9, 7.1, 29.9, 30.1):
            self.database.change("INSERT INTO kb_ping_monitor (created_at) VALUES (?)", self.at(days))
            self.database.change("INSERT INTO kb_system_monitor (created_at) VALUES (?)", self.at(days))
        for days in (364.9, 365.1):
            at = int((EPOCH + FIRST - days * DAY) * 1000)
            self.database.change("INSERT INTO relaytw_audit (at_ms, actor, act) VALUES (?, 'a', 'b')", at)
        self.look()
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM kb_ping_monitor"), [(1,)])
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM kb_system_monitor"), [(3,)])
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM relaytw_audit"), [(1,)])

    def test_again_every_hour(self) -> None:
        """What becomes old later goes later."""
        self.chat(29.99, "a")
        self.assertEqual(self.look(), ["a"])
        self.clock.advance(EVERY)
        self.assertEqual(self.left(), [])

    def test_chunks(self) -> None:
        """Many rows go in several transactions, with pauses in between."""
        self.database.connection.executemany(
            "INSERT INTO kb_ping_monitor (created_at) VALUES (?)", [(self.at(8),)] * (2 * CHUNK + 1)
        )
        self.retention.startService()
        self.clock.advance(FIRST)
        found = []
        for _ in range(4):
            found.append(self.database.rows("SELECT COUNT(*) FROM kb_ping_monitor")[0][0])
            self.clock.advance(PAUSE)
        self.assertEqual(found, [CHUNK + 1, 1, 0, 0])


class ChatTests(RetentionCase):
    def test_usual(self) -> None:
        """Chat is kept for thirty days where nobody says otherwise."""
        self.chat(29.9, "new")
        self.chat(30.1, "old")
        self.room("100", {"policy": "full"})
        self.assertEqual(self.look(), ["new"])

    def test_rooms(self) -> None:
        """A room may keep its chat shorter or longer; its name means nothing to other bots and phones."""
        self.room("100", {"retention_days": 7})
        self.room("200_bot", {"retention_days": 90})
        for days in (6, 8, 29, 31, 91):
            for room in ("100", "200", "300"):
                self.chat(days, f"{room} {days}", room)
        self.chat(8, "another bot", "100", bot="other")
        self.chat(31, "another phone", "200", device="other")
        self.chat(31, "before phones were kept", "200", device=None)
        kept = ["100 6", "200 6", "300 6", "200 8", "300 8", "200 29", "300 29", "200 31"]
        self.assertEqual(self.look(), [*kept, "another bot", "before phones were kept"])

    def keyed_by_less(self, *rooms: tuple[str, str | None, int | None]) -> None:
        """Have rooms as old installations keyed them: by id and device, kept for so many days."""
        self.database.change("DROP TABLE kb_rooms")
        self.database.change("CREATE TABLE kb_rooms (room_id, bot_name, device_id, log_settings)")
        for room_id, device, days in rooms:
            self.database.change(
                "INSERT INTO kb_rooms VALUES (?, 'bot', ?, ?)",
                room_id, device, json.dumps({"retention_days": days}),
            )  # fmt: skip

    def test_rooms_without_a_device(self) -> None:
        """A row without a device is for all devices of its bot but those that have a row themselves."""
        self.keyed_by_less(
            ("100", None, 7), ("100", "own", None), ("200_bot", None, 90), ("200", "own", None),
            ("300", None, 7), ("300_bot", "own", 90),
        )  # fmt: skip
        for room in ("100", "200", "300"):
            for device in ("phone", "own", None):
                for days in (8, 31):
                    self.chat(days, f"{room} {device} {days}", room, device=device)
        self.chat(8, "another bot", "100", bot="other")
        kept = {
            "100 own 8", "200 phone 8", "200 phone 31", "200 own 8", "200 None 8", "200 None 31",
            "300 own 8", "300 own 31", "another bot",
        }  # fmt: skip
        self.assertEqual(set(self.look()), kept)

    def test_one_row_for_all_devices(self) -> None:
        """Where a room has one row for all devices, its time is that of all, whatever device it names."""
        self.database.layout = Layout(rooms_per_device=False, room_key=("room_id", "bot_name"))
        self.keyed_by_less(("100", "phone", 7), ("200", "phone", 90))
        for room in ("100", "200"):
            for device in ("phone", "other"):
                self.chat(8, f"{room} {device} 8", room, device=device)
                self.chat(31, f"{room} {device} 31", room, device=device)
        self.assertEqual(set(self.look()), {"200 phone 8", "200 phone 31", "200 other 8", "200 other 31"})

    def test_many_of_all_devices(self) -> None:
        """Of many devices' chat no more than a chunk goes in one transaction, and all of it in the end."""
        self.keyed_by_less(("100", None, 7))
        rows = [(self.at(8), f"phone {number % 3}") for number in range(CHUNK + 10)]
        self.database.connection.executemany(
            "INSERT INTO kb_chat_logs (created_at, device_id, message, channel_id, bot_name, room_name) "
            "VALUES (?, ?, 'old', '100', 'bot', 'room')",
            rows,
        )
        self.retention.startService()
        self.clock.advance(FIRST)
        self.assertEqual(len(self.left()), 10)
        self.clock.pump([PAUSE] * 3)
        self.assertEqual(self.left(), [])

    def test_many_rooms(self) -> None:
        """Rooms are read a page at a time, and a row without a device at its end hides none behind it."""
        before = [(f"0{number:04}", "phone", None) for number in range(999)]
        self.keyed_by_less(*before, ("100", None, None), ("100", "phone", 7))
        self.chat(8, "old")
        self.assertEqual(self.look(), [])

    def test_rooms_without_channel(self) -> None:
        """A room that is known by its name alone has its time as well."""
        self.room("가족", {"retention_days": 7})
        self.chat(8, "old", "", name="가족")
        self.chat(6, "new", "", name="가족")
        self.chat(8, "elsewhere", "", name="친구")
        self.assertEqual(self.look(), ["new", "elsewhere"])

    def test_spared_rows_are_looked_at_once(self) -> None:
        """A room that keeps much is not looked through every hour, but again when its time changes."""
        self.room("100", {"retention_days": 90})
        for _ in range(3 * CHUNK):
            self.chat(40, "kept")
        self.chat(40, "old", "300")
        self.assertEqual(len(self.look()), 3 * CHUNK)
        before = self.database.ran
        self.clock.pump([EVERY] + [PAUSE] * 20)
        self.assertLess(self.database.ran - before, 9)
        self.room("100", {"retention_days": 35})
        self.clock.pump([EVERY] + [PAUSE] * 20)
        self.assertEqual(self.left(), [])

    def test_back_to_usual(self) -> None:
        """A room that no longer says how long loses what it was spared."""
        self.room("100", {"retention_days": 90})
        self.chat(40, "kept")
        self.assertEqual(self.look(), ["kept"])
        self.room("100", {})
        self.clock.pump([EVERY] + [PAUSE] * 20)
        self.assertEqual(self.left(), [])

    def test_plans(self) -> None:
        """No look for old rows goes through a whole table, one row being for all devices or not."""
        for per_device in (True, False):
            self.database.layout = Layout(rooms_per_device=per_device)
            self.assert_plans()

    def assert_plans(self) -> None:
        """Every statement of a look finds its rows by an index."""
        self.room("100", {"retention_days": 7})
        texts: list[str] = []
        self.database.connection.set_trace_callback(texts.append)
        self.look()
        self.retention.stopService()
        self.database.connection.set_trace_callback(None)
        asked = {" ".join(text.split()) for text in texts if text.startswith(("SELECT", "DELETE"))}
        self.assertGreater(len(asked), 5)
        for text in asked - {"SELECT message FROM kb_chat_logs ORDER BY id"}:
            for row in self.database.rows("EXPLAIN QUERY PLAN " + text):
                ordered = "kb_rooms" in text and "SCAN kb_rooms USING INDEX" in row[3]
                few = row[3] == "USE TEMP B-TREE FOR DISTINCT"
                self.assertTrue(row[3].startswith("SEARCH ") or ordered or few, f"{row[3]}: {text}")


class TroubleTests(RetentionCase):
    def test_away(self) -> None:
        """With the database away old rows stay until the next look."""
        self.chat(31, "old")
        self.database.go_away()
        self.look()
        self.database.come_back()
        self.clock.advance(EVERY)
        self.assertEqual(self.left(), [])

    def test_fault(self) -> None:
        """A table that is missing is told of, and the next look is made."""
        self.database.change("DROP TABLE kb_ping_monitor")
        self.look()
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.clock.advance(EVERY)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_slow(self) -> None:
        """A look that takes longer than an hour is not begun twice."""
        self.database.hold()
        self.look()
        self.clock.advance(EVERY)
        self.assertEqual(self.database.ran, 1)
        self.database.let_go()

    def test_stop(self) -> None:
        """A stop waits for the chunk that is under way, but not for long, and leaves no timer."""
        self.database.hold()
        self.look()
        stopping = self.retention.stopService()
        assert stopping is not None
        self.assertNoResult(stopping)
        self.clock.advance(STOP_PATIENCE)
        self.successResultOf(stopping)
        self.database.let_go()
        self.assertEqual((self.database.ran, self.clock.getDelayedCalls()), (1, []))

    def test_stop_when_idle(self) -> None:
        """With nothing under way it stops at once, before its first look too."""
        self.retention.startService()
        self.assertIsNone(self.retention.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class OwnDaysTests(SynchronousTestCase):
    def test_sensible(self) -> None:
        """A whole number of days is taken, as text or bytes."""
        self.assertEqual(own_days('{"policy": "full", "retention_days": 7}'), 7)
        self.assertEqual(own_days(b'{"retention_days": 1}'), 1)

    def test_nonsense(self) -> None:
        """Anything else is the usual time."""
        for days in ("0", '"7"', "true", "7.5", "1e9", "-1", "99999", "null"):
            self.assertIsNone(own_days(f'{{"retention_days": {days}}}'), days)
        for given_settings in (None, "", "{", "[]", "7", 7, "[" * 100_000):
            self.assertIsNone(own_days(given_settings), given_settings)

    @given(st.text() | st.binary())
    def test_anything(self, settings: str | bytes) -> None:
        """The back office writes what it likes."""
        own_days(settings)
