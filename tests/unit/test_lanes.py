"""When messages run: the limits, the order and the fairness of the lanes."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.lanes import Lane, LaneKey, Lanes


def room(bot: str, name: str) -> LaneKey:
    return LaneKey(bot, "phone", name)


def lanes(consumers: int = 31, per_bot: int = 30, per_room: int = 3) -> Lanes[int]:
    return Lanes(consumers=consumers, per_bot=per_bot, per_room=per_room)


def take_lanes(subject: Lanes[int]) -> list[Lane[int]]:
    taken = []
    while (one := subject.take()) is not None:
        taken.append(one[0])
    return taken


def take_all(subject: Lanes[int]) -> list[tuple[LaneKey, int]]:
    taken = []
    while (one := subject.take()) is not None:
        taken.append((one[0].key, one[1]))
    return taken


class LimitTests(SynchronousTestCase):
    def test_a_room_runs_three_at_a_time(self) -> None:
        """A flooded room runs as many as its width, and goes on one by one."""
        subject = lanes()
        key = room("bot", "room")
        for number in range(10):
            subject.put(key, number)
        running = take_lanes(subject)
        self.assertEqual(len(running), 3)
        subject.done(running[0])
        self.assertEqual([item for _, item in take_all(subject)], [3])

    def test_flooded_room_leaves_the_others_alone(self) -> None:
        """However much waits in one room, a message of another starts at once."""
        subject = lanes()
        for number in range(400):
            subject.put(room("bot", "flooded"), number)
        take_all(subject)
        for name in range(20):
            subject.put(room("bot", f"quiet {name}"), name)
            self.assertEqual(take_all(subject), [(room("bot", f"quiet {name}"), name)])

    def test_busy_bot_leaves_the_others_alone(self) -> None:
        """A bot with thirty slow messages keeps no other bot waiting: consumers are reserved."""
        subject = lanes()
        for name in range(40):
            subject.put(room("busy", f"room {name}"), name)
        self.assertEqual(len(take_all(subject)), 27)
        for other in range(4):
            subject.put(room(f"other {other}", "room"), other)
            self.assertEqual(len(take_all(subject)), 1)

    def test_last_slots_of_a_bot_are_for_idle_rooms(self) -> None:
        """Nine busy rooms cannot take the slots that a room with nothing running needs."""
        subject = lanes(consumers=100)
        for name in range(10):
            for number in range(5):
                subject.put(room("bot", f"room {name}"), number)
        self.assertEqual(len(take_all(subject)), 27)
        subject.put(room("bot", "fresh"), 99)
        self.assertEqual(take_all(subject), [(room("bot", "fresh"), 99)])

    def test_small_limits_are_used_whole(self) -> None:
        """Nothing is reserved of a limit too small to spare anything."""
        subject = lanes(consumers=3, per_bot=3, per_room=3)
        for number in range(5):
            subject.put(room("bot", "room"), number)
        self.assertEqual(len(take_all(subject)), 3)

    def test_bots_take_turns(self) -> None:
        """Two bots with full rooms are served alternately."""
        subject = lanes(consumers=2)
        for number in range(4):
            subject.put(room("a", f"room {number}"), number)
        for number in range(4):
            subject.put(room("b", f"room {number}"), number)
        order = []
        while (one := subject.take()) is not None:
            order.append(one[0].key.bot)
            subject.done(one[0])
        self.assertEqual(order, ["a", "b"] * 4)


class HeldTests(SynchronousTestCase):
    def test_a_held_room_waits_alone(self) -> None:
        """While a room is looked up its messages wait, in order, and nobody else's do."""
        subject = lanes()
        subject.hold(room("bot", "new"))
        subject.put(room("bot", "new"), 1)
        subject.put(room("bot", "new"), 2)
        subject.put(room("bot", "known"), 3)
        self.assertEqual([item for _, item in take_all(subject)], [3])
        subject.free(room("bot", "new"))
        self.assertEqual([item for _, item in take_all(subject)], [1, 2])

    def test_a_refused_room_is_emptied(self) -> None:
        """What waited in a room that turns out not to be approved comes back, and the lane goes."""
        subject = lanes()
        key = room("bot", "new")
        subject.hold(key)
        subject.put(key, 1)
        self.assertEqual(subject.clear(key), [1])
        subject.free(key)
        subject.sweep()
        self.assertEqual((len(subject), subject.bots, subject.waiting), (0, 0, 0))


class StretchTests(SynchronousTestCase):
    def test_consumers_grow_and_shrink(self) -> None:
        """Consumers are added only while more could run, and given back when they are free."""
        subject = lanes(consumers=1)
        subject.put(room("a", "room"), 1)
        subject.put(room("b", "room"), 2)
        [running] = take_lanes(subject)
        self.assertTrue(subject.stretch(2))
        self.assertEqual(len(take_all(subject)), 1)
        self.assertFalse(subject.stretch(2))
        subject.done(running)
        subject.relax()
        self.assertEqual(subject.consumers.limit, 1)


Step = tuple[str, str, str]
steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "take", "take", "done"]),
        st.sampled_from("abc"),
        st.sampled_from("12345"),
    ),
    max_size=300,
)


class Schedules(SynchronousTestCase):
    @given(steps, st.integers(1, 8), st.integers(1, 6), st.integers(1, 3))
    def test_any_schedule(self, schedule: list[Step], consumers: int, per_bot: int, per_room: int) -> None:
        """No limit is ever exceeded, order within a room is kept, and nothing is left behind."""
        subject = lanes(consumers, per_bot, per_room)
        put: dict[LaneKey, list[int]] = defaultdict(list)
        started: dict[LaneKey, list[int]] = defaultdict(list)
        running: list[Lane[int]] = []

        def take() -> bool:
            taken = subject.take()
            if taken is not None:
                started[taken[0].key].append(taken[1])
                running.append(taken[0])
                by_room, by_bot = Counter(running), Counter(lane.key.bot for lane in running)
                assert len(running) <= consumers
                assert max(by_bot.values()) <= per_bot
                assert max(by_room.values()) <= per_room
            return taken is not None

        for number, (what, bot, name) in enumerate(schedule):
            if what == "put":
                put[room(bot, name)].append(number)
                subject.put(room(bot, name), number)
            elif what == "take":
                take()
            elif running:
                subject.done(running.pop(number % len(running)))
                subject.sweep()
        while take() or running:
            if running:
                subject.done(running.pop(0))
        subject.sweep()
        self.assertEqual(started, {key: numbers for key, numbers in put.items() if numbers})
        self.assertEqual((len(subject), subject.bots, subject.waiting, subject.running), (0, 0, 0, 0))
        self.assertEqual(subject.consumers.tokens, consumers)
