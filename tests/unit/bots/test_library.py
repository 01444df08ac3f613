"""Modules with bots: loaded, exchanged as a whole, and kept where their newer version is broken."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import invalidate_caches
from pathlib import Path

from twisted.internet.defer import execute
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from relaytw.bots import Bot
from relaytw.bots.library import Library, scan
from relaytw.errors import ConfigError
from relaytw.services.audit import AuditWriter
from relaytw.services.bot_modules import BotModules
from relaytw.testing import MemoryDatabase
from tests.unit.bots.messages import said
from tests.unit.folders import OwnFolder

GREETER = """
from relaytw.bots import Bot
bot = Bot("{name}")
@bot.command("# hello")
def hello(message):
    return "{name}"
"""


class LibraryCase(OwnFolder):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "bots").mkdir(parents=True)
        self.clock = Clock()
        self.times = 0
        sys.path.insert(0, str(self.folder))
        self.addCleanup(sys.path.remove, str(self.folder))
        self.addCleanup(self.forget, set(sys.modules))

    def forget(self, known: set[str]) -> None:
        """Unload what a test has loaded."""
        for name in set(sys.modules) - known:
            del sys.modules[name]

    def write(self, path: str, source: str) -> None:
        """Write a file that is newer than whatever was there."""
        file = self.folder / path
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text(source, encoding="utf-8")
        self.times += 1
        os.utime(file, (1_000_000 + self.times, 1_000_000 + self.times))
        invalidate_caches()

    def library(self, *load: str, folder: bool = True, installed: bool = False) -> Library:
        """A library of these paths and of the folder, opened."""
        library = Library(
            load, installed=installed, folder=self.folder / "bots" if folder else None,
            now=lambda: 500.0 + self.clock.seconds(), seconds=self.clock.seconds,
        )  # fmt: skip
        library.open()
        return library

    def names(self, library: Library) -> list[tuple[str, ...]]:
        """The names of the bots in force."""
        return [bot.names for bot in library.bots]

    def look(self, library: Library) -> bool:
        """Look into the folder."""
        return library.look(scan(self.folder / "bots"))


class FolderTests(LibraryCase):
    def test_files(self) -> None:
        """Every file with a usable name is a module, in the order of the names, behind those of `load`."""
        self.write("named.py", GREETER.format(name="named"))
        for name in ("b", "a"):
            self.write(f"bots/{name}.py", GREETER.format(name=name))
        for name in ("_helper.py", ".hidden.py", "notes.txt", "two-words.py"):
            self.write(f"bots/{name}", "1 / 0")
        self.assertEqual(self.names(self.library("named")), [("named",), ("a",), ("b",)])

    def test_changed(self) -> None:
        """A file that changes is loaded anew as a whole; who has the old handlers keeps the old code."""
        self.write("bots/greeter.py", GREETER.format(name="one"))
        library = self.library()
        (old,) = library.bots
        self.write("bots/greeter.py", GREETER.format(name="two"))
        self.assertTrue(self.look(library))
        self.assertEqual(self.names(library), [("two",)])
        self.assertEqual(old.commands[0](said("# hello")), "one")
        self.assertFalse(self.look(library))

    def test_same_second_same_size(self) -> None:
        """A change that Python's own cache of compiled files would not notice is noticed."""
        path = self.folder / "bots" / "greeter.py"
        self.write("bots/greeter.py", GREETER.format(name="one"))
        library = self.library()
        path.write_text(GREETER.format(name="two"))
        os.utime(path, ns=(10**15 + 10**9, 10**15 + 10**9 + 7))
        self.look(library)
        self.assertEqual(self.names(library), [("two",)])

    def test_comes_and_goes(self) -> None:
        """A new file brings its bots, and a deleted one takes them along."""
        library = self.library()
        self.write("bots/greeter.py", GREETER.format(name="new"))
        self.assertTrue(self.look(library))
        self.assertEqual(self.names(library), [("new",)])
        (self.folder / "bots" / "greeter.py").unlink()
        self.assertTrue(self.look(library))
        self.assertEqual(self.names(library), [])

    def test_broken(self) -> None:
        """A file that breaks keeps its old code, and the log and the operator are told the line; once."""
        self.write("bots/greeter.py", GREETER.format(name="one"))
        library = self.library()
        for source, line in (("x = 1\n1 / 0\n", 2), ("def (\n", 1), ("import sys\nsys.exit(3)\n", 2)):
            self.write("bots/greeter.py", source)
            self.assertFalse(self.look(library))
            (row,) = library.rows()
            self.assertIn(f"greeter.py, line {line})", str(row.problem))
            self.assertEqual((self.names(library), row.loaded_at), ([("one",)], 500.0))
        self.write("bots/greeter.py", GREETER.format(name="two"))
        self.assertTrue(self.look(library))
        self.assertEqual((self.names(library), library.rows()[0].problem), ([("two",)], None))

    def test_broken_at_the_start(self) -> None:
        """A file that is broken at the start is left out, and keeps nobody else from starting."""
        self.write("bots/broken.py", "1 / 0\n")
        self.write("bots/whole.py", GREETER.format(name="whole"))
        library = self.library()
        self.assertEqual(self.names(library), [("whole",)])
        self.assertIn("ZeroDivisionError", str(library.rows()[0].problem))

    def test_no_folder(self) -> None:
        """A folder that is not there stops the start."""
        (self.folder / "bots").rmdir()
        self.assertIn("[bots] folder", str(self.assertRaises(ConfigError, self.library)))


class ReloadTests(LibraryCase):
    def test_named_module(self) -> None:
        """A module of `load` is loaded anew when that is asked for, with what belongs to it."""
        self.write("farm/__init__.py", "")
        self.write("farm/names.py", "NAME = 'one'")
        self.write(
            "farm/greeter.py", "from relaytw.bots import Bot\nfrom farm.names import NAME\nbot = Bot(NAME)"
        )
        for path in ("farm.greeter", "farm.greeter:bot", "farm.greeter.bot"):
            library = self.library(path, folder=False)
            before = library.bots
            self.assertTrue(library.reload(None))
            self.assertNotEqual(library.bots, before)
            self.assertEqual(self.names(library), [("one",)])

    def test_broken(self) -> None:
        """One that cannot be loaded anew stays, also for those who import it later."""
        self.write("greeter.py", GREETER.format(name="one"))
        library = self.library("greeter", folder=False)
        module = sys.modules["greeter"]
        self.write("greeter.py", "1 / 0")
        self.assertFalse(library.reload("greeter"))
        self.assertIn("greeter.py, line 1)", str(library.rows()[0].problem))
        self.assertEqual((self.names(library), sys.modules["greeter"]), ([("one",)], module))

    def test_own_modules(self) -> None:
        """The relay's own modules stay as they are, and names that nobody has loaded are refused."""
        library = self.library("relaytw.bots.builtin", folder=False)
        self.assertFalse(library.reload(None))
        self.assertRaises(KeyError, library.reload, "nothing")

    def test_bad_path(self) -> None:
        """What cannot be loaded at the start is listed with where it was named."""
        error = str(self.assertRaises(ConfigError, self.library, "nowhere", "elsewhere", folder=False))
        self.assertEqual(
            [line[:22] for line in error.splitlines()], ["[bots] load: 'nowhere'", "[bots] load: 'elsewher"]
        )


class InstalledTests(LibraryCase):
    def test_entry_points(self) -> None:
        """Bots of installed packages are loaded behind those of `load`, unless that is not wanted."""
        self.write("plugin.py", GREETER.format(name="plugin"))
        self.write("named.py", GREETER.format(name="named"))
        self.write("plugin-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: plugin\nVersion: 1\n")
        self.write("plugin-1.dist-info/entry_points.txt", "[relaytw.bots]\nany = plugin:bot\n")
        library = self.library("named", installed=True)
        self.assertEqual(self.names(library), [("named",), ("plugin",)])
        self.assertEqual([row.source for row in library.rows()], ["load", "entry_point"])
        self.assertEqual(self.names(self.library("named")), [("named",)])
        self.assertEqual(self.names(self.library("plugin:bot", installed=True)), [("plugin",)])


class WatchTests(LibraryCase):
    def setUp(self) -> None:
        super().setUp()
        self.swapped: list[Sequence[Bot]] = []

    def watch(self, library: Library) -> BotModules:
        """What watches over a library every two seconds."""
        audit = AuditWriter(MemoryDatabase(), self.clock, self.clock.seconds, 10)
        modules = BotModules(
            library, self.clock, 2.0, in_thread=execute, swap=self.swapped.append, audit=audit
        )
        modules.startService()
        self.addCleanup(modules.stopService)
        return modules

    def test_watches(self) -> None:
        """What changes in the folder is in force after the next look."""
        self.watch(self.library())
        self.write("bots/greeter.py", GREETER.format(name="one"))
        self.clock.advance(1.9)
        self.assertEqual(self.swapped, [])
        self.clock.advance(0.1)
        self.assertEqual([bot.names for bot in self.swapped[0]], [("one",)])
        self.clock.pump([2.0, 2.0])
        self.assertEqual(len(self.swapped), 1)

    def test_unreadable(self) -> None:
        """A folder that cannot be read any more leaves everything as it is, until it can be again."""
        self.write("bots/greeter.py", GREETER.format(name="one"))
        self.watch(self.library())
        (self.folder / "bots").rename(self.folder / "away")
        self.clock.pump([2.0, 2.0])
        (self.folder / "away").rename(self.folder / "bots")
        self.write("bots/greeter.py", GREETER.format(name="two"))
        self.clock.advance(2.0)
        self.assertEqual([[bot.names for bot in bots] for bots in self.swapped], [[("two",)]])

    def test_no_folder(self) -> None:
        """Without a folder nothing is done regularly; reloading works all the same."""
        self.write("greeter.py", GREETER.format(name="one"))
        modules = self.watch(self.library("greeter", folder=False))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        (row,) = modules.reload("greeter", "admin")
        self.assertEqual((row.name, row.handlers, row.problem, len(self.swapped)), ("greeter", 1, None, 1))

    def test_slow_import(self) -> None:
        """A module that keeps the relay while it is loaded is named in the log."""
        self.write(
            "bots/slow.py", "import __main__\n__main__.pause_of_a_test()\n" + GREETER.format(name="slow")
        )
        vars(sys.modules["__main__"])["pause_of_a_test"] = partial(self.clock.advance, 3)
        self.addCleanup(vars(sys.modules["__main__"]).pop, "pause_of_a_test")
        with capturedLogs() as events:
            library = self.library()
        self.assertEqual((self.names(library), library.rows()[0].loaded_at), ([("slow",)], 503.0))
        self.assertIn("loading slow kept the relay for 3.0 s", [formatEvent(event) for event in events])
