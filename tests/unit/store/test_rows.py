"""Many rows in one transaction: a row that is refused keeps no other from being written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.store.database import DatabaseAway
from relaytw.store.layout import FRESH, Layout, TextColumn
from relaytw.store.rows import PATIENCE, Row, RowKind, storable, write_rows
from relaytw.store.schema import audit, chat_logs, systems
from relaytw.store.statements import Insert
from relaytw.testing import MemoryDatabase

AUDIT = RowKind(audit.name, Insert(audit, ("at_ms", "actor", "act")))
SYSTEMS = RowKind(systems.name, Insert(systems, ("server_name", "memory_total")))
LOGS = RowKind(chat_logs.name, Insert(chat_logs, ("message", "sender", "is_cut")), 0, 2)
BAD: Row = (1, None, "an actor is needed")


def good(number: int) -> Row:
    """A row that the table takes."""
    return (number, "somebody", "act")


class WriteTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = MemoryDatabase()

    def written(self) -> list[int]:
        """The rows of the audit table by their numbers."""
        return [row[0] for row in self.database.rows("SELECT at_ms FROM relaytw_audit ORDER BY id")]

    def test_several_tables(self) -> None:
        """Rows of several tables are written together."""
        batch = [(AUDIT, [good(1), good(2)]), (SYSTEMS, [("relay", 5)])]
        self.assertEqual(self.database.now(write_rows, batch), [])
        self.assertEqual(self.written(), [1, 2])
        self.assertEqual(self.database.rows("SELECT memory_total FROM kb_system_monitor"), [(5,)])

    def test_bad_rows(self) -> None:
        """Wherever bad rows stand, all others are written, in order, and the bad ones are counted."""
        rows = [BAD if number in (0, 77, 78, 299) else good(number) for number in range(300)]
        (refusal,) = self.database.now(write_rows, [(AUDIT, rows)])
        self.assertEqual((refusal.table, refusal.rows), ("relaytw_audit", 4))
        self.assertIn("NOT NULL", refusal.why)
        self.assertEqual(self.written(), [n for n in range(300) if n not in (0, 77, 78, 299)])

    @given(st.lists(st.booleans(), min_size=1, max_size=8))
    def test_any_mixture(self, which: list[bool]) -> None:
        """Of few rows exactly the good ones are written."""
        database = MemoryDatabase()
        rows = [good(number) if is_good else BAD for number, is_good in enumerate(which)]
        refusals = database.now(write_rows, [(AUDIT, rows)])
        self.assertEqual(sum(refusal.rows for refusal in refusals), which.count(False))
        self.assertEqual(database.rows("SELECT COUNT(*) FROM relaytw_audit"), [(which.count(True),)])

    def test_table_that_takes_nothing(self) -> None:
        """A table that takes no row is not asked about each of them, and keeps nobody else waiting."""
        self.database.change("DROP TABLE relaytw_audit")
        asked: list[str] = []
        self.database.connection.set_trace_callback(asked.append)
        batch = [(AUDIT, [good(number) for number in range(1000)]), (SYSTEMS, [("relay", 5)])]
        (refusal,) = self.database.now(write_rows, batch)
        self.assertEqual(refusal.rows, 1000)
        self.assertIn("no such table", refusal.why)
        self.assertLess(len([text for text in asked if text.startswith("SAVEPOINT")]), 4 * PATIENCE + 20)
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM kb_system_monitor"), [(1,)])

    def test_away(self) -> None:
        """A database that is away refuses nothing: the batch fails as a whole."""
        self.database.go_away()
        self.assertRaises(DatabaseAway, self.database.now, write_rows, [(AUDIT, [good(1)])])

    def test_narrow_columns(self) -> None:
        """What an old column cannot hold is cut or replaced, marked where there is a mark, and not lost."""
        texts = {
            f"{LOGS.table}.message": TextColumn(65_535, 10, "utf8mb3"),
            f"{LOGS.table}.sender": TextColumn(100, 400, "utf8mb3"),
        }
        self.database.layout = Layout(texts={**FRESH.texts, **texts})
        rows = [("👍 안녕하세요", "Ada 👍", 0), ("안녕", "Bo", 0), (None, None, 0)]
        self.assertEqual(self.database.now(write_rows, [(LOGS, rows)]), [])
        self.assertEqual(
            self.database.rows("SELECT message, sender, is_cut FROM kb_chat_logs ORDER BY id"),
            [("\ufffd 안녕", "Ada \ufffd", 1), ("안녕", "Bo", 0), (None, None, 0)],
        )


class StorableTests(SynchronousTestCase):
    @given(st.text(st.characters(), max_size=40), st.integers(0, 30))
    def test_anything(self, text: str, width: int) -> None:
        """Whatever it was, it can be encoded, has no NUL, and is as much of the text as fits."""
        kept = storable(text, width)
        self.assertLessEqual(len(kept), width)
        self.assertNotIn("\0", kept)
        kept.encode()
        self.assertEqual(len(kept), min(len(text), width))

    def test_emoji(self) -> None:
        """What can be stored is left as it is."""
        for text in ("안녕 👋🏽\n줄", "plain", ""):
            self.assertEqual(storable(text, 100), text)

    def test_halves(self) -> None:
        """Half a surrogate pair and NUL are replaced."""
        self.assertEqual(storable("a\ud83d\0b", 10), "a\ufffd\ufffdb")
