"""Reads the configuration: flags before environment before file before defaults.

Every mistake is reported at once, each with its key, its value, where it came from, and what is
allowed there.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from relaytw.config.model import SECRET_KEYS, Config
from relaytw.errors import ConfigError

ENVIRONMENT = "RELAYTW_"
MASK = "********"

Origins = dict[str, str]


def load(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Config:
    """The checked configuration.  `overrides` are flags, by dotted key.  Raises ConfigError."""
    return load_with_origins(path, environ, overrides)[0]


def load_with_origins(
    path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[Config, Origins]:
    """The checked configuration, and for every key that was given where it was.  Raises ConfigError."""
    tree: dict[str, Any] = {}
    origins: Origins = {}
    if path is not None:
        for key, value in _flatten(_read(path)):
            _give(tree, origins, key, value, f"file {path}")
    for name, text in sorted(environ.items()):
        if name.startswith(ENVIRONMENT):
            names = tuple(part.lower() for part in name.removeprefix(ENVIRONMENT).split("__"))
            _give(tree, origins, names, _from_environment(text), f"environment {name}")
    for dotted, value in overrides.items():
        _give(tree, origins, tuple(dotted.split(".")), value, "flag")
    try:
        return Config.model_validate(tree), origins
    except ValidationError as error:
        lines = [_explain(detail, origins) for detail in error.errors()]
        raise ConfigError("the configuration cannot be used:\n  " + "\n  ".join(lines)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"there is no configuration file {path}; create it or leave --config out"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the configuration file {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _flatten(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in table.items():
        key = (*above, name)
        if isinstance(value, dict) and value:
            found.extend(_flatten(value, key))
        else:
            found.append((key, value))
    return found


def _give(tree: dict[str, Any], origins: Origins, key: tuple[str, ...], value: object, origin: str) -> None:
    dotted = ".".join(key)
    for below in [name for name in origins if name.startswith(f"{dotted}.")]:
        # A table given as a whole replaces what was in it.
        del origins[below]
    for leaf, _ in _flatten({dotted: value}):
        origins[".".join(leaf)] = origin
    for name in key[:-1]:
        inner = tree.get(name)
        if not isinstance(inner, dict):
            inner = tree[name] = {}
        tree = inner
    tree[key[-1]] = value


def _from_environment(text: str) -> object:
    # Lists and tables come as JSON; anything else is text, which the model turns into numbers.
    if text[:1] in ("[", "{"):
        try:
            value: object = json.loads(text)
        except ValueError:
            return text
        return value
    return text


def _explain(detail: ErrorDetails, origins: Origins) -> str:
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location)
    origin = origin_of(location, origins)
    if detail["type"] == "extra_forbidden":
        return f"{key}: unknown key (from {origin}){_nearest(location)}"
    value = detail["input"]
    hidden = SECRET_KEYS & set(location) or location[:2] == ["auth", "bots"]
    shown = MASK if hidden or isinstance(value, Config) else repr(value)
    what = "" if isinstance(value, dict) else f" = {shown}"
    return f"{key}{what} (from {origin}): {_allowed(detail)}"


def origin_of(location: list[str], origins: Origins) -> str:
    """Where this key was given, or a table that holds it, or else what it holds."""
    for end in range(len(location), 0, -1):
        above = ".".join(location[:end])
        if above in origins:
            return origins[above]
    key = ".".join(location)
    below = {origin for name, origin in origins.items() if name.startswith(f"{key}.")}
    return " and ".join(sorted(below)) or "default"


def _nearest(location: list[str]) -> str:
    model: Any = Config
    for name in location[:-1]:
        field = model.model_fields.get(name) if hasattr(model, "model_fields") else None
        model = field.annotation if field is not None else None
    known = list(model.model_fields) if hasattr(model, "model_fields") else []
    near = difflib.get_close_matches(location[-1], known, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _allowed(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "must be")
    if detail["type"] == "tuple_type":
        return 'must be a list, such as ["one", "two"] (in the environment too)'
    return "must be a table" if detail["type"] in ("model_type", "dict_type") else message
