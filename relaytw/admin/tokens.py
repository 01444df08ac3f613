"""Tokens for programs: what the admin API says and hears of them, and what the relay does for it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Protocol

import msgspec

from relaytw.admin.callers import Grant, Scope


class TokenRefused(Exception):
    """A token cannot be issued or revoked; `code` names why."""

    def __init__(self, status: int, code: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.code = code


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A token to be made; without `bots` for every bot.  `expires_at` in seconds since the epoch."""

    name: str
    scopes: list[Scope]
    bots: list[str] | None = None
    expires_at: float | None = None


class TokenMade(msgspec.Struct, frozen=True):
    """A token that was made: the only time that it is told."""

    name: str
    token: str


class TokenName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which token."""

    name: str


class Token(msgspec.Struct, frozen=True):
    """A token, but for itself.  Times in seconds since the epoch."""

    name: str
    scopes: list[str]
    bots: list[str] | None
    created_at: float
    created_by: str
    expires_at: float | None
    revoked_at: float | None
    used_at: float | None


class TokensView(Protocol):
    """The tokens that programs may show.  Acts raise TokenRefused and Unavailable."""

    def check(self, token: str) -> Grant | None:
        """What this token is good for, None if it is none.  Raises Unavailable when nobody knows any more."""

    def issue(self, wanted: NewToken, actor: str) -> Awaitable[TokenMade]:
        """Make a token."""

    def revoke(self, name: str, actor: str) -> Awaitable[None]:
        """Let a token count no more, from now on."""

    def tokens(self) -> Awaitable[Sequence[Token]]:
        """Every token, those that count no more too."""
