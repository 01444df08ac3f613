"""Bots that answer each other are stopped, people are not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.loop_guard import LoopGuard
from relaytw.messages import ClientKey, Context, Message, Text

ONE, OTHER = ClientKey("one", "a"), ClientKey("other", "b")


def message(client: ClientKey, text: str, room: str = "room", channel: str | None = "18") -> Message:
    """Something that a phone has heard."""
    context: Context = None  # type: ignore[assignment]  # nobody is asked anything
    return Message(
        "id", "trace", client, room, channel, text, "somebody", None, True, False, False, 0.0, False, context
    )


class LoopGuardTests(SynchronousTestCase):
    """Two phones in one room."""

    def setUp(self) -> None:
        """A guard that allows two turns."""
        self.guard = LoopGuard(2, 60.0, 100)

    def turns(self, seconds: float = 1.0, channels: tuple[str | None, str | None] = ("18", "18")) -> int:
        """How often two bots answer each other that answer whatever is said, at most ten times."""
        heard, now = message(ONE, "hello", channel=channels[0]), 1000.0
        for number in range(10):
            if self.guard.stops(heard, now):
                return number
            answer = f"answer {number}"
            self.guard.said(heard, (Text(answer),), now)
            now += seconds
            turn = (number + 1) % 2
            heard = message((ONE, OTHER)[turn], answer, channel=channels[turn])
        return 10

    def test_stopped(self) -> None:
        """After the first answer each bot may answer the other as often as is allowed, and no more."""
        self.assertEqual(self.turns(), 3)

    def test_without_channels(self) -> None:
        """A room whose channel one phone, or both, do not know is recognised by its name."""
        self.assertEqual(self.turns(channels=(None, None)), 3)
        self.assertEqual(self.turns(channels=("18", None)), 3)

    def test_slow(self) -> None:
        """Who takes longer than the window is no loop that hurts."""
        self.assertEqual(self.turns(seconds=130.0), 10)

    def test_people(self) -> None:
        """A person who says again and again what the bot of the same phone has said is answered each time."""
        for _ in range(10):
            heard = message(ONE, "?")
            self.assertFalse(self.guard.stops(heard, 0.0))
            self.guard.said(heard, (Text("?"),), 0.0)

    def test_other_room(self) -> None:
        """What was said in one room says nothing of another."""
        for number in range(10):
            heard = message((ONE, OTHER)[number % 2], "?", f"room {number}", str(number))
            self.assertFalse(self.guard.stops(heard, 0.0))
            self.guard.said(heard, (Text("?"),), 0.0)

    def test_a_new_beginning(self) -> None:
        """Something that no bot has said starts the count anew."""
        self.turns()
        fresh = message(OTHER, "something else")
        self.assertFalse(self.guard.stops(fresh, 1010.0))
        self.assertEqual(fresh.bot_turns, 0)

    @given(st.lists(st.tuples(st.text(max_size=5), st.floats(0, 1000)), max_size=300))
    def test_bounded(self, answers: list[tuple[str, float]]) -> None:
        """However much is answered, two generations of the limit, and a room's two names, are kept."""
        guard = LoopGuard(2, 60.0, 20)
        now = 0.0
        for text, later in answers:
            now += later
            guard.said(message(ONE, ""), (Text(text),), now)
            self.assertLessEqual(len(guard._said) + len(guard._older), 2 * 22)
