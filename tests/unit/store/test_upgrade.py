"""Upgrades: what is missing is added, what is there stays, and what is not understood is left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from relaytw import __version__
from relaytw.store.connections import Unreachable
from relaytw.store.database import Unfit
from relaytw.store.judgement import layout_of
from relaytw.store.layout import FRESH
from relaytw.store.migrations import MIGRATIONS
from relaytw.store.schema import VERSION, metadata
from relaytw.store.startcheck import StartCheck, first_check
from relaytw.store.upgrade import NotUnderstood, StepFailed
from relaytw.testing import MemoryDatabase
from tests.unit.store.shapes import NOW, SETTINGS, DatabaseFile

DEVICES = "CREATE TABLE kb_bot_devices (id INTEGER PRIMARY KEY, bot_name TEXT, device_id TEXT, status TEXT"
ROOMS = "CREATE TABLE kb_rooms (room_id TEXT, bot_name TEXT, status TEXT"


class UpgradeTests(DatabaseFile):
    def test_numbers(self) -> None:
        """Migrations are numbered without a gap up to the version of the schema."""
        self.assertEqual([migration.number for migration in MIGRATIONS], list(range(1, VERSION + 1)))

    def test_empty(self) -> None:
        """An empty database gets every table, and fits then; what was done is noted with its time."""
        self.assertTrue(self.plan().found.fresh)
        found = self.upgrade()
        self.assertEqual(set(found.tables), set(metadata.tables))
        self.assertTrue(self.plan().fit)
        noted = self.rows("SELECT number, applied_at_ms, relay_version FROM relaytw_migrations")
        self.assertEqual(noted, [(number, int(NOW * 1000), __version__) for number in range(1, VERSION + 1)])
        self.assertEqual(layout_of(found).room_key, FRESH.room_key)

    def test_as_the_double(self) -> None:
        """The tables are those of the double that other tests use."""
        self.upgrade()
        mine = {name for name, sql in self.shape() if sql}
        double = {name for (name,) in MemoryDatabase().rows("SELECT name FROM sqlite_master WHERE sql != ''")}
        self.assertEqual(mine, double)

    def test_again(self) -> None:
        """A second time there is nothing to do, and nothing is done."""
        self.upgrade()
        before, self.told = self.shape(), []
        self.upgrade()
        self.assertEqual((self.told, self.shape()), ([], before))

    def test_partly(self) -> None:
        """What is there already, whoever made it, is not made again."""
        self.sql(
            f"{DEVICES}, device_uuid TEXT, created_at DATETIME);"
            "CREATE INDEX other ON kb_bot_devices (status, created_at, bot_name);"
        )
        steps = [step.words for step in self.plan().steps if "kb_bot_devices" in step.words]
        self.assertFalse([step for step in steps if "device_uuid" in step or "_status" in step], steps)
        self.assertTrue([step for step in steps if "(bot_name, device_id)" in step], steps)
        self.upgrade()
        self.assertTrue(self.plan().fit)

    def test_name_taken(self) -> None:
        """An index of our name on other columns keeps it; ours gets another."""
        self.sql(f"{DEVICES}); CREATE INDEX ix_kb_bot_devices_status ON kb_bot_devices (device_id);")
        self.upgrade()
        self.assertIn("ix_kb_bot_devices_status_relaytw", {name for name, _ in self.shape()})
        self.assertTrue(self.plan().fit)

    def test_any_device(self) -> None:
        """Rooms of the oldest installations get a device that is nobody's in particular."""
        self.sql(f"{ROOMS}, PRIMARY KEY (room_id)); INSERT INTO kb_rooms VALUES ('1', 'bot', 'approved');")
        found = self.upgrade()
        self.assertEqual(self.rows("SELECT room_id, device_id, muted FROM kb_rooms"), [("1", None, 0)])
        layout = layout_of(found)
        self.assertEqual((layout.rooms_per_device, layout.room_key), (False, ("room_id",)))

    def test_step_fails(self) -> None:
        """A step that the database refuses ends it with a sentence, and on SQLite nothing is changed."""
        self.sql("CREATE TABLE ix_kb_rooms_status (x);")
        self.sql(f"{ROOMS}, PRIMARY KEY (room_id));")
        before = self.shape()
        error = self.assertRaises(StepFailed, self.upgrade)
        self.assertIn("could not add index ix_kb_rooms_status", str(error))
        self.assertIn("Nothing was changed", str(error))
        self.assertEqual(self.shape(), before)

    def test_locked(self) -> None:
        """A file that somebody is writing to is said not to answer."""
        with closing(sqlite3.connect(self.url.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            self.assertIn("locked", str(self.assertRaises(Unreachable, self.upgrade)))


class RefusalTests(DatabaseFile):
    def refused(self, script: str) -> str:
        """Why this is not understood; nothing of it may have been changed."""
        self.sql(script)
        before = self.shape()
        error = self.assertRaises(NotUnderstood, self.upgrade)
        self.assertEqual(self.shape(), before)
        self.assertEqual([step.words for step in self.plan().steps], [])
        return str(error)

    def test_view(self) -> None:
        """A view in the place of a table."""
        said = self.refused(
            f"{ROOMS.replace('kb_rooms', 'other')}); CREATE VIEW kb_rooms AS SELECT * FROM other;"
        )
        self.assertIn("kb_rooms is a view", said)

    def test_other_table(self) -> None:
        """A table of that name that is about something else."""
        said = self.refused("CREATE TABLE kb_rooms (number INTEGER, floor INTEGER);")
        self.assertIn("kb_rooms has no room_id, bot_name, status", said)

    def test_other_kind(self) -> None:
        """A column that holds something else."""
        said = self.refused(f"{ROOMS.replace('room_id TEXT', 'room_id INTEGER')});")
        self.assertIn("kb_rooms.room_id is INTEGER, which does not hold text", said)

    def test_half_made(self) -> None:
        """A table of our own in another shape."""
        said = self.refused("CREATE TABLE relaytw_migrations (version TEXT);")
        self.assertIn("relaytw_migrations has no number", said)

    def test_newer(self) -> None:
        """A database of a newer relay, with that relay's version."""
        self.upgrade()
        said = self.refused("INSERT INTO relaytw_migrations VALUES (99, 'later', 0, '9.1');")
        self.assertIn("migration 99 of relaytw 9.1", said)

    def test_all_reasons(self) -> None:
        """Every reason is given at once."""
        said = self.refused("CREATE TABLE kb_rooms (x); CREATE VIEW kb_servers AS SELECT 1;")
        self.assertIn("kb_rooms", said)
        self.assertIn("kb_servers", said)


class StartTests(DatabaseFile):
    def check(self, *, auto_upgrade: bool = False) -> StartCheck:
        """What a start does."""
        return StartCheck(self.url, SETTINGS, auto_upgrade=auto_upgrade, now=lambda: NOW)

    def test_fresh(self) -> None:
        """An empty database is made ready, and a file that is not there is made for its owner alone."""
        self.url.path.unlink()
        self.assertEqual(self.check()().message_bytes, FRESH.message_bytes)
        self.assertTrue(self.plan().fit)
        self.assertEqual(self.url.path.stat().st_mode & 0o777, 0o600)

    def test_refused(self) -> None:
        """An existing one is not changed unasked: what is missing is said, and which command adds it."""
        self.sql(f"{ROOMS});")
        before = self.shape()
        said = str(self.assertRaises(Unfit, self.check()))
        self.assertIn("add to kb_rooms", said)
        self.assertIn("relayctl db upgrade", said)
        self.assertEqual(self.shape(), before)

    def test_asked(self) -> None:
        """With auto_upgrade it is changed."""
        self.sql(f"{ROOMS});")
        self.check(auto_upgrade=True)()
        self.assertTrue(self.plan().fit)

    def test_not_understood(self) -> None:
        """Not with auto_upgrade either is something changed that is not understood."""
        self.sql("CREATE TABLE kb_rooms (x);")
        self.assertRaises(NotUnderstood, self.check(auto_upgrade=True))
        self.assertEqual(len(self.shape()), 1)

    def test_no_database(self) -> None:
        """A file that is no database ends the start: waiting would not make it one."""
        self.url.path.write_bytes(b"something else" * 100)
        said = str(self.assertRaises(Unfit, first_check, self.check(), self.url))
        self.assertIn("not a database", said)
        self.assertEqual(self.url.path.read_bytes()[:14], b"something else")

    def test_no_folder(self) -> None:
        """A file that cannot be made is said to be so."""
        blocker = self.url.path
        check = StartCheck(
            type(self.url)(self.url.engine, blocker / "relay.db"),
            SETTINGS,
            auto_upgrade=True,
            now=lambda: NOW,
        )
        self.assertIn("cannot be made", str(self.assertRaises(Unfit, check)))
