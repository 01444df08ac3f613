"""Rotates and retires the phones' secret while the relay runs, and knows who would be locked out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.admin.secrets import (
    SecretRefused,
    SecretRetired,
    SecretRotated,
    SecretSet,
    SecretsStatus,
    SecretUser,
)
from relaytw.credentials import KeptSecret, Ring
from relaytw.gate import Gate
from relaytw.keyring import Keyring
from relaytw.messages import ClientKey
from relaytw.services.audit import OPERATOR

#: A relay that has started so many seconds ago has heard every phone that is switched on.
SETTLING = 600.0

InThread = Callable[[Callable[[], Any]], Deferred[Any]]


class SecretKeeper:
    """Implements `relaytw.admin.secrets.SecretsView`.

    `in_thread` runs what waits for the disk, `now` gives seconds since the epoch, `disconnect` closes a
    client's connection, `close_forgotten` those whose secret nobody remembers, `note` writes down who did
    what.  What is written is written before it counts:
    whatever the disk refuses changes nothing.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        gate: Gate,
        is_connected: Callable[[ClientKey], bool],
        disconnect: Callable[[ClientKey], object],
        close_forgotten: Callable[[], None],
        in_thread: InThread,
        required: bool,
        note: Callable[[str, str], None],
        now: Callable[[], float],
    ) -> None:
        self._keyring = keyring
        self._gate = gate
        self._is_connected = is_connected
        self._disconnect = disconnect
        self._close_forgotten = close_forgotten
        self._in_thread = in_thread
        self._required = required
        self._note = note
        self._now = now
        self._started_at = now()
        self._busy = False
        kept, common = keyring.credentials.kept, keyring.credentials.common
        self._rotated_at = kept.written_at() if kept is not None and len(common.secrets) > 1 else None
        self._log = Logger(namespace="relaytw.audit")

    def status(self) -> SecretsStatus:
        """How many secrets are valid for whom, and who signs with which."""
        credentials = self._keyring.credentials
        named: dict[Ring, list[str]] = {credentials.common: []}
        for bot, (ring, _) in credentials.bots.items():
            named.setdefault(ring, []).append(bot)
        users: dict[Ring, list[SecretUser]] = {ring: [] for ring in named}
        for client, use in self._keyring.signers:
            user = SecretUser(*client, use.secret, use.at, self._is_connected(client))
            users[self._keyring.ring_of(client.bot)].append(user)
        sets = [self._set(ring, bots, users[ring]) for ring, bots in named.items()]
        return SecretsStatus(self._required, self._started_at, self._keyring.signers.forgotten, sets)

    def rotate(self, actor: str = OPERATOR) -> Deferred[SecretRotated]:
        """Make a new secret that is valid together with the old one.

        Raises SecretRefused when the secret is configured elsewhere, when an old one is still
        valid, and when the state folder cannot be written.
        """
        kept, common = self._kept(), self._keyring.credentials.common
        if len(common.secrets) > 1:
            raise SecretRefused(
                "old_secret_valid",
                "the secret before this one is still valid; end it first: relayctl secret retire",
            )
        return self._change(partial(kept.rotate, common.secrets[0]), partial(self._rotated, actor, kept))

    def retire(self, actor: str = OPERATOR, *, force: bool) -> Deferred[SecretRetired]:
        """End the old secret, and the connections of those who signed with it last.

        Raises SecretRefused when there is none, when it is configured elsewhere, when somebody may
        be locked out and that is not forced; fails with it when the state folder cannot be written.
        """
        kept, common = self._kept(), self._keyring.credentials.common
        if len(common.secrets) == 1:
            raise SecretRefused("no_old_secret", "there is no old secret: nothing was rotated")
        doubt = None if force else self._doubt()
        if doubt is not None:
            raise SecretRefused("secret_in_use", doubt)
        return self._change(kept.retire, partial(self._retired, actor))

    def _set(self, ring: Ring, bots: list[str], users: list[SecretUser]) -> SecretSet:
        old = [user for user in users if user.secret > 0]
        common = ring is self._keyring.credentials.common
        return SecretSet(
            source=ring.source,
            common=common,
            bots=bots,
            valid=len(ring.secrets),
            rotated_at=self._rotated_at if common else None,
            new=len(users) - len(old),
            old=sorted(old, key=lambda user: user.last_seen, reverse=True),
        )

    def _kept(self) -> KeptSecret:
        credentials = self._keyring.credentials
        if credentials.kept is None:
            raise SecretRefused(
                "secret_configured",
                f"the secret is configured by {credentials.common.source}; to rotate it give "
                'auth.secrets = ["new", "old"] instead and restart, to end the old one take it out again',
            )
        if self._busy:
            raise SecretRefused("secret_busy", "the secret is being changed just now; try again")
        return credentials.kept

    def _old_users(self) -> list[SecretUser]:
        return self.status().sets[0].old

    def _doubt(self) -> str | None:
        """Why the old secret should not be ended yet, None if nothing speaks against it."""
        old = self._old_users()
        if old:
            names = ", ".join(f"{user.bot}@{user.device}" for user in old[:5])
            more = f" and {len(old) - 5} more" if len(old) > 5 else ""  # noqa: PLR2004 (as many as are named)
            return (
                f"{len(old)} clients signed with the old secret last and would be locked out: {names}{more}"
            )
        if self._keyring.signers.forgotten:
            return "there were more clients than [auth] signers; some may still sign with the old secret"
        watched = self._now() - self._started_at
        rotated_before = self._rotated_at is not None and self._rotated_at < self._started_at
        if self._required and rotated_before and watched < SETTLING:
            return f"the relay has started {watched:.0f} s ago and may not have heard every phone yet"
        return None

    # -- changes

    def _change(self, work: Callable[[], Any], done: Callable[[Any], Any]) -> Deferred[Any]:
        # Whoever asked may go away; what is on the disk must count here all the same.
        answer: Deferred[Any] = Deferred()
        self._busy = True
        working = self._in_thread(work)
        working.addBoth(self._finished)
        working.addCallbacks(done, self._unwritten)
        working.addCallbacks(answer.callback, answer.errback)
        return answer

    def _finished(self, result: Any) -> Any:
        self._busy = False
        return result

    def _rotated(self, actor: str, kept: KeptSecret, secrets: tuple[bytes, ...]) -> SecretRotated:
        self._keyring.rotated(self._keyring.credentials.common, secrets)
        self._gate.secrets_changed()
        self._rotated_at = self._now()
        self._note(actor, "rotate secret")
        self._log.info(
            "{actor}: a new secret is valid, {path}; so is the old one until it is retired",
            actor=actor, path=str(kept.path),
        )  # fmt: skip
        return SecretRotated(str(kept.path.absolute()), str(kept.old_path.absolute()), self._rotated_at)

    def _retired(self, actor: str, _: object) -> SecretRetired:
        locked_out = self._old_users()
        self._keyring.retired(self._keyring.credentials.common)
        self._gate.secrets_changed()
        self._rotated_at = None
        self._note(actor, "retire secret")
        self._log.info(
            "{actor}: the old secret is retired; {count} clients had signed with it last",
            actor=actor, count=len(locked_out),
        )  # fmt: skip
        for user in locked_out:
            # What they have proven they have proven with a secret that may be anybody's: no reply is theirs.
            self._disconnect(ClientKey(user.bot, user.device))
        self._close_forgotten()
        return SecretRetired(locked_out)

    def _unwritten(self, failure: Failure) -> SecretRotated:
        error = failure.value
        if not isinstance(error, OSError):
            failure.raiseException()
        text = f"the state folder cannot be written ({error}); the secrets are as they were"
        self._log.error("{text}", text=text)
        raise SecretRefused("state_unwritable", text) from error
