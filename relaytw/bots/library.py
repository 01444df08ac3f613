"""Every module with bots: where it comes from, what of it is in force, and what is wrong with what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from twisted.logger import Logger

from relaytw.bots.bot import Bot
from relaytw.bots.loading import CannotLoad, find, find_anew, find_in_file
from relaytw.errors import ConfigError

#: Where installed packages say that they have bots.
GROUP = "relaytw.bots"
#: Loading a module for longer than this many seconds is logged: nobody is served meanwhile.
STALL = 1.0
#: What tells two versions of a file apart: when it was written, in ns, and its size.
Stamp = tuple[int, int]


class ModuleRow(NamedTuple):
    """A module as the operator sees it.

    `source` is load, entry_point or folder; `bots` and `handlers` are those in force, since `loaded_at`, in
    seconds since the epoch; `problem` says why a newer version is not.
    """

    name: str
    source: str
    bots: int
    handlers: int
    loaded_at: float | None
    problem: str | None


@dataclass(eq=False)
class _Module:
    name: str
    source: str
    path: Path | None = None
    bots: list[Bot] = field(default_factory=list)
    loaded_at: float | None = None
    problem: str | None = None
    stamp: Stamp | None = None


class Library:
    """The modules of `[bots] load`, of installed packages and of a folder, in this order.

    A module that cannot be loaded stays as it was.  `now` gives seconds since the epoch, `seconds` measures
    how long something takes.
    """

    def __init__(
        self,
        load: Sequence[str],
        *,
        installed: bool,
        folder: Path | None,
        now: Callable[[], float],
        seconds: Callable[[], float],
    ) -> None:
        self.folder = folder
        self._now = now
        self._seconds = seconds
        self._log = Logger(namespace="relaytw.bots")
        self._files: dict[str, _Module] = {}
        named = dict.fromkeys(load, "load")
        if installed:
            points = sorted(entry_points(group=GROUP), key=lambda point: point.name)
            named = {**dict.fromkeys((point.value for point in points), "entry_point"), **named}
            named = {name: named[name] for name in (*load, *named)}
        self._named = [_Module(name, source) for name, source in named.items()]

    @property
    def bots(self) -> list[Bot]:
        """The bots in force, in order, each once."""
        return list(dict.fromkeys(bot for module in self._modules() for bot in module.bots))

    def rows(self) -> list[ModuleRow]:
        """Every module as the operator sees it."""
        return [_row(module) for module in self._modules()]

    def open(self) -> None:
        """Load everything.  Raises ConfigError that lists what could not be, but for files of the folder."""
        faults = []
        for module in self._named:
            self._load(module, find)
            if module.problem is not None:
                faults.append(f"[bots] {module.source}: {module.name!r}: {module.problem}")
        if self.folder is not None:
            try:
                self.look(scan(self.folder))
            except OSError as error:
                faults.append(f"[bots] folder: {str(self.folder)!r} cannot be read: {error.strerror}")
        if faults:
            raise ConfigError("\n".join(faults))

    def look(self, stamps: Mapping[str, tuple[Path, Stamp]]) -> bool:
        """Load files of the folder that are new or have changed, forget those that are gone: any change?"""
        changed = False
        for name in [name for name in self._files if name not in stamps]:
            self._log.info("{name} is gone from the folder of bots", name=name)
            changed = changed or bool(self._files[name].bots)
            del self._files[name]
        for name, (path, stamp) in stamps.items():
            module = self._files.setdefault(name, _Module(name, "folder", path))
            if module.stamp != stamp:
                module.stamp = stamp
                changed = self._load(module, lambda _, path=path: find_in_file(path)) or changed  # type: ignore[misc]
        self._files = dict(sorted(self._files.items()))
        return changed

    def reload(self, name: str | None) -> bool:
        """Load this module anew, or all of them: any change?  The relay's own stay.  Raises KeyError."""
        chosen = [one for one in self._modules() if name in (None, one.name)]
        if not chosen:
            raise KeyError(name)
        changed = False
        for module in chosen:
            path = module.path
            if path is not None:
                changed = self._load(module, lambda _, path=path: find_in_file(path)) or changed  # type: ignore[misc]
            elif module.name.partition(".")[0] != "relaytw":
                changed = self._load(module, find_anew) or changed
        return changed

    def _modules(self) -> Iterator[_Module]:
        yield from self._named
        yield from self._files.values()

    def _load(self, module: _Module, load: Callable[[str], list[Bot]]) -> bool:
        """Load a module; has it come to be in force?"""
        before, again = self._seconds(), module.loaded_at is not None
        try:
            module.bots = load(module.name)
        except CannotLoad as error:
            module.problem = str(error)
            if again or module.path is not None:
                what = "the version before stays in force" if again else "it is left out"
                self._log.error(
                    "bots of {name} cannot be loaded, {what}: {why}", name=module.name, what=what, why=error
                )
            return False
        finally:
            took = self._seconds() - before
            if took > STALL:
                self._log.warn("loading {name} kept the relay for {took:.1f} s", name=module.name, took=took)
        module.problem, module.loaded_at = None, self._now()
        if again or module.path is not None:
            self._log.info("bots of {name} are loaded", name=module.name)
        return True


def scan(folder: Path) -> dict[str, tuple[Path, Stamp]]:
    """The files with bots in a folder, by name, without those that begin with "_".  Raises OSError."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" and path.stem.isidentifier() and path.stem[0] != "_":
            try:
                about = path.stat()
            except FileNotFoundError:
                continue  # it went meanwhile
            found[path.stem] = (path, (about.st_mtime_ns, about.st_size))
    return found


def _row(module: _Module) -> ModuleRow:
    handlers = sum(
        len(bot.commands) + len(bot.patterns) + len(bot.listeners) + len(bot.observers) for bot in module.bots
    )
    return ModuleRow(module.name, module.source, len(module.bots), handlers, module.loaded_at, module.problem)
