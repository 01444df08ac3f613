"""What a command costs above its handler: finding it, reading its arguments, calling it.

Calls of the bare handler and calls by way of the router alternate in short rounds of one process, so that
what else the machine does meets both.  Time is that of the processor; the middle difference counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple, cast

from relaytw.bots import Bot, Message
from relaytw.bots.router import Router
from relaytw.messages import ClientKey, Context

CALLS = 20_000
#: Commands beside the one that is called, as many as a relay with a few bots has.
OTHERS = 30
WORDS = "# weather 3 Seoul and its surroundings"
OPTIONS = '# weather 3 Seoul and its surroundings --unit="f"'


class Cost(NamedTuple):
    """Seconds a call takes by the router and bare."""

    routed: float
    bare: float

    @property
    def above(self) -> float:
        """Seconds the router takes more."""
        return self.routed - self.bare


def run(rounds: int, say: Callable[[str], None], calls: int = CALLS) -> dict[str, list[Cost]]:
    """The costs of a command without and with an option, of so many rounds each."""
    handler, router = _weather()
    costs: dict[str, list[Cost]] = {}
    for name, text, options in (("words", WORDS, {}), ("words and an option", OPTIONS, {"unit": "f"})):
        message = _message(text)

        def bare(message: Message = message, options: dict[str, str] = options) -> object:
            return handler(message, 3, "Seoul and its surroundings", **options)

        def routed(message: Message = message) -> object:
            found = router.find(message)
            return None if found is None else found.call(message)

        if bare() != routed():
            raise AssertionError(f"{text!r} is answered with {routed()!r}, not with {bare()!r}")
        costs[name] = [Cost(_seconds(routed, calls), _seconds(bare, calls)) for _ in range(rounds)]
        above = median(cost.above for cost in costs[name])
        say(f"router, {name}: {above * 1e6:.2f} µs more than the bare handler")
    return costs


def _seconds(call: Callable[[], object], calls: int) -> float:
    begin = time.thread_time()
    for _ in range(calls):
        call()
    return (time.thread_time() - begin) / calls


def _weather() -> tuple[Callable[..., object], Router]:
    bot = Bot()

    def weather(message: Message, days: int, city: str, *, unit: str = "c") -> str:  # noqa: ARG001
        return f"{city}, {days}, {unit}"

    bot.command("# weather")(weather)
    for number in range(OTHERS):
        bot.command(f"# other {number}")(weather)
    return weather, Router([bot])


def _message(text: str) -> Message:
    values: dict[str, Any] = {
        "id": "1", "trace": "t", "client": ClientKey("bot", "device"), "room": "room", "channel_id": None,
        "text": text, "sender": "someone", "user_hash": None, "is_group_chat": True, "is_mention": False,
        "is_admin": False, "received_at": 0.0, "redelivered": False, "context": cast("Context", None),
    }  # fmt: skip
    return Message(**values)
