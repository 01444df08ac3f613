"""The shape of the project: what must be where, what must not, and how large a file may grow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.folders import OwnFolder

ROOT = Path(__file__).parents[2]
#: Lines; a longer module is about more than one thing.
LONGEST = 420


def modules() -> Iterator[Path]:
    """Every Python file of the project."""
    for folder in ("relaytw", "tests", "benchmarks", "twisted"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def undocumented(paths: Iterator[Path]) -> list[str]:
    """The files without a docstring of their own."""
    return [str(path) for path in paths if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]


def overlong(paths: Iterator[Path]) -> list[str]:
    """The files with more lines than a file may have."""
    return [str(path) for path in paths if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST]


class PluginTests(SynchronousTestCase):
    def test_no_package(self) -> None:
        """Our `twisted` folder is no package: as one it would hide Twisted itself."""
        self.assertTrue((ROOT / "twisted" / "plugins" / "relay_plugin.py").is_file())
        for folder in ("twisted", "twisted/plugins"):
            self.assertFalse((ROOT / folder / "__init__.py").exists(), folder)

    def test_found(self) -> None:
        """`twistd relay` exists, and leads to a module with what twistd wants of it."""
        makers: list[Any] = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "relay"]
        (maker,) = makers
        self.assertTrue(maker.description)
        for name in ("Options", "makeService"):
            self.assertTrue(callable(namedAny(f"{maker.module}.{name}")))


class ModuleTests(OwnFolder):
    def test_there_are_some(self) -> None:
        """The files are looked for where they are."""
        names = {str(path.relative_to(ROOT)) for path in modules()}
        self.assertLessEqual({"relaytw/messages.py", "tests/unit/test_project.py"}, names)

    def test_docstrings(self) -> None:
        """Every module begins by saying what it is for."""
        self.assertEqual(undocumented(modules()), [])

    def test_length(self) -> None:
        """No module outgrows what can be read at a sitting."""
        self.assertEqual(overlong(modules()), [])

    def test_packages(self) -> None:
        """Every folder with modules of ours is a package."""
        folders = {path.parent for path in modules() if "twisted" not in path.relative_to(ROOT).parts}
        self.assertEqual(
            [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()], []
        )

    def test_checks(self) -> None:
        """The checks find what they look for."""
        bare = Path(self.mktemp())
        bare.write_text("pass\n" * (LONGEST + 1), encoding="utf-8")
        self.assertEqual((undocumented(iter([bare])), overlong(iter([bare]))), ([str(bare)], [str(bare)]))
        bare.write_text('"""Fine."""\n' * LONGEST, encoding="utf-8")
        self.assertEqual((undocumented(iter([bare])), overlong(iter([bare]))), ([], []))
