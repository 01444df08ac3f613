"""Modules with bots, as the operator sees them.  Times are in seconds since the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class ModuleLoaded(msgspec.Struct, frozen=True):
    """A module: its bots and handlers in force since `loaded_at`, and why a newer version is not.

    `source` is load, entry_point or folder.
    """

    name: str
    source: str
    bots: int
    handlers: int
    loaded_at: float | None
    problem: str | None


class ReloadModule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which module to load anew; all of them without a name."""

    module: str | None = None


class ModulesView(Protocol):
    """What the operator may see of modules and do about them; acts are audited."""

    def modules(self) -> Sequence[ModuleLoaded]:
        """Every module with bots, and what is wrong with it."""

    def reload(self, name: str | None, actor: str) -> Sequence[ModuleLoaded]:
        """Load one module anew, or all; what came of it.  Raises KeyError for one that is not known."""
