"""Forgetting a person: from the tables, from what is about to be there, and from whoever else keeps chat."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.admin.view import Forgotten
from relaytw.messages import Chat, ClientKey
from relaytw.metrics import Metrics
from relaytw.services.forgetting import CHUNK, CHUNKS, Forgetting
from relaytw.services.writer import FLUSH_PATIENCE, LAST_RETRY, RowWriter, WriterSettings
from relaytw.store.chat_logs import CHAT_LOGS, ChatRows
from relaytw.store.database import DatabaseAway
from relaytw.store.times import WallClock
from relaytw.testing import MemoryDatabase

HASH = "0123456789abcdef"
EPOCH = 1_752_548_400.0
WALL = WallClock("Asia/Seoul")


class ForgettingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.database = Clock(), MemoryDatabase()
        self.writer = RowWriter(self.database, self.clock, Metrics(), WriterSettings())
        self.writer.startService()
        self.rows = ChatRows(WALL)
        self.audit: list[str] = []
        self.forgetting = Forgetting(self.database, self.writer, WALL, 305.0, self.note)

    def note(self, actor: str, detail: str) -> None:
        """Stands for the audit table."""
        self.assertEqual(actor, "admin:ada")
        self.audit.append(detail)

    def say(self, count: int, user_hash: str = HASH) -> None:
        """Have somebody say something so many times."""
        for number in range(count):
            chat = Chat("room", "hi", "Ada", "100", None, user_hash, True, False, "", None)
            row = self.rows.question(
                ClientKey("bot", "phone"), chat, f"{user_hash} {number}", EPOCH, "", with_text=True
            )
            self.writer.write(CHAT_LOGS, row)

    def forget(self) -> Deferred[Forgotten]:
        """Ask for it."""
        return Deferred.fromCoroutine(self.forgetting.forget(HASH, "admin:ada"))

    def left(self) -> int:
        """How many rows there are."""
        count: int = self.database.rows("SELECT COUNT(*) FROM kb_chat_logs")[0][0]
        return count

    def test_waiting_rows(self) -> None:
        """What waits to be written is forgotten too."""
        self.say(3)
        self.say(2, "other")
        self.assertEqual(self.successResultOf(self.forget()), Forgotten(3, 0, more=False))
        self.assertEqual((self.left(), self.writer.waiting), (2, 0))

    def test_much(self) -> None:
        """Who has said very much is forgotten in several goes, of which each tells how far it is."""
        self.say(CHUNK * CHUNKS + 5)
        self.assertEqual(self.successResultOf(self.flushed()), Forgotten(CHUNK * CHUNKS, 0, more=True))
        self.assertEqual(self.left(), 5)
        self.assertEqual(self.successResultOf(self.forget()), Forgotten(5, 0, more=False))
        self.assertEqual(self.left(), 0)

    def flushed(self) -> Deferred[Forgotten]:
        """Ask for it, and let all be written first."""
        asked = self.forget()
        self.clock.pump([0] * 5 + [1])
        return asked

    def test_others(self) -> None:
        """Whoever else keeps what people say is asked once there is no more in the table."""
        asked: list[str] = []

        def forget(user_hash: str) -> Deferred[int]:
            asked.append(user_hash)
            return succeed(4)

        self.forgetting.others.append(forget)
        self.say(2)
        self.assertEqual(self.successResultOf(self.forget()), Forgotten(6, 0, more=False))
        self.assertEqual(asked, [HASH])

    def test_audit(self) -> None:
        """It is recorded, without the hash that could be used to find the person again."""
        self.say(2)
        self.successResultOf(self.forget())
        self.assertEqual(self.audit, ["012345…: 2 messages and 0 answers to them"])

    def test_away(self) -> None:
        """With the database away nothing is forgotten, and whoever asked is told."""
        self.database.go_away()
        self.say(2)
        asked: Any = self.forget()
        self.clock.advance(FLUSH_PATIENCE)
        self.failureResultOf(asked, DatabaseAway)
        self.assertEqual((self.audit, self.writer.waiting), ([], 2))
        self.database.come_back()
        self.clock.advance(LAST_RETRY)
        self.assertEqual(self.successResultOf(self.forget()), Forgotten(2, 0, more=False))
