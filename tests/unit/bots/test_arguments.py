"""A command's arguments: text to the letter, words, and options only where they are declared."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Literal

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Message, Range
from relaytw.bots.arguments import Signature, UsageError


class Colour(Enum):
    """What an Enum parameter takes are its values."""

    RED = "red"
    DEEP_BLUE = "deep blue"
    ONE = 1


def echo(message: Message, text: str, *, repeat: Annotated[int, Range(1, 5)] = 1) -> None: ...


def weather(
    message: Message,
    city: str,
    days: Annotated[int, Range(1, 7)] = 3,
    unit: Literal["c", "f"] = "c",
    *,
    max_wind: float = 0.5,
    loud: bool = False,
    note: str = "",
    colour: Colour = Colour.RED,
) -> None: ...


def tell(message: Message, who: str, what: str) -> None: ...


def nothing(message: Message) -> None: ...


class ArgumentsCase(SynchronousTestCase):
    def reads(self, handler: Callable[..., object], text: str, *words: object, **options: object) -> None:
        """The arguments of `handler` in this text are these."""
        self.assertEqual(Signature(handler).read(text), (list(words), options))

    def refuses(self, handler: Callable[..., object], text: str, why: str) -> None:
        """Reading the text is refused with the words `why`."""
        self.assertEqual(str(self.assertRaises(UsageError, Signature(handler).read, text)), why)


class VerbatimTests(ArgumentsCase):
    def test_to_the_letter(self) -> None:
        """A last parameter of plain text is what was written: white space, quotes, braces, new lines."""
        for text in ("a", "  a  b ", ' "a b" ', "{0} {x} %s", "a\n\nb", "\\n", "-- x --", "--", "-5", "a --"):
            self.reads(echo, text, text)

    @given(st.text(min_size=1).filter(lambda text: "--repeat" not in text))
    def test_any_text(self, text: str) -> None:
        """Whatever it is, as long as it holds no declared option."""
        self.reads(echo, text, text)

    def test_undeclared_options_are_text(self) -> None:
        """What looks like an option and is none is text, wherever it stands."""
        for text in ("--x=1 hi", "hi --x", "--repeated=2 hi", "hi --REPEAT=2", "-repeat=2", "--re-peat=2 a"):
            self.reads(echo, text, text)

    def test_options_inside_are_text(self) -> None:
        """A declared option counts at the beginning and at the end, as a whole word; elsewhere it is text."""
        for text in ("say --repeat=2 again", "a--repeat=2", "x --repeat=2x y"):
            self.reads(echo, text, text)

    def test_around_the_text(self) -> None:
        """An option before or behind the text is taken with one white space; the text stays as it is."""
        self.reads(echo, "--repeat=2 hi", "hi", repeat=2)
        self.reads(echo, "--repeat=2\nhi", "hi", repeat=2)
        self.reads(echo, "--repeat=2   two  spaces ", "  two  spaces ", repeat=2)
        self.reads(echo, "hi --repeat=2", "hi", repeat=2)
        self.reads(echo, " hi  --repeat=2  ", " hi ", repeat=2)

    def test_given_twice(self) -> None:
        """An option counts once: the second one is text."""
        self.reads(echo, "--repeat=2 --repeat=3 hi", "--repeat=3 hi", repeat=2)

    def test_nothing_left(self) -> None:
        """A text that is missing is asked for, options or not."""
        self.refuses(echo, "", "text 값이 필요합니다.")
        self.refuses(echo, "--repeat=2", "text 값이 필요합니다.")

    def test_rest_after_a_word(self) -> None:
        """After the words before it the rest is verbatim too."""
        self.reads(tell, "Ada  how are  you?\n", "Ada", " how are  you?\n")
        self.reads(tell, "  Ada hi", "Ada", "hi")
        self.refuses(tell, "Ada", "what 값이 필요합니다.")


class WordTests(ArgumentsCase):
    def test_typed(self) -> None:
        """Words are converted as the annotations say; what may be left out has its default."""
        self.reads(weather, "Seoul", "Seoul", 3, "c")
        self.reads(weather, " Seoul \n 5   f ", "Seoul", 5, "f")

    def test_not_a_number(self) -> None:
        """A word that is no number, or none within the limits, is named."""
        self.refuses(weather, "Seoul soon", "days: 'soon' 은(는) 숫자가 아닙니다.")
        self.refuses(weather, "Seoul 1.5", "days: '1.5' 은(는) 숫자가 아닙니다.")
        for number in ("0", "8", "-1", "9" * 100):
            self.refuses(weather, f"Seoul {number}", "days: 1 이상 7 이하여야 합니다.")
        self.refuses(weather, f"Seoul {'9' * 10_000}", f"days: '{'9' * 10_000}' 은(는) 숫자가 아닙니다.")

    def test_not_a_choice(self) -> None:
        """A word that is none of the choices is named, and so are they."""
        self.refuses(weather, "Seoul 3 k", "unit: 'k' 은(는) 쓸 수 없습니다. (c, f)")

    def test_too_many(self) -> None:
        """Words that nobody takes are named rather than ignored; blanks are not words."""
        self.refuses(weather, "Seoul 3 c and more", "'and more' 은(는) 쓰이지 않습니다.")
        self.refuses(nothing, "at all", "'at all' 은(는) 쓰이지 않습니다.")
        self.reads(nothing, " ")
        self.reads(nothing, "")

    def test_missing(self) -> None:
        """A word without a default is asked for."""
        self.refuses(weather, " ", "city 값이 필요합니다.")


class OptionTests(ArgumentsCase):
    def read(self, options: str) -> dict[str, object]:
        return Signature(weather).read(f"Seoul {options}")[1]

    def test_typed(self) -> None:
        """Options are converted as the annotations say; an underscore is a hyphen in the chat."""
        self.assertEqual(self.read("--max-wind=2.5"), {"max_wind": 2.5})
        self.assertEqual(self.read("--max_wind=2"), {"max_wind": 2.0})
        self.assertEqual(self.read("--colour=1"), {"colour": Colour.ONE})
        self.assertEqual(self.read('--colour="deep blue"'), {"colour": Colour.DEEP_BLUE})
        self.assertEqual(
            self.read("--note=word --loud --max-wind=1"), {"note": "word", "loud": True, "max_wind": 1.0}
        )

    def test_flags(self) -> None:
        """A flag alone is true; it may be given a value of several spellings."""
        self.assertEqual(self.read("--loud"), {"loud": True})
        for text, value in (
            ("true", True),
            ("YES", True),
            ("1", True),
            ("off", False),
            ("No", False),
            ("0", False),
        ):
            self.assertEqual(self.read(f"--loud={text}"), {"loud": value})
        self.refuses(weather, "--loud=maybe Seoul", "loud: 'maybe' 은(는) 쓸 수 없습니다. (true, false)")

    def test_quotes(self) -> None:
        """A value with white space is put into quotes, which are not part of it."""
        self.assertEqual(self.read('--note="two words"'), {"note": "two words"})
        self.assertEqual(self.read('--note="a --loud b"'), {"note": "a --loud b"})
        self.assertEqual(self.read('--note=""'), {"note": ""})
        self.assertEqual(self.read('--note="'), {"note": '"'})

    def test_bad_values(self) -> None:
        """A value that does not fit is named, as is a value that is missing."""
        self.refuses(weather, "Seoul --max-wind=strong", "max-wind: 'strong' 은(는) 숫자가 아닙니다.")
        self.refuses(weather, "Seoul --max-wind=", "max-wind: '' 은(는) 숫자가 아닙니다.")
        self.refuses(weather, "Seoul --max-wind", "max-wind 옵션에 값이 필요합니다.")
        self.refuses(
            weather,
            "--colour=DEEP_BLUE Seoul",
            "colour: 'DEEP_BLUE' 은(는) 쓸 수 없습니다. (red, deep blue, 1)",
        )
        self.refuses(echo, "hi --repeat=6", "repeat: 1 이상 5 이하여야 합니다.")

    def test_both_ends(self) -> None:
        """Options may stand at both ends at once."""
        self.reads(weather, "--loud Seoul 2 --note=x", "Seoul", 2, "c", loud=True, note="x")

    @given(st.text(alphabet='-ab= "loudnote\n', max_size=60))
    def test_any_chat(self, text: str) -> None:
        """Whatever is written is read or refused in words."""
        try:
            words, options = Signature(weather).read(text)
        except UsageError as error:
            self.assertNotEqual(str(error), "")
        else:
            self.assertEqual(len(words), 3)
            self.assertLessEqual(set(options), {"max_wind", "loud", "note", "colour"})


class SignatureTests(ArgumentsCase):
    def test_usage(self) -> None:
        """The usage shows what is needed, what may be left out, and the options."""
        self.assertEqual(Signature(echo).usage, "{text} [--repeat=n]")
        self.assertEqual(
            Signature(weather).usage,
            "{city} [days] [c|f] [--max-wind=n] [--loud] [--note=…] [--colour=red|deep blue|1]",
        )
        self.assertEqual(Signature(nothing).usage, "")

    def test_without_annotation(self) -> None:
        """A parameter without an annotation is text."""
        self.reads(lambda message, text: None, " a  b", " a  b")

    def test_what_chat_cannot_say(self) -> None:
        """A signature that cannot be read from a message is refused, with the reason."""

        def many(message: Message, *words: str) -> None: ...
        def anything(message: Message, **options: str) -> None: ...
        def needed(message: Message, *, option: str) -> None: ...
        def structured(message: Message, words: list[str]) -> None: ...
        def maybe(message: Message, word: str | None = None) -> None: ...

        for handler, why in (
            (lambda: None, "must take the message"),
            (many, "cannot be read"),
            (anything, "cannot be read"),
            (needed, "option needs a default"),
            (structured, "words is annotated list"),
            (maybe, "word is annotated"),
        ):
            self.assertIn(why, str(self.assertRaises(TypeError, Signature, handler)))
