"""When messages start: their order, whom they delay, and what is left when they are done."""

from __future__ import annotations

import contextlib

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import Message, Text
from tests.unit.services.fakes import Bench, Handlers, lane_of


class OrderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.handlers = Handlers()
        self.bench.on("wait", self.handlers.wait)

    def test_a_room_starts_in_order(self) -> None:
        """Messages of a room start in the order they were accepted, whichever of them end first."""
        messages = [self.bench.message("wait") for _ in range(20)]
        self.bench.accept(*messages[:12])
        self.bench.accept(*messages[12:])
        while self.handlers.running:
            self.handlers.finish(-1)
        self.assertEqual(self.handlers.started, messages)
        self.assertEqual(self.bench.leftovers(), {})

    def test_a_handler_that_starts_others_keeps_the_order(self) -> None:
        """A message accepted by a handler's own doing starts after those that wait already."""
        order: list[str] = []

        def first(message: Message) -> None:
            order.append("first")
            self.bench.say("third")

        self.bench.on("first", first)
        self.bench.on("second", lambda message: order.append("second"))
        self.bench.on("third", lambda message: order.append("third"))
        self.bench.accept(self.bench.message("first"), self.bench.message("second"))
        self.assertEqual(order, ["first", "second", "third"])

    def test_answers_of_prompt_handlers_keep_the_order(self) -> None:
        """Handlers that do not wait answer in the order of their messages."""
        bench = self.bench
        for number in range(9):
            bench.on(str(number), lambda message: message.text)
        bench.accept(*[bench.message(str(number)) for number in range(9)])
        self.assertEqual(bench.said, [f"room: {number}" for number in range(9)])

    def test_a_flooded_room_delays_no_other(self) -> None:
        """While a thousand slow messages of one room wait, a message of any other room starts at once."""
        self.bench.accept(*[self.bench.message("wait", room="flooded") for _ in range(1000)])
        self.assertEqual(self.handlers.rooms(), ["flooded"] * 3)
        for number in range(20):
            self.bench.say("wait", room=f"quiet {number}")
            self.assertEqual(self.handlers.rooms()[-1], f"quiet {number}")
        self.assertEqual(len(self.handlers.running), 23)

    def test_a_busy_bot_delays_no_other(self) -> None:
        """While thirty slow messages of one bot are here, a message of another bot starts at once."""
        self.bench.accept(*[self.bench.message("wait", bot="busy", room=str(n)) for n in range(30)])
        for number in range(4):
            message = self.bench.say("wait", bot=f"other {number}")
            self.assertIs(self.handlers.running[-1][0], message)

    def test_a_prompt_message_passes_a_full_house(self) -> None:
        """A command of an idle bot is answered while the slow messages of another fill its share."""
        self.bench.on("echo", lambda message: "echo")
        self.bench.accept(*[self.bench.message("wait", bot="busy", room=str(n)) for n in range(200)])
        self.bench.say("echo", bot="other")
        self.assertEqual(self.bench.said, ["room: echo"])


class QueueTests(SynchronousTestCase):
    def test_nothing_is_dropped(self) -> None:
        """With ten thousand messages waiting every one of them starts once, and is finished."""
        bench, handlers = Bench(), Handlers()
        bench.on("wait", handlers.wait)
        rooms = [(f"bot {n % 7}", f"room {n % 101}") for n in range(10_000)]
        messages = [bench.message("wait", bot=bot, room=room) for bot, room in rooms]
        bench.accept(*messages)
        self.assertEqual(bench.lanes.waiting + bench.lanes.running, 10_000)
        handlers.finish_all()
        started = {message.id for message in handlers.started}
        self.assertEqual([m.id for m in messages if m.id not in started], [])
        self.assertEqual(len(handlers.started), 10_000)
        self.assertEqual(bench.metrics.finished, 10_000)
        self.assertEqual(bench.leftovers(), {})

    def test_a_burst_leaves_the_reactor_its_turn(self) -> None:
        """A long queue of prompt messages is worked in slices, others can be accepted in between."""
        bench = Bench()
        done: list[str] = []
        bench.on("note", lambda message: done.append(message.room))
        bench.accept(*[bench.message("note", room="flood") for _ in range(1000)])
        seen: list[int] = []

        def someone_else() -> None:
            seen.append(len(done))
            bench.say("note", room="late")

        bench.clock.callLater(0, someone_else)
        bench.clock.advance(0)
        self.assertLess(seen[0], 500)
        self.assertLess(done.index("late"), 500)
        self.assertEqual(len(done), 1001)
        self.assertEqual(bench.leftovers(), {})
        bench.say("note")
        self.assertEqual(len(done), 1002)

    def test_idle_leaves_nothing_behind(self) -> None:
        """When everything has ended there is no lane, no permit taken and no timer."""
        bench, handlers = Bench(), Handlers()
        bench.on("wait", handlers.wait)
        bench.on("answer", lambda message: "an answer")
        for number in range(10):
            bench.say("wait", bot=f"bot {number}")
            bench.say("answer", bot=f"bot {number}")
            bench.say("nobody is here for this", bot=f"bot {number}")
        self.assertNotEqual(bench.clock.getDelayedCalls(), [])
        handlers.finish_all()
        self.assertEqual(bench.leftovers(), {})
        self.assertEqual(bench.metrics.unhandled, 10)

    def test_prompt_messages_make_no_timer(self) -> None:
        """A handler that ends in its first step costs no timer, one that awaits what has fired neither."""
        bench = Bench()
        seen: list[int] = []

        async def awaits(message: Message) -> str:
            seen.append(len(bench.clock.getDelayedCalls()))
            text: str = await succeed("fired already")
            seen.append(len(bench.clock.getDelayedCalls()))
            return text

        bench.on("awaits", awaits)
        bench.say("awaits")
        self.assertEqual(seen, [0, 0])
        self.assertEqual(bench.said, ["room: fired already"])
        self.assertEqual(bench.leftovers(), {})

    def test_a_stall_is_noticed(self) -> None:
        """A handler's step that keeps the reactor for more than a second is counted, whichever step."""
        bench = Bench()
        waits: Deferred[None] = Deferred()

        async def slow_later(message: Message) -> None:
            await waits
            bench.clock.advance(1.5)

        bench.on("at once", lambda message: bench.clock.advance(1.5))
        bench.on("later", slow_later)
        bench.on("prompt", lambda message: bench.clock.advance(0.5))
        bench.accept(*[bench.message(text) for text in ("at once", "later", "prompt")])
        self.assertEqual(bench.metrics.stalls, 1)
        waits.callback(None)
        self.assertEqual(bench.metrics.stalls, 2)


class DirectTests(SynchronousTestCase):
    """Direct mode: a message may start before the rest of its batch is taken in."""

    def setUp(self) -> None:
        self.bench = Bench()
        self.handlers = Handlers()
        self.bench.on("wait", self.handlers.wait)
        self.bench.on("note", lambda message: f"noted {message.id}")

    def test_order_and_limits(self) -> None:
        """The limits and the order within a room are those of the queued mode."""
        messages = [self.bench.message("wait") for _ in range(8)]
        self.bench.accept_directly(*messages)
        self.assertEqual(len(self.handlers.running), 3)
        self.bench.accept_directly(self.bench.message("note", room="other"))
        self.assertEqual(len(self.bench.said), 1)
        self.handlers.finish_all()
        self.assertEqual(self.handlers.started, messages)
        self.assertEqual(self.bench.leftovers(), {})

    def test_from_inside_a_handler(self) -> None:
        """What a handler causes to be accepted starts after the handler's own step."""
        order: list[str] = []

        def first(message: Message) -> None:
            self.bench.accept_directly(self.bench.message("second"))
            order.append("first")

        self.bench.on("first", first)
        self.bench.on("second", lambda message: order.append("second"))
        self.bench.accept_directly(self.bench.message("first"))
        self.assertEqual(order, ["first", "second"])
        self.assertEqual(self.bench.leftovers(), {})

    def test_behind_a_burst(self) -> None:
        """A message of a room whose burst is being worked takes its place behind the burst."""
        burst = [self.bench.message("note") for _ in range(300)]
        self.bench.accept(*burst)
        late = self.bench.message("note")
        self.bench.accept_directly(late)
        self.bench.clock.advance(0)
        self.assertEqual(self.bench.started, [*burst, late])

    def test_held(self) -> None:
        """A message of a room that is being looked up waits for the answer."""
        message = self.bench.message("note")
        self.bench.dispatcher.hold(lane_of(message))
        self.bench.accept_directly(message)
        self.assertEqual(self.bench.started, [])
        self.bench.dispatcher.release(lane_of(message), approved=True)
        self.assertEqual(self.bench.started, [message])
        self.assertEqual(self.bench.leftovers(), {})

    def test_stopped(self) -> None:
        """While the relay stops nothing starts."""
        self.successResultOf(self.bench.dispatcher.stopService())
        self.bench.accept_directly(self.bench.message("note"))
        self.assertEqual((self.bench.started, self.bench.intake.unfinished), ([], 1))


class HeldTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.bench.on("note", lambda message: Text(f"noted {message.id}"))

    def test_a_held_room_waits_and_goes_on(self) -> None:
        """What comes while a room is looked up runs in order once it is approved; other rooms run."""
        first = self.bench.message("note", room="new")
        self.bench.dispatcher.hold(lane_of(first))
        second = self.bench.message("note", room="new")
        self.bench.accept(first, second)
        other = self.bench.say("note", room="known")
        self.assertEqual(self.bench.said, [f"known: noted {other.id}"])
        self.bench.dispatcher.release(lane_of(first), approved=True)
        self.assertEqual(self.bench.said[1:], [f"new: noted {first.id}", f"new: noted {second.id}"])
        self.assertEqual(self.bench.leftovers(), {})

    def test_a_refused_room_is_finished_unanswered(self) -> None:
        """What waited in a room that is not approved is finished, counted and not run."""
        messages = [self.bench.message("note", room="new") for _ in range(3)]
        self.bench.dispatcher.hold(lane_of(messages[0]))
        self.bench.accept(*messages)
        self.bench.dispatcher.release(lane_of(messages[0]), approved=False)
        self.assertEqual(self.bench.said, [])
        self.assertEqual(self.bench.metrics.room_refused, 3)
        self.assertEqual(self.bench.leftovers(), {})

    def test_dropped(self) -> None:
        """What is dropped is finished and not run; what runs ends as usual, what comes later runs."""
        gates = [Deferred[str]() for _ in range(3)]
        left = iter(gates)
        self.bench.on("wait", lambda message: next(left))
        running = [self.bench.say("wait") for _ in range(3)]
        for _ in range(2):
            self.bench.say("note")
        self.assertEqual(self.bench.dispatcher.drop(lane_of(running[0])), 2)
        self.assertEqual(self.bench.intake.unfinished, 3)
        for gate in gates:
            gate.callback("done")
        self.bench.say("note")
        self.assertEqual(len(self.bench.said), 4)
        self.assertEqual(self.bench.leftovers(), {})
        self.assertEqual(self.bench.dispatcher.drop(lane_of(running[0])), 0)

    def test_a_room_held_for_nothing_goes(self) -> None:
        """A room that was held and got no message leaves no lane behind."""
        key = lane_of(self.bench.message("note"))
        self.bench.dispatcher.hold(key)
        self.bench.dispatcher.release(key, approved=True)
        self.assertEqual(self.bench.leftovers(), {})

    def test_what_ran_before_the_hold_goes_on(self) -> None:
        """A handler at work when its room is held ends as usual; the next one waits."""
        gate: Deferred[str] = Deferred()
        self.bench.on("wait", lambda message: gate)
        running = self.bench.say("wait")
        self.bench.dispatcher.hold(lane_of(running))
        self.bench.say("note")
        gate.callback("done")
        self.assertEqual(self.bench.said, ["room: done"])
        self.bench.dispatcher.release(lane_of(running), approved=True)
        self.assertEqual(len(self.bench.said), 2)
        self.assertEqual(self.bench.leftovers(), {})


class OrderedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bench = Bench()
        self.handlers = Handlers()
        for text in ("one", "two", "three"):
            self.bench.on(text, self.handlers.wait)
            self.bench.handlers[text] = self.bench.handlers[text]._replace(ordered=True)
        self.bench.on("other", self.handlers.wait)

    def at_work(self) -> list[str]:
        """What is at work, by its text."""
        return [message.text for message, _ in self.handlers.running]

    def test_one_at_a_time(self) -> None:
        """Of what is ordered in a room one is at work, in the order of the messages, however wide it is."""
        bench = self.bench
        for text in ("one", "two", "three"):
            bench.say(text)
        for text in ("one", "two", "three"):
            self.assertEqual(self.at_work(), [text])
            self.handlers.finish()
        bench.clock.advance(0)
        self.assertEqual(bench.leftovers(), {})

    def test_others(self) -> None:
        """What is not ordered, and other rooms, do not wait; what came behind it does."""
        bench = self.bench
        bench.say("one")
        bench.say("other")
        bench.say("one", room="elsewhere")
        self.assertEqual(self.at_work(), ["one", "other", "one"])
        bench.say("two")
        bench.say("other")
        self.assertEqual(len(self.at_work()), 3)
        self.handlers.finish()
        self.assertEqual(self.at_work(), ["other", "one", "two", "other"])
        self.handlers.finish_all()
        bench.clock.advance(0)
        self.assertEqual(bench.leftovers(), {})

    def test_blocking(self) -> None:
        """In threads too one is at work at a time."""
        bench = self.bench
        bench.on("thread", lambda message: None, blocking=True)
        bench.handlers["thread"] = bench.handlers["thread"]._replace(ordered=True)
        bench.say("thread")
        bench.say("thread")
        self.assertEqual(len(bench.threads.working), 1)
        bench.threads.finish()
        self.assertEqual(len(bench.threads.working), 1)
        bench.threads.finish()
        bench.clock.advance(0)
        self.assertEqual(bench.leftovers(), {})

    def test_out_of_time(self) -> None:
        """One that ignores its cancellation holds nobody up for longer than it is allowed to."""
        bench = self.bench

        async def stubborn(message: Message) -> None:
            while True:
                with contextlib.suppress(CancelledError):
                    await Deferred()

        bench.on("stubborn", stubborn)
        bench.handlers["stubborn"] = bench.handlers["stubborn"]._replace(ordered=True)
        bench.say("stubborn")
        bench.say("one")
        for seconds in (300, 4.9):
            bench.clock.advance(seconds)
            self.assertEqual(self.at_work(), [])
        bench.clock.advance(0.1)
        self.assertEqual(self.at_work(), ["one"])
        self.handlers.finish_all()

    def test_while_it_asks(self) -> None:
        """One that asks somebody lets the next one go first, and goes on when that has ended."""
        bench = self.bench

        async def asks(message: Message) -> str:
            return f"so {(await message.ask('which?')).text}"

        bench.on("asks", asks)
        bench.handlers["asks"] = bench.handlers["asks"]._replace(ordered=True)
        bench.say("asks")
        other = bench.message("one")
        other.sender = "somebody else"
        bench.accept(other)
        bench.say("blue")
        self.assertEqual(bench.said, ["room: which?"])
        self.handlers.finish(answer="done")
        self.assertEqual(bench.said, ["room: which?", "room: done", "room: so blue"])
        bench.clock.advance(0)
        self.assertEqual(bench.leftovers(), {})
