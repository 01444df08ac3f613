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


class ResizeTests(SynchronousTestCase):
    def test_a_wider_room(self) -> None:
        """A room made wider starts what waited for its width, a narrower one when enough has ended."""
        subject, key = lanes(per_room=1), room("bot", "room")
        for number in range(6):
            subject.put(key, number)
        running = take_lanes(subject)
        self.assertEqual(len(running), 1)
        subject.resize_room(key, 3)
        running += take_lanes(subject)
        self.assertEqual(len(running), 3)
        subject.resize_room(key, 1)
        for lane in running[:2]:
            subject.done(lane)
            self.assertEqual(take_all(subject), [])
        subject.done(running[2])
        self.assertEqual(take_all(subject), [(key, 3)])

    def test_a_wider_bot(self) -> None:
        """A bot's limit moves in the same way, and with it what is kept back for its idle rooms."""
        subject = lanes(per_bot=1)
        for number in range(40):
            subject.put(room("bot", str(number)), number)
        running = take_lanes(subject)
        self.assertEqual(len(running), 1)
        subject.resize_bot("bot", 4)
        running += take_lanes(subject)
        self.assertEqual(len(running), 4)
        subject.resize_bot("bot", 2)
        for lane in running[:2]:
            subject.done(lane)
            self.assertEqual(take_all(subject), [])
        subject.done(running[2])
        self.assertEqual(len(take_all(subject)), 1)

    def test_back_to_the_usual(self) -> None:
        """Without a number of its own a room or a bot has that of everybody."""
        subject, key = lanes(per_bot=3, per_room=2), room("bot", "room")
        for number in range(6):
            subject.put(key, number)
        subject.resize_room(key, 1)
        subject.resize_bot("bot", 1)
        subject.resize_room(key, None)
        subject.resize_bot("bot", None)
        self.assertEqual(len(take_all(subject)), 2)

    def test_no_way_around(self) -> None:
        """What need not wait does so where more is running than may be: in its room, and of its bot."""
        subject, key = lanes(), room("bot", "room")
        running = [subject.enter(key) for _ in range(3)]
        subject.resize_room(key, 1)
        self.assertIsNone(subject.enter(key))
        subject.resize_room(key, 5)
        subject.resize_bot("bot", 2)
        self.assertIsNone(subject.enter(key))
        self.assertIsNone(subject.enter(room("bot", "other")))
        subject.resize_bot("bot", 9)
        self.assertIsNotNone(subject.enter(key))
        self.assertNotIn(None, running)

    def test_widths_are_asked_for(self) -> None:
        """A lane and a bot that come into being ask for their width, and a bot's lanes do when told to."""
        widths, limits = {room("a", "slow"): 1}, {"a": 2}
        subject: Lanes[int] = Lanes(
            consumers=31, per_bot=30, per_room=3, width_of=widths.get, limit_of=limits.get
        )
        for name in ("slow", "fast"):
            for number in range(5):
                subject.put(room("a", name), number)
                subject.put(room("b", name), number)
        running = take_all(subject)
        self.assertEqual(
            Counter(key for key, _ in running),
            {room("a", "slow"): 1, room("a", "fast"): 1, room("b", "slow"): 3, room("b", "fast"): 3},
        )
        widths[room("a", "slow")] = widths[room("b", "slow")] = 4
        subject.resize_bot("a", 9)
        subject.resize_rooms_of("a")
        self.assertEqual(
            Counter(key for key, _ in take_all(subject)), {room("a", "slow"): 3, room("a", "fast"): 2}
        )

    def test_while_a_message_has_its_turn(self) -> None:
        """A handler may change the limits it runs under: its own permits come back all the same."""
        subject, key = lanes(per_bot=1), room("bot", "room")
        lane = subject.enter(key)
        assert lane is not None
        subject.put(key, 1)
        subject.resize_bot("bot", 2)
        subject.resize_room(key, 2)
        [other] = take_lanes(subject)
        subject.resize_bot("bot", 1)
        subject.resize_room(key, 1)
        subject.done(lane)
        subject.done(other)
        subject.sweep()
        self.assertEqual((len(subject), subject.bots, lane.permits.taken, lane.bot.permits.taken), (0,) * 4)

    def test_who_is_idle(self) -> None:
        """Nothing happens to a room or a bot of which nothing waits and nothing runs."""
        subject = lanes()
        subject.resize_room(room("bot", "room"), 1)
        subject.resize_bot("bot", 1)
        subject.resize_rooms_of("bot")
        self.assertEqual((len(subject), subject.bots), (0, 0))


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


Resize = tuple[str, str, str, int]
resizes = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "take", "take", "enter", "enter", "done", "room", "bot"]),
        st.sampled_from("ab"),
        st.sampled_from("12"),
        st.integers(1, 9),
    ),
    # Left alone hypothesis makes lists of about five steps.
    min_size=30,
    max_size=200,
)


class Resizing(SynchronousTestCase):
    """Lanes whose limits move under them, next to what should be running by a plain count."""

    consumers = 12

    @given(resizes)
    def test_any_schedule(self, schedule: list[Resize]) -> None:
        """However limits move: none is exceeded by what starts, who may run runs, all permits come back."""
        self.subject = lanes(self.consumers, 4, 2)
        self.widths: dict[LaneKey, int] = defaultdict(lambda: 2)
        self.limits: dict[str, int] = defaultdict(lambda: 4)
        self.subject._width_of, self.subject._limit_of = self.widths.get, self.limits.get
        self.waiting: Counter[LaneKey] = Counter()
        self.running: list[Lane[int]] = []
        self.seen: set[Lane[int]] = set()
        for what, bot, name, size in schedule:
            self.step(what, room(bot, name), size)
        while self.take() or self.running:
            if self.running:
                self.subject.done(self.running.pop(0))
        self.subject.sweep()
        self.assertEqual(self.waiting.total(), 0)
        self.assertEqual((len(self.subject), self.subject.waiting, self.subject.running), (0, 0, 0))
        self.assertEqual(self.subject.consumers.taken, 0)
        for lane in self.seen:
            self.assertEqual((lane.permits.taken, lane.bot.permits.taken), (0, 0))

    def step(self, what: str, key: LaneKey, size: int) -> None:
        """Do one thing to the lanes and to the count."""
        if what == "put":
            self.waiting[key] += 1
            self.subject.put(key, size)
        elif what == "take":
            self.take()
        elif what == "enter":
            lane = self.subject.enter(key)
            if lane is not None:
                self.started(lane)
            else:
                self.step("put", key, size)
        elif what == "room":
            self.widths[key] = size
            self.subject.resize_room(key, size)
        elif what == "bot":
            self.limits[key.bot] = size
            self.subject.resize_bot(key.bot, size)
        elif self.running:
            self.subject.done(self.running.pop(size % len(self.running)))
            self.subject.sweep()

    def take(self) -> bool:
        """Take one; if there is none, nobody may have been left out."""
        taken = self.subject.take()
        if taken is None:
            self.assertEqual([key for key, waiting in self.waiting.items() if waiting and self.may(key)], [])
            return False
        self.waiting[taken[0].key] -= 1
        self.started(taken[0])
        return True

    def may(self, key: LaneKey) -> bool:
        """By the count: could a message of this room start?"""
        in_room = sum(lane.key == key for lane in self.running)
        of_bot = sum(lane.key.bot == key.bot for lane in self.running)
        kept_of_bot = min(3, self.limits[key.bot] // 4) if in_room else 0
        kept = min(4, self.consumers // 4) if of_bot else 0
        return (
            in_room < self.widths[key]
            and self.limits[key.bot] - of_bot > kept_of_bot
            and self.consumers - len(self.running) > kept
        )

    def started(self, lane: Lane[int]) -> None:
        """It was let go: by the count it may."""
        self.assertTrue(self.may(lane.key))
        self.running.append(lane)
        self.seen.add(lane)
