"""Verifiers of all bots, and secrets that change while connections hold them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaytw.credentials import Credentials, Ring
from relaytw.keyring import Keyring
from relaytw.messages import Auth, ClientKey
from relaytw.protocols import wire
from relaytw.signers import Signers

AUTH = Auth("MessengerBotR", "bot", "uuid", "phone", "02:00", "10.0.0.2", 1_000_000, "3.3.0", "")


def signed(secret: bytes, salt: str = "") -> Auth:
    """An auth with this secret."""
    return AUTH._replace(signature=wire.sign(secret, salt, AUTH))


class KeyringTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.common, self.own = Ring((b"one",), "common"), Ring((b"own",), "own")
        bots = {"own": (self.own, ""), "salted": (self.common, "salt")}
        self.keys = Keyring(Credentials(self.common, "", bots), Signers(10))

    def test_shared(self) -> None:
        """Bots with one secret and one salt share a verifier, however many names are invented."""
        self.assertIs(self.keys.verifier_for("a"), self.keys.verifier_for("b"))
        self.assertIsNot(self.keys.verifier_for("a"), self.keys.verifier_for("salted"))
        self.assertIsNot(self.keys.verifier_for("a"), self.keys.verifier_for("own"))

    def test_listed(self) -> None:
        """A bot is unknown only where others are named."""
        self.assertEqual([self.keys.is_listed(bot) for bot in ("own", "salted", "a")], [True, True, False])
        self.assertTrue(Keyring(Credentials(self.common, "", {}), Signers(10)).is_listed("a"))

    def test_rotated(self) -> None:
        """Verifiers in use take the new secret beside the old one; those of other secrets do not."""
        held = [self.keys.verifier_for(bot) for bot in ("a", "salted", "own")]
        self.keys.signed(ClientKey("a", "phone"), 0)
        self.keys.signed(ClientKey("own", "phone"), 0)
        self.keys.rotated(self.common, (b"two", b"one"))
        plain, salted, own = held
        self.assertEqual([plain.verify(signed(secret)) for secret in (b"two", b"one", b"own")], [0, 1, None])
        self.assertEqual(salted.verify(signed(b"two", "salt")), 0)
        self.assertEqual([own.verify(signed(secret)) for secret in (b"two", b"own")], [None, 0])
        uses = {client.bot: use.secret for client, use in self.keys.signers}
        self.assertEqual(uses, {"a": 1, "own": 0})

    def test_retired(self) -> None:
        """A verifier in use knows the old secret no more; its clients are forgotten."""
        plain = self.keys.verifier_for("a")
        self.keys.rotated(self.common, (b"two", b"one"))
        self.keys.signed(ClientKey("a", "phone"), 1)
        self.keys.signed(ClientKey("own", "phone"), 1)
        self.keys.retired(self.common)
        self.assertEqual([plain.verify(signed(secret)) for secret in (b"two", b"one")], [0, None])
        self.assertEqual(self.common.secrets, (b"two",))
        self.assertEqual([client.bot for client, _ in self.keys.signers], ["own"])
