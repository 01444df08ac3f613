"""Texts go to names of rooms: two of one name are refused, renamed ones are found, loudly."""

from __future__ import annotations

from relaytw.messages import ClientKey, Dialect, Outcome
from relaytw.protocols.wire.phone import ReplyPacket
from tests.unit.relay.harness import BOT
from tests.unit.relay.journals import JournalTestCase
from tests.unit.relay.phones import Phone

PHONE = ClientKey(BOT, "phone-1")


class RoomNameTests(JournalTestCase):
    def on(self) -> Phone:
        return self.proven(dialect=Dialect.V33)

    def where(self, phone: Phone) -> list[tuple[str, str | None]]:
        """The rooms of the replies that it got."""
        return [(one.room, one.channel_id) for one in phone.packets if isinstance(one, ReplyPacket)]

    def refused(self) -> int:
        return self.stages.metrics.replies_dropped["ambiguous_room"]

    def test_one_of_each_name(self) -> None:
        """Usually nothing needs a second look."""
        phone = self.on()
        phone.say("# echo 1", room="a", channel_id="1")
        phone.say("# echo 2", room="b", channel_id="2")
        self.assertEqual(len(phone.texts), 2)
        self.assertEqual((self.refused(), self.stages.metrics.replies_renamed), (0, 0))

    def test_two_of_one_name(self) -> None:
        """The phone would write to any of them: the text has failed, is recorded, and goes nowhere."""
        phone = self.on()
        phone.say("# wait", room="family", channel_id="1")
        phone.say("# wait", room="family", channel_id="2")
        self.let_go("secret")
        self.advance(0)
        self.assertEqual((phone.texts, self.refused()), ([], 2))
        self.assertEqual(self.stages.metrics.outcomes, {Outcome.FAILED: 2})
        rows = self.database.rows("select reason from relaytw_dead_letters")
        self.assertEqual(rows, [("reply_ambiguous_room",)] * 2)
        phone.say("# echo 1", room="other", channel_id="3")
        self.assertEqual(len(phone.texts), 1)

    def test_no_longer(self) -> None:
        """As soon as one of them is called otherwise, texts go out again, to the one that is meant."""
        phone = self.on()
        for channel in "12":
            phone.say("hello", room="family", channel_id=channel)
        phone.say("# echo 1", room="relatives", channel_id="2")
        phone.say("# echo 2", room="family", channel_id="1")
        self.assertEqual((len(phone.texts), self.refused()), (2, 0))

    def test_renamed_meanwhile(self) -> None:
        """A text for a room that was renamed while its handler worked goes to the new name."""
        phone = self.on()
        phone.say("# wait", room="old", channel_id="1")
        phone.say("hello", room="new", channel_id="1")
        self.let_go("answer")
        self.advance(0)
        self.assertEqual(self.where(phone), [("new", "1")])
        self.assertEqual(self.stages.metrics.replies_renamed, 1)

    def test_name_of_another_now(self) -> None:
        """Not even if another room has taken the old name, and not to that one."""
        phone = self.on()
        phone.say("# wait", room="old", channel_id="1")
        phone.say("hello", room="new", channel_id="1")
        phone.say("hello", room="old", channel_id="2")
        self.let_go("answer")
        self.advance(0)
        self.assertEqual(self.where(phone), [("new", "1")])

    def test_restart(self) -> None:
        """What a phone reported once is known after a restart, from the table."""
        phone = self.on()
        phone.say("hello", room="family", channel_id="1")
        phone.say("hello", room="family", channel_id="2")
        self.advance(5)
        self.restart()
        phone = self.on()
        phone.say("# echo 1", room="family", channel_id="1")
        self.assertEqual((phone.texts, self.refused()), ([], 1))
