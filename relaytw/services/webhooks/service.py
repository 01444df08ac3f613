"""The webhooks of a relay, as bots among its other bots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.web.client import HTTPConnectionPool

from relaytw.admin.view import WebhookRow
from relaytw.bots.bot import Bot
from relaytw.messages import Answer, Message
from relaytw.services.webhooks.backend import Backend

#: What the webhook of every bot that has none of its own is called.
EVERYBODY = "*"


class Hook(NamedTuple):
    """Where the messages of one bot name go, or of all others, and what they are signed with."""

    url: str
    secret: bytes


class Webhooks(Service):
    """Asks the backend of a message's bot; bots of the same URL share one, and its circuit."""

    name = "webhooks"

    def __init__(
        self,
        hooks: Mapping[str, Hook],
        make_backend: Callable[[str, str], Backend],
        pool: HTTPConnectionPool | None = None,
    ) -> None:
        self._hooks = dict(hooks)
        self._pool = pool
        self._backends: dict[str, Backend] = {}
        for name, hook in hooks.items():
            if hook.url not in self._backends:
                self._backends[hook.url] = make_backend(name, hook.url)

    def bots(self) -> list[Bot]:
        """A bot for each, those of one name first; each takes the messages that no command took."""
        made = [self._bot(name, hook) for name, hook in self._hooks.items() if name != EVERYBODY]
        everybody = self._hooks.get(EVERYBODY)
        return [*made, *([self._bot(EVERYBODY, everybody)] if everybody is not None else [])]

    def rows(self) -> list[WebhookRow]:
        """What operators see of each."""
        rows = []
        for name, hook in self._hooks.items():
            backend = self._backends[hook.url]
            rows.append(
                WebhookRow(
                    name, backend.breaker.state, backend.breaker.remaining, backend.calls, backend.failures,
                    backend.at_work,
                )
            )  # fmt: skip
        return rows

    def stopService(self) -> Deferred[None] | None:
        """Close the connections that are kept for the next message."""
        super().stopService()
        return self._pool.closeCachedConnections() if self._pool is not None else None

    def _bot(self, name: str, hook: Hook) -> Bot:
        bot = Bot() if name == EVERYBODY else Bot(name)
        backend = self._backends[hook.url]

        @bot.message
        async def webhook(message: Message) -> Answer:
            return await backend.ask(message, hook.secret)

        return bot
