"""Every bot's verifier, and what becomes of them when secrets change while the relay runs."""

from __future__ import annotations

from relaytw.credentials import Credentials, Ring
from relaytw.messages import ClientKey
from relaytw.protocols import wire
from relaytw.signers import Signers, Use


class Keyring:
    """Implements `relaytw.gate.Keys` over the credentials.

    Connections hold verifiers; a verifier's secrets are replaced inside it, so that a change is seen by
    the next packet of every connection.
    """

    def __init__(self, credentials: Credentials, signers: Signers) -> None:
        self.credentials = credentials
        self.signers = signers
        self._verifiers: dict[tuple[Ring, str], wire.Verifier] = {}

    def verifier_for(self, bot: str) -> wire.Verifier:
        """What checks the signatures of this bot's phones."""
        # Most bots share one secret; a verifier for each secret, not for each name a stranger invents.
        known = self.credentials.ring_for(bot)
        if known not in self._verifiers:
            ring, salt = known
            self._verifiers[known] = wire.Verifier(ring.secrets, salt)
        return self._verifiers[known]

    def is_listed(self, bot: str) -> bool:
        """False for a bot that is not configured where others are: it has the secret of everybody else."""
        bots = self.credentials.bots
        return not bots or bot in bots

    def signed(self, client: ClientKey, secret: int) -> Use:
        """Note that a client has begun to sign with another secret, by its index."""
        return self.signers.signed(client, secret)

    def ring_of(self, bot: str) -> Ring:
        """The secrets that are valid for this bot."""
        return self.credentials.ring_for(bot)[0]

    def rotated(self, ring: Ring, secrets: tuple[bytes, ...]) -> None:
        """These secrets, one of them new and first, are valid from now on."""
        self._replace(ring, secrets)
        self.signers.rotated(lambda client: self.ring_of(client.bot) is ring)

    def retired(self, ring: Ring) -> None:
        """Only the newest secret of this ring is valid from now on."""
        self._replace(ring, ring.secrets[:1])
        self.signers.retired(lambda client: self.ring_of(client.bot) is ring)

    def _replace(self, ring: Ring, secrets: tuple[bytes, ...]) -> None:
        ring.secrets = secrets
        for (theirs, _), verifier in self._verifiers.items():
            if theirs is ring:
                verifier.replace(secrets)
