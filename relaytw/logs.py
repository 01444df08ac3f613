"""How log events look and which of them are written: text or JSON lines, a level per category.

A category is the last part of a logger's namespace (`relaytw.ping` is `ping`).  Chat text is never
a log field.  Twisted has one log per process, and so there is one `LogPolicy` per process: twistd
calls `makeObserver` by name, without arguments, before any service exists.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.logfile import LogFile
from twisted.python.reflect import safe_str
from zope.interface import implementer

PREFIX = "relaytw."
_HIDDEN = frozenset({"message", "isError", "time", "format", "system", "trace"})
# What a terminal or a pager takes for the end of a line, or for an order; the marks that turn the
# writing direction around are among them, those that join emoji are not.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass(slots=True)
class LogPolicy:
    """What is written: `format` is text or json, levels are debug, info, warn, error or critical."""

    format: str = "text"
    level: str = "info"
    categories: Mapping[str, str] = field(default_factory=dict)
    path: str | None = None
    predicate: LogLevelFilterPredicate = field(default_factory=LogLevelFilterPredicate)

    def apply(self) -> None:
        """Make the levels count from now on, while running too."""
        self.predicate.clearLogLevels()
        self.predicate.setLogLevelForNamespace("", _level(self.level))
        for category, level in self.categories.items():
            self.predicate.setLogLevelForNamespace(PREFIX + category, _level(level))


_policy = LogPolicy()


def policy() -> LogPolicy:
    """The policy of this process; change it and `apply` it."""
    return _policy


def makeObserver() -> ILogObserver:  # noqa: N802 (twistd's --logger wants a factory, in Twisted's style)
    """An observer that follows the process's policy; twistd calls it."""
    chosen = policy()
    chosen.apply()
    # Captured now: twistd replaces sys.stdout by the log itself once logging has begun.
    out: TextIO | LogFile = sys.stdout if chosen.path is None else LogFile.fromFullPath(chosen.path)
    write = _JsonLines(out) if chosen.format == "json" else _TextLines(out)

    return _Filtered(write, [chosen.predicate])


class _Filtered(FilteringLogObserver):
    """A filtering observer that says of itself what it is (twistd asks)."""


@implementer(ILogObserver)
class _TextLines:
    def __init__(self, out: TextIO | LogFile) -> None:
        self._out = out

    def __call__(self, event: LogEvent) -> None:
        at = datetime.fromtimestamp(event["log_time"], UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        trace = f" [{_one_line(str(event['trace']))}]" if event.get("trace") else ""
        line = f"{at}Z {_name(event):<5} {_category(event)}: {_text(event)}{trace}\n"
        failure = event.get("log_failure")
        if failure is not None:
            # Indented: an exception's text may be a stranger's too, and no line of it is an event.
            line += "".join(f"    {_one_line(part)}\n" for part in failure.getTraceback().split("\n") if part)
        self._out.write(line)
        self._out.flush()


@implementer(ILogObserver)
class _JsonLines:
    def __init__(self, out: TextIO | LogFile) -> None:
        self._out = out

    def __call__(self, event: LogEvent) -> None:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
            "level": _name(event),
            "category": _category(event),
            "message": _text(event),
        }
        if event.get("trace"):
            line["trace"] = _clean(str(event["trace"]))
        for name, value in event.items():
            if not name.startswith("log_") and name not in _HIDDEN:
                line.setdefault(name, value if _is_plain(value) else _clean(safe_str(value)))
        failure = event.get("log_failure")
        if failure is not None:
            line["failure"] = _clean(failure.getTraceback())
        self._out.write(
            orjson.dumps(line, option=orjson.OPT_PASSTHROUGH_SUBCLASS, default=str).decode() + "\n"
        )
        self._out.flush()


def _text(event: LogEvent) -> str:
    # One event, one line, whatever a phone calls itself.
    return _one_line(formatEvent(event))


def _one_line(text: str) -> str:
    if text.isprintable():
        return text
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), _clean(text))


def _is_plain(value: object) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**64  # more than that orjson cannot write as a number
    return value is None or isinstance(value, float)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _name(event: LogEvent) -> str:
    level = event.get("log_level")
    return str(level.name) if level is not None else "info"


def _category(event: LogEvent) -> str:
    namespace = str(event.get("log_namespace") or "-")
    return namespace.removeprefix(PREFIX)


def _level(name: str) -> Any:
    return LogLevel.levelWithName(name)
