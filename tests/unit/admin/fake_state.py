"""What bots remember, as the admin API sees it."""

from __future__ import annotations

from typing import Any

import msgspec

from relaytw.admin.state import Remembered, StateFilter

ROW = Remembered("봇/1", "a b/c?d", "100", "#abc", 1, 60, 1600.0)


class FakeState:
    """One conversation of one user; what is asked is remembered."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def conversations(self, which: StateFilter) -> list[Remembered]:
        """The one, if it is of this user."""
        return [ROW] if which.user in (None, "abc") else []

    def with_values(self, which: StateFilter, actor: str) -> list[Remembered]:
        """The same with a value."""
        self.asked.append((which, actor))
        return [msgspec.structs.replace(row, values={"step": 2}) for row in self.conversations(which)]

    def clear(self, which: StateFilter, actor: str) -> int:
        """As many as there are."""
        self.asked.append((which, actor))
        return len(self.conversations(which))
