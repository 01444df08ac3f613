"""The names of replies, and what is told of those that nobody asked for."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Dialect, Message, Outcome, Reply, Text
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox, OutboxSettings
from relaytw.services.answers import Answers
from relaytw.services.dispatcher import DispatchSettings
from relaytw.services.outcomes import Outcomes
from tests.unit.services.fakes import Bench

PHONE = ClientKey("bot", "phone")


class Line:
    told = unsent = 0

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, data: bytes) -> None:
        self.said.append(data.decode())

    def busy(self, seconds: float) -> None:
        pass


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        metrics = Metrics()
        self.outbox = Outbox(
            clock=self.clock,
            now=self.clock.seconds,
            encode=lambda _dialect, reply, _now: f"{reply.id}={reply.part.text}".encode(),  # type: ignore[union-attr]
            settings=OutboxSettings(),
            metrics=metrics,
            dropped=lambda _reply, _why: None,
        )
        self.answers = Answers(self.clock, self.outbox, metrics, lambda _m, _p: None, lambda _c, _r: True)
        self.line = Line()

    def message(self, *, redelivered: bool = False) -> Message:
        context: Any = None
        return Message(
            "m7", "trace", PHONE, "room", None, "hello", "Ann", None, True, False, False, 0.0, redelivered,
            context,
        )  # fmt: skip

    def attach(self) -> None:
        self.outbox.attach(PHONE, self.line, Dialect.V33, acknowledges=True)

    def test_ids(self) -> None:
        """Replies are numbered over all that is said to one message, whenever it is said."""
        self.attach()
        message = self.message()
        self.answers.reply(message, "at once")
        self.answers.give(message, ["one", "two"])
        self.answers.reply(message, "and")
        self.clock.advance(1)
        self.assertEqual(self.line.said, ["m7/0=at once", "m7/1=one", "m7/2=two", "m7/3=and"])

    def test_redelivered(self) -> None:
        """What an earlier delivery said and the phone has not typed is not said again; the rest is."""
        self.answers.give(self.message(), ["one", "two"])
        self.answers.give(self.message(redelivered=True), ["one again", "two again", "three"])
        self.assertEqual(self.outbox.waiting, 3)
        self.attach()
        self.clock.pump([1, 1])
        self.assertEqual(self.line.said, ["m7/0=one", "m7/1=two", "m7/2=three"])
        self.outbox.acknowledged(PHONE, self.line, ["m7/0", "m7/1"])
        self.answers.give(self.message(redelivered=True), ["one again", "two again", "three again"])
        self.clock.pump([1, 1])
        self.assertEqual(self.line.said[3:], ["m7/0=one again", "m7/1=two again"])


class OutcomeTests(SynchronousTestCase):
    def test_watch(self) -> None:
        """Watchers are told of what nobody asked for, and of nothing that a phone's message is called."""
        told: list[tuple[str, Outcome, str]] = []
        outcomes = Outcomes()
        outcomes.watch(lambda reply, outcome, why: told.append((reply.id, outcome, why)))
        for name in ("~push/0", "m7/0", "~17:23/0", ""):
            reply = Reply(PHONE, "room", None, Text("x"), "trace", id=name)
            outcomes.settled(reply, Outcome.EXPIRED, "expired")
        self.assertEqual(told, [("~push/0", Outcome.EXPIRED, "expired")])

    def test_failing_watcher(self) -> None:
        """One that raises keeps nobody else from being told, and is logged."""
        told: list[str] = []
        outcomes = Outcomes()

        def fail(reply: Reply, outcome: Outcome, why: str) -> None:
            raise ZeroDivisionError

        outcomes.watch(fail)
        outcomes.watch(lambda reply, _outcome, _why: told.append(reply.id))
        outcomes.settled(Reply(PHONE, "r", None, Text("x"), "", id="~p/0"), Outcome.SENT, "")
        self.assertEqual((told, len(self.flushLoggedErrors(ZeroDivisionError))), (["~p/0"], 1))


class FloodTests(SynchronousTestCase):
    def test_flood(self) -> None:
        """Of more replies to one message than are allowed the rest is dropped, counted, and logged once."""
        bench = Bench(settings=DispatchSettings(replies_per_message=5))

        def floods(message: Message) -> list[str]:
            for number in range(4):
                message.reply(str(number))
            message.reply(["4", "5"])
            return ["6"] * 10

        bench.on("flood", floods)
        with capturedLogs() as events:
            bench.say("flood")
            bench.clock.advance(60)
        self.assertEqual(bench.said, [f"room: {number}" for number in range(5)])
        self.assertEqual(bench.metrics.replies_dropped["too_many"], 11)
        self.assertEqual(bench.metrics.outcomes["failed"], 11)
        self.assertEqual(len([event for event in events if "more than" in str(event["log_format"])]), 1)

    def test_another_message(self) -> None:
        """Every message may get as many, and so may what comes after an answer in a conversation."""
        bench = Bench(settings=DispatchSettings(replies_per_message=2))

        async def talks(message: Message) -> str:
            for question in "ab":
                message.reply(f"now {question}")
                await message.ask(question)
            return "done"

        bench.on("talk", talks)
        for _ in range(2):
            for text in ("talk", "x", "y"):
                bench.say(text)
                bench.clock.advance(5)
        self.assertEqual(bench.said.count("room: done"), 2)
        self.assertEqual(bench.metrics.replies_dropped, {})
