"""Who asks the admin API, and what that allows."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Scope(StrEnum):
    """What a token is for.  Whatever has no scope is for the admin token alone."""

    READ = "read"
    PUSH = "push"
    BROADCAST = "broadcast"
    SCHEDULES = "schedules"


class Grant(NamedTuple):
    """What a token that was shown is good for; `bots` is None where it is for all."""

    name: str
    scopes: frozenset[str]
    bots: frozenset[str] | None


class Caller(NamedTuple):
    """Who asks: `actor` as the audit has it, the bots he may reach (None: all), and the header's key."""

    actor: str
    bots: frozenset[str] | None = None
    key: str | None = None

    def may_reach(self, bot: str | None) -> bool:
        """May he have to do with this bot; with all bots, if none is named?"""
        return self.bots is None or bot in self.bots
