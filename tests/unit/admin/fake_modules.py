"""Invented modules with bots."""

from __future__ import annotations

from collections.abc import Sequence

from relaytw.admin.modules import ModuleLoaded


class FakeModules:
    """Two modules, one of which cannot be loaded anew; remembers what was reloaded by whom."""

    def __init__(self) -> None:
        self.reloaded: list[tuple[str | None, str]] = []

    def modules(self) -> Sequence[ModuleLoaded]:
        """All of them."""
        return [
            ModuleLoaded("greeter", "load", 1, 3, 900.5, None),
            ModuleLoaded("quiz", "folder", 0, 0, None, "SyntaxError: no (quiz.py, line 3)"),
        ]

    def reload(self, name: str | None, actor: str) -> Sequence[ModuleLoaded]:
        """Those of this name."""
        chosen = [one for one in self.modules() if name in (None, one.name)]
        if not chosen:
            raise KeyError(name)
        self.reloaded.append((name, actor))
        return chosen
