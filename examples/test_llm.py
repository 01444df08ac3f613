"""Tests of the bot that asks a language model: no model, no network and no waiting."""

from collections.abc import Awaitable
from typing import Any

import llm
from twisted.internet.defer import Deferred, succeed

from relaytw.bots import Bot
from relaytw.pytest_plugin import RelayBot
from relaytw.testing import Kit


class Model:
    """A model that answers when the test wants it to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[llm.Said] = []
        self.answers: list[Deferred[str]] = []
        self.slow = False

    def __call__(self, said: llm.Said) -> Awaitable[str]:
        """Be asked."""
        self.asked.append(said)
        if not self.slow:
            return succeed(f"answer {len(self.asked)}")
        self.answers.append(Deferred())
        return self.answers[-1]


class Clock:
    """The clock of a kit that is made later than the bot."""

    kit: Kit

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kit.clock, name)


def start(relay_bot: RelayBot, model: Model) -> Kit:
    clock = Clock()
    bot: Bot = llm.make(model, clock)
    clock.kit = relay_bot(bot)
    return clock.kit


def test_answer(relay_bot: RelayBot) -> None:
    """A quick answer comes alone, and the next question reminds the model of it."""
    model = Model()
    kit = start(relay_bot, model)
    phone = kit.phone()
    phone.say("# ask 안녕?")
    assert phone.heard() == ["answer 1"]
    kit.advance(11)
    phone.say("# ask 또?")
    assert phone.heard() == ["answer 2"]
    assert [turn["content"] for turn in model.asked[-1]] == ["안녕?", "answer 1", "또?"]


def test_slow(relay_bot: RelayBot) -> None:
    """Who waits is told so after three seconds, and gets the answer when it is there."""
    model = Model()
    model.slow = True
    kit = start(relay_bot, model)
    phone = kit.phone()
    phone.say("# ask 어려운 질문")
    kit.advance(2.9)
    assert phone.heard() == []
    kit.advance(0.2)
    assert phone.heard() == ["🤔 생각하는 중입니다. 잠시만 기다려 주세요."]
    model.answers[0].callback("42")
    assert phone.heard() == ["42"]


def test_failure(relay_bot: RelayBot) -> None:
    """A model that fails is apologised for, and nothing is remembered of it."""
    model = Model()
    model.slow = True
    kit = start(relay_bot, model)
    phone = kit.phone()
    phone.say("# ask 안녕?")
    with kit.failing(RuntimeError):
        model.answers[0].errback(RuntimeError("HTTP status 500"))
    assert phone.heard() == ["지금은 답을 들을 수 없습니다. 잠시 후 다시 물어봐 주세요."]


def test_too_often(relay_bot: RelayBot) -> None:
    """Each person may ask once in ten seconds."""
    model = Model()
    phone = start(relay_bot, model).phone()
    phone.say("# ask 하나", sender="Ada")
    phone.say("# ask 둘", sender="Ada")
    phone.say("# ask 셋", sender="Bob")
    assert [said[-1]["content"] for said in model.asked] == ["하나", "셋"]


def test_forget(relay_bot: RelayBot) -> None:
    """Who wants to is forgotten."""
    model = Model()
    kit = start(relay_bot, model)
    phone = kit.phone()
    phone.say("# ask 비밀")
    phone.say("# forget")
    kit.advance(11)
    phone.say("# ask 뭐였지?")
    assert len(model.asked[-1]) == 1
