"""A command's arguments: read from the message as the handler's signature says.

Positional parameters take one word each; the last one, if it is a plain `str`, takes the rest of
the message verbatim.  Keyword-only parameters are options, `--key=value` (or `--flag`), and are read
only where they are declared: as whole words at the beginning or at the end of the arguments.  What
looks like an option but is not declared is text.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from relaytw import texts

_MISSING = inspect.Parameter.empty
_FIRST_WORD = re.compile(r"\S+\s?")
_OPTION_AT_START = re.compile(r'--([A-Za-z][\w-]*)(?:=("[^"]*"|\S*))?(?:\s|$)')
_OPTION_AT_END = re.compile(r'(?:^|\s)--([A-Za-z][\w-]*)(?:=("[^"]*"|\S*))?\s*$')
_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


class Range(NamedTuple):
    """Limits of a number, both included: `Annotated[int, Range(1, 5)]`."""

    least: float
    most: float


class UsageError(Exception):
    """The chat user gave arguments that the command does not take; the text, one of ours, says which."""

    def __init__(self, text: str, **fields: object) -> None:
        super().__init__(texts.say(text, "ko", **fields))
        self._text = text
        self._fields = fields

    def said(self, language: str) -> str:
        """What the user is told in this language."""
        return texts.say(self._text, language, **self._fields)


class Parameter(NamedTuple):
    """One parameter of a command."""

    name: str
    kind: type
    choices: Mapping[str, object] | None
    limits: Range | None
    default: object

    @property
    def optional(self) -> bool:
        """May it be left out?"""
        return self.default is not _MISSING

    @property
    def shown(self) -> str:
        """The name as chat users write it."""
        return self.name.replace("_", "-")

    def read(self, text: str) -> object:
        """The value that `text` stands for.  Raises UsageError."""
        if self.choices is not None:
            if text not in self.choices:
                choices = ", ".join(self.choices)
                raise UsageError(texts.NOT_A_CHOICE, name=self.shown, value=text, choices=choices)
            return self.choices[text]
        if self.kind is bool:
            return self._read_bool(text)
        if self.kind is str:
            return text
        try:
            number: float = self.kind(text)
        except ValueError as error:
            raise UsageError(texts.NOT_A_NUMBER, name=self.shown, value=text) from error
        limits = self.limits
        if limits is not None and not limits.least <= number <= limits.most:
            raise UsageError(texts.OUT_OF_RANGE, name=self.shown, least=limits.least, most=limits.most)
        return number

    def _read_bool(self, text: str) -> bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise UsageError(texts.NOT_A_CHOICE, name=self.shown, value=text, choices="true, false")


class Signature:
    """What a handler takes besides the message.  Raises TypeError for what cannot be read from chat."""

    def __init__(self, handler: Callable[..., object]) -> None:
        self._words: list[Parameter] = []
        self._options: dict[str, Parameter] = {}
        hints = get_type_hints(handler, include_extras=True)
        parameters = list(inspect.signature(handler).parameters.values())
        if not parameters:
            raise TypeError(f"{handler.__name__} must take the message as its first parameter")
        for parameter in parameters[1:]:
            described = _describe(handler, parameter, hints.get(parameter.name, str))
            if parameter.kind is parameter.KEYWORD_ONLY:
                if parameter.default is _MISSING:
                    raise TypeError(f"{handler.__name__}: option {parameter.name} needs a default")
                self._options[described.shown] = described
            elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                self._words.append(described)
            else:
                raise TypeError(f"{handler.__name__}: {parameter} cannot be read from a message")
        last = self._words[-1] if self._words else None
        self._rest = last is not None and last.kind is str and last.choices is None
        self.only_rest = self._rest and len(self._words) == 1

    @property
    def parameters(self) -> list[Parameter]:
        """Everything the handler takes besides the message, in order."""
        return [*self._words, *self._options.values()]

    @property
    def usage(self) -> str:
        """The parameters as a usage text shows them."""
        shown = []
        for word in self._words:
            name = "|".join(word.choices) if word.choices else word.shown
            shown.append(f"{{{name}}}" if word.default is _MISSING else f"[{name}]")
        for option in self._options.values():
            value = "" if option.kind is bool and option.choices is None else f"={_value_of(option)}"
            shown.append(f"[--{option.shown}{value}]")
        return " ".join(shown)

    def read(self, text: str) -> tuple[list[object], dict[str, object]]:
        """Positional and keyword arguments from what follows the command.  Raises UsageError."""
        options: dict[str, object] = {}
        if self._options and "--" in text:
            text = self._take_options(text, options)
        if self.only_rest and text:
            return [text], options
        return self._take_words(text), options

    def _take_words(self, text: str) -> list[object]:
        values: list[object] = []
        for index, word in enumerate(self._words):
            if self._rest and index == len(self._words) - 1:
                if text:
                    values.append(text)
                    return values
            else:
                text = text.lstrip()
                found = _FIRST_WORD.match(text)
                if found is not None:
                    values.append(word.read(found.group().rstrip()))
                    text = text[found.end() :]
                    continue
            if word.default is _MISSING:
                raise UsageError(texts.MISSING, name=word.shown)
            values.append(word.default)
        if text.strip():
            raise UsageError(texts.TOO_MANY, value=text.strip()[:50])
        return values

    def _take_options(self, text: str, into: dict[str, object]) -> str:
        while "--" in text and (found := _OPTION_AT_START.match(text)) and self._take(found, into):
            text = text[found.end() :]
        while "--" in text and (found := _OPTION_AT_END.search(text)) and self._take(found, into):
            text = text[: found.start()]
        return text

    def _take(self, found: re.Match[str], into: dict[str, object]) -> bool:
        option = self._options.get(found.group(1).replace("_", "-"))
        if option is None or option.name in into:
            return False
        value = found.group(2)
        if value is None:
            if option.kind is not bool or option.choices is not None:
                raise UsageError(texts.NO_VALUE, name=option.shown)
            into[option.name] = True
            return True
        if value.startswith('"') and value.endswith('"') and len(value) > 1:
            value = value[1:-1]
        into[option.name] = option.read(value)
        return True


def _value_of(option: Parameter) -> str:
    if option.choices:
        return "|".join(option.choices)
    return "n" if option.kind in (int, float) else "…"


def _describe(handler: Callable[..., object], parameter: inspect.Parameter, hint: Any) -> Parameter:
    limits = None
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        limits = next((extra for extra in extras if isinstance(extra, Range)), None)
    choices: Mapping[str, object] | None = None
    if get_origin(hint) is Literal:
        choices, hint = {str(choice): choice for choice in get_args(hint)}, str
    elif isinstance(hint, type) and issubclass(hint, Enum):
        choices, hint = {str(member.value): member for member in hint}, str
    if hint not in (str, int, float, bool):
        raise TypeError(
            f"{handler.__name__}: {parameter.name} is annotated {hint!r}; "
            "a command takes str, int, float, bool, Literal and Enum"
        )
    return Parameter(parameter.name, hint, choices, limits, parameter.default)
