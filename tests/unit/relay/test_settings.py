"""What is set for a bot or a room holds at once, for phones that are on and messages that wait."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from relaytw import texts
from relaytw.gate import Room
from relaytw.messages import CloseReason, Status
from relaytw.protocols.wire.phone import encode_handshake
from relaytw.settings import BotSettings, RoomSettings
from tests.unit.relay.harness import BOT, RelayTestCase
from tests.unit.relay.phones import Phone
from tests.unit.relay.test_lookups import SlowTestCase

KIB = 1024


class SettingsTestCase(RelayTestCase):
    def set_bot(self, **about: Any) -> None:
        """Let the bot's settings be these, and otherwise the usual."""
        self.relay.settings.put(BotSettings(BOT, **about))

    def room(self, name: str = "room") -> Room:
        """A room that a phone has spoken in."""
        room = self.stages.approvals.room(self.key(), name, name)
        assert isinstance(room, Room)
        return room


class PrefixTests(SettingsTestCase):
    def test_changed(self) -> None:
        """A new prefix calls the commands from the next message on, the old one no more."""
        phone = self.proven()
        phone.say("# echo one")
        self.set_bot(prefix="!")
        phone.say("! echo two")
        phone.say("# echo three")
        self.advance(2)
        self.assertEqual(phone.texts, ["에코: one", "에코: two"])
        self.assertEqual(self.heard_texts(), ["# echo three"])


class AdminTests(SettingsTestCase):
    sections = {"auth": {"admins": ["root"]}}  # noqa: RUF012 (the harness declares it)

    def test_of_one_bot(self) -> None:
        """Admins of the configuration count everywhere, those of a bot with it alone, nobody else does."""
        phone = self.proven()
        self.set_bot(admins=frozenset({"ada"}))
        for who in ("root", "ada", "eve", None):
            phone.say(str(who), user_hash=who)
        self.assertEqual([message.is_admin for message in self.messages], [True, True, False, False])
        self.set_bot()
        phone.say("again", user_hash="ada")
        self.assertFalse(self.messages[-1].is_admin)


class PauseTests(SettingsTestCase):
    def test_paused(self) -> None:
        """A paused bot takes messages in and runs none; resumed, it runs what comes from then on."""
        phone = self.proven()
        self.set_bot(paused=True)
        line = phone.say("one")
        phone.say("two")
        self.set_bot()
        phone.send(line)
        phone.say("three")
        self.assertEqual(self.heard_texts(), ["three"])
        self.assertEqual((self.stages.metrics.paused, self.stages.metrics.duplicates), (2, 1))

    def test_what_was_under_way(self) -> None:
        """What runs when its bot is paused ends and is answered; what waited is not run, and not kept."""
        phone = self.proven()
        for number in range(5):
            phone.say(f"# wait {number}")
        self.assertEqual(len(self.messages), 3)
        self.set_bot(paused=True)
        self.let_go("done")
        self.advance(5)
        self.assertEqual((len(self.messages), phone.texts), (3, ["done"] * 3))
        self.assertEqual((self.stages.metrics.paused, self.stages.intake.unfinished), (2, 0))

    def test_other_bots(self) -> None:
        """Other bots go on."""
        phone = self.proven()
        self.relay.settings.put(BotSettings("other", paused=True))
        phone.say("hello")
        self.assertEqual(self.heard_texts(), ["hello"])


class RoomSettingsTests(SettingsTestCase):
    def give(self, name: str = "room", **about: Any) -> None:
        """Let a room's settings be these, and otherwise the usual."""
        room = self.room(name)
        room.settings = RoomSettings(**about)
        self.relay.applier.room_changed(room)

    def test_muted(self) -> None:
        """In a muted room nothing is run, what waited neither; other rooms go on."""
        phone = self.proven()
        for number in range(4):
            phone.say(f"# wait {number}")
        self.give(muted=True)
        self.assertEqual(self.stages.metrics.muted, 1)
        phone.say("unheard")
        phone.say("heard", room="other")
        self.let_go()
        self.assertEqual(self.heard_texts()[3:], ["heard"])
        self.assertEqual(self.stages.metrics.muted, 2)
        self.give()
        phone.say("and now")
        self.assertEqual(self.heard_texts()[4:], ["and now"])

    def test_ordered(self) -> None:
        """An ordered room runs one at a time, from the next message on and when its lane is new."""
        phone = self.proven()
        for number in range(5):
            phone.say(f"# wait {number}")
        self.give(ordered=True)
        self.let_go(number=2)
        self.assertEqual(len(self.messages), 3)
        self.let_go(number=1)
        self.assertEqual(len(self.messages), 4)
        self.let_go()
        for number in range(3):
            phone.say(f"# wait {number}")
        self.assertEqual(len(self.waiting), 1)

    def test_wider(self) -> None:
        """A room that is given more starts what waited at once, and counts for more than its bot."""
        phone = self.proven()
        for number in range(6):
            phone.say(f"# wait {number}")
        self.give(per_room=5)
        self.assertEqual(len(self.messages), 5)
        self.set_bot(per_room=1)
        self.let_go(number=1)
        self.assertEqual(len(self.messages), 6)


class LimitTests(SettingsTestCase):
    def fill(self, rooms: int) -> Phone:
        """A phone that has said two things that take time in each of so many rooms."""
        phone = self.proven()
        for number in range(2 * rooms):
            phone.say("# wait", room=f"room {number % rooms}")
        return phone

    def test_fewer(self) -> None:
        """A bot given less starts nothing until enough has ended; its permits all come back."""
        phone = self.fill(2)
        self.set_bot(per_bot=2)
        for _ in range(2):
            phone.say("# wait", room="more")
        self.assertEqual(len(self.messages), 4)
        self.let_go(number=2)
        self.assertEqual(len(self.messages), 4)
        self.let_go(number=1)
        self.assertEqual(len(self.messages), 5)

    def test_more(self) -> None:
        """A bot given more starts what waited at once, and each of its rooms likewise."""
        self.set_bot(per_bot=1, per_room=1)
        self.fill(2)
        self.assertEqual(len(self.messages), 1)
        self.set_bot(per_bot=3, per_room=1)
        self.assertEqual(len(self.messages), 2)
        self.set_bot(per_bot=3, per_room=2)
        self.assertEqual(len(self.messages), 3)

    def test_by_a_handler(self) -> None:
        """Settings may change while a handler takes its first step."""
        phone = self.proven()
        found = self.relay.dispatcher._find

        def find(message: Any) -> Any:
            self.set_bot(per_bot=1, per_room=1, paused=message.text == "stop")
            return found(message)

        self.relay.dispatcher._find = find
        phone.send(
            b"".join(phone.line(text, auth=phone.sign()) for text in ("go", "# wait", "stop", "never"))
        )
        self.let_go()
        self.assertEqual(self.heard_texts(), ["go", "# wait", "stop"])


class LineTests(SettingsTestCase):
    sections = {"limits": {"line_bytes": 4 * KIB, "lines_per_turn": 2}}  # noqa: RUF012 (as above)

    def long(self, phone: Phone, size: int) -> bytes:
        """A chat packet of about that many bytes."""
        return phone.line("x" * size, auth=phone.sign())

    def test_longer(self) -> None:
        """A bot given longer lines may send them over the connection it has, at once."""
        phone = self.proven()
        self.set_bot(line_bytes=32 * KIB)
        phone.send(self.long(phone, 20_000))
        self.assertEqual([len(text) for text in self.heard_texts()], [20_000])
        phone.send(self.long(phone, 40_000))
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")

    def test_shorter(self) -> None:
        """One given shorter lines is told when it sends a longer one."""
        phone = self.proven()
        self.set_bot(line_bytes=2 * KIB)
        phone.send(self.long(phone, 1000))
        phone.send(self.long(phone, 3000))
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")
        self.assertEqual(len(self.messages), 1)

    def test_shorter_than_what_is_held(self) -> None:
        """A line of which too much has come already closes the connection as soon as that is too much."""
        phone = self.proven()
        phone.send(self.long(phone, 3000)[:-1])
        self.set_bot(line_bytes=2 * KIB)
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")

    def test_what_waits_for_its_turn(self) -> None:
        """Of lines that were read and not worked, those before one that is too long now count."""
        phone = self.proven()
        lines = [phone.line(f"{n}", auth=phone.sign()) for n in range(6)]
        lines[4] = self.long(phone, 3000)
        phone.send(b"".join(lines))
        self.assertEqual(self.heard_texts(), ["0", "1"])
        self.set_bot(line_bytes=2 * KIB)
        self.advance(1)
        self.assertEqual(self.heard_texts(), ["0", "1", "2", "3"])
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")

    def test_with_the_handshake(self) -> None:
        """The limit of an approved device holds for what came in the same breath as its handshake."""
        self.set_bot(line_bytes=32 * KIB)
        phone = self.connect()
        long = self.long(phone, 20_000)
        phone.send(encode_handshake(phone.identity.handshake()) + long + phone.line("end", auth=phone.sign()))
        self.advance(0)
        self.assertEqual([len(text) for text in self.heard_texts()], [20_000, 3])
        self.set_bot(line_bytes=2 * KIB)
        other = self.connect("phone-2")
        other.send(encode_handshake(other.identity.handshake()) + self.long(other, 3000))
        self.assertClosed(other, CloseReason.LINE_TOO_LONG, "line_too_long")

    def test_of_a_device(self) -> None:
        """A device's own limit counts before its bot's, and only once it is approved."""
        phone = self.proven()
        device = self.stages.approvals.known_device(self.key())
        assert device is not None
        device.line_bytes = 16 * KIB
        self.set_bot(line_bytes=2 * KIB)
        phone.send(self.long(phone, 10_000))
        self.assertEqual(len(self.messages), 1)
        self.set_device(Status.PENDING)
        phone.send(self.long(phone, 10_000))
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")


class PictureTests(SettingsTestCase):
    def test_width(self) -> None:
        """Handlers can ask how wide a picture for this phone shall be: its own number, or its bot's."""
        self.proven().say("hello")
        [message] = self.messages

        def width() -> int:
            phone = message.phone()
            assert phone is not None
            return phone.image_width

        self.assertEqual(width(), 900)
        self.set_bot(image_width=640)
        self.assertEqual(width(), 640)
        device = self.stages.approvals.known_device(self.key())
        assert device is not None
        device.image_width = 320
        self.assertEqual(width(), 320)


class LookupTests(SlowTestCase):
    def test_silent(self) -> None:
        """What waited for a room to be looked up is not run if its bot is paused or it is muted."""
        phone, approvals = self.proven(), self.slow()
        for name, muted in (("room", True), ("other", False)):
            later: Deferred[Any] = Deferred()
            approvals.rooms[name] = later
            phone.say("hello", room=name)
            if not muted:
                self.relay.settings.put(BotSettings(BOT, paused=True))
            room = approvals.set_room(self.key(), name, Status.APPROVED, register=True)
            room.settings = RoomSettings(muted=muted)
            later.callback(room)
        self.assertEqual(self.heard_texts(), [])
        metrics = self.stages.metrics
        self.assertEqual((metrics.muted, metrics.paused, metrics.room_refused), (1, 1, 0))


class TableTests(SettingsTestCase):
    def edit(self, sql: str) -> None:
        """Change the table by hand, and wait for the next look at it."""
        self.database.change(sql)
        self.advance(2)

    def test_in_flight(self) -> None:
        """What is written into the table reaches messages that wait and a connection that is open."""
        phone = self.proven(answers=True)
        self.advance(2)
        for number in range(9):
            phone.say(f"# wait {number}", room=f"room {number % 3}")
        self.edit("UPDATE relaytw_bots SET per_bot = 4, per_room = 2, prefix = '!', max_message_size = 2048")
        self.assertEqual(len(self.messages), 9)
        for number in range(4):
            phone.say(f"! wait {number}", room="room")
        self.assertEqual(len(self.waiting), 9)
        self.let_go("done", number=6)
        self.assertEqual(len(self.messages), 10)
        self.let_go("done")
        self.let_go("done")
        self.assertEqual(len(self.messages), 13)
        phone.say("x" * 3000)
        self.assertClosed(phone, CloseReason.LINE_TOO_LONG, "line_too_long")

    def test_reload(self) -> None:
        """An admin has the table read now and is told what has changed; who is none has nothing read."""
        phone = self.proven()
        self.advance(2)
        self.database.change("""UPDATE relaytw_bots SET admins = '["ada"]'""")
        phone.say("# reload bots-config", user_hash="ada")
        self.advance(2)
        self.database.change("UPDATE relaytw_bots SET prefix = '!'")
        phone.say("# reload bots-config", user_hash="eve")
        phone.say("# reload bots-config", user_hash="ada")
        self.advance(2)
        self.assertEqual(
            phone.texts,
            [texts.ADMIN_ONLY, texts.ADMIN_ONLY, f"{texts.RELOADED}\n{BOT}: prefix # → !"],
        )

    def test_reload_while_away(self) -> None:
        """Without a database an admin is told that nothing could be read."""
        phone = self.proven()
        self.set_bot(admins=frozenset({"ada"}))
        self.room()
        self.database.go_away()
        phone.say("# reload bots-config", user_hash="ada")
        self.assertEqual(phone.texts, [texts.CANNOT_RELOAD])
        self.database.come_back()


class FirstSightTests(SettingsTestCase):
    sections = {"auth": {"approve_new_devices": False}}  # noqa: RUF012 (the harness declares it)

    def rows(self) -> list[str]:
        """The bots in the table, once there was time to make them."""
        self.advance(2)
        return [bot for (bot,) in self.database.rows("SELECT bot_name FROM relaytw_bots")]

    def test_strangers(self) -> None:
        """Whoever merely says a name makes no row; a signature makes one, and so does an approval."""
        self.connect("phone-1").hello()
        self.assertEqual(self.rows(), [])
        self.set_device(Status.APPROVED, "phone-2")
        self.connect("phone-2").hello()
        self.assertEqual(self.rows(), [BOT])

    def test_signed(self) -> None:
        """A phone that waits for its approval and has signed makes its bot known."""
        self.connect().hello().pong()
        self.assertEqual(self.rows(), [BOT])
