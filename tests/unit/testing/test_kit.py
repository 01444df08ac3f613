"""The relay in memory that is shipped for tests of bots."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Bot, Image, Message
from relaytw.messages import Dialect
from relaytw.testing import HandlerFailed, Heard, Kit


class KitTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.bot = Bot()
        self.kit: Kit

    def open(self, **about: Any) -> Kit:
        """A kit of this test's bot."""
        self.kit = Kit(self.bot, **about)
        self.addCleanup(self.kit.close)
        return self.kit


class KitTests(KitTestCase):
    def test_answers(self) -> None:
        """A phone hears what a handler answers: texts, media, by dialect and by room."""

        @self.bot.command("# show")
        def show(message: Message, what: str) -> list[str | Image]:
            return [what, Image("https://example.org/a.jpg", wait_ms=7)]

        kit = self.open()
        for dialect in (Dialect.V32, Dialect.V33):
            phone = kit.phone(device=dialect, dialect=dialect)
            picture = Heard(("https://example.org/a.jpg",), 7)
            phone.say("# show 한글", room="one")
            phone.say("# show two", room="two")
            kit.advance(20)
            self.assertEqual(phone.heard("two"), ["two", picture])
            self.assertEqual(phone.heard("one"), ["한글", picture])
            self.assertEqual(phone.heard(), [])
            self.assertEqual(phone.errors, [])

    def test_waits(self) -> None:
        """A handler that waits on the kit's clock goes on when the test lets time pass."""

        @self.bot.command("# slow")
        async def slow(message: Message) -> str:
            await deferLater(self.kit.clock, 60)
            return "done"

        kit = self.open()
        phone = kit.phone()
        phone.say("# slow")
        kit.advance(59)
        self.assertEqual(phone.heard(), [])
        kit.advance(1)
        self.assertEqual(phone.heard(), ["done"])

    def test_long_time(self) -> None:
        """A day passes at once, and the phone is still there."""
        self.bot.command("# hi")(_hi)
        kit = self.open()
        phone = kit.phone()
        kit.advance(86_400)
        phone.say("# hi")
        self.assertEqual(phone.heard(), ["hi"])

    def test_absent(self) -> None:
        """What is said to a phone that has gone waits for it."""
        waiting: list[Deferred[str]] = []

        @self.bot.command("# wait")
        async def wait(message: Message) -> str:
            waiting.append(Deferred())
            return await waiting[0]

        kit = self.open()
        phone = kit.phone()
        phone.say("# wait")
        phone.disconnect()
        waiting[0].callback("at last")
        kit.advance(1)
        self.assertEqual(phone.heard(), [])
        phone.connect()
        self.assertEqual(phone.heard(), ["at last"])

    def test_failure(self) -> None:
        """What a handler raises is raised in the test, unless it was expected, and only then."""

        @self.bot.command("# fail", blocking=True)
        def fail(message: Message) -> None:
            raise ValueError("oh")

        self.bot.command("# hi")(_hi)
        kit = self.open()
        phone = kit.phone()
        error = self.assertRaises(HandlerFailed, phone.say, "# fail")
        self.assertIsInstance(error.__cause__, ValueError)
        self.assertIn("test_kit.py", str(error))
        with kit.failing(ValueError, OSError) as failures:
            phone.say("# fail")
        self.assertEqual(len(failures), 1)
        with self.assertRaises(HandlerFailed), kit.failing(OSError):
            phone.say("# fail")
        with self.assertRaisesRegex(AssertionError, "no handler failed with OSError"), kit.failing(OSError):
            phone.say("# hi")
        self.assertEqual(phone.heard(), ["hi"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)

    def test_settings(self) -> None:
        """Settings are those of the configuration; bots may be modules, which must hold one."""
        self.bot.command("# hi")(_hi)
        kit = self.open(settings={"limits": {"text_chars": 1}})
        phone = kit.phone()
        phone.say("# hi")
        self.assertEqual(phone.heard(), [])
        self.assertRaises(TypeError, Kit, sys)

    def test_leaves_nothing(self) -> None:
        """A kit that was closed leaves no folder, module, observer or timer behind, though handlers wait."""

        @self.bot.command("# never")
        async def never(message: Message) -> None:
            await Deferred[None]()

        before = set(sys.modules), list(globalLogPublisher._observers)
        kit = Kit(self.bot)
        folder = Path(kit.relay.config.relay.state_dir)
        kit.phone().say("# never")
        self.assertTrue(folder.exists())
        kit.close()
        self.assertFalse(folder.exists())
        self.assertEqual((set(sys.modules), list(globalLogPublisher._observers)), before)
        self.assertEqual(kit.clock.getDelayedCalls(), [])


def _hi(message: Message) -> str:
    return "hi"
