"""What is said of replies that are given up."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Reply, Text
from relaytw.metrics import Metrics
from relaytw.services.dead_letters import DeadLetters
from relaytw.services.lost_replies import LINES, PERIOD, LostReplies
from relaytw.testing import MemoryDatabase


class LostRepliesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.metrics = Clock(), Metrics()
        letters = DeadLetters(MemoryDatabase(), self.clock, self.metrics, 1000)
        self.lost = LostReplies(letters, lambda: 1000.0 + self.clock.seconds())

    def lose(self, number: int) -> list[str]:
        """What the log says of so many lost replies."""
        reply = Reply(ClientKey("bot", "phone"), "room", None, Text("secret"), "t", id="1/0")
        with capturedLogs() as events:
            for _ in range(number):
                self.lost.note(reply, "outbox_full")
        return [str(formatEvent(event)) for event in events]

    def test_each(self) -> None:
        """Every reply has a line and a dead letter, and neither says what was in it."""
        said = self.lose(2)
        self.assertEqual(said, ["a reply to bot@phone is dropped: outbox_full"] * 2)
        self.assertEqual(self.metrics.dead_letters["reply_outbox_full"], 2)

    def test_flood(self) -> None:
        """Of a flood the first replies have lines; the others are counted, and all are dead letters."""
        self.assertEqual(len(self.lose(LINES + 500)), LINES)
        self.clock.advance(PERIOD)
        self.assertEqual(
            self.lose(1),
            ["500 more replies were dropped before that", "a reply to bot@phone is dropped: outbox_full"],
        )
        self.assertEqual(self.metrics.dead_letters["reply_outbox_full"], LINES + 501)
        self.clock.advance(PERIOD)
        self.assertEqual(len(self.lose(1)), 1)
