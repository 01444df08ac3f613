"""The routes of the admin API that are about tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from relaytw.admin.problems import Problem
from relaytw.admin.routes import Route
from relaytw.admin.shapes import Listing
from relaytw.admin.tokens import NewToken, Token, TokenMade, TokenName, TokenRefused, TokensView
from relaytw.errors import Unavailable


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
