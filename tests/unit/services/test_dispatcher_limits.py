"""The limits per room, per bot and in all, under any schedule; growing consumers; and the stop."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw.lanes import LaneKey
from relaytw.messages import Message
from relaytw.services.dispatcher import DispatchSettings
from tests.unit.services.fakes import Bench, Handlers, lane_of


class Schedule:
    """A bench whose handlers check the limits at every start and every end."""

    def __init__(self, consumers: int, consumers_max: int, per_bot: int, per_room: int) -> None:
        settings = DispatchSettings(processing_timeout=100, consumers_max=consumers_max)
        self.bench = Bench(
            consumers=consumers, per_bot=per_bot, per_room=per_room, settings=settings, blocking_per_bot=2
        )
        self.limits = (consumers_max, per_bot, per_room)
        self.accepted: dict[LaneKey, list[str]] = defaultdict(list)
        self.running: list[LaneKey] = []
        self.waits: list[Deferred[str]] = []
        self.bench.on("prompt", self.prompt)
        self.bench.on("breaks", self.breaks)
        self.bench.on("waits", self.wait, tell_errors=True)
        self.bench.on("stubborn", self.stubborn, tell_errors=True)
        self.bench.on("blocks", lambda message: "blocked", blocking=True)

    def accept(self, text: str, bot: str, room: str, number: int) -> None:
        """Accept so many alike; an odd number of them in direct mode."""
        messages = [self.bench.message(text, bot=bot, room=room) for _ in range(number)]
        self.accepted[lane_of(messages[0])] += [message.id for message in messages]
        if number % 2:
            self.bench.accept_directly(*messages)
        else:
            self.bench.accept(*messages)
        self.check()

    def advance(self, seconds: float) -> None:
        self.bench.clock.advance(seconds)
        self.check()

    def begin(self, message: Message) -> None:
        self.running.append(lane_of(message))
        self.check()

    def end(self, message: Message) -> None:
        self.running.remove(lane_of(message))
        self.check()

    def check(self) -> None:
        """No limit is exceeded: neither by what runs, nor by the permits that are out."""
        consumers, per_bot, per_room = self.limits
        lanes = self.bench.lanes
        out: Counter[LaneKey] = Counter()
        for key, _waiting, running in lanes.snapshot():
            out[key] = running
        for rooms in (Counter(self.running), out):
            bots: Counter[str] = Counter()
            for key, running in rooms.items():
                bots[key.bot] += running
            assert rooms.total() <= lanes.consumers.limit <= consumers
            assert all(running <= per_bot for running in bots.values())
            assert all(running <= per_room for running in rooms.values())
        assert lanes.consumers.taken == lanes.running == out.total()
        assert Counter(self.running) <= out

    def started(self) -> dict[LaneKey, list[str]]:
        """What started, in order, by room."""
        rooms: dict[LaneKey, list[str]] = defaultdict(list)
        for message in self.bench.started:
            rooms[lane_of(message)].append(message.id)
        return rooms

    # -- handlers

    def prompt(self, message: Message) -> str:
        self.begin(message)
        self.end(message)
        return "done"

    async def breaks(self, message: Message) -> None:
        self.begin(message)
        self.end(message)
        raise CancelledError

    async def wait(self, message: Message) -> str:
        self.begin(message)
        waits: Deferred[str] = Deferred()
        self.waits.append(waits)
        try:
            return await waits
        finally:
            self.end(message)

    async def stubborn(self, message: Message) -> str:
        self.begin(message)
        waits: Deferred[str] = Deferred(lambda _: None)
        try:
            await waits
        except CancelledError:
            self.end(message)
        return await Deferred()

    # -- the end of the schedule

    def settle(self) -> None:
        """Let time pass and threads return until nothing is unfinished."""
        for _ in range(2000):
            if not self.bench.intake.unfinished:
                return
            self.advance(20)
            self.finish_thread()
        raise AssertionError(f"never finished: {self.bench.leftovers()}")

    def finish_thread(self, which: int = 0) -> None:
        working = self.bench.threads.working
        if working:
            self.bench.threads.finish(which % len(working))
            self.check()

    def finish_waiting(self, which: int) -> None:
        if self.waits:
            waits = self.waits.pop(which % len(self.waits))
            if not waits.called:
                waits.callback("late" if which % 2 else "")
            self.check()


steps = st.one_of(
    st.tuples(
        st.sampled_from(["prompt", "breaks", "waits", "waits", "stubborn", "blocks"]),
        st.sampled_from("abc"),
        st.sampled_from("123"),
        st.integers(1, 6),
    ),
    st.tuples(st.sampled_from(["finish", "finish", "return"]), st.integers(0, 20)),
    st.tuples(st.just("advance"), st.sampled_from([0, 1, 5, 60, 110])),
)


class AnyScheduleTests(SynchronousTestCase):
    @given(
        st.lists(steps, min_size=15, max_size=80),
        st.integers(1, 8), st.integers(0, 6), st.integers(1, 6), st.integers(1, 3),
    )  # fmt: skip
    def test_any_schedule(
        self, schedule: list[tuple[Any, ...]], consumers: int, more: int, per_bot: int, per_room: int
    ) -> None:
        """No limit is ever exceeded, rooms start in order, everything starts, nothing is left behind."""
        subject = Schedule(consumers, consumers + more, per_bot, per_room)
        acts: dict[str, Any] = {
            "finish": subject.finish_waiting,
            "return": subject.finish_thread,
            "advance": subject.advance,
        }
        for what, *details in schedule:
            acts.get(what, partial(subject.accept, what))(*details)
        subject.settle()
        self.flushLoggedErrors(CancelledError)
        self.assertEqual(subject.started(), subject.accepted)
        self.assertEqual(subject.bench.leftovers(), {})
        self.assertEqual(subject.bench.lanes.consumers.limit, consumers)


class StretchTests(SynchronousTestCase):
    def test_consumers_grow_while_handlers_wait(self) -> None:
        """Busy bots get more consumers up to the maximum, less the reserve, and give them back."""
        bench = Bench(consumers=8, settings=DispatchSettings(consumers_max=20))
        handlers = Handlers()
        bench.on("wait", handlers.wait)
        bench.accept(*[bench.message("wait", bot=f"bot {n % 2}", room=str(n)) for n in range(60)])
        self.assertEqual(len(handlers.running), 18)
        bench.say("wait", bot="idle")
        self.assertEqual(len(handlers.running), 19)
        handlers.finish_all()
        self.assertEqual(len(handlers.started), 61)
        self.assertEqual(bench.lanes.consumers.limit, 8)
        self.assertEqual(bench.leftovers(), {})

    def test_consumers_do_not_grow_for_threads(self) -> None:
        """While every consumer is busy in a thread there is nothing to be gained by more of them."""
        bench = Bench(consumers=2, settings=DispatchSettings(consumers_max=20))
        bench.on("block", lambda message: None, blocking=True)
        bench.accept(*[bench.message("block", room=str(n)) for n in range(5)])
        self.assertEqual((bench.lanes.running, len(bench.threads.working)), (2, 2))
        self.assertEqual(bench.lanes.consumers.limit, 2)

    def test_no_maximum_above_the_number(self) -> None:
        """By default the number of consumers is fixed."""
        bench = Bench(consumers=2)
        handlers = Handlers()
        bench.on("wait", handlers.wait)
        bench.accept(*[bench.message("wait", bot=f"bot {n}") for n in range(5)])
        self.assertEqual(len(handlers.running), 2)


class StopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench(per_room=1)
        self.handlers = Handlers()
        self.bench.on("wait", self.handlers.wait)

    def stop(self) -> Deferred[None]:
        return self.bench.dispatcher.stopService()

    def test_nothing_runs(self) -> None:
        """Stopping an idle dispatcher is done at once."""
        self.successResultOf(self.stop())
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_waits_for_running_handlers(self) -> None:
        """What runs may end and answer; what waits is not started, and stays accepted."""
        self.bench.say("wait", room="a")
        self.bench.say("wait", room="b")
        self.bench.say("wait", room="b")
        stopped = self.stop()
        self.handlers.finish(answer="one")
        self.assertNoResult(stopped)
        self.handlers.finish(answer="two")
        self.successResultOf(stopped)
        self.assertEqual(self.bench.said, ["a: one", "b: two"])
        self.assertEqual(len(self.handlers.started), 2)
        self.assertEqual(self.bench.intake.unfinished, 1)
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_gives_up_in_the_end(self) -> None:
        """After the drain time-out running handlers are cancelled, and the stop is done."""
        self.bench.say("wait")
        stopped = self.stop()
        self.bench.clock.advance(29.9)
        self.assertNoResult(stopped)
        self.bench.clock.advance(0.1)
        self.successResultOf(stopped)
        self.assertEqual(self.handlers.running, [])
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_gives_up_on_what_cannot_be_cancelled(self) -> None:
        """Neither a handler that ignores its cancellation nor a thread keeps the relay from stopping."""

        async def stubborn(message: Message) -> None:
            try:
                await Deferred()
            except CancelledError:
                await Deferred()

        self.bench.on("stubborn", stubborn)
        self.bench.on("block", lambda message: None, blocking=True)
        self.bench.say("stubborn", room="a")
        self.bench.say("block", room="b")
        stopped = self.stop()
        self.bench.clock.advance(30)
        self.successResultOf(stopped)
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])
        self.bench.threads.finish()
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])

    def test_nothing_starts_after_the_stop(self) -> None:
        """What is accepted while the relay stops is kept and not started, and a burst ends."""
        started: list[Message] = []
        self.bench.on("note", started.append)
        self.bench.say("wait", room="slow")
        self.bench.accept(*[self.bench.message("note") for _ in range(500)])
        before = len(started)
        stopped = self.stop()
        self.bench.clock.advance(1)
        self.bench.say("wait")
        self.handlers.finish()
        self.successResultOf(stopped)
        self.bench.say("wait")
        self.bench.clock.advance(1)
        self.assertEqual((len(started), len(self.handlers.started)), (before, 1))
        self.assertEqual(self.bench.intake.unfinished, 502 - before)


class ThreadlessTests(SynchronousTestCase):
    def test_waits_without_permits(self) -> None:
        """Blocking messages that find no thread hold nobody up, and run in their order when there is one."""
        bench = Bench(consumers=4, per_bot=4, per_room=2, blocking_per_bot=1)
        ran: list[str] = []
        bench.on("blocks", lambda message: ran.append(message.room), blocking=True)
        bench.on("prompt", lambda message: "prompt")
        for number in range(6):
            bench.say("blocks", bot="slow", room=f"room {number % 3}")
        self.assertEqual((bench.lanes.running, bench.lanes.waiting), (1, 5))
        bench.say("prompt", bot="slow", room="room 0")
        bench.say("prompt", bot="slow", room="elsewhere")
        bench.say("prompt", bot="other")
        self.assertEqual(bench.said, ["elsewhere: prompt", "room: prompt"])
        for _ in range(6):
            self.assertEqual(bench.pool.at_work, 1)
            bench.threads.finish()
        self.assertEqual(Counter(ran), Counter({f"room {number}": 2 for number in range(3)}))
        self.assertEqual(bench.said[2:], ["room 0: prompt"])
        self.assertEqual(bench.leftovers(), {})

    def test_dropped_while_it_waited(self) -> None:
        """A room whose messages were dropped while they waited for a thread takes none from the next room."""
        bench = Bench(blocking_per_bot=1)
        bench.on("blocks", lambda message: "blocked", blocking=True)
        bench.say("blocks", room="1")
        dropped = bench.say("blocks", room="2")
        self.assertEqual(bench.dispatcher.drop(lane_of(dropped)), 1)
        bench.dispatcher.pump()
        bench.say("blocks", room="3")
        for _ in range(2):
            bench.threads.finish()
        self.assertEqual(bench.said, ["1: blocked", "3: blocked"])
        self.assertEqual(bench.leftovers(), {})

    def test_a_busy_bot_keeps_no_thread_from_others(self) -> None:
        """A free thread goes to whoever can use it, not to a bot whose permits are taken by other work."""
        bench = Bench(consumers=9, per_bot=2, per_room=2, blocking_threads=1, blocking_per_bot=1)
        handlers = Handlers()
        bench.on("blocks", lambda message: "blocked", blocking=True)
        bench.on("waits", handlers.wait)
        bench.say("blocks", bot="busy", room="1")
        for bot in ("busy", "other"):
            bench.say("blocks", bot=bot, room="2")
        for room in "345":
            bench.say("waits", bot="busy", room=room)
        bench.threads.finish()
        self.assertEqual(bench.pool.at_work, 1)
        bench.threads.finish()
        self.assertEqual(bench.said.count("2: blocked"), 1)
        handlers.finish_all()
        while bench.pool.at_work:
            bench.threads.finish()
        self.assertEqual(bench.leftovers(), {})
