"""What stands around handlers: middleware, error handlers, listeners, in a relay in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Bot, Message, Next
from relaytw.testing import Kit


class Breaks(Exception):
    """What the handlers here raise."""


class ChainCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.bot = Bot()
        self.noted: list[object] = []
        self.bot.command("# plain")(lambda message: "plain")
        self.bot.command("# blocking", blocking=True)(lambda message: "blocking")

        @self.bot.command("# async")
        async def waits(message: Message) -> str:
            turn: Deferred[None] = Deferred()
            self.kit.clock.callLater(0, turn.callback, None)
            await turn
            return "async"

        def breaks(message: Message) -> None:
            raise Breaks("broken")

        self.bot.command("# breaks")(breaks)
        self.bot.command("# breaks in thread", blocking=True)(breaks)
        self.bot.command("# number")(add)

    def open(self, *others: Bot, **settings: Any) -> None:
        """Start a relay with the bot; whoever wants to say something does so with `say`."""
        self.kit = Kit(self.bot, *others, settings=settings)
        self.addCleanup(self.kit.close)
        self.phone = self.kit.phone()

    @contextmanager
    def failing(self, *kinds: type[BaseException]) -> Iterator[None]:
        """Handlers fail with each of these, which is logged."""
        with self.kit.failing(*kinds):
            yield
        for kind in kinds:
            self.assertEqual(len(self.flushLoggedErrors(kind)), 1)

    def say(self, text: str, **about: Any) -> list[Any]:
        """What is heard when this is said."""
        self.phone.say(text, **about)
        return list(self.phone.heard())


class MiddlewareTests(ChainCase):
    def test_around(self) -> None:
        """A middleware sees the message first and the answer last, the first declared outermost."""

        def layer(name: str) -> None:
            @self.bot.middleware
            async def around(message: Message, next: Next) -> object:  # noqa: A002
                self.noted.append(f"{name} {message.text}")
                return f"{name}({await next(message)})"

        layer("outer")
        layer("inner")
        self.open()
        for kind in ("plain", "async", "blocking"):
            self.assertEqual(self.say(f"# {kind}"), [f"outer(inner({kind}))"])
        self.assertEqual(self.noted[:2], ["outer # plain", "inner # plain"])

    def test_usage(self) -> None:
        """Wrong arguments are answered within the middleware too."""

        @self.bot.middleware
        async def shout(message: Message, next: Next) -> object:  # noqa: A002
            return str(await next(message)).upper()

        self.open()
        self.assertIn("ONE:", self.say("# number x 2")[0])

    def test_instead(self) -> None:
        """A middleware that does not go on answers in the handler's place."""

        @self.bot.middleware
        async def closed(message: Message, next: Next) -> object:  # noqa: A002
            return "closed" if message.sender == "Bob" else await next(message)

        self.open()
        self.assertEqual((self.say("# plain"), self.say("# plain", sender="Bob")), (["plain"], ["closed"]))

    def test_own_bot_only(self) -> None:
        """A bot's middleware is its own; those of other bots know nothing of it."""
        other = Bot()
        other.command("# other")(lambda message: "other")

        @self.bot.middleware
        async def around(message: Message, next: Next) -> object:  # noqa: A002
            return "mine"

        self.open(other)
        self.assertEqual(self.say("# other"), ["other"])

    def test_fails(self) -> None:
        """A middleware that raises fails its message alone."""

        @self.bot.middleware
        async def fails(message: Message, next: Next) -> object:  # noqa: A002
            raise Breaks

        self.open()
        with self.failing(Breaks):
            self.assertEqual(self.say("# plain"), [])

    def test_plain_function(self) -> None:
        """What is not async cannot await the handler, and is refused."""
        self.assertRaises(TypeError, self.bot.middleware, lambda message, follow: None)


class ErrorTests(ChainCase):
    def test_answer(self) -> None:
        """What an error handler returns is said instead of the usual text, and the failure is logged."""
        self.bot.admin = True

        @self.bot.on_error
        async def failed(message: Message, error: Exception) -> str:
            return f"{message.text}: {error}"

        self.open()
        for text in ("# breaks", "# breaks in thread"):
            with self.failing(Breaks):
                self.assertEqual(self.say(text), [f"{text}: broken"])

    def test_nothing(self) -> None:
        """An error handler may say nothing; it is not called for what goes well."""

        @self.bot.on_error
        def failed(message: Message, error: Exception) -> None:
            self.noted.append(error)

        self.open()
        self.assertEqual(self.say("# plain"), ["plain"])
        with self.failing(Breaks):
            self.assertEqual(self.say("# breaks"), [])
        self.assertEqual(len(self.noted), 1)

    def test_fails_itself(self) -> None:
        """An error handler that fails, or answers nonsense, is logged like any handler."""

        @self.bot.on_error
        def failed(message: Message, error: Exception) -> object:
            if message.sender == "Bob":
                return 5
            raise KeyError

        self.open()
        with self.failing(KeyError):
            self.say("# breaks")
        with self.failing(Breaks, TypeError):
            self.say("# breaks", sender="Bob")

    def test_one(self) -> None:
        """A bot has one error handler."""
        self.bot.on_error(lambda message, error: None)
        self.assertRaises(TypeError, self.bot.on_error, lambda message, error: None)


class ListenTests(ChainCase):
    def test_hears_everything(self) -> None:
        """A listener hears every message, whoever answers it, and answers none."""

        @self.bot.listen
        def note(message: Message) -> str:
            self.noted.append(message.text)
            return "not said"

        self.open()
        heard = [self.say(text) for text in ("# plain", "hello", "# blocking", "# async")]
        self.assertEqual(heard, [["plain"], [], ["blocking"], ["async"]])
        self.assertEqual(self.noted, ["# plain", "hello", "# blocking", "# async"])

    def test_fails(self) -> None:
        """A listener that fails is logged, and hurts nobody's answer."""

        @self.bot.listen
        def fails(message: Message) -> None:
            raise Breaks

        @self.bot.listen
        async def fails_too(message: Message) -> None:
            raise Breaks

        self.open()
        self.assertEqual(self.say("# plain"), ["plain"])
        self.assertEqual(len(self.flushLoggedErrors(Breaks)), 2)

    def test_slow(self) -> None:
        """Nobody waits for a listener to be answered; the message ends when it has ended."""
        waits: Deferred[None] = Deferred()

        @self.bot.listen
        async def slow(message: Message) -> None:
            await waits
            self.noted.append("heard")

        self.open()
        self.assertEqual(self.say("# plain"), ["plain"])
        self.assertEqual(self.kit.relay.dispatcher.lanes.running, 1)
        waits.callback(None)
        self.kit.advance()
        self.assertEqual((self.noted, self.kit.relay.dispatcher.lanes.running), (["heard"], 0))

    def test_endless(self) -> None:
        """A listener that waits for ever is cancelled like a handler, and its permits come back."""

        @self.bot.listen
        async def endless(message: Message) -> None:
            await Deferred()

        self.open()
        self.assertEqual(self.say("# plain"), ["plain"])
        self.kit.advance(301)
        self.assertEqual(self.kit.relay.dispatcher.lanes.running, 0)


def add(message: Message, one: int, two: int) -> str:
    """Adds."""
    return str(one + two)
