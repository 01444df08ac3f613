"""Bots by import path, as the configuration names them."""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
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
            found = find(name)
        except CannotLoad as error:
            faults.append(f"[bots] load: {name!r}: {error}")
        else:
            bots.extend(bot for bot in found if bot not in bots)
    if faults:
        raise ConfigError("\n".join(faults))
    return bots


class CannotLoad(Exception):
    """A module with bots cannot be loaded; the text says why, and where."""


def find(name: str) -> list[Bot]:
    """The bots of one import path.  Raises CannotLoad."""
    module_name, attribute = _parted(name)
    module = _import(module_name)
    if attribute:
        value = getattr(module, attribute, None)
        if not isinstance(value, Bot):
            raise CannotLoad(f"{module_name} has no Bot named {attribute}")
        return [value]
    return _bots_in(module)


def find_anew(name: str) -> list[Bot]:
    """The bots of one import path, its module run anew.  Raises CannotLoad, with the module as it was."""
    module_name, _ = _parted(name)
    before = {one: sys.modules[one] for one in sys.modules if _within(one, module_name)}
    for one in before:
        del sys.modules[one]
    importlib.invalidate_caches()
    try:
        return find(name)
    except CannotLoad:
        for one in [one for one in sys.modules if _within(one, module_name)]:
            del sys.modules[one]
        sys.modules.update(before)
        raise


def find_in_file(path: Path) -> list[Bot]:
    """The bots of a file, which is run as a module of its own.  Raises CannotLoad."""
    name = f"bot_folder.{path.stem}"
    module, before = ModuleType(name), sys.modules.get(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    linecache.checkcache(str(path))
    try:
        # Not by import: what Python keeps compiled it takes for new if it was changed within a second.
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))  # noqa: S102
        return _bots_in(module)
    except (Exception, SystemExit) as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        raise error if isinstance(error, CannotLoad) else CannotLoad(_told(error)) from error


def _parted(name: str) -> tuple[str, str]:
    """The module that an import path names, and what is meant in it, empty for all."""
    module_name, _, attribute = name.partition(":")
    if not attribute and not _is_module(module_name) and "." in module_name:
        module_name, _, attribute = module_name.rpartition(".")
    return module_name, attribute


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _bots_in(module: ModuleType) -> list[Bot]:
    found = [value for value in vars(module).values() if isinstance(value, Bot)]
    if not found:
        raise CannotLoad("the module holds no Bot; write `bot = Bot()` in it")
    return found


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
    except Exception as error:
        raise CannotLoad(_told(error)) from error


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise CannotLoad("not found; the working folder and installed packages are searched") from error
        raise CannotLoad(_told(error)) from error
    except Exception as error:
        sys.modules.pop(name, None)
        raise CannotLoad(_told(error)) from error


def _told(error: BaseException) -> str:
    """The error and where it was raised, in a line."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if "importlib" not in frame.filename and frame.filename != __file__]
    where = f" ({outside[-1].filename}, line {outside[-1].lineno})" if outside else ""
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
    return f"{type(error).__name__}: {error}{where}"
