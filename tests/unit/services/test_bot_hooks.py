"""When bots' hooks are called, and that one that fails or hangs hurts nobody."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Bot
from relaytw.services.bot_hooks import BotHooks


class Breaks(Exception):
    """What the hooks here raise."""


class HookTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.called: list[str] = []

    def bot(self, name: str) -> Bot:
        """A bot that notes when its hooks are called."""
        bot = Bot()
        bot.on_start(lambda: self.called.append(f"{name} starts"))

        @bot.on_stop
        async def stop() -> None:
            self.called.append(f"{name} stops")

        return bot

    def hooks(self, *bots: Bot) -> BotHooks:
        """The hooks of these bots, which have two seconds to stop."""
        return BotHooks(bots, self.clock, 2.0, lambda: Deferred.fromCoroutine)

    def test_start_and_stop(self) -> None:
        """Hooks are called in the order of the bots, each once."""
        hooks = self.hooks(self.bot("one"), self.bot("two"))
        hooks.startService()
        self.assertEqual(self.called, ["one starts", "two starts"])
        self.successResultOf(hooks.stopService())
        self.assertEqual(self.called[2:], ["one stops", "two stops"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_exchanged(self) -> None:
        """The bots that go are stopped, those that come are started, those that stay are left alone."""
        stays, goes, comes = (self.bot(name) for name in ("stays", "goes", "comes"))
        hooks = self.hooks(stays, goes)
        hooks.startService()
        hooks.replace([stays, comes])
        self.assertEqual(self.called[2:], ["goes stops", "comes starts"])
        self.successResultOf(hooks.stopService())
        self.assertEqual(self.called[4:], ["stays stops", "comes stops"])

    def test_fails(self) -> None:
        """A hook that fails is logged, and the others are called."""
        bot = Bot()

        @bot.on_start
        def fails() -> None:
            raise Breaks

        @bot.on_start
        async def fails_too() -> None:
            raise Breaks

        hooks = self.hooks(bot, self.bot("other"))
        hooks.startService()
        self.assertEqual(self.called, ["other starts"])
        self.assertEqual(len(self.flushLoggedErrors(Breaks)), 2)

    def test_stop_takes_its_time(self) -> None:
        """The stop waits for the hooks that take a while, up to its patience; then they are cancelled."""
        for patient in (True, False):
            bot, waits = Bot(), Deferred[None]()

            @bot.on_stop
            async def stop(waits: Deferred[None] = waits) -> None:
                await waits
                self.called.append("stopped")

            hooks = self.hooks(bot)
            hooks.startService()
            stopping = hooks.stopService()
            self.assertNoResult(stopping)
            if patient:
                waits.callback(None)
            else:
                self.clock.advance(2)
            self.successResultOf(stopping)
            self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.called, ["stopped"])
