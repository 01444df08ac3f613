"""The operator sends a text, and hears honestly what became of it; he looks at what waits, and drops it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from relaytw.admin.outbox import DropReplies, SendRefused, SendText, Sent
from relaytw.messages import ClientKey, Dialect, Outcome, Status
from tests.unit.relay.harness import BOT, RelayTestCase

PHONE = ClientKey(BOT, "phone-1")


class PostTests(RelayTestCase):
    @property
    def post(self) -> Any:
        """The operator's hand in the outbox."""
        return self.relay.operator.outbox

    def send(self, room: str = "room", text: str = "hello", wait: float = 5.0) -> Deferred[Sent]:
        return Deferred.fromCoroutine(self.post.send(SendText(*PHONE, room, text, wait), "me"))

    def test_sent(self) -> None:
        """Written to a phone that acknowledges nothing: sent, unconfirmed."""
        phone = self.proven(dialect=Dialect.V33)
        sent = self.successResultOf(self.send())
        self.assertEqual((sent.outcome, phone.texts), (Outcome.SENT, ["hello"]))

    def test_waiting(self) -> None:
        """Nobody is there: waiting, for as long as the caller waits; it ends all the same."""
        self.proven().hang_up()
        asked = self.send(wait=2)
        self.assertNoResult(asked)
        self.advance(2)
        self.assertEqual(self.successResultOf(asked).outcome, Outcome.WAITING)
        (held,) = self.post.holdings()
        self.assertEqual((held.waiting, held.here, held.bytes), (1, False, 5))
        self.assertEqual(held.oldest, self.now() - 2)
        (reply,) = self.post.held_for(PHONE)
        self.assertEqual((reply.what, reply.written), ("(5 characters)", False))
        self.advance(300)
        self.assertEqual(self.stages.metrics.outcomes, {Outcome.EXPIRED: 1})

    def test_ends_while_it_is_waited_for(self) -> None:
        """What ends in time is said at once: here the operator drops it, which is recorded."""
        self.proven().hang_up()
        asked = self.send()
        other = self.send("other")
        self.assertEqual(self.post.drop(DropReplies(*PHONE, room="other"), "me"), 1)
        self.assertNoResult(asked)
        self.assertEqual(self.post.drop(DropReplies(*PHONE), "me"), 1)
        for one in (asked, other):
            sent = self.successResultOf(one)
            self.assertEqual((sent.outcome, sent.why), (Outcome.FAILED, "dropped"))
        self.assertEqual(self.post.drop(DropReplies(*PHONE), "me"), 0)
        rows = self.database.rows("select reason, message_id from relaytw_dead_letters")
        self.assertEqual([reason for reason, _ in rows], ["reply_dropped"] * 2)
        acts = [act for (act,) in self.database.rows("select act from relaytw_audit order by id")]
        self.assertEqual(acts[-4:], ["send", "send", "drop replies", "drop replies"])

    def test_caller_gives_up(self) -> None:
        """A caller who does not wait leaves nothing behind."""
        self.proven().hang_up()
        asked = self.send()
        asked.cancel()
        self.failureResultOf(asked)
        self.assertEqual(self.post._asked, {})
        self.post.drop(DropReplies(*PHONE), "me")

    def test_rooms(self) -> None:
        """A room goes by id or name; a name of two rooms must be told apart."""
        phone = self.proven(dialect=Dialect.V33)
        phone.say("x", room="family", channel_id="100")
        self.successResultOf(self.send("100", "by id"))
        self.successResultOf(self.send("family", "by name"))
        self.assertEqual(phone.texts, ["by id", "by name"])
        phone.say("x", room="family", channel_id="200")
        refused = self.failureResultOf(self.send("family"), SendRefused).value
        self.assertEqual(refused.code, "ambiguous_room")

    def test_not_approved(self) -> None:
        """Nothing is sent to what is not approved."""
        phone = self.proven()
        phone.say("x", room="family", channel_id="100")
        done = Deferred.fromCoroutine(self.relay.operator.set_room(PHONE, "100", Status.DENIED))
        self.successResultOf(done)
        self.assertEqual(self.failureResultOf(self.send("100"), SendRefused).value.code, "not_approved")
