"""Handlers that ask in a chat: who gets the answer, and that permits always come back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Message
from relaytw.services.dispatcher import DispatchSettings
from tests.unit.services.fakes import Bench, Handlers

PHONE = ClientKey("bot", "phone")


async def asks(message: Message) -> str:
    """Asks once."""
    answer = await message.ask("which?", timeout=60)
    return f"so {answer.text}"


class QuestionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.use(Bench())

    def use(self, bench: Bench) -> None:
        """Let this bench have handlers that ask, that wait and that answer."""
        self.bench = bench
        self.handlers = Handlers()
        bench.on("ask", asks)
        bench.on("wait", self.handlers.wait)
        bench.on("blue", lambda message: "not a command")

    def tidy(self) -> None:
        """Nothing is left of anything."""
        self.bench.clock.advance(0)
        self.assertEqual(self.bench.leftovers(), {})
        self.assertEqual(len(self.bench.dispatcher.questions), 0)

    def ends(self) -> dict[str, int]:
        """What has become of the questions."""
        return dict(self.bench.metrics.questions)


class AnswerTests(QuestionCase):
    def test_answer(self) -> None:
        """The next message of the same person goes to the handler, and to no command."""
        bench = self.bench
        bench.say("ask")
        self.assertEqual(bench.said, ["room: which?"])
        bench.say("blue")
        self.assertEqual(bench.said, ["room: which?", "room: so blue"])
        self.assertEqual([message.text for message in bench.started], ["ask"])
        self.assertEqual(bench.metrics.finished, 2)
        self.assertEqual(self.ends(), {"answered": 1})
        bench.say("blue")
        self.assertEqual(bench.said[2:], ["room: not a command"])
        self.tidy()

    def test_somebody_else(self) -> None:
        """What others say, and the same person says elsewhere, is no answer."""
        bench = self.bench
        bench.say("ask")
        other = bench.message("blue")
        other.user_hash = "somebody else"
        bench.accept(other)
        bench.say("blue", room="elsewhere")
        bench.say("blue", bot="other bot")
        self.assertEqual(bench.said.count("room: not a command"), 2)
        self.assertEqual(bench.said.count("elsewhere: not a command"), 1)
        self.assertEqual(self.ends(), {})
        bench.say("blue")
        self.assertEqual(bench.said[-1], "room: so blue")
        self.tidy()

    def test_hash_before_name(self) -> None:
        """Who has a hash is known by it, whatever they call themselves."""
        bench = self.bench
        for text, name in (("ask", "Ada"), ("blue", "Countess")):
            message = bench.message(text)
            message.user_hash, message.sender = "hash", name
            bench.accept(message)
        self.assertEqual(bench.said[-1], "room: so blue")
        self.tidy()

    def test_several_questions(self) -> None:
        """A conversation is straight code: questions one after another, answers that can be replied to."""

        async def order(message: Message) -> str:
            size = await message.ask("size?")
            size.reply("noted")
            colour = await size.ask("colour?")
            return f"{size.text} {colour.text}"

        bench = self.bench
        bench.on("order", order)
        for text in ("order", "large", "blue"):
            bench.say(text)
        self.assertEqual(bench.said, ["room: size?", "room: noted", "room: colour?", "room: large blue"])
        self.tidy()

    def test_after_other_waiting(self) -> None:
        """A handler may wait for other things before it asks."""
        fires: Deferred[None] = Deferred()

        async def slow(message: Message) -> str:
            await fires
            return await asks(message)

        bench = self.bench
        bench.on("slow", slow)
        bench.say("slow")
        fires.callback(None)
        self.assertEqual(bench.lanes.running, 0)
        bench.say("blue")
        self.assertEqual(bench.said[-1], "room: so blue")
        self.tidy()

    def test_a_handlers_own_deferred(self) -> None:
        """A plain function may return the Deferred of a conversation."""
        bench = self.bench
        bench.on("plain", lambda message: Deferred.fromCoroutine(asks(message)))
        bench.say("plain")
        self.assertEqual(bench.lanes.running, 0)
        bench.say("blue")
        self.assertEqual(bench.said[-1], "room: so blue")
        self.tidy()

    def test_redelivered(self) -> None:
        """What was said before a restart is no answer to what is asked after it."""
        bench = self.bench
        bench.say("ask")
        old = bench.message("blue")
        old.redelivered = True
        bench.accept(old)
        self.assertEqual(bench.said[-1], "room: not a command")
        bench.say("blue")
        self.tidy()


class PermitTests(QuestionCase):
    def test_gives_everything_back(self) -> None:
        """Whoever waits for an answer holds no permit, no time-out and no place in its account."""
        bench = self.bench
        bench.say("ask")
        self.assertEqual(bench.lanes.running, 0)
        self.assertEqual(bench.lanes.consumers.taken, 0)
        self.assertEqual(bench.intake.unfinished, 0)
        self.assertEqual(bench.account.messages, 0)
        bench.say("blue")
        self.tidy()

    def test_one_at_a_time(self) -> None:
        """In a room of width one the answer gets through, and others run meanwhile."""
        self.use(Bench(per_room=1))
        bench = self.bench
        bench.say("ask")
        other = bench.message("wait")
        other.sender = "somebody else"
        bench.accept(other)
        self.assertEqual(len(self.handlers.running), 1)
        bench.say("blue")
        self.assertEqual(bench.said, ["room: which?"])
        self.handlers.finish(answer="done")
        self.assertEqual(bench.said, ["room: which?", "room: done", "room: so blue"])
        self.tidy()

    def test_takes_its_turn(self) -> None:
        """The handler goes on when the answer's turn comes: after what was said before the answer."""
        self.use(Bench(consumers=1, per_bot=1, per_room=1))
        bench = self.bench
        bench.say("ask")
        others = [bench.message(text) for text in ("wait", "blue")]
        for other in others:
            other.sender = "somebody else"
        bench.accept(others[0], others[1], bench.message("green"))
        self.assertEqual(bench.said, ["room: which?"])
        self.handlers.finish(answer="done")
        self.assertEqual(bench.said[1:], ["room: done", "room: not a command", "room: so green"])
        self.tidy()

    def test_many(self) -> None:
        """As many questions as there are consumers stand in nobody's way."""
        bench = self.bench
        for number in range(31):
            bench.say("ask", room=f"room {number}")
        self.assertEqual(len(bench.dispatcher.questions), 31)
        for number in range(31):
            bench.say("blue", room=f"other {number}")
        self.assertEqual(bench.said.count("other 30: not a command"), 1)
        self.assertEqual(bench.lanes.running, 0)
        for number in range(31):
            bench.say("red", room=f"room {number}")
        self.assertEqual(self.ends(), {"answered": 31})
        self.tidy()

    def test_time(self) -> None:
        """Waiting for an answer counts neither towards the time-out nor as work; afterwards it is whole."""
        self.use(Bench(settings=DispatchSettings(processing_timeout=100)))
        bench = self.bench

        async def patient(message: Message) -> None:
            await message.ask("?", timeout=1000)
            await Deferred()

        bench.on("patient", patient)
        bench.say("patient")
        bench.clock.advance(900)
        bench.say("blue")
        bench.clock.advance(99)
        self.assertEqual(bench.metrics.timed_out, 0)
        bench.clock.advance(1)
        self.assertEqual(bench.metrics.timed_out, 1)
        self.assertEqual(bench.metrics.process.total, 100)
        self.tidy()

    @given(st.data())
    def test_permits_come_back(self, data: st.DataObject) -> None:
        """Whatever happens in whatever order: in the end every permit is back and nothing is left."""
        self.use(
            Bench(
                consumers=data.draw(st.integers(1, 4)),
                per_bot=data.draw(st.integers(1, 4)),
                per_room=data.draw(st.integers(1, 3)),
                settings=DispatchSettings(processing_timeout=50, conversations=3, consumers_max=4),
            )
        )
        bench = self.bench
        bench.handlers["ordered ask"] = bench.handlers["ask"]._replace(ordered=True, name="module.asks")
        bench.handlers["ordered wait"] = bench.handlers["wait"]._replace(ordered=True)
        texts_ = ("ask", "ordered ask", "blue", "wait", "ordered wait")
        said = st.tuples(st.sampled_from(texts_), st.sampled_from("ab"), st.sampled_from("xy"))
        steps = st.one_of(said, st.sampled_from(("time", "finish", "withdraw", "drop")))
        for step in data.draw(st.lists(steps, max_size=30)):
            self.take(step)
            taken = bench.lanes.consumers.taken
            self.assertEqual(taken, bench.lanes.running)
            self.assertLessEqual(0, taken)
        for _ in range(60):
            self.handlers.finish_all()
            bench.clock.advance(30)
        self.assertEqual(bench.lanes.running, 0)
        self.assertEqual(bench.lanes.consumers.tokens, bench.lanes.consumers.limit)
        self.tidy()

    def take(self, step: Any) -> None:
        """Let something happen."""
        bench, questions = self.bench, self.bench.dispatcher.questions
        if isinstance(step, tuple):
            text, room, person = step
            message = bench.message(text, room=room)
            message.sender = person
            bench.accept(message)
        elif step == "time":
            bench.clock.advance(30)
        elif step == "finish" and self.handlers.running:
            self.handlers.finish(answer="done")
        elif step == "withdraw":
            questions.end_of(PHONE, "a")
        elif step == "drop":
            for key, _, _ in bench.lanes.snapshot():
                bench.dispatcher.drop(key)
            bench.dispatcher.pump()
