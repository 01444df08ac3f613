"""What is written to the log, and how it looks."""

from __future__ import annotations

import contextlib
import io
import json
from enum import IntEnum
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaytw import logs

FORGED = "bot\n2026-01-01T00:00:00.000Z error dispatch: forged"


class One(IntEnum):
    """A number with a name."""

    ONE = 1


def event(text: str, **fields: Any) -> LogEvent:
    """An event of a quarter of a second past the epoch."""
    ours = {"log_time": 0.25, "log_level": LogLevel.info, "log_namespace": "relaytw.ping", "log_format": text}
    return {**ours, **fields}


class Forger(Exception):
    """An exception whose text was given by a stranger."""

    def __str__(self) -> str:
        return FORGED


class Unspeakable:
    """Has no text."""

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__


class FullDisk(io.StringIO):
    """A file that cannot be written, and counts how often it was tried."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise OSError("no space left on device")


class LogCase(SynchronousTestCase):
    """The process's policy is ours for the length of a test."""

    def setUp(self) -> None:
        policy = logs.policy()
        before = (policy.format, policy.level, policy.categories, policy.path)
        self.addCleanup(self.choose, *before)
        self.choose()
        self.out = io.StringIO()

    def choose(
        self,
        format: str = "text",  # noqa: A002
        level: str = "info",
        categories: Any = None,
        path: str | None = None,
    ) -> None:
        policy = logs.policy()
        policy.format, policy.level, policy.categories, policy.path = format, level, categories or {}, path
        policy.apply()

    def observer(self) -> ILogObserver:
        """What twistd would have got; made now, so choose before."""
        with contextlib.redirect_stdout(self.out):
            return logs.makeObserver()

    def logger(self, category: str = "ping", *others: Any) -> Logger:
        """A logger whose events go to the observer, and to others."""
        return Logger(namespace=f"relaytw.{category}", observer=LogPublisher(self.observer(), *others))

    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


class TextTests(LogCase):
    def test_one_line(self) -> None:
        """An event is a line: time, level, category, the text with its fields, the trace id."""
        self.observer()(event("{client} pinged", client="bot@phone", trace="t-1"))
        self.assertEqual(self.lines(), ["1970-01-01T00:00:00.250Z info  ping: bot@phone pinged [t-1]"])

    def test_without_trace(self) -> None:
        """An event that belongs to no message shows no trace id."""
        self.logger().warn("hello")
        self.assertTrue(self.lines()[0].endswith("Z warn  ping: hello"))

    def test_names_of_others(self) -> None:
        """Events of Twisted itself carry their whole namespace."""
        logger = self.logger()
        Logger(namespace="twisted.web", observer=logger.observer).info("started")
        self.assertIn(" twisted.web: started", self.lines()[0])

    def test_failure(self) -> None:
        """A failure is followed by its traceback, indented."""
        self.logger().failure("it broke", Failure(KeyError("key")))
        first, *rest = self.lines()
        self.assertIn("critical ping: it broke", first)
        self.assertIn("KeyError: 'key'", rest[-1])
        self.assertTrue(all(line.startswith("    ") for line in rest))

    def test_nothing_forges_a_line(self) -> None:
        """Neither a field, a trace id nor an exception's text can look like an event of its own."""
        logger = self.logger()
        logger.info("{client}", client=FORGED, trace=FORGED)
        logger.failure("it broke", Failure(Forger()))
        events = [line for line in self.lines() if not line.startswith("    ")]
        self.assertEqual(len(events), 2)
        self.assertIn("bot\\n2026", events[0])

    @given(st.text(st.characters(exclude_categories=()), max_size=20))
    def test_any_text(self, text: str) -> None:
        """Whatever a phone calls itself is one printed line, and commands no terminal."""
        self.out = io.StringIO()
        self.logger().info("<{client}>", client=text)
        (line,) = self.lines()
        self.assertTrue(line.endswith(">"))
        self.assertTrue(all(char >= " " and not "\x7f" <= char <= "\x9f" for char in line))
        line.encode()

    def test_chat_stays_readable(self) -> None:
        """Korean and emoji are written as they are."""
        self.logger().info("{room}", room="가족방 👨‍👩‍👧")
        self.assertTrue(self.lines()[0].endswith("가족방 👨‍👩‍👧"))

    def test_failures_of_any_text(self) -> None:
        """An exception whose text cannot be encoded is written all the same."""
        self.logger().failure("it broke", Failure(ValueError("\ud800")))
        self.out.getvalue().encode()
        self.assertIn("ValueError: ?", self.lines()[-1])


class JsonTests(LogCase):
    def setUp(self) -> None:
        super().setUp()
        self.choose(format="json")

    def write(self, text: str, **fields: Any) -> dict[str, Any]:
        """The one object that logging this writes."""
        self.out = io.StringIO()
        self.logger().info(text, **fields)
        (line,) = self.out.getvalue().split("\n")[:-1]
        written: dict[str, Any] = json.loads(line)
        return written

    def test_one_object(self) -> None:
        """An event is an object in a line, its fields beside the formatted text."""
        self.observer()(event("{client} pinged {n}", client=("bot", 1), n=3, ok=True, x=None, trace="t"))
        self.assertEqual(
            json.loads(self.out.getvalue()),
            {
                "time": "1970-01-01T00:00:00.250+00:00", "level": "info", "category": "ping",
                "message": "('bot', 1) pinged 3", "trace": "t", "client": "('bot', 1)",
                "n": 3, "ok": True, "x": None,
            },
        )  # fmt: skip

    def test_failure(self) -> None:
        """A failure's traceback is a field of its event."""
        self.logger().failure("it broke", Failure(Forger()))
        (line,) = self.out.getvalue().split("\n")[:-1]
        written = json.loads(line)
        self.assertEqual((written["level"], written["message"]), ("critical", "it broke"))
        self.assertIn(f"Forger: {FORGED}", written["failure"])

    def test_fields_do_not_pass_for_ours(self) -> None:
        """A field that is called like one of the line's own does not replace it."""
        self.observer()(event("hello", level="critical", category="gate"))
        written = json.loads(self.out.getvalue())
        self.assertEqual((written["level"], written["category"]), ("info", "ping"))

    def test_odd_values(self) -> None:
        """Values that JSON cannot hold, or that have no text, do not cost the event."""
        written = self.write(
            "hello", big=10**30, nan=float("nan"), odd=Unspeakable(), trace="\ud800", one=One.ONE
        )
        self.assertEqual((written["message"], written["big"], written["nan"]), ("hello", str(10**30), None))
        self.assertIn("Unspeakable", written["odd"])
        self.assertEqual(written["one"], 1)

    @given(st.text(st.characters(exclude_categories=()), max_size=20))
    def test_any_text(self, text: str) -> None:
        """Whatever a phone calls itself is one line, and comes back as it was but for lone surrogates."""
        written = self.write("{client}", client=text)
        self.assertEqual(written["client"], text.encode("utf-8", "replace").decode())


class LevelTests(LogCase):
    def said(self, category: str) -> list[str]:
        """The levels of this category that are written."""
        self.out = io.StringIO()
        logger = self.logger(category)
        for level in ("debug", "info", "warn", "error", "critical"):
            getattr(logger, level)(level)
        return [line.split()[1] for line in self.lines()]

    def test_level(self) -> None:
        """Only what is at least of the level is written."""
        self.assertEqual(self.said("gate"), ["info", "warn", "error", "critical"])
        self.choose(level="error")
        self.assertEqual(self.said("gate"), ["error", "critical"])

    def test_category(self) -> None:
        """A category may be quieter or louder than the rest."""
        self.choose(level="warn", categories={"ping": "critical", "gate": "debug"})
        self.assertEqual(self.said("ping"), ["critical"])
        self.assertEqual(len(self.said("gate")), 5)
        self.assertEqual(self.said("dispatch"), ["warn", "error", "critical"])

    def test_change_while_running(self) -> None:
        """Applied levels count for observers that exist; a category no longer named follows the rest."""
        self.choose(categories={"ping": "error"})
        logger = self.logger()
        logger.info("one")
        self.choose(level="info", categories={"gate": "error"})
        logger.info("two")
        self.choose(level="error")
        logger.info("three")
        self.assertEqual([line.split()[-1] for line in self.lines()], ["two"])


class BrokenTests(LogCase):
    def test_a_full_disk(self) -> None:
        """An event that cannot be written is tried once; the caller goes on, other observers hear of it."""
        heard: list[LogEvent] = []
        for chosen in ("text", "json"):
            self.choose(format=chosen)
            self.out = disk = FullDisk()
            self.logger("ping", heard.append).info("hello")
            self.assertEqual(disk.tries, 1)
            self.assertEqual(heard.pop(0)["log_format"], "hello")
            self.assertIs(heard.pop(0)["log_failure"].type, OSError)
            self.assertEqual(heard, [])

    def test_printing_is_not_logging(self) -> None:
        """Lines go to the stdout of the beginning, even when it is replaced by the log later on."""
        logger = self.logger()
        with contextlib.redirect_stdout(FullDisk()):
            logger.info("hello")
        self.assertEqual(len(self.lines()), 1)
