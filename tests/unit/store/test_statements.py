"""Statements: one text for each engine, values in their places, many rows at once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, select
from twisted.trial.unittest import SynchronousTestCase

from relaytw.store.schema import audit, rooms
from relaytw.store.statements import Insert, Statement, Transaction, any_of, chunks, keys_of
from relaytw.store.urls import Engine
from relaytw.testing import MemoryDatabase

_NEWEST = Statement(
    select(audit.c.act, audit.c.actor)
    .where(audit.c.actor == bindparam("actor"), audit.c.act != "nothing")
    .order_by(audit.c.id.desc())
    .limit(bindparam("count"))
)
_INSERT = Insert(audit, ("at_ms", "actor", "act"))
_KEY = (rooms.c.room_id, rooms.c.bot_name)
_BY_KEY = Statement(select(rooms.c.room_id).where(any_of(_KEY, 3)).order_by(rooms.c.room_id))
_ROOMS = Insert(rooms, ("room_id", "bot_name", "device_id"))


def _newest(transaction: Transaction, actor: str) -> list[tuple[Any, ...]]:
    return transaction.all(_NEWEST, actor=actor, count=1000)


def _first(transaction: Transaction, actor: str) -> tuple[Any, ...] | None:
    return transaction.one(_NEWEST, actor=actor, count=9)


def _named(transaction: Transaction, keys: list[tuple[str, str]]) -> list[tuple[Any, ...]]:
    return transaction.all(_BY_KEY, **keys_of(keys, 3))


class StatementTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = MemoryDatabase()

    def insert(self, rows: list[tuple[int, str, str]]) -> None:
        """Insert rows of the audit table."""
        self.database.now(lambda transaction: _INSERT.run(transaction, rows))

    def test_texts(self) -> None:
        """Each engine has its own placeholders."""
        self.assertIn("actor = ?", _NEWEST.text(Engine.SQLITE))
        self.assertIn("actor = %s", _NEWEST.text(Engine.MYSQL))

    def test_missing_value(self) -> None:
        """A value that was forgotten is an error, not NULL."""
        self.assertRaises(KeyError, _NEWEST.values, Engine.SQLITE, {"actor": "a"})

    def test_every_size(self) -> None:
        """However many rows are inserted, all of them are there, in order."""
        for count in (0, 1, 19, 20, 21, 199, 200, 201, 423):
            actor = f"actor {count}"
            rows = [(number, actor, f"act {number}") for number in range(count)]
            self.insert(rows)
            found = self.database.now(_newest, actor)
            self.assertEqual([act for act, _ in found], [act for _, _, act in reversed(rows)])

    def test_one(self) -> None:
        """A query for one row gives it, or None."""
        self.insert([(1, "a", "x"), (2, "a", "y")])
        self.assertEqual(self.database.now(_first, "a"), ("y", "a"))
        self.assertIsNone(self.database.now(_first, "b"))

    def test_any_of(self) -> None:
        """Fewer keys than a statement has places for find what they name, once."""
        rows = [(str(number), bot, "d") for number in range(5) for bot in ("a", "b")]
        self.database.now(lambda txn: _ROOMS.run(txn, rows))
        for keys in ([("1", "a")], [("1", "a"), ("4", "b")], [("1", "a"), ("4", "b"), ("9", "a")]):
            found = self.database.now(_named, keys)
            self.assertEqual([room for (room,) in found], [room for room, _ in keys if room != "9"])

    def test_chunks(self) -> None:
        """Lists of at most so many, nothing left out."""
        self.assertEqual(list(chunks(range(5), 2)), [[0, 1], [2, 3], [4]])
        self.assertEqual(list(chunks([], 2)), [])
