"""Tokens for programs: what the admin API says and hears of them, and its routes for that."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Protocol

import msgspec

from relaytw.admin.callers import Grant
from relaytw.admin.problems import Problem
from relaytw.admin.routes import Route
from relaytw.admin.shapes import Listing
from relaytw.errors import Unavailable


class Scope(StrEnum):
    """What a token is for.  Whatever has no scope is for the admin token alone."""

    READ = "read"
    PUSH = "push"
    BROADCAST = "broadcast"
    SCHEDULES = "schedules"


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


class TokensApi:
    """Handlers over the tokens of one relay."""

    def __init__(self, view: TokensView) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """Everything that can be asked of tokens, with the admin token alone."""
        return [
            Route("GET", "/api/v1/tokens", self.tokens, returns=Listing[Token]),
            Route("POST", "/api/v1/tokens", self.issue_token, NewToken, TokenMade, act=True),
            Route("POST", "/api/v1/tokens/revoke", self.revoke_token, TokenName, TokenName, act=True),
        ]

    async def tokens(self) -> Listing[Token]:
        """Every token, but for itself."""
        with _problems():
            return Listing(list(await self._view.tokens()))

    async def issue_token(self, wanted: NewToken, actor: str) -> TokenMade:
        """Make a token for a program; it is told this once."""
        with _problems():
            return await self._view.issue(wanted, actor)

    async def revoke_token(self, wanted: TokenName, actor: str) -> TokenName:
        """Let a token count no more, at once."""
        with _problems():
            await self._view.revoke(wanted.name, actor)
        return wanted


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except TokenRefused as error:
        raise Problem(error.status, error.code, str(error)) from error
    except Unavailable as error:
        raise Problem(503, "database_away", str(error)) from error
