"""Tokens of programs that use the API: their hashes, what each may do, and when it was last used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update

from relaytw.store import audit
from relaytw.store.audit import Act
from relaytw.store.connections import COLLISIONS
from relaytw.store.schema import tokens
from relaytw.store.statements import Insert, Statement, Transaction

_c = tokens.c
_COLUMNS = (
    "name", "hash", "scopes", "bots", "created_ms", "created_by", "expires_ms", "revoked_ms", "used_ms",
)  # fmt: skip
_INSERT = Insert(tokens, _COLUMNS)
_ALL = Statement(select(*(_c[name] for name in _COLUMNS)).order_by(_c.name).limit(bindparam("limit")))
_REVOKE = Statement(
    update(tokens)
    .where(_c.name == bindparam("name_"), _c.revoked_ms.is_(None))
    .values({_c.revoked_ms: bindparam("now")})
)
_USED = Statement(update(tokens).where(_c.name == bindparam("name_")).values({_c.used_ms: bindparam("now")}))


class StoredToken(NamedTuple):
    """A token; `bots` is None where it is for every bot.  Times in milliseconds since the epoch."""

    name: str
    hash: str
    scopes: frozenset[str]
    bots: frozenset[str] | None
    created_ms: int
    created_by: str
    expires_ms: int | None = None
    revoked_ms: int | None = None
    used_ms: int | None = None


def look(transaction: Transaction, used: Mapping[str, int], limit: int) -> list[StoredToken]:
    """Every token, at most so many; `used` says when some were last used, in ms, by name."""
    for name, at in used.items():
        transaction.run(_USED, name_=name, now=at)
    return [_stored(row) for row in transaction.all(_ALL, limit=limit)]


def issue(transaction: Transaction, new: StoredToken, act: Act) -> bool:
    """Keep a new token and write down who made it; False if there is one of that name."""
    row = (
        new.name, new.hash, " ".join(sorted(new.scopes)),
        None if new.bots is None else json.dumps(sorted(new.bots), ensure_ascii=False),
        new.created_ms, new.created_by[:100], new.expires_ms, None, None,
    )  # fmt: skip
    try:
        _INSERT.run(transaction, [row])
    except COLLISIONS:
        return False
    audit.write(transaction, [act])
    return True


def revoke(transaction: Transaction, name: str, now_ms: int, act: Act) -> bool:
    """Let a token count no more and write down who did it; False if none of that name counts."""
    if not transaction.run(_REVOKE, name_=name, now=now_ms):
        return False
    audit.write(transaction, [act])
    return True


def _stored(row: tuple[Any, ...]) -> StoredToken:
    name, digest, scopes, bots, *rest = row
    return StoredToken(name, digest, frozenset(str(scopes).split()), _bots(bots), *rest)


def _bots(stored: object) -> frozenset[str] | None:
    if stored is None:
        return None
    try:
        return frozenset(map(str, json.loads(str(stored))))
    except (ValueError, TypeError, RecursionError):
        return frozenset()  # what nobody can read is for no bot
