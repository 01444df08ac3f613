"""What the operator's side sees of secrets, and what it may do to them: never the secrets themselves.

Times are in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

import msgspec


class SecretUser(msgspec.Struct, frozen=True):
    """A client and the secret it signed with last: 0 is the newest one."""

    bot: str
    device: str
    secret: int
    last_seen: float
    connected: bool


class SecretSet(msgspec.Struct, frozen=True):
    """Secrets that are valid together, and who signs with which.

    `common` is the set of every bot that is given none of its own; `bots` are those that are named in
    the configuration.  `new` counts the clients that sign with the newest secret, `old` lists the others.
    """

    source: str
    common: bool
    bots: list[str]
    valid: int
    rotated_at: float | None
    new: int
    old: list[SecretUser]


class SecretsStatus(msgspec.Struct, frozen=True):
    """Every set of secrets; what is known of clients was seen since `watched_since`.

    Without `required` no signature is looked at.  `forgotten` counts clients of which too many came.
    """

    required: bool
    watched_since: float
    forgotten: int
    sets: list[SecretSet]


class SecretRotated(msgspec.Struct, frozen=True):
    """Where the new secret is, and the old one, which stays valid."""

    path: str
    old_path: str
    rotated_at: float


class RetireSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """End the old secret; with `force` even if somebody signs with it."""

    force: bool = False


class SecretRetired(msgspec.Struct, frozen=True):
    """Who signed with the old secret last, and is not heard any more."""

    locked_out: list[SecretUser]


class SecretRefused(Exception):
    """A secret cannot be changed like this: a code for programs, a sentence for the operator."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SecretsView(Protocol):
    """The secrets of a running relay."""

    def status(self) -> SecretsStatus:
        """How many are valid for whom, and who uses which."""

    def rotate(self, actor: str) -> Awaitable[SecretRotated]:
        """Make a new secret that is valid together with the old one.  Raises SecretRefused."""

    def retire(self, actor: str, *, force: bool) -> Awaitable[SecretRetired]:
        """End the old secret.  Raises SecretRefused."""
