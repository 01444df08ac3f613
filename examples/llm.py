"""A bot that asks a language model: `# ask 오늘 저녁 뭐 먹지?`.

The model is slow, so whoever waits longer than three seconds is told that it is being worked on.  It
remembers the last words of each person, and each may ask once in ten seconds.  It talks to anything that
speaks the usual chat protocol over HTTP; LLM_URL, LLM_MODEL and LLM_KEY in the environment say to what.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import treq
from twisted.internet import reactor as _reactor

from relaytw.bots import Bot, Message, cooldown

reactor: Any = _reactor
#: Seconds before the chat is told, and before the model is given up; how many turns it is reminded of.
NOTICE_AFTER, PATIENCE, TURNS = 3.0, 60.0, 6
Said = list[dict[str, str]]


async def complete(said: Said) -> str:
    """What the model says next."""
    response = await treq.post(
        os.environ.get("LLM_URL", "http://127.0.0.1:11434/v1/chat/completions"),
        json={"model": os.environ.get("LLM_MODEL", "llama3"), "messages": said},
        headers={"Authorization": f"Bearer {os.environ.get('LLM_KEY', '')}"},
        timeout=PATIENCE,
    )
    if response.code != 200:  # noqa: PLR2004 (HTTP's own number)
        raise RuntimeError(f"the model answered with HTTP status {response.code}")
    answer = await treq.json_content(response).addTimeout(PATIENCE, reactor)
    return str(answer["choices"][0]["message"]["content"])


def make(ask_model: Callable[[Said], Awaitable[str]] = complete, clock: Any = reactor) -> Bot:
    """The bot; tests give it a model and a clock of their own."""
    bot = Bot()

    @bot.command("# ask")
    @cooldown("user", 10)
    async def ask(message: Message, question: str) -> str:
        """Asks the language model."""
        said: Said = [*message.state.get("said", []), {"role": "user", "content": question}]
        notice = clock.callLater(NOTICE_AFTER, message.reply, "🤔 생각하는 중입니다. 잠시만 기다려 주세요.")
        try:
            answer = await ask_model(said)
        finally:
            if notice.active():
                notice.cancel()
        message.state.set("said", [*said, {"role": "assistant", "content": answer}][-TURNS:], 3600)
        return answer

    @bot.command("# forget")
    def forget(message: Message) -> str:
        """Has the model forget what you said."""
        message.state.clear()
        return "다 잊었습니다."

    @bot.on_error
    def sorry(message: Message, error: Exception) -> str:  # noqa: ARG001 (what an error handler is given)
        """Tells the chat that it did not work; the log has the rest."""
        return "지금은 답을 들을 수 없습니다. 잠시 후 다시 물어봐 주세요."

    return bot


bot = make()
