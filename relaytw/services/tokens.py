"""Keeps the tokens of programs in memory, so that whoever shows one, right or wrong, costs the same little.

The table is read every few seconds.  While the database is away what was read last holds for a while, then
no token counts any more: trust fails closed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from relaytw.admin.callers import Grant
from relaytw.admin.tokens import NewToken, Token, TokenMade, TokenRefused
from relaytw.errors import Unavailable
from relaytw.services.audit import AuditWriter
from relaytw.services.loops import Regularly
from relaytw.store import tokens
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.tokens import StoredToken

#: How a token begins, so that it is recognised where it should not be.
PREFIX = "rly_"
_NAME_CHARS = 50
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """Seconds between two looks, and for how many what was read last holds; how many tokens there may be."""

    refresh: float = 2.0
    grace: float = 300.0
    most: int = 1_000


class TokenKeeper(Regularly):
    """Implements `relaytw.admin.tokens.TokensView`.

    `now` gives seconds since the epoch, `secret` makes what nobody can guess.
    """

    name = "tokens"
    namespace = "relaytw.tokens"

    def __init__(
        self,
        database: Transactions,
        clock: IReactorTime,
        now: Callable[[], float],
        audit: AuditWriter,
        secret: Callable[[], str],
        settings: TokenSettings,
    ) -> None:
        super().__init__(clock, settings.refresh)
        self._database = database
        self._now = now
        self._audit = audit
        self._secret = secret
        self._settings = settings
        self._by_hash: dict[str, StoredToken] = {}
        self._used: dict[str, int] = {}
        self._read_at: float | None = None
        self._asked = self._newest = 0

    def startService(self) -> None:
        """Know the tokens as soon as can be."""
        super().startService()
        self._safely()

    def check(self, token: str) -> Grant | None:
        """What this token is good for, None if it is none.  Raises Unavailable when nobody knows any more."""
        digest = _digest(token[:_LONGEST])
        stored, now = self._by_hash.get(digest), self._now()
        if stored is None or stored.revoked_ms is not None:
            return None
        if stored.expires_ms is not None and stored.expires_ms <= now * 1000:
            return None
        if self._read_at is None or self.clock.seconds() - self._read_at > self._settings.grace:
            raise Unavailable("the database is away, and for too long to trust a token")
        self._used[stored.name] = int(now * 1000)
        return Grant(stored.name, stored.scopes, stored.bots)

    async def issue(self, wanted: NewToken, actor: str) -> TokenMade:
        """Make a token.  Raises TokenRefused and Unavailable."""
        now_ms = int(self._now() * 1000)
        self._may_be(wanted, now_ms)
        token = PREFIX + self._secret()
        expires = None if wanted.expires_at is None else int(wanted.expires_at * 1000)
        bots = None if wanted.bots is None else frozenset(wanted.bots)
        new = StoredToken(wanted.name, _digest(token), frozenset(wanted.scopes), bots, now_ms, actor, expires)
        detail = f"{wanted.name}: {' '.join(sorted(wanted.scopes))}"
        act = self._audit.act(actor, "issue token", detail=detail)
        try:
            fresh = await self._database.run(tokens.issue, new, act)
        except DatabaseAway as error:
            raise Unavailable(error.outcome) from error
        finally:
            self._newest = self._next()
        if not fresh:
            raise TokenRefused(409, "name_taken", f"there is a token {wanted.name}, or was one")
        self._by_hash[new.hash] = new
        self._log.info("{actor}: token {token} is issued", actor=actor, token=wanted.name)
        return TokenMade(wanted.name, token)

    async def revoke(self, name: str, actor: str) -> None:
        """Let a token count no more, from now on.  Raises TokenRefused and Unavailable."""
        act = self._audit.act(actor, "revoke token", detail=name)
        now_ms = int(self._now() * 1000)
        try:
            known = await self._database.run(tokens.revoke, name, now_ms, act)
        except DatabaseAway as error:
            if error.uncertain:
                self._forget(name, now_ms)
            raise Unavailable(error.outcome) from error
        finally:
            # What a look that began before this has read is not what the table holds now.
            self._newest = self._next()
        if not known:
            raise TokenRefused(404, "unknown_token", f"no token {name} counts")
        self._forget(name, now_ms)
        self._log.info("{actor}: token {token} is revoked", actor=actor, token=name)

    async def tokens(self) -> Sequence[Token]:
        """Every token.  Raises Unavailable."""
        try:
            stored = await self._look()
        except DatabaseAway as error:
            raise Unavailable(f"the database is away ({error})") from error
        return [_shown(token) for token in stored]

    async def _refresh(self) -> None:
        try:
            await self._look()
        except DatabaseAway:
            return  # it is the database's to say; what is known holds for a while

    def work(self) -> object:
        """Look at the table."""
        return Deferred.fromCoroutine(self._refresh())

    async def _look(self) -> list[StoredToken]:
        number, used = self._next(), dict(self._used)
        found = await self._database.run(tokens.look, used, self._settings.most)
        for name, at in used.items():
            if self._used.get(name) == at:
                del self._used[name]
        if number > self._newest:
            self._newest = number
            self._by_hash = {token.hash: token for token in found}
            self._read_at = self.clock.seconds()
        return found

    def _next(self) -> int:
        self._asked += 1
        return self._asked

    def _forget(self, name: str, now_ms: int) -> None:
        for digest, token in list(self._by_hash.items()):
            if token.name == name:
                self._by_hash[digest] = token._replace(revoked_ms=now_ms)

    def _may_be(self, wanted: NewToken, now_ms: int) -> None:
        name = wanted.name
        if not name or len(name) > _NAME_CHARS or not name.isprintable() or name != name.strip():
            raise TokenRefused(400, "bad_request", f"a name has 1 to {_NAME_CHARS} printable characters")
        if not wanted.scopes:
            raise TokenRefused(400, "bad_request", "a token without a scope is good for nothing")
        if wanted.bots is not None and not wanted.bots:
            raise TokenRefused(400, "bad_request", "a token for no bot is good for nothing")
        if wanted.expires_at is not None and not now_ms < wanted.expires_at * 1000 < 2**53:
            raise TokenRefused(400, "bad_request", "it would have expired already, or never")
        if len(self._by_hash) >= self._settings.most:
            raise TokenRefused(409, "too_many", f"there are {self._settings.most} tokens (push.tokens)")


def _digest(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _shown(token: StoredToken) -> Token:
    def seconds(at: int | None) -> float | None:
        return None if at is None else at / 1000

    return Token(
        token.name, sorted(token.scopes), None if token.bots is None else sorted(token.bots),
        token.created_ms / 1000, token.created_by, seconds(token.expires_ms), seconds(token.revoked_ms),
        seconds(token.used_ms),
    )  # fmt: skip
