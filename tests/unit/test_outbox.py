"""What waits for a phone: order, pacing, bounds, and what is sent again."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Dialect, Media, Part, Reply, Text
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox, OutboxSettings

PHONE = ClientKey("bot", "phone")


class Line:
    """Remembers what was said and for how long the phone was said to be busy."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.deaf = 0.0
        self.told = self.unsent = 0

    def say(self, data: bytes) -> None:
        self.said.append(data.decode())

    def busy(self, seconds: float) -> None:
        self.deaf = seconds


def encode(dialect: Dialect, reply: Reply, now: float) -> bytes:
    part = reply.part
    if isinstance(part, Text) and part.text == "unencodable":
        raise ValueError("no")
    return (part.text if isinstance(part, Text) else "media").encode()


class OutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.dropped: list[tuple[str, str]] = []
        self.line = Line()
        self.outbox = self.make()

    def make(self, **settings: float) -> Outbox:
        return Outbox(
            clock=self.clock,
            now=self.clock.seconds,
            encode=encode,
            settings=OutboxSettings(**settings),  # type: ignore[arg-type]
            metrics=self.metrics,
            dropped=lambda reply, why: self.dropped.append((reply.trace, why)),
        )

    def send(self, *parts: str | Part, room: str = "room") -> None:
        self.outbox.send(
            [Reply(PHONE, room, None, Text(p) if isinstance(p, str) else p, str(p)[:20]) for p in parts]
        )

    def attach(self) -> None:
        self.outbox.attach(PHONE, self.line, Dialect.V32)

    def test_present_phone_gets_it_at_once(self) -> None:
        """A reply to a phone that is here and reads is written at once; no timer is made for it."""
        self.attach()
        self.send("hello")
        self.assertEqual(self.line.said, ["hello"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_texts_of_one_answer_are_spaced(self) -> None:
        """Several texts of one answer leave a second apart, and the room's next reply after them."""
        self.attach()
        self.send("1", "2", "3")
        self.send("next")
        self.send("elsewhere", room="other")
        self.assertEqual(self.line.said, ["1", "elsewhere"])
        self.clock.pump([1.0, 1.0])
        self.assertEqual(self.line.said, ["1", "elsewhere", "2", "3", "next"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_absent_phone_gets_it_in_order_when_it_comes(self) -> None:
        """Replies wait for a phone that is away and are delivered in order at its return."""
        for number in range(5):
            self.send(str(number))
        self.clock.advance(299)
        self.attach()
        self.assertEqual(self.line.said, ["0", "1", "2", "3", "4"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_old(self) -> None:
        """What waits longer than the ttl is dropped, reported, and leaves nothing behind."""
        self.send("late")
        self.clock.advance(300)
        self.assertEqual(self.dropped, [("late", "expired")])
        self.assertEqual((self.outbox.waiting, self.outbox.boxes), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_many(self) -> None:
        """Beyond the bound in count the newest is dropped and reported."""
        self.outbox = self.make(per_client=2)
        for number in range(3):
            self.send(str(number))
        self.assertEqual(self.dropped, [("2", "outbox_full")])

    def test_too_large(self) -> None:
        """Beyond the bound in bytes likewise."""
        self.outbox = self.make(bytes=10)
        self.send("x" * 6)
        self.send("y" * 6)
        self.assertEqual(self.dropped, [("yyyyyy", "outbox_full")])

    def test_dead_line(self) -> None:
        """What was written since the last sign of life is sent again after the line broke."""
        self.attach()
        self.send("heard")
        self.outbox.alive(PHONE, self.line)
        self.send("lost 1")
        self.send("lost 2")
        self.outbox.detach(PHONE, self.line, dead=True)
        second = Line()
        self.outbox.attach(PHONE, second, Dialect.V32)
        self.assertEqual(second.said, ["lost 1", "lost 2"])

    def test_dead_line_with_several_rooms(self) -> None:
        """What is sent again comes in the order it was first sent, whatever rooms it is for."""
        self.attach()
        for number, room in enumerate("abcab"):
            self.send(str(number), room=room)
        self.outbox.detach(PHONE, self.line, dead=True)
        second = Line()
        self.outbox.attach(PHONE, second, Dialect.V32)
        self.assertEqual(second.said, ["0", "1", "2", "3", "4"])

    def test_never_a_sign_of_life(self) -> None:
        """Of what a phone never confirms only the latest is kept, bounded in count and in bytes."""
        for settings in ({"bytes": 100}, {"per_client": 10}):
            self.outbox, self.line = self.make(**settings), Line()
            self.attach()
            for number in range(50):
                self.send(f"text {number:05}")
            self.outbox.detach(PHONE, self.line, dead=True)
            self.assertLessEqual(self.outbox.waiting, 10)
            self.assertLessEqual(self.outbox.waiting_bytes, 100)
            successor = self.line = Line()
            self.attach()
            resent = [int(text.removeprefix("text ")) for text in successor.said]
            self.assertEqual(resent, list(range(50 - len(resent), 50)))
            self.assertGreaterEqual(len(resent), 5)

    def test_clean_goodbye(self) -> None:
        """A phone that closed properly has read what was written: nothing is sent twice."""
        self.attach()
        self.send("heard")
        self.outbox.detach(PHONE, self.line, dead=False)
        second = Line()
        self.outbox.attach(PHONE, second, Dialect.V32)
        self.assertEqual(second.said, [])

    def test_late_goodbye_of_a_replaced_line(self) -> None:
        """The clean-up of a replaced line does not touch its successor."""
        self.attach()
        second = Line()
        self.outbox.attach(PHONE, second, Dialect.V32)
        self.outbox.detach(PHONE, self.line, dead=True)
        self.send("hello")
        self.assertEqual(second.said, ["hello"])

    def test_slow_phone(self) -> None:
        """While the phone does not read, replies wait here rather than in the socket."""
        self.attach()
        self.outbox.writable(PHONE, self.line, writable=False)
        self.send("1")
        self.assertEqual(self.line.said, [])
        self.outbox.writable(PHONE, self.line, writable=True)
        self.assertEqual(self.line.said, ["1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_found_deaf_while_it_is_written_to(self) -> None:
        """A transport may ask for a pause in the middle of a write: the rest waits, none is lost."""
        outbox, said = self.outbox, self.line.said

        class Narrow(Line):
            def say(self, data: bytes) -> None:
                said.append(data.decode())
                outbox.writable(PHONE, self, writable=False)

        for number in range(4):
            self.send(str(number), room="even" if number % 2 == 0 else "odd")
        narrow = self.line = Narrow()
        self.attach()
        for number in range(1, 5):
            self.assertEqual(len(said), number)
            outbox.writable(PHONE, narrow, writable=True)
        self.assertEqual(sorted(said), ["0", "1", "2", "3"])
        self.assertEqual((outbox.waiting, self.clock.getDelayedCalls()), (0, []))

    def test_media_one_at_a_time(self) -> None:
        """Media of a phone leave one after the other's wait; texts of other rooms do not wait."""
        self.attach()
        self.send(Media(("http://a",), wait_ms=8000))
        self.send(Media(("http://b",), wait_ms=8000), room="second")
        self.send("behind the media", room="second")
        self.send("text", room="third")
        self.assertEqual(self.line.said, ["media", "text"])
        self.assertEqual(self.line.deaf, 15.0)
        self.clock.advance(8)
        self.assertEqual(self.line.said, ["media", "text", "media", "behind the media"])

    def test_long_text_is_cut(self) -> None:
        """A text beyond the limit is cut to fit, and counted."""
        self.outbox = self.make(text_chars=3)
        self.attach()
        self.send("abcdef")
        self.assertEqual(self.line.said, ["abc"])
        self.assertEqual(self.metrics.replies_cut, 1)

    def test_what_cannot_be_written(self) -> None:
        """A reply that the dialect cannot carry is dropped, reported, and holds nothing up."""
        self.attach()
        self.send("unencodable")
        self.send("hello")
        self.assertEqual(self.dropped, [("unencodable", "unencodable")])
        self.assertEqual(self.line.said, ["hello"])
