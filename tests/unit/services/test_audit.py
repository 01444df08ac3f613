"""What operators do is written down, without anybody waiting for it."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey
from relaytw.services.audit import AuditWriter
from relaytw.testing import MemoryDatabase

PHONE = ClientKey("bot", "phone")


class AuditTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.database = MemoryDatabase()
        self.audit = AuditWriter(self.database, self.clock, self.clock.seconds, 3)
        self.audit.startService()

    def note(self, act: str) -> None:
        """Somebody does something."""
        self.audit.note(self.audit.act("admin:ada", act, PHONE))

    def written(self) -> list[str]:
        """What was written down."""
        return [act for (act,) in self.database.rows("SELECT act FROM relaytw_audit ORDER BY id")]

    def test_written(self) -> None:
        """An act is written with its time, who, and whom it concerns; long words are cut."""
        self.clock.advance(5)
        self.audit.note(self.audit.act("a" * 200, "disconnect", PHONE, None, "d" * 3000))
        [row] = self.database.rows("SELECT at_ms, actor, bot_name, device_id, detail FROM relaytw_audit")
        self.assertEqual(row, (5000, "a" * 100, "bot", "phone", "d" * 2000))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_away(self) -> None:
        """Without the database acts wait, so many at most, and are written in order when it is back."""
        self.database.go_away()
        for number in range(5):
            self.note(str(number))
        self.clock.pump([1] * 10)
        self.assertEqual(self.written(), [])
        self.database.come_back()
        self.clock.pump([1] * 2)
        self.assertEqual(self.written(), ["2", "3", "4"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow(self) -> None:
        """While one batch is written others wait for the next; given up or not, each is written once."""
        self.database.hold()
        for number in range(6):
            self.note(str(number))
        self.database.let_go()
        self.assertEqual(self.written(), ["0", "3", "4", "5"])

    def test_stop(self) -> None:
        """A stop tries once more, and leaves no timer."""
        self.database.go_away()
        self.note("late")
        self.database.come_back()
        self.audit.stopService()
        self.assertEqual((self.written(), self.clock.getDelayedCalls()), (["late"], []))

    def test_stop_without_a_database(self) -> None:
        """Also where it is of no use."""
        self.database.go_away()
        self.note("lost")
        self.audit.stopService()
        self.assertEqual((self.written(), self.clock.getDelayedCalls()), ([], []))
