"""What handlers may return, and what cannot be sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Text
from relaytw.bots.answers import BadAnswer, parts
from relaytw.messages import ClientKey, Media, Reply

PICTURE = Media(("https://example.org/a.jpg",))


class Shout(str):
    """Some library's own kind of text."""

    __slots__ = ()


class PartsTests(SynchronousTestCase):
    def test_single(self) -> None:
        """A text or a medium is one part."""
        self.assertEqual(parts("hi"), (Text("hi"),))
        self.assertEqual(parts(" "), (Text(" "),))
        self.assertEqual(parts(Text("hi")), (Text("hi"),))
        self.assertEqual(parts(PICTURE), (PICTURE,))
        self.assertEqual(parts(Media((b"\xff\xd8",))), (Media((b"\xff\xd8",)),))

    def test_nothing(self) -> None:
        """None, empty texts, media without sources and empty lists are nothing to say."""
        for answer in (None, "", Text(""), Media(()), [], (), ["", Text(""), Media(())]):
            self.assertEqual(parts(answer), ())

    def test_several(self) -> None:
        """A list or a tuple is several parts in its order; what is empty is left out."""
        answer = ["a", PICTURE, "", Text("b"), "a"]
        wanted = (Text("a"), PICTURE, Text("b"), Text("a"))
        self.assertEqual(parts(answer), wanted)
        self.assertEqual(parts(tuple(answer)), wanted)

    def test_kinds_of_text(self) -> None:
        """A text of a class of its own is plain text afterwards, alone or in a list."""
        for answer in (Shout("hi"), [Shout("hi")]):
            (part,) = parts(answer)
            assert isinstance(part, Text)
            self.assertIs(type(part.text), str)
            self.assertEqual(part, Text("hi"))
        self.assertEqual(parts(Shout("")), ())

    def test_nonsense(self) -> None:
        """Anything else is refused, and named: it is the author's mistake."""
        for answer in (1, 0, False, b"hi", {"a": 1}, {"a"}, iter("ab"), object(), ValueError("x")):
            error = self.assertRaises(BadAnswer, parts, answer)
            self.assertIn(f"not {type(answer).__name__}", str(error))

    def test_nonsense_in_a_list(self) -> None:
        """As it is within a list, however good the rest of it; lists within lists are nonsense too."""
        for item in (1, None, b"hi", ["a"], ("a",)):
            error = self.assertRaises(BadAnswer, parts, ["good", item])
            self.assertIn(f"not {type(item).__name__}", str(error))

    def test_other_tuples(self) -> None:
        """A value that merely is a tuple inside is not taken for a list of answers."""
        reply = Reply(ClientKey("bot", "phone"), "room", None, Text("hi"), "t")
        self.assertRaises(BadAnswer, parts, reply)

    @given(st.lists(st.text()))
    def test_any_texts(self, texts: list[str]) -> None:
        """Every text that is not empty is said, in order and as it is."""
        self.assertEqual(parts(texts), tuple(Text(text) for text in texts if text))

    def test_media_that_are_none(self) -> None:
        """Media whose sources or kind no phone understands are the handler's mistake, not the phone's."""
        for media in (
            Media("https://example.org/a.jpg"),  # type: ignore[arg-type]
            Media(("a", b"b")),  # type: ignore[arg-type]
            Media((5,)),  # type: ignore[arg-type]
            Media(("a",), kind="smell"),
        ):
            with self.assertRaises(BadAnswer):
                parts(media)
