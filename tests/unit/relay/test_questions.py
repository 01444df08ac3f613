"""Questions of handlers, from a phone through the whole relay: restarts, stops, and what else ends them."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred

from relaytw import texts
from relaytw.bots import Message
from relaytw.messages import Status
from relaytw.services.writer import GATHER
from tests.unit.books import done
from tests.unit.relay.harness import BOT
from tests.unit.relay.journals import JournalTestCase


class QuestionTests(JournalTestCase):
    def setUp(self) -> None:
        super().setUp()
        module: Any = sys.modules["bot_of_a_test"]

        @module.bot.command("# order")
        async def order(message: Message) -> str:
            self.messages.append(message)
            message.reply("hello")
            answer = await message.ask("what?", timeout=600)
            (await answer.ask("sure?", timeout=600)).reply("so be it")
            return f"one {answer.text}"

        self.restart()

    @property
    def open(self) -> int:
        """How many handlers wait for an answer."""
        return len(self.relay.dispatcher.questions)

    def test_conversation(self) -> None:
        """Answers reach the handler, and the journal is done with all of it."""
        phone = self.proven()
        for text in ("# order", "# echo tea", "yes"):
            phone.say(text)
        self.assertEqual(phone.texts, ["hello", "what?", "sure?", "so be it", "one # echo tea"])
        self.assertEqual(self.heard_texts(), ["# order"])
        self.advance(1)
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_killed(self) -> None:
        """After a kill an open question is expired: its chat is told once, and the handler not run again."""
        for said in (("# order",), ("# order", "tea")):
            phone = self.proven()
            for text in said:
                phone.say(text)
            self.advance(1)
            self.messages.clear()
            self.restart()
            phone = self.connect().hello()
            phone.pong()
            self.advance(1)
            self.assertEqual(phone.texts, [texts.ASK_EXPIRED])
            self.assertEqual(self.messages, [])
            self.assertEqual(self.stages.metrics.questions, {"expired": 1})
            self.assertEqual(self.look().unfinished_messages, 0)
            self.restart()
            self.advance(1)
            self.assertEqual(self.stages.metrics.redelivered, 0)

    def test_stopped(self) -> None:
        """A stop waits for no answer; the next start tells the chat."""
        phone = self.proven()
        phone.say("# order")
        stopped = self.relay.stopService()
        self.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(phone.texts, ["hello", "what?"])
        self.start(self.sections)
        phone = self.connect().hello()
        phone.pong()
        self.advance(1)
        self.assertEqual(phone.texts, [texts.ASK_EXPIRED])

    def test_withdrawn(self) -> None:
        """Whose approval is taken back is waited for no more."""
        phone = self.proven()
        phone.say("# order")
        self.set_room(Status.BLOCKED)
        self.assertEqual(self.open, 0)
        self.assertEqual(self.stages.metrics.questions, {"ended": 1})
        self.advance(1)
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_paused(self) -> None:
        """A bot that is paused waits for nobody."""
        phone = self.proven()
        phone.say("# order")
        done(self.relay.operator.set_bot(BOT, {"paused": True}))
        self.assertEqual(self.open, 0)

    def test_forgotten(self) -> None:
        """Nobody waits for somebody who is forgotten, and the journal keeps nothing of it."""
        phone = self.proven()
        phone.say("# order", user_hash="ada")
        forgotten = Deferred.fromCoroutine(self.relay.operator.forget("ada"))
        self.advance(GATHER)
        self.successResultOf(forgotten)
        self.assertEqual(self.open, 0)
        self.advance(1)
        self.assertEqual(self.look().unfinished_messages, 0)

    def test_a_full_account(self) -> None:
        """Open questions do not keep their connection from being read."""
        self.start({"limits": {"backlog_per_connection": 10, "queue": 12}})
        phone = self.proven()
        for number in range(30):
            phone.say("# order", room=f"room {number}", channel_id=f"room {number}")
        self.assertEqual(self.open, 30)
        for _ in range(2):
            for number in range(30):
                phone.say("yes", room=f"room {number}", channel_id=f"room {number}")
        self.assertEqual(self.open, 0)
        self.assertEqual(self.stages.metrics.questions, {"answered": 60})
