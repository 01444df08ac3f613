"""A phone that acknowledges, through kills of the whole relay: the journal keeps what it was given."""

from __future__ import annotations

from relaytw.messages import ClientKey, Dialect, Outcome
from tests.unit.receipts import Line
from tests.unit.relay.harness import BOT
from tests.unit.relay.journals import JournalTestCase

PHONE = ClientKey(BOT, "phone-1")


class AcknowledgedTests(JournalTestCase):
    def attach(self, resume: str | None = None) -> Line:
        """The phone's script acknowledges from now on."""
        line = Line()
        self.stages.outbox.attach(PHONE, line, Dialect.V33, acknowledges=True, resume=resume)
        return line

    def test_kept_by_the_journal(self) -> None:
        """A message is finished and its reply kept until it is acknowledged; a kill changes nothing."""
        phone = self.proven()
        first = self.attach()
        for number in range(3):
            phone.say(f"# echo {number}")
        self.assertEqual(len(first.said), 3)
        found = self.look()
        self.assertEqual((found.unfinished_messages, found.unfinished_replies), (0, 3))
        self.restart()
        self.advance(0)
        self.assertEqual((self.stages.metrics.redelivered, self.stages.outbox.unacknowledged), (0, 3))
        line = self.attach()
        self.assertEqual(line.said, first.said)
        self.stages.outbox.detach(PHONE, line, dead=True)
        self.advance(300)
        self.assertEqual(self.stages.metrics.outcomes, {Outcome.SENT: 3})
        self.assertEqual(self.look().unfinished_replies, 0)

    def test_again(self) -> None:
        """A message that is run again while its reply waits says nothing twice, and what is new once."""
        phone = self.proven()
        phone.say("# wait")
        self.attach()
        self.messages[0].reply("meanwhile")
        self.assertEqual(self.stages.outbox.unacknowledged, 1)
        self.advance(0)
        self.restart()
        self.advance(0)
        self.assertEqual(self.stages.outbox.unacknowledged, 1)
        again = self.messages[-1]
        self.assertTrue(again.redelivered)
        again.reply("meanwhile")
        self.let_go("done")
        self.assertEqual(self.stages.outbox.waits_for(PHONE), 2)
        line = self.attach(resume=f"{again.id}/0")
        self.assertEqual(len(line.said), 1)
        self.stages.outbox.acknowledged(PHONE, line, [f"{again.id}/1"])
        self.assertEqual(self.stages.metrics.outcomes, {Outcome.CONFIRMED: 2})
        self.assertEqual(self.look().unfinished_replies, 0)
        self.stages.outbox.detach(PHONE, line, dead=False)
