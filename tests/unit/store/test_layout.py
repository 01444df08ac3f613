"""Layouts: how much a column holds, and rows that are completed where a table wants more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.store.judgement import layout_of
from relaytw.store.layout import FRESH, MEDIUM, Layout, TextColumn
from relaytw.store.schema import audit, pings
from relaytw.store.statements import Insert
from relaytw.testing import MemoryDatabase
from tests.unit.store.shapes import DatabaseFile

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


class TextTests(SynchronousTestCase):
    @given(ANY_TEXT, st.integers(0, 40), st.integers(0, 60))
    def test_fits(self, text: str, chars: int, size: int) -> None:
        """What is stored is the longest beginning that fits, and it is said whether that is all."""
        stored, cut = TextColumn(chars, size).fit(text)
        self.assertTrue(text.startswith(stored))
        self.assertTrue(len(stored) <= chars and len(stored.encode()) <= size)
        self.assertEqual(cut, stored != text)
        if cut:
            longer = text[: len(stored) + 1]
            self.assertTrue(len(longer) > chars or len(longer.encode()) > size)

    @given(ANY_TEXT)
    def test_narrow(self, text: str) -> None:
        """A character set without emoji gets marks in their place, and everything else as it is."""
        stored, cut = TextColumn(100, 1000, "utf8mb3").fit(text)
        self.assertFalse(cut)
        self.assertEqual(
            [a for a in text if a <= "\uffff"],
            [b for a, b in zip(text, stored, strict=True) if a <= "\uffff"],
        )
        self.assertLessEqual(max(stored, default=""), "\uffff")

    def test_other_charsets(self) -> None:
        """Letters that a character set lacks become marks."""
        self.assertEqual(TextColumn(9, 9, "latin1").fit("é가"), ("é?", False))
        self.assertEqual(TextColumn(9, 9, "swe7").fit("é"), ("?", False))

    def test_fresh(self) -> None:
        """Where nobody else made the tables their columns hold what the schema says."""
        self.assertEqual(FRESH.message_bytes, MEDIUM)
        self.assertEqual(FRESH.fit("kb_chat_logs.sender", "가" * 101), ("가" * 100, True))
        self.assertEqual(FRESH.fit("kb_rooms.description", "x"), ("x", False))


class InsertTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = MemoryDatabase()

    def test_nulls(self) -> None:
        """Where no NULL may stand something else is written, in the rows that had one."""
        self.database.layout = Layout(nulls={"relaytw_audit": {"act": "nothing"}})
        insert = Insert(audit, ("at_ms", "actor", "act"))
        self.database.now(lambda transaction: insert.run(transaction, [(1, "a", None), (2, "b", "x")]))
        self.assertEqual(
            self.database.rows("SELECT actor, act FROM relaytw_audit"), [("a", "nothing"), ("b", "x")]
        )

    def test_owed(self) -> None:
        """Columns that the relay does not know and that have no default are written all the same."""
        self.database.change("DROP TABLE kb_ping_monitor")
        self.database.change("CREATE TABLE kb_ping_monitor (bot_name TEXT, channel_id TEXT NOT NULL)")
        self.database.layout = Layout(
            nulls={"kb_ping_monitor": {"channel_id": ""}}, owed={"kb_ping_monitor": {"channel_id": ""}}
        )
        insert = Insert(pings, ("bot_name",))
        for count in (1, 21):
            self.database.now(insert.run, [("bot",)] * count)
        self.assertEqual(self.database.rows("SELECT DISTINCT * FROM kb_ping_monitor"), [("bot", "")])
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM kb_ping_monitor"), [(22,)])


class FoundLayoutTests(DatabaseFile):
    def test_owed(self) -> None:
        """What a row must give is what has no default and is not numbered by itself."""
        self.sql(
            "CREATE TABLE kb_ping_monitor (id INTEGER PRIMARY KEY, bot_name TEXT NOT NULL, "
            "room TEXT NOT NULL, count INTEGER NOT NULL, at DATETIME NOT NULL, "
            "kind TEXT NOT NULL DEFAULT 'x', "
            "double INTEGER NOT NULL AS (count * 2) STORED)"
        )
        layout = layout_of(self.upgrade())
        self.assertEqual(
            layout.owed["kb_ping_monitor"],
            {"bot_name": "", "room": "", "count": 0, "at": "1970-01-02 00:00:00"},
        )
        self.assertEqual(layout.nulls["kb_ping_monitor"]["kind"], "")

    def test_limits(self) -> None:
        """Limits are those of the columns that are there; other names of columns are known."""
        self.sql(
            "CREATE TABLE kb_chat_logs (id INTEGER PRIMARY KEY, channel_id VARCHAR(7), message VARCHAR(9));"
            "CREATE TABLE kb_server_processes (process_id INTEGER PRIMARY KEY, process_name TEXT NOT NULL);"
            "CREATE TABLE kb_bot_devices "
            "(id INTEGER PRIMARY KEY, bot_name TEXT, device_id TEXT UNIQUE, status TEXT);"
        )
        layout = layout_of(self.upgrade())
        self.assertEqual((layout.message_bytes, layout.texts["kb_chat_logs.channel_id"].chars), (36, 7))
        self.assertEqual((layout.process_key, layout.bots_per_device), ("process_id", False))
