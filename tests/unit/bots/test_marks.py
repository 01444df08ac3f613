"""Marks of handlers, rooms and languages of bots, and the help that shows them."""

from __future__ import annotations

from string import Formatter
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw import texts
from relaytw.bots import Bot, Cooldown, Message, admin, cooldown, ordered
from relaytw.bots.router import Router
from relaytw.settings import BotSettings
from tests.unit.bots.messages import said


class Chat(SynchronousTestCase):
    def setUp(self) -> None:
        self.bot, self.clock = Bot(), Clock()
        self.others: list[Bot] = []
        self.most = 10
        self.prefix = "#"
        self.language = "ko"

    def router(self) -> Router:
        """A router of the bot as it is now."""
        return Router(
            [self.bot, *self.others], lambda name: BotSettings(name, self.prefix), language=self.language,
            now=self.clock.seconds, cooldowns=self.most, helps=True,
        )  # fmt: skip

    def ask(self, router: Router, text: str, **fields: Any) -> object:
        """What is answered."""
        message = said(text, **fields)
        found = router.find(message)
        return found.call(message) if found is not None else None


class MarkTests(Chat):
    def test_above_and_below(self) -> None:
        """A mark holds wherever it stands, and as an argument."""

        @admin
        @self.bot.command("# above")
        def above(message: Message) -> str:
            return "done"

        @self.bot.command("# below")
        @ordered
        @admin
        def below(message: Message) -> str:
            return "done"

        self.bot.command("# argument", admin=True, ordered=True)(lambda message: "done")
        router = self.router()
        for name in ("above", "below", "argument"):
            asked = [self.ask(router, f"# {name}", is_admin=is_admin) for is_admin in (True, False)]
            self.assertEqual(asked, ["done", texts.ADMIN_ONLY])
        found = [router.find(said(f"# {name}")) for name in ("above", "below", "argument")]
        self.assertEqual([one.ordered for one in found if one], [False, True, True])

    def test_bad_marks(self) -> None:
        """A cool-down that cannot be kept is refused, and so is a mark on what cannot carry one."""
        for wrong in (Cooldown("house", 5), Cooldown("user", 0), Cooldown("user", float("inf")), 5):  # type: ignore[arg-type]
            self.assertRaises(ValueError, self.bot.command, "# x", cooldown=wrong)
        self.assertRaises(ValueError, cooldown, "user", -1)
        self.assertRaises(TypeError, admin, print)


class CooldownTests(Chat):
    def setUp(self) -> None:
        super().setUp()
        self.bot.command("# user", cooldown=Cooldown("user", 10))(lambda message, word="": "done")
        self.bot.command("# room")(cooldown("room", 10)(lambda message: "done"))
        self.bot.command("# number", cooldown=Cooldown("user", 10))(number)

    def test_once_in_a_while(self) -> None:
        """Who comes too early is told once in each period for how long, and then nothing."""
        router = self.router()
        self.assertEqual(self.ask(router, "# user"), "done")
        self.clock.advance(3.5)
        self.assertEqual(self.ask(router, "# user"), texts.COOLING.format(seconds=7))
        self.assertIsNone(self.ask(router, "# user"))
        self.clock.advance(6.5)
        self.assertEqual(self.ask(router, "# user"), "done")
        self.assertEqual(self.ask(router, "# user"), texts.COOLING.format(seconds=10))

    def test_scopes(self) -> None:
        """Of a user only he himself has to wait, in that room; of a room everybody in it."""
        router = self.router()
        for text, other in (("# user", "done"), ("# room", texts.COOLING.format(seconds=10))):
            self.assertEqual(self.ask(router, text), "done")
            self.assertEqual(self.ask(router, text, sender="Bob"), other)
            self.assertEqual(self.ask(router, text, channel_id="8"), "done")

    def test_wrong_arguments(self) -> None:
        """A call that did not come to pass begins no period."""
        router = self.router()
        self.assertIn("사용법", str(self.ask(router, "# number x")))
        self.assertEqual(self.ask(router, "# number 1"), "1")

    def test_bounded(self) -> None:
        """However many people call, so many calls are remembered; the oldest are forgotten first."""
        router = self.router()
        for person in range(100):
            self.ask(router, "# user", sender=str(person))
        self.assertEqual(self.ask(router, "# user", sender="0"), "done")
        self.assertNotEqual(self.ask(router, "# user", sender="99"), "done")
        self.assertEqual([len(cooling) for _, cooling in router._coolings.values()], [10, 0, 0])
        self.clock.advance(10)
        self.ask(router, "# user")
        self.assertEqual([len(cooling) for _, cooling in router._coolings.values()], [1, 0, 0])

    def test_relearned(self) -> None:
        """A cool-down goes on when routes are learned anew, and for the same handler loaded again."""
        router = self.router()
        self.ask(router, "# user")
        router.forget_all()
        router.replace([self.bot])
        self.assertNotEqual(self.ask(router, "# user"), "done")


class RoomTests(Chat):
    def test_rooms(self) -> None:
        """A bot with rooms is there in these alone, by name or by id; others are everywhere."""
        here = Bot(rooms=("family", "18"))
        here.command("# a")(lambda message: "here")
        here.message(lambda message: "heard")
        self.others.append(here)
        self.bot.command("# b")(lambda message: "everywhere")
        router = self.router()
        for room, channel_id, present in (("family", "7", True), ("work", "18", True), ("work", "7", False)):
            about = {"room": room, "channel_id": channel_id}
            asked = [self.ask(router, text, **about) for text in ("# a", "hi", "# b")]
            self.assertEqual(
                asked, ["here", "heard", "everywhere"] if present else [None, None, "everywhere"]
            )
        self.assertRaises(TypeError, Bot, rooms="family")

    def test_settings(self) -> None:
        """A changed prefix holds in these rooms too."""
        self.others.append(Bot(rooms=("family",)))
        self.others[0].command("# a")(lambda message: "here")
        router = self.router()
        self.assertEqual(self.ask(router, "# a", room="family"), "here")
        self.prefix = "!"
        router.forget("bot")
        self.assertEqual([self.ask(router, text, room="family") for text in ("# a", "! a")], [None, "here"])


class LanguageTests(Chat):
    def test_both(self) -> None:
        """Wrong arguments are answered in the bot's language, else in the relay's."""
        english = Bot(language="en")
        english.command("# number")(number)
        self.bot.command("# zahl")(number)
        self.others.append(english)
        for relay, own in (("ko", "사용법: # zahl"), ("en", "Usage: # zahl")):
            self.language = relay
            router = self.router()
            self.assertIn("x' is not a number.\nUsage: # number {value}", str(self.ask(router, "# number x")))
            self.assertIn(own, str(self.ask(router, "# zahl x")))
        self.assertRaises(ValueError, Bot, language="de")

    def test_same_fields(self) -> None:
        """A text has the same fields in both languages."""
        for korean, english in texts.ENGLISH.items():
            fields = [
                {name for _, name, _, _ in Formatter().parse(text) if name} for text in (korean, english)
            ]
            self.assertEqual(fields[0], fields[1], english)


class HelpTests(Chat):
    def setUp(self) -> None:
        super().setUp()
        self.bot.command("# number")(number)
        self.bot.command("# off", admin=True)(lambda message: "off")

    def test_list(self) -> None:
        """The help lists what somebody may call, as it is called here, with what it does."""
        self.prefix = "!"
        own = str(self.ask(self.router(), "! help"))
        self.assertEqual(
            own.splitlines(),
            [
                texts.HELP,
                "! number  Says a number.",
                "! help  쓸 수 있는 명령을 보여줍니다.",
                "자세히: ! help 명령",
            ],
        )
        self.assertIn("! off", str(self.ask(self.router(), "! help", is_admin=True)))

    def test_one(self) -> None:
        """The help of one command is its usage; the sign in front may be left out."""
        router = self.router()
        for name in ("number", "# number"):
            self.assertEqual(self.ask(router, f"# help {name}"), "사용법: # number {value}\nSays a number.")
        for name in ("off", "nothing"):
            self.assertEqual(self.ask(router, f"# help {name}"), texts.NO_SUCH_COMMAND.format(name=name))
        self.assertIn("# off", str(self.ask(router, "# help off", is_admin=True)))

    def test_own_help(self) -> None:
        """A bot with a help of its own keeps it."""
        self.bot.command("# help")(lambda message: "my own")
        self.assertEqual(self.ask(self.router(), "# help"), "my own")


def fields_of(text: str) -> set[str]:
    """The fields of a text."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def number(message: Message, value: int) -> str:
    """Says a number."""
    return str(value)
