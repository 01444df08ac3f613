"""An approval that is taken back: what was accepted before is not run, and what was said is not told."""

from __future__ import annotations

from relaytw.messages import Status
from tests.unit.relay.harness import RelayTestCase


class WithdrawalTests(RelayTestCase):
    def busy(self, device: str = "phone-1") -> None:
        """A phone with three messages at work and two that wait."""
        phone = self.proven(device)
        for number in range(5):
            phone.say(f"# wait {number}")
        self.assertEqual(len(self.waiting), 3)

    def test_room_by_hand(self) -> None:
        """A room blocked in the table has no message started any more, and those at work are not answered."""
        self.busy()
        self.database.change("UPDATE kb_rooms SET status = 'blocked'")
        self.advance(5)
        self.messages.clear()
        self.let_go("too late")
        self.assertEqual((self.heard_texts(), self.phones[0].texts), ([], []))
        self.assertEqual(self.stages.metrics.replies_dropped["not_approved"], 3)
        self.assertEqual(self.stages.metrics.room_refused, 2)

    def test_device_by_hand(self) -> None:
        """A device put back to pending stays on, and gets nothing of what it had asked for."""
        self.busy()
        self.database.change("UPDATE kb_bot_devices SET status = 'pending'")
        self.advance(5)
        self.messages.clear()
        self.let_go("too late")
        self.assertOpen(self.phones[0])
        self.assertEqual((self.heard_texts(), self.phones[0].texts), ([], []))
        self.assertEqual(self.stages.metrics.restricted, 2)

    def test_operator(self) -> None:
        """What an operator takes back counts at once; other rooms and other phones are as they were."""
        self.busy()
        other = self.proven("phone-2")
        self.phones[0].say("# wait here", room="another")
        self.set_room(Status.DENIED)
        self.let_go("answer")
        self.assertEqual(self.phones[0].texts, ["answer"])
        other.say("# echo hello")
        self.assertEqual(other.texts, ["에코: hello"])

    def test_replies_that_wait(self) -> None:
        """Replies that wait for a phone that is away are dropped, so that it does not get them as pending."""
        phone = self.proven()
        phone.say("# wait 1")
        phone.vanish()
        self.let_go("for an approved phone")
        self.assertEqual(self.stages.outbox.waiting, 1)
        self.set_device(Status.PENDING)
        self.assertEqual(self.stages.outbox.waiting, 0)
        again = self.connect().hello()
        again.pong()
        self.assertEqual(again.texts, [])
        self.assertEqual(self.stages.metrics.replies_dropped["not_approved"], 1)

    def test_given_back(self) -> None:
        """What is said after the approval was given back is answered as ever."""
        phone = self.proven()
        phone.say("# echo 1")
        self.set_room(Status.BLOCKED)
        phone.say("# echo 2")
        self.set_room(Status.APPROVED)
        phone.say("# echo 3")
        self.assertEqual(phone.texts, ["에코: 1", "에코: 3"])
