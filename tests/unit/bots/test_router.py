"""Which handler a message is for: literal prefixes, and the order of the bots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Bot, Message, Range
from relaytw.bots.router import REMEMBERED, Router
from relaytw.settings import BotSettings
from tests.unit.bots.messages import said


class Named:
    """A handler that answers with its own name."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def __call__(self, message: Message) -> str:
        return self.answer


def saying(what: str) -> Callable[..., str]:
    """A handler that answers with this, whatever it is told."""

    def handler(message: Message, rest: str = "") -> str:
        return what

    return handler


def bot(*prefixes: str, names: tuple[str, ...] = (), listens: str = "", admin: bool = False) -> Bot:
    """A bot whose commands answer with their prefix, and its listener with `listens`."""
    made = Bot(*names, admin=admin)
    for prefix in prefixes:
        made.command(prefix)(saying(prefix))
    if listens:
        made.message(saying(listens))
    return made


def answer(bots: Router | list[Bot], text: str, name: str = "bot") -> object:
    """What is answered to this text; None if nobody wants it."""
    router = bots if isinstance(bots, Router) else Router(bots)
    message = said(text, bot=name)
    found = router.find(message)
    return found.call(message) if found is not None else None


class PrefixTests(SynchronousTestCase):
    def test_whole_word(self) -> None:
        """A command is called for its prefix alone or with white space behind it, not for a longer word."""
        bots = [bot("# echo")]
        for text in ("# echo", "# echo ", "# echo hi", "# echo\nhi", "# echo\thi", "# echo\u3000hi"):
            self.assertEqual(answer(bots, text), "# echo", text)
        for text in (
            "# echoes",
            "# echo,",
            "#echo",
            "#  echo",
            "# Echo",
            " # echo",
            "\n# echo",
            "#",
            "",
            " ",
        ):
            self.assertIsNone(answer(bots, text), text)

    def test_longest_wins(self) -> None:
        """Of several prefixes that fit the longest is called, whichever was declared first."""
        for prefixes in (("#", "# a", "# a b"), ("# a b", "# a", "#")):
            bots = [bot(*prefixes)]
            for text, called in (("# a b c", "# a b"), ("# a bc", "# a"), ("# ab", "#"), ("# a b", "# a b")):
                self.assertEqual(answer(bots, text), called)

    def test_longest_of_several_bots(self) -> None:
        """A longer prefix of a bot loaded later wins over a shorter one of an earlier bot."""
        self.assertEqual(answer([bot("# a"), bot("# a b")], "# a b"), "# a b")

    def test_first_bot_wins(self) -> None:
        """Of equal prefixes that of the bot loaded first is called."""
        one, two = Bot(), Bot()
        one.command("# a")(lambda message: "one")
        two.command("# a")(lambda message: "two")
        self.assertEqual([answer([one, two], "# a"), answer([two, one], "# a")], ["one", "two"])

    def test_literal(self) -> None:
        """A prefix is no pattern: dots, stars and brackets mean themselves."""
        for prefix in (".*", "a|b", "(a", "[x]", "\\d", "^", "$1", "/도움말", "?!"):
            self.assertEqual(answer([bot(prefix)], f"{prefix} hi"), prefix)
            self.assertIsNone(answer([bot(prefix)], "b hi"))

    @given(
        st.lists(st.text("ab# ", min_size=1).map(str.strip).filter(bool), unique=True, max_size=6),
        st.text("ab# \n", max_size=12),
    )
    def test_any_prefixes(self, prefixes: list[str], text: str) -> None:
        """Whatever prefixes there are: the longest that the text begins with as a whole word."""
        fit = [p for p in prefixes if text == p or (text.startswith(p) and text[len(p)].isspace())]
        self.assertEqual(answer([bot(*prefixes)], text), max(fit, key=len, default=None))


class BotTests(SynchronousTestCase):
    def test_names(self) -> None:
        """A bot with names is asked for the messages of these bots alone, one without for all."""
        router = Router([bot("# a", names=("Weather", "News")), bot("# b")])
        asked = {
            name: (answer(router, "# a", name), answer(router, "# b", name))
            for name in ("Weather", "News", "x")
        }
        self.assertEqual(asked, {"Weather": ("# a", "# b"), "News": ("# a", "# b"), "x": (None, "# b")})

    def test_listener(self) -> None:
        """What no command took goes to the listener; a command's message does not."""
        bots = [bot("# a", listens="heard")]
        self.assertEqual(
            [answer(bots, "# a"), answer(bots, "# ab"), answer(bots, "")], ["# a", "heard", "heard"]
        )

    def test_one_listener_at_most(self) -> None:
        """One listener is called: that of the bot loaded first which serves this name."""
        bots = [
            bot(listens="other", names=("other",)),
            bot("# a"),
            bot(listens="one"),
            bot("# b", listens="two"),
        ]
        self.assertEqual(answer(bots, "hi"), "one")
        self.assertEqual(answer(bots, "hi", "other"), "other")
        self.assertEqual(answer(bots, "# b"), "# b")

    def test_no_bots(self) -> None:
        """Without bots nobody wants anything."""
        self.assertIsNone(answer([], "# echo hi"))

    def test_many_names(self) -> None:
        """However many bot names phones think up, each is served the same."""
        router = Router([bot("# a", names=("last",)), bot("# b")])
        for number in range(REMEMBERED + 10):
            self.assertEqual(answer(router, "# b", str(number)), "# b")
        self.assertEqual([answer(router, "# a", "last"), answer(router, "# a", "0")], ["# a", None])


class OwnPrefixTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.prefixes = {"bot": "!", "long": "봇아!!", "usual": "#"}

    def router(self, *bots: Bot) -> Router:
        """A router of bots that have these prefixes by name."""
        return Router(bots, lambda name: BotSettings(name, self.prefixes.get(name, "#")))

    def test_in_place_of_the_usual(self) -> None:
        """A command declared with "#" is called with the bot's own prefix, and with that alone."""
        router = self.router(bot("# echo", "#", "#x", "/plain", "plain # x"))
        asked = {text: answer(router, text) for text in ("! echo", "# echo", "!", "#", "!x", "/plain")}
        self.assertEqual(
            asked, {"! echo": "# echo", "# echo": None, "!": "#", "#": None, "!x": "#x", "/plain": "/plain"}
        )
        self.assertEqual(answer(router, "plain # x"), "plain # x")
        self.assertEqual(answer(router, "# echo", "usual"), "# echo")

    def test_arguments(self) -> None:
        """Arguments begin behind the prefix as it is called, however long it is."""
        subject = Bot()

        @subject.command("# say")
        def say(message: Message, text: str, *, times: Annotated[int, Range(1, 3)] = 1) -> str:
            return text * times

        router = self.router(subject)
        for name, prefix in self.prefixes.items():
            self.assertEqual(answer(router, f"{prefix} say a  b", name), "a  b")
            self.assertEqual(answer(router, f"{prefix} say --times=2 ab", name), "abab")

    def test_usage(self) -> None:
        """A usage text shows the command as it is called here."""
        subject = Bot()

        @subject.command("# say")
        def say(message: Message, count: int) -> str:
            """Says something."""
            return "something"

        router = self.router(subject)
        self.assertIn("사용법: ! say {count}\nSays", str(answer(router, "! say what")))
        self.assertIn("사용법: 봇아!! say {count}\nSays", str(answer(router, "봇아!! say what", "long")))
        self.assertIn("사용법: # say {count}\nSays", str(answer(router, "# say what", "usual")))

    def test_changed(self) -> None:
        """A prefix that changes holds as soon as the router is told to forget the bot."""
        router = self.router(bot("# a"))
        self.assertEqual(answer(router, "! a"), "# a")
        self.prefixes["bot"] = "?"
        router.forget("bot")
        router.forget("never seen")
        self.assertEqual((answer(router, "? a"), answer(router, "! a")), ("# a", None))

    def test_same_prefix_after_all(self) -> None:
        """Two commands that come to be called the same are told apart as ever: the first is called."""
        self.assertEqual(answer(self.router(bot("! a"), bot("# a")), "! a"), "! a")


class DirectiveTests(SynchronousTestCase):
    def test_as_declared(self) -> None:
        """A command's name is the one it was declared with, whatever this bot calls it; others have none."""
        router = Router([bot("# a", "# a b", listens="heard")], lambda name: BotSettings(name, name))
        self.assertEqual(router.directive_of("!", "! a b c"), "# a b")
        self.assertEqual(router.directive_of("#", "# a"), "# a")
        for text in ("# a", "!a", "hi ! a", ""):
            self.assertEqual(router.directive_of("!", text), "")

    def test_short_enough(self) -> None:
        """A name longer than its column is cut."""
        router = Router([bot("# " + "x" * 40)])
        self.assertEqual(router.directive_of("bot", "# " + "x" * 40), "# " + "x" * 28)


class InvocationTests(SynchronousTestCase):
    def test_what_is_said_of_a_handler(self) -> None:
        """A handler is named by where it is, and marked as its decorator and its bot say."""
        subject = bot("# a", admin=True)
        subject.command("# slow", blocking=True)(top_handler)
        router = Router([subject, bot("# b")])
        slow, quick, other = (router.find(said(text)) for text in ("# slow", "# a", "# b"))
        assert slow is not None
        assert quick is not None
        assert other is not None
        self.assertEqual(slow.name, f"{__name__}.top_handler")
        self.assertEqual([one.blocking for one in (slow, quick)], [True, False])
        self.assertEqual([one.tell_errors for one in (slow, quick, other)], [True, True, False])

    def test_callable_object(self) -> None:
        """A handler without a name of its own can be called too."""
        subject = Bot()
        subject.message(Named("here"))
        self.assertEqual(answer([subject], "hi"), "here")


def top_handler(message: Message) -> None:
    """A handler at the top of a module."""
