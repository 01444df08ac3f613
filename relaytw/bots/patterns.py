"""Plain texts that a handler is for: a regular expression whose groups are the handler's arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from relaytw.bots.arguments import Parameter, Signature, UsageError
from relaytw.bots.marks import Marks, marks_of
from relaytw.messages import Message

_parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001 (the only one who reads expressions)
#: Characters of a text that is tried, unless a pattern says otherwise.
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Pattern:
    """A handler, and the expression that the whole of a text has to fit; longer texts are not tried."""

    expression: re.Pattern[str]
    handler: Callable[..., object]
    groups: tuple[tuple[int, Parameter], ...]
    longest: int
    declared: Marks
    blocking: bool = False

    @classmethod
    def of(
        cls,
        expression: str | re.Pattern[str],
        handler: Callable[..., object],
        *,
        longest: int,
        marks: Marks,
        blocking: bool,
    ) -> Pattern:
        """A pattern that calls this handler.

        Raises TypeError if the groups are not what the handler takes, and ValueError for an expression
        that is none, or that some text could keep busy for ever.
        """
        try:
            compiled = re.compile(expression)
        except re.error as error:
            raise ValueError(f"{expression!r} is no regular expression: {error}") from error
        if explodes(_parser.parse(compiled.pattern, compiled.flags)):
            raise ValueError(
                f"{compiled.pattern!r} repeats what is a repetition itself, as in (a+)+; "
                "some texts would keep the relay busy for ever"
            )
        return cls(compiled, handler, _groups(compiled, handler), longest, marks, blocking)

    @property
    def marks(self) -> Marks:
        """What was said at its registration, and what decorators say."""
        return marks_of(self.handler).also(self.declared)

    def arguments(self, message: Message) -> dict[str, object] | None:
        """The handler's arguments for this message; None if it does not fit, or is not for its sender."""
        text = message.text
        if len(text) > self.longest:
            return None
        found = self.expression.fullmatch(text)
        if found is None or (self.marks.admin and not message.is_admin):
            return None
        try:
            return {
                parameter.name: parameter.default if found[group] is None else parameter.read(found[group])
                for group, parameter in self.groups
            }
        except UsageError:
            return None

    def __call__(self, message: Message) -> object:
        """Call the handler with the groups; nothing if the message does not fit."""
        arguments = self.arguments(message)
        return None if arguments is None else self.handler(message, **arguments)


def _groups(compiled: re.Pattern[str], handler: Callable[..., object]) -> tuple[tuple[int, Parameter], ...]:
    """Which group each parameter is read from: by name, the others in their order."""
    parameters = Signature(handler).parameters
    named = compiled.groupindex
    unnamed = iter(number for number in range(1, compiled.groups + 1) if number not in named.values())
    found, missing = [], []
    for parameter in parameters:
        number = named.get(parameter.name) or next(unnamed, None)
        if number is not None:
            found.append((number, parameter))
        elif not parameter.optional:
            missing.append(parameter.name)
    surplus = [*(set(named) - {parameter.name for parameter in parameters}), *map(str, unnamed)]
    if missing or surplus:
        raise TypeError(
            f"{handler.__name__}: the groups of {compiled.pattern!r} are not its parameters "
            f"(no group: {', '.join(missing) or '-'}; no parameter: {', '.join(surplus) or '-'})"
        )
    return tuple(found)


def explodes(parsed: Iterable[tuple[Any, Any]]) -> bool:
    """Does something repeat without end what is an endless repetition, with nothing certain beside it?"""
    for kind, argument in parsed:
        if _is_endless(kind, argument) and any(_one_endless(branch) for branch in _branches(argument[2])):
            return True
        if any(explodes(inner) for inner in _inside(kind, argument)):
            return True
    return False


def _is_endless(kind: Any, argument: Any) -> bool:
    return str(kind) in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] == _parser.MAXREPEAT


def _branches(sequence: Any) -> list[Any]:
    """The alternatives of a sequence, with groups around it taken away."""
    items = list(sequence)
    if len(items) == 1 and str(items[0][0]) == "SUBPATTERN":
        return _branches(items[0][1][-1])
    if len(items) == 1 and str(items[0][0]) == "BRANCH":
        return [inner for branch in items[0][1][1] for inner in _branches(branch)]
    return [items]


def _one_endless(items: Any) -> bool:
    certain = [(kind, argument) for kind, argument in items if not _may_be_empty(kind, argument)]
    repeats = [inner for item in items for inner in _unwrapped(item) if _is_endless(*inner)]
    if any(str(kind) == "ANY" for _, argument in repeats for kind, _ in argument[2]):
        return True  # a dot takes what stands beside it, too
    endless = [item for item in items if any(_is_endless(*inner) for inner in _unwrapped(item))]
    return bool(endless) and all(item in endless for item in certain)


def _unwrapped(item: Any) -> list[Any]:
    kind, argument = item
    if str(kind) == "SUBPATTERN":
        return [inner for branch in _branches(argument[-1]) if len(branch) == 1 for inner in branch]
    return [item]


def _may_be_empty(kind: Any, argument: Any) -> bool:
    return str(kind) in ("AT", "ASSERT", "ASSERT_NOT") or (
        str(kind) in ("MAX_REPEAT", "MIN_REPEAT") and argument[0] == 0
    )


def _inside(kind: Any, argument: Any) -> list[Any]:
    name = str(kind)
    if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        return [argument[2]]
    if name == "SUBPATTERN":
        return [argument[-1]]
    if name == "BRANCH":
        return list(argument[1])
    if name in ("ASSERT", "ASSERT_NOT"):
        return [argument[1]]
    return []
