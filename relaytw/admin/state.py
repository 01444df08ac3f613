"""What bots remember, as the operator sees it: whose and how much; what it is only when that is asked for.

Times are in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class StateFilter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which conversations: all that are like what is said.

    `user` is a user hash, `room` a channel id, or the name where there is none.
    """

    bot: str | None = None
    device: str | None = None
    room: str | None = None
    user: str | None = None


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """A conversation: `user` is "#" and a hash, "@" and a name, or empty for the room's own.

    It is forgotten at `until`; `values` are there only if they were asked for.
    """

    bot: str
    device: str
    room: str
    user: str
    names: int
    bytes: int
    until: float
    values: dict[str, Any] | None = None


class Cleared(msgspec.Struct, frozen=True):
    """How many conversations are forgotten."""

    conversations: int


class StateView(Protocol):
    """What the operator may see and do; acts, and looks at values, are audited."""

    def conversations(self, which: StateFilter) -> Sequence[Remembered]:
        """Conversations, without their values."""

    def with_values(self, which: StateFilter, actor: str) -> Sequence[Remembered]:
        """The same with their values."""

    def clear(self, which: StateFilter, actor: str) -> int:
        """Forget these conversations; how many."""
