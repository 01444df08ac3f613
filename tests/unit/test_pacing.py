"""How fast replies may follow each other: never above a limit, in order, and no room is forgotten."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.boxes import Box
from relaytw.messages import ClientKey, Dialect, Media, Reply, Text
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox, OutboxSettings, PacingSettings
from relaytw.outbox.pacing import Pacing

PHONE = ClientKey("bot", "phone")
#: Rounding apart, and the moment that a timer may come early.
CLOSE = 1e-4

Said = list[tuple[float, str, str]]


class Line:
    """Remembers when which room was told what."""

    def __init__(self, clock: Clock) -> None:
        self.said: Said = []
        self.told = self.unsent = 0
        self._clock = clock

    def say(self, data: bytes) -> None:
        room, _, text = data.decode().partition(" ")
        self.said.append((self._clock.seconds(), room, text))

    def busy(self, seconds: float) -> None:
        pass


def within(times: list[float], per_minute: float, burst: int) -> bool:
    """Were there never more in any stretch of time than the burst and what the rate gives in it?"""
    return all(
        later - first + 1 <= burst + (times[later] - times[first]) * per_minute / 60 + CLOSE
        for first in range(len(times))
        for later in range(first, len(times))
    )


class PacingTests(SynchronousTestCase):
    def outbox(self, pacing: PacingSettings, *, acknowledges: bool = False) -> Outbox:
        self.clock = Clock()
        self.line = Line(self.clock)
        outbox = Outbox(
            clock=self.clock,
            now=self.clock.seconds,
            encode=lambda _dialect, reply, _now: f"{reply.room} {reply.id}".encode(),
            settings=OutboxSettings(),
            metrics=Metrics(),
            dropped=lambda reply, why: self.fail(f"{reply} {why}"),
            pacing=pacing,
        )
        outbox.attach(PHONE, self.line, Dialect.V33, acknowledges=acknowledges)
        return outbox

    @given(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from((0.0, 0.0, 0.3, 2.0)), st.booleans()),
            min_size=1, max_size=30,
        ),
        st.sampled_from((0.0, 20.0, 60.0)), st.integers(1, 4),
        st.sampled_from((0.0, 10.0, 30.0)), st.integers(1, 3), st.booleans(),
    )  # fmt: skip
    @settings(deadline=None)
    def test_limits(
        self,
        replies: list[tuple[str, float, bool]],
        per_phone: float,
        phone_burst: int,
        per_room: float,
        room_burst: int,
        acknowledges: bool,
    ) -> None:
        """Whoever sends whatever when: both limits hold, each room gets everything in its order, in time."""
        outbox = self.outbox(
            PacingSettings(per_phone, phone_burst, per_room, room_burst), acknowledges=acknowledges
        )
        sent: dict[str, list[str]] = {}
        for room, pause, medium in replies:
            name = f"{room}{len(sent.setdefault(room, []))}"
            sent[room].append(name)
            part = Media(("u",), wait_ms=4000) if medium else Text("x")
            outbox.send([Reply(PHONE, room, None, part, "", id=name)])
            self.clock.advance(pause)
        slowest = max(60 / per_phone if per_phone else 0, 60 / per_room if per_room else 0, 4)
        for _ in range(int(len(replies) * (slowest + 4)) + 1):
            self.clock.advance(1)
        said = self.line.said
        self.assertEqual({room: [text for _, one, text in said if one == room] for room in sent}, sent)
        if per_phone:
            self.assertTrue(within([at for at, _, _ in said], per_phone, phone_burst))
        if per_room:
            for room in sent:
                self.assertTrue(within([at for at, one, _ in said if one == room], per_room, room_burst))
        self.assertEqual(outbox.waiting, 0)

    def test_flood(self) -> None:
        """One room with very much to say delays another by no more than its turn."""
        outbox = self.outbox(PacingSettings(phone_per_minute=60, phone_burst=1))
        for number in range(100):
            outbox.send([Reply(PHONE, "loud", None, Text("x"), "", id=f"loud{number}")])
        outbox.send([Reply(PHONE, "quiet", None, Text("x"), "", id="quiet")])
        self.clock.pump([1.0] * 3)
        self.assertIn("quiet", [text for _, _, text in self.line.said])

    def test_again(self) -> None:
        """What is written again to a phone that acknowledges keeps to the limits too."""
        outbox = self.outbox(PacingSettings(phone_per_minute=60, phone_burst=2), acknowledges=True)
        for number in range(2):
            outbox.send([Reply(PHONE, "a", None, Text("x"), "", id=str(number))])
        second = Line(self.clock)
        outbox.attach(PHONE, second, Dialect.V33, acknowledges=True)
        outbox.send([Reply(PHONE, "b", None, Text("x"), "", id="2")])
        self.assertEqual(second.said, [])
        self.clock.pump([1.0] * 3)
        self.assertEqual([text for _, _, text in second.said], ["0", "1", "2"])

    def test_off(self) -> None:
        """Without limits everything goes at once."""
        outbox = self.outbox(PacingSettings())
        for number in range(100):
            outbox.send([Reply(PHONE, "a", None, Text("x"), "", id=str(number))])
        self.assertEqual(len(self.line.said), 100)

    def test_memory(self) -> None:
        """Rooms whose buckets are full are not remembered."""
        pacing, box = Pacing(PacingSettings(room_per_minute=60, room_burst=1)), Box(PHONE, 0.0, paced=True)
        for number in range(10_000):
            pacing.spent(box, f"room {number}", float(number))
        self.assertLess(len(box.rooms_full_at), 300)
