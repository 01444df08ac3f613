"""Bots by import path, as the configuration names them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType

from relaytw.bots.bot import Bot
from relaytw.errors import ConfigError


def load(names: Sequence[str]) -> list[Bot]:
    """The bots of these import paths: modules with every `Bot` in them, or single objects.

    `package.module` or `package.module:name`.  Raises ConfigError that lists what could not be
    loaded, and why.
    """
    bots: list[Bot] = []
    faults: list[str] = []
    for name in names:
        try:
            found = _find(name)
        except _CannotLoad as error:
            faults.append(f"[bots] load: {name!r}: {error}")
        else:
            bots.extend(bot for bot in found if bot not in bots)
    if faults:
        raise ConfigError("\n".join(faults))
    return bots


class _CannotLoad(Exception):
    pass


def _find(name: str) -> list[Bot]:
    module_name, _, attribute = name.partition(":")
    if not attribute and not _is_module(module_name) and "." in module_name:
        module_name, _, attribute = module_name.rpartition(".")
    module = _import(module_name)
    if attribute:
        value = getattr(module, attribute, None)
        if not isinstance(value, Bot):
            raise _CannotLoad(f"{module_name} has no Bot named {attribute}")
        return [value]
    found = [value for value in vars(module).values() if isinstance(value, Bot)]
    if not found:
        raise _CannotLoad("the module holds no Bot; write `bot = Bot()` in it")
    return found


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
    except Exception as error:
        raise _CannotLoad(_told(error)) from error


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise _CannotLoad("not found; the working folder and installed packages are searched") from error
        raise _CannotLoad(_told(error)) from error
    except Exception as error:
        sys.modules.pop(name, None)
        raise _CannotLoad(_told(error)) from error


def _told(error: Exception) -> str:
    """The error and where it was raised, in a line."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    where = f" ({outside[-1].filename}, line {outside[-1].lineno})" if outside else ""
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
    return f"{type(error).__name__}: {error}{where}"
