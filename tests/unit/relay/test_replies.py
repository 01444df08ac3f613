"""How replies find their phone: now, after a broken connection, later, or never."""

from __future__ import annotations

from relaytw.messages import Dialect, Media
from relaytw.protocols.wire.phone import ReplyPacket
from tests.unit.relay.harness import RelayTestCase
from tests.unit.relay.phones import Phone


class ReplyTests(RelayTestCase):
    dialect = Dialect.V32

    def on(self) -> Phone:
        """A phone that is on and has shown who it is."""
        return self.proven(dialect=self.dialect)

    def test_where(self) -> None:
        """A reply names the room its question came from."""
        phone = self.on()
        phone.say("# echo 안녕 🙂", room="가족")
        (reply,) = phone.heard()
        assert isinstance(reply, ReplyPacket)
        self.assertEqual((reply.room, reply.channel_id, reply.text), ("가족", None, "에코: 안녕 🙂"))

    def test_several(self) -> None:
        """Several texts of one answer are sent a second apart."""
        phone = self.on()
        phone.say("# echo hey --repeat=3")
        self.assertEqual(len(phone.texts), 1)
        self.advance(0.9)
        self.assertEqual(len(phone.texts), 1)
        self.advance(0.1)
        self.assertEqual(len(phone.texts), 2)
        self.advance(1)
        self.assertEqual(phone.texts, [f"[{n}/3] 에코: hey" for n in (1, 2, 3)])

    def test_media(self) -> None:
        """Media go one at a time, and texts of the same room wait behind them; other rooms do not."""
        phone = self.on()
        for room in ("one", "one", "two"):
            phone.say("# wait", room=room)
        self.let_go(Media(("https://example.org/1.jpg",), wait_ms=8000), 1)
        self.let_go(Media(("https://example.org/2.jpg",)), 1)
        self.let_go("text")
        phone.say("# echo behind", room="one")
        self.assertEqual(phone.texts, [None, "text"])
        self.advance(7.9)
        self.assertEqual(len(phone.texts), 2)
        self.advance(0.2)
        self.assertEqual(phone.texts, [None, "text", None, "에코: behind"])

    def test_after_a_broken_connection(self) -> None:
        """What was written to a connection that turns out dead is sent again over the next one."""
        phone = self.on()
        phone.say("# wait")
        self.let_go("hello")
        self.assertEqual(phone.texts, ["hello"])
        phone.vanish()
        self.advance(4)
        self.assertEqual(self.back().texts, ["hello"])

    def test_after_a_zombie(self) -> None:
        """So it is when nobody ever told us that the connection is dead."""
        phone = self.on()
        phone.say("# echo 1")
        self.advance(95)
        self.assertTrue(phone.closed)
        self.assertEqual(self.back().texts, ["에코: 1"])

    def test_after_a_take_over(self) -> None:
        """And when the phone comes back before we have noticed."""
        phone = self.on()
        rooms = ("one", "other")
        phone.send(b"".join(phone.line(f"# echo {room}", auth=phone.sign(), room=room) for room in rooms))
        self.assertEqual(phone.texts, ["에코: one", "에코: other"])
        self.assertEqual(set(self.back().texts), {"에코: one", "에코: other"})

    def test_after_a_clean_end(self) -> None:
        """What was written to a phone that hung up by itself is not: it had it."""
        phone = self.on()
        phone.say("# echo 1")
        phone.hang_up()
        self.advance(4)
        self.assertEqual(self.back().texts, [])

    def test_after_a_fin(self) -> None:
        """Nor is it after a half-closed connection."""
        phone = self.on()
        phone.say("# echo 1")
        phone.finish()
        self.advance(4)
        self.assertEqual(self.back().texts, [])

    def test_confirmed(self) -> None:
        """Nor is what the phone has heard, as something came from it afterwards."""
        phone = self.on()
        phone.say("# echo 1")
        phone.pong()
        phone.say("# echo 2")
        phone.vanish()
        self.advance(4)
        self.assertEqual(self.back().texts, ["에코: 2"])

    def test_away(self) -> None:
        """Replies for a phone that is away wait for it, and arrive in order."""
        phone = self.on()
        for number in range(3):
            phone.say(f"# wait {number}")
        phone.hang_up()
        for number in range(3):
            self.let_go(str(number), 1)
        self.assertEqual(self.stages.outbox.waiting, 3)
        self.advance(299)
        self.assertEqual(self.back().texts, ["0", "1", "2"])

    def test_away_too_long(self) -> None:
        """For five minutes; then they are dropped, and counted."""
        phone = self.on()
        phone.say("# wait")
        phone.hang_up()
        self.let_go("late")
        self.advance(301)
        self.assertEqual(self.stages.metrics.replies_dropped["expired"], 1)
        self.assertEqual(self.back().texts, [])

    def test_not_to_strangers(self) -> None:
        """Whoever cannot prove to be that phone gets none of it."""
        phone = self.on()
        phone.say("# wait")
        phone.vanish()
        self.let_go("private")
        stranger = self.connect(dialect=self.dialect, secret="other").hello()
        stranger.pong()
        self.assertEqual(stranger.texts, [])
        self.assertEqual(self.back().texts, ["private"])

    def test_other_dialect(self) -> None:
        """A phone whose script was updated meanwhile gets them in its new dialect."""
        phone = self.on()
        phone.say("# wait")
        phone.vanish()
        self.let_go("hello")
        other = Dialect.V33 if self.dialect is Dialect.V32 else Dialect.V32
        self.assertEqual(self.proven_texts(dialect=other), ["hello"])

    def test_failing_handler(self) -> None:
        """A handler that fails answers nothing, and the next message is worked."""
        phone = self.on()
        phone.say("# wait")
        self.waiting.pop()[1].errback(ZeroDivisionError("on purpose"))
        phone.say("# echo 1")
        self.assertEqual(phone.texts, ["에코: 1"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_too_long(self) -> None:
        """A text is cut to what a phone can show; one that is longer inbound is not worked at all."""
        phone = self.on()
        phone.say("# echo " + "x" * 64_990)
        phone.say("# echo " + "x" * 65_000)
        self.advance(0)
        self.assertEqual([text and len(text) for text in phone.texts], [64_994])
        self.assertEqual(self.stages.metrics.overlong_texts, 1)
        phone.say("# wait")
        self.let_go("x" * 70_000)
        self.assertEqual([text and len(text) for text in phone.texts[1:]], [65_000])

    def back(self) -> Phone:
        """The phone, on again."""
        phone = self.connect(dialect=self.dialect).hello()
        phone.pong()
        return phone

    def proven_texts(self, dialect: Dialect) -> list[str | None]:
        phone = self.connect(dialect=dialect).hello()
        phone.pong()
        return phone.texts


class Reply33Tests(ReplyTests):
    dialect = Dialect.V33
