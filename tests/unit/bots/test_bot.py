"""A bot: how handlers are declared, and how they are called."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Bot, Message
from tests.unit.bots.messages import Room, said


class CommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bot = Bot()

    def call(self, text: str, **fields: Any) -> object:
        """What the bot's only command answers."""
        return self.bot.commands[0](said(text, **fields))

    def test_handler_stays_itself(self) -> None:
        """A decorated handler is the function it was, so that it can be called and tested."""

        @self.bot.command("# hello")
        def hello(message: Message, name: str) -> str:
            return f"Hello {name}!"

        self.assertEqual(hello(said(""), "Ada"), "Hello Ada!")
        self.assertEqual([command.handler for command in self.bot.commands], [hello])

    def test_called_with_what_follows(self) -> None:
        """A handler gets the message, and what follows the prefix as its signature says."""
        got: list[object] = []

        @self.bot.command("# add")
        def add(message: Message, one: int, two: int = 5, *, loud: bool = False) -> str:
            got.extend([message.sender, one, two, loud])
            return "done"

        self.assertEqual(self.call("# add 1 2 --loud"), "done")
        self.call("# add 3")
        self.assertEqual(got, ["Ada", 1, 2, True, "Ada", 3, 5, False])

    def test_verbatim(self) -> None:
        """A single text parameter is what follows the prefix and one white space, to the letter."""

        @self.bot.command("# echo")
        def echo(message: Message, text: str) -> str:
            return text

        for text in ("a", " two  spaces ", "{0} {text} %s", "\"q\" 'q'", "a\nb\n", "--x=1 -- --", "\t", "가"):
            self.assertEqual(self.call(f"# echo {text}"), text)
        self.assertEqual(self.call("# echo\nnew line"), "new line")

    def test_usage_error(self) -> None:
        """What the user got wrong is answered with what is wrong, the usage and what the command does."""

        @self.bot.command("# dice")
        def dice(message: Message, sides: int, *, times: int = 1) -> str:
            """Throws dice.

            More of this is for readers of the code.
            """
            return ""

        self.assertEqual(
            self.call("# dice six"),
            "sides: 'six' 은(는) 숫자가 아닙니다.\n사용법: # dice {sides} [--times=n]\nThrows dice.",
        )
        self.assertEqual(
            str(self.call("# dice")).splitlines()[0],
            "sides 값이 필요합니다.",
        )

    def test_error_of_the_handler(self) -> None:
        """An exception of the handler's own is not taken for a mistake of the user's."""

        @self.bot.command("# fail")
        def fail(message: Message) -> None:
            raise ValueError("mine")

        self.assertRaises(ValueError, self.call, "# fail")

    def test_admin(self) -> None:
        """An admin command is for admins alone; nobody else learns even how it is used."""
        called: list[str] = []

        @self.bot.command("# stop", admin=True)
        def stop(message: Message, what: str) -> None:
            called.append(what)

        self.assertEqual(self.call("# stop all"), "관리자만 사용할 수 있는 명령입니다.")
        self.assertEqual(self.call("# stop"), "관리자만 사용할 수 있는 명령입니다.")
        self.assertEqual(called, [])
        self.call("# stop all", is_admin=True)
        self.assertEqual(called, ["all"])

    def test_bad_prefix(self) -> None:
        """A prefix that no message could begin with is refused where it is written."""
        for prefix in ("", " ", " # echo", "# echo ", "\n"):
            self.assertRaises(ValueError, self.bot.command, prefix)

    def test_bad_signature(self) -> None:
        """A handler whose parameters cannot be read from a message is refused, and not registered."""
        self.assertRaises(TypeError, self.bot.command("# x"), lambda: None)
        self.assertEqual(self.bot.commands, [])

    def test_blocking(self) -> None:
        """A blocking handler is marked; an async one cannot be blocking."""

        @self.bot.command("# slow", blocking=True)
        def slow(message: Message) -> None: ...

        async def quick(message: Message) -> None: ...

        self.assertTrue(self.bot.commands[0].blocking)
        self.assertRaises(TypeError, self.bot.command("# quick", blocking=True), quick)
        self.assertRaises(TypeError, self.bot.message(blocking=True), quick)
        self.assertEqual((len(self.bot.commands), self.bot.listeners), (1, []))

    def test_reply_while_working(self) -> None:
        """A handler can say something before it ends."""
        room = Room()

        @self.bot.command("# draw")
        def draw(message: Message) -> str:
            message.reply("One moment …")
            return "done"

        self.assertEqual(self.call("# draw", context=room), "done")
        self.assertEqual(room.said, ["One moment …"])


class ListenerTests(SynchronousTestCase):
    def test_with_and_without_parentheses(self) -> None:
        """A listener is declared either way, gets the whole message, and stays itself."""
        bot = Bot()

        @bot.message
        def one(message: Message) -> str:
            return message.text

        @bot.message(blocking=True)
        def two(message: Message) -> str:
            return message.text

        self.assertEqual([listener.handler for listener in bot.listeners], [one, two])
        self.assertEqual([listener.blocking for listener in bot.listeners], [False, True])
        self.assertEqual(bot.listeners[0](said("# any thing")), "# any thing")


class NameTests(SynchronousTestCase):
    def test_serves(self) -> None:
        """A bot without names serves every bot name, one with names these alone."""
        self.assertTrue(Bot().serves("whoever"))
        self.assertEqual([Bot().admin, Bot("Weather", admin=True).admin], [False, True])
        bot = Bot("Weather", "Weather test")
        self.assertEqual(
            [bot.serves(n) for n in ("Weather", "Weather test", "weather", "")], [True, True, False, False]
        )

    def test_bots_are_apart(self) -> None:
        """What is declared on one bot is not declared on another, however alike they are."""
        one, two = Bot("a"), Bot("a")
        one.command("# x")(lambda message: None)
        one.message(lambda message: None)
        self.assertEqual((two.commands, two.listeners), ([], []))
        self.assertNotEqual(one, two)
