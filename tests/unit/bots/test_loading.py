"""Bots by import path: what is found, and what is said of what is not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import invalidate_caches
from pathlib import Path
from textwrap import dedent

from relaytw.bots import Bot, builtin
from relaytw.bots.loading import load
from relaytw.errors import ConfigError
from tests.unit.folders import OwnFolder


class LoadingTests(OwnFolder):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        sys.path.insert(0, str(self.folder))
        self.addCleanup(sys.path.remove, str(self.folder))
        self.addCleanup(self.forget, set(sys.modules))

    def forget(self, known: set[str]) -> None:
        """Unload what a test has loaded: the next one has modules of the same names."""
        for name in set(sys.modules) - known:
            del sys.modules[name]

    def write(self, path: str, source: str) -> None:
        file = self.folder / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(dedent(source), encoding="utf-8")
        invalidate_caches()

    def names(self, *paths: str) -> Sequence[tuple[str, ...]]:
        """The names of the bots that are loaded from these paths."""
        return [bot.names for bot in load(paths)]

    def refusal(self, *paths: str) -> list[str]:
        """The lines that say why these paths cannot be loaded."""
        return str(self.assertRaises(ConfigError, load, paths)).splitlines()

    def test_builtin(self) -> None:
        """What the configuration names by default is there."""
        self.assertEqual(load(["relaytw.bots.builtin"]), [builtin.bot])
        self.assertEqual(load([]), [])

    def test_every_bot_of_a_module(self) -> None:
        """A module's bots are all loaded, in their order, and nothing else in it is."""
        self.write(
            "several.py",
            """
            from relaytw.bots import Bot
            first, number, second = Bot("1"), 5, Bot("2")
            kind = Bot
            same = first
            """,
        )
        self.assertEqual(self.names("several"), [("1",), ("2",)])

    def test_one_bot(self) -> None:
        """A path may name one bot, with a colon or a dot, in a package too."""
        self.write("farm/__init__.py", "")
        self.write("farm/animals.py", 'from relaytw.bots import Bot\ncat, dog = Bot("cat"), Bot("dog")\n')
        for path in ("farm.animals:dog", "farm.animals.dog"):
            self.assertEqual(self.names(path), [("dog",)])

    def test_each_once(self) -> None:
        """A bot that is named several times is loaded once, where it was named first."""
        self.write("pair.py", 'from relaytw.bots import Bot\none, two = Bot("1"), Bot("2")\n')
        self.assertEqual(self.names("pair:two", "pair", "pair"), [("2",), ("1",)])

    def test_not_found(self) -> None:
        """A path that leads nowhere is named, with where was searched."""
        self.write("lonely.py", "from relaytw.bots import Bot\nbot = Bot()\n")
        for path in ("nowhere", "nowhere.at.all", "nowhere:bot", "relaytw.bots.nowhere:bot"):
            (line,) = self.refusal(path)
            self.assertTrue(line.startswith(f"[bots] load: '{path}': "), line)
            self.assertIn("not found; the working folder and installed packages are searched", line)

    def test_no_such_bot(self) -> None:
        """A module without that bot, or without any, is named with what is missing."""
        self.write("empty.py", "bot = 'not a bot'\n")
        self.assertEqual(
            self.refusal("empty:bot", "empty.bot", "empty:nothing", "empty"),
            [
                "[bots] load: 'empty:bot': empty has no Bot named bot",
                "[bots] load: 'empty.bot': empty has no Bot named bot",
                "[bots] load: 'empty:nothing': empty has no Bot named nothing",
                "[bots] load: 'empty': the module holds no Bot; write `bot = Bot()` in it",
            ],
        )

    def test_strange_paths(self) -> None:
        """What is no path at all is refused like any other."""
        for path in ("", ":", ":bot", ".", "..", ".relative", "a..b", "a b", "1", "relaytw.bots.", "x" * 300):
            (line,) = self.refusal(path)
            self.assertTrue(line.startswith(f"[bots] load: '{path}': "), line)

    def test_all_faults_at_once(self) -> None:
        """Every path that cannot be loaded is listed."""
        lines = self.refusal("nowhere", "relaytw.bots.builtin", "elsewhere")
        self.assertEqual([line.split(": ")[1] for line in lines], ["'nowhere'", "'elsewhere'"])

    def test_broken_module(self) -> None:
        """A module that fails is named with its error, and the line of the author's that raised it."""
        self.write("broken.py", "x = 1\n1 / 0\n")
        self.write("garbled.py", "x = 1\ndef (\n")
        self.write("wrong.py", "from relaytw.bots import Bot\nbot = Bot()\nbot.command(' ')\n")
        for name, error, number in (("broken", "ZeroDivisionError", 2), ("garbled", "SyntaxError", 2)):
            (line,) = self.refusal(name)
            self.assertIn(f"{error}: ", line)
            self.assertIn(f"({self.folder / name}.py, line {number})", line)
        self.assertIn("ValueError: a command's prefix", self.refusal("wrong")[0])

    def test_missing_dependency(self) -> None:
        """A module that is there but imports one that is not is not said to be missing itself."""
        self.write("needy.py", "import no_such_library\n")
        self.write("deep/__init__.py", "import no_such_library\n")
        for path in ("needy", "needy:bot", "deep", "deep.bot"):
            (line,) = self.refusal(path)
            self.assertIn("No module named 'no_such_library'", line)

    def test_mended(self) -> None:
        """A module that failed can be loaded once it is mended, in the same process."""
        self.write("later.py", "1 / 0\n")
        self.refusal("later")
        self.write("later.py", "from relaytw.bots import Bot\nlater_bot = Bot('mended')\n")
        (found,) = load(["later"])
        self.assertIsInstance(found, Bot)
        self.assertEqual(found.names, ("mended",))
