"""Plain texts by their pattern: what fits, what is read from it, and what is refused where it is written."""

from __future__ import annotations

from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Bot, Message, admin
from relaytw.bots.router import Router
from tests.unit.bots.messages import said

Units = Literal["cm", "inch"]


def answer(bot: Bot, text: str, **fields: Any) -> object:
    """What a bot answers to a text, None if it takes it for nothing."""
    message = said(text, **fields)
    found = Router([bot]).find(message)
    return None if found is None else found.call(message)


class PatternTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bot = Bot()

    def test_whole_text(self) -> None:
        """The whole of a text has to fit, not a part of it."""
        self.bot.pattern("hello|hi")(lambda message: "hello")
        asked = [answer(self.bot, text) for text in ("hello", "hi", "hi there", "say hi", "hi\n", "")]
        self.assertEqual(asked, ["hello", "hello", None, None, None, None])

    def test_groups(self) -> None:
        """Groups are read as the parameters say, by name or in order; one that took no part is left out."""

        @self.bot.pattern(r"(\d+) ?(?P<unit>\w+)(?: by (\w+))?")
        def convert(
            message: Message, number: int, who: str = "me", *, unit: Literal["cm", "inch"] = "cm"
        ) -> str:
            return f"{number + 1} {unit} {who}"

        self.assertEqual(answer(self.bot, "4 cm"), "5 cm me")
        self.assertEqual(answer(self.bot, "4inch by Ada"), "5 inch Ada")

    def test_wrong_value(self) -> None:
        """A text whose groups are no such values does not fit: people who chat are not told of usage."""

        @self.bot.pattern(r"(\w+) (\w+)")
        def convert(message: Message, number: int, unit: Literal["cm"]) -> str:
            return "converted"

        self.bot.message(lambda message: "else")
        self.assertEqual(answer(self.bot, "4 cm"), "converted")
        self.assertEqual([answer(self.bot, text) for text in ("four cm", "4 miles")], ["else", "else"])

    def test_after_commands(self) -> None:
        """A command goes before a pattern, a pattern declared first before a later one and the fallback."""
        self.bot.message(lambda message: "fallback")
        self.bot.pattern("#.*")(lambda message: "pattern")
        self.bot.pattern(".*")(lambda message: "later")
        self.bot.command("# a")(lambda message: "command")
        self.assertEqual(
            [answer(self.bot, text) for text in ("# a", "# b", "b", "a\nb")],
            ["command", "pattern", "later", "fallback"],
        )

    def test_long_texts(self) -> None:
        """A text longer than the pattern says is not tried."""
        self.bot.pattern("a+")(lambda message: "usual")
        self.bot.pattern("b+", longest=1000)(lambda message: "long")
        asked = [answer(self.bot, text) for text in ("a" * 200, "a" * 201, "b" * 1000, "b" * 1001)]
        self.assertEqual(asked, ["usual", None, "long", None])

    def test_admins(self) -> None:
        """A pattern for admins is not there for others."""
        self.bot.pattern("off")(admin(lambda message: "off"))
        self.assertEqual(
            [answer(self.bot, "off", is_admin=is_admin) for is_admin in (True, False)], ["off", None]
        )

    def test_other_groups(self) -> None:
        """Groups that are not the handler's parameters, or parameters without a group, are refused."""

        def one(message: Message, name: str) -> None: ...

        for expression in ("none", "(a)(b)", "(?P<other>a)", "(a)(?P<name>b)"):
            self.assertIn("groups", str(self.assertRaises(TypeError, self.bot.pattern(expression), one)))
        self.assertEqual(self.bot.patterns, [])

    def test_bad_expression(self) -> None:
        """What is no regular expression is refused where it is written."""
        self.assertRaises(ValueError, self.bot.pattern("(a"), lambda message: None)

    def test_endless_expressions(self) -> None:
        """A repetition of nothing but a repetition is refused, for it can take for ever."""
        for expression in (
            "(a+)+",
            "(?:a*)*b",
            "((a+)|b)*",
            r"(\w+\s?)+",
            "(.*,)+",
            "x(?:(?:a+)+)?",
            "(a+?){2,}",
        ):
            error = self.assertRaises(ValueError, self.bot.pattern(expression), lambda message, *_: None)
            self.assertIn("for ever", str(error), expression)
        for expression in (r"(?:\w+ )+\w+", "a+b+", "(?:ab)+", "(?:a{2})+", r"(?:\d+,)*\d+"):
            self.bot.pattern(expression)(lambda message: None)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Whatever is written either fits or does not."""
        bot = Bot()
        bot.pattern(r"(-?\d+)\s*\+\s*(-?\d+)")(add)
        self.assertIsInstance(answer(bot, text), (str, type(None)))


def add(message: Message, one: int, two: float) -> str:
    """Adds."""
    return str(one + two)
