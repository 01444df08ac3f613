"""How the database finds what is asked for: by an index, however many rows there are."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Status
from relaytw.store import devices, rooms
from relaytw.store.approvals import Asked, Since, changes, look_up
from relaytw.store.audit import Act, page
from relaytw.store.decisions import Decision, decide_device, decide_room
from relaytw.store.devices import AskedDevice
from relaytw.store.rooms import AskedRoom
from relaytw.store.statements import Transaction
from relaytw.testing import MemoryDatabase

DEVICES, ROOMS = 10_000, 100_000
AT = "2026-01-01 00:00:00"
NEW = ClientKey("bot", "new")
CLIENTS = [ClientKey("bot", str(number)) for number in range(3)]


class Explaining(Transaction):
    """A transaction that notes how each of its statements is carried out."""

    __slots__ = ("plans",)

    def __init__(self, cursor: Any, engine: Any) -> None:
        super().__init__(cursor, engine)
        self.plans: list[str] = []

    def execute(self, text: str, values: Any = ()) -> int:
        """Note the plan, then run it."""
        if not text.startswith("PRAGMA"):
            super().execute(f"EXPLAIN QUERY PLAN {text}", values)
            self.plans += [row[3] for row in self._cursor.fetchall()]
        return super().execute(text, values)


class PlanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = MemoryDatabase()
        self.database.change(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
            "INSERT INTO kb_bot_devices (bot_name, device_id, status, created_at, updated_at) "
            "SELECT 'bot', i, 'approved', ?, ? FROM n",
            DEVICES, AT, AT,
        )  # fmt: skip
        self.database.change(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
            "INSERT INTO kb_rooms (room_id, bot_name, device_id, status, created_at, updated_at) "
            "SELECT i / 10, 'bot', i % 10, 'approved', ?, ? FROM n",
            ROOMS, AT, AT,
        )  # fmt: skip
        self.database.connection.execute("ANALYZE")
        self.transaction = Explaining(self.database.connection.cursor(), self.database.engine)

    def assert_indexed(self) -> None:
        """Nothing was found by looking through a table, or sorted first."""
        self.assertTrue(self.transaction.plans)
        slow = [
            plan for plan in self.transaction.plans if plan.startswith(("SCAN", "USE TEMP B-TREE FOR ORDER"))
        ]
        self.assertEqual([plan for plan in slow if "INDEX" not in plan], [])

    def test_found(self) -> None:
        """Devices at their handshakes and rooms at their messages, whether or not they have a row."""
        asked = Asked(
            [
                AskedDevice(client, Status.PENDING, "10.0.0.1")
                for client in [*CLIENTS, ClientKey("bot", "new")]
            ],
            [
                AskedRoom(client, "5", Status.PENDING, "name")
                for client in [*CLIENTS, ClientKey("bot", "new")]
            ],
            pending_rows=1,
            unproven=[DEVICES],
        )
        answers = look_up(self.transaction, asked, AT)
        self.assertEqual(len([row for row in answers.devices.found if row is not None]), 4)
        self.assert_indexed()

    def test_many(self) -> None:
        """Many at once too."""
        many = [ClientKey("bot", str(number)) for number in range(250)]
        found = look_up(
            self.transaction,
            Asked([AskedDevice(client) for client in many], [AskedRoom(client, "5") for client in many]),
            AT,
        )
        self.assertEqual(len([row for row in found.devices.found if row is not None]), 250)
        self.assert_indexed()

    def test_looked_at(self) -> None:
        """What has changed, in either table, from the first page and from later ones."""
        changes(self.transaction, Since(devices.Since(AT), rooms.Since(AT)), 100)
        changes(self.transaction, Since(devices.Since(AT, 500), rooms.Since(AT, "5", "bot", "3")), 100)
        self.assert_indexed()

    def test_decided(self) -> None:
        """What an operator decides about, and where a phone is pinned."""
        decision = Decision(Status.BLOCKED, None, False, Act(1, "admin", "device blocked"))
        self.assertIsNotNone(decide_device(self.transaction, AskedDevice(CLIENTS[0]), decision, AT))
        self.assertIsNotNone(decide_room(self.transaction, AskedRoom(CLIENTS[0], "5"), decision, AT))
        devices.pin(self.transaction, {CLIENTS[1]: "uuid"})
        self.assert_indexed()

    def test_listed(self) -> None:
        """Pages of lists."""
        for status in (None, Status.PENDING):
            devices.page(self.transaction, status, 5000, 100)
            rooms.page(self.transaction, status, rooms.RowKey("5", "bot", "3"), 100)
        page(self.transaction, None, 10)
        page(self.transaction, 5, 10)
        self.assert_indexed()

    def test_can_fail(self) -> None:
        """A look through a whole table would be noticed."""
        self.transaction.execute("SELECT * FROM kb_rooms WHERE room_name = 'x'")
        with self.assertRaises(self.failureException):
            self.assert_indexed()
