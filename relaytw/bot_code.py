"""Builds what holds the code of bots: their modules, the router that asks them, and what they want called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.threads import deferToThreadPool

from relaytw.bots.bot import Bot
from relaytw.bots.library import Library
from relaytw.bots.router import Router
from relaytw.config import Config
from relaytw.services.audit import AuditWriter
from relaytw.services.bot_hooks import BotHooks
from relaytw.services.bot_modules import BotModules
from relaytw.services.live_settings import LiveSettings
from relaytw.services.tasks import go_on
from relaytw.services.threads import BlockingPool
from relaytw.services.webhooks.service import Webhooks
from relaytw.store.syncing import InThread


class Code:
    """The bots of one relay.  Raises ConfigError if some of them cannot be loaded."""

    def __init__(
        self,
        config: Config,
        reactor: Any,
        now: Callable[[], float],
        settings: LiveSettings,
        webhooks: Webhooks | None,
        audit: AuditWriter,
        in_thread: InThread | None,
    ) -> None:
        keys = config.bots
        library = Library(
            keys.load, installed=keys.entry_points, folder=Path(keys.folder) if keys.folder else None,
            now=now, seconds=reactor.seconds,
        )  # fmt: skip
        library.open()
        self._elsewhere = webhooks.bots() if webhooks is not None else []
        bots = [*self._elsewhere, *library.bots]
        self.router = Router(
            bots, settings.settings_of, now=reactor.seconds,
            language=keys.language, cooldowns=keys.cooldowns, helps=True,
        )  # fmt: skip
        if isinstance(reactor, AsyncioSelectorReactor):
            self.router.begin = lambda work: go_on(work, None, lambda step, value: step(value), reactor)
        self.hooks = BotHooks(bots, reactor, config.limits.drain_timeout, lambda: self.router.begin)
        self.modules = BotModules(
            library, reactor, keys.reload_interval, swap=self._swap, audit=audit,
            in_thread=in_thread or partial(deferToThreadPool, reactor, reactor.getThreadPool()),
        )  # fmt: skip

    @property
    def services(self) -> list[Service]:
        """What is to be started with the relay, in order."""
        return [self.hooks, self.modules]

    def give_threads(self, pool: BlockingPool) -> None:
        """Let blocking handlers behind middleware have threads of this pool."""
        self.router.in_thread = lambda message, function: pool.run_alone(message.bot, function)

    def _swap(self, bots: Sequence[Bot]) -> None:
        every = [*self._elsewhere, *bots]
        self.router.replace(every)
        self.hooks.replace(every)
