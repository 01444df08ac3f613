"""Signatures: what is signed, with which of several secrets, and what is no signature."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import Auth
from relaytw.protocols.wire import Verifier, sign
from tests.unit.protocols.wire.strategies import auths, broken_texts, unhurried

SECRET = b"correct horse battery staple"
SALT = "pepper"
AUTH = Auth(
    client_type="MessengerBotR",
    bot="데모봇",
    device_uuid="0b0f1d0c-1111-4222-8333-444455556666",
    device="a1b2c3d4e5f60718",
    mac="02:00:00:00:00:01",
    ip="10.0.0.7",
    timestamp=1752570000000,
    version="3.3.3",
    signature="",
)
SIGNED = (
    "MessengerBotR|데모봇|0b0f1d0c-1111-4222-8333-444455556666|02:00:00:00:00:01|10.0.0.7|"
    "1752570000000|pepper"
)

keys = st.binary(max_size=140)


def by_hand(secret: bytes, text: str) -> str:
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def changed(name: str) -> Auth:
    """The same `auth` with another value in one field."""
    return Auth._make(9 if field == name else value for field, value in zip(Auth._fields, AUTH, strict=True))


class SignTests(SynchronousTestCase):
    def test_a_known_vector(self) -> None:
        """Seven fields joined by `|`, HMAC-SHA256, lower-case hex: as the scripts compute it."""
        expected = "4e248025b3ebe145e307b034d0adb5d3d3afb9c4d15ad1f32c14b3b02c794c9d"
        self.assertEqual(by_hand(SECRET, SIGNED), expected)
        self.assertEqual(sign(SECRET, SALT, AUTH), expected)

    def test_what_is_covered(self) -> None:
        """Every field of the seven changes the signature; device id, version and signature do not."""
        before = sign(SECRET, SALT, AUTH)
        for name in ("client_type", "bot", "device_uuid", "mac", "ip", "timestamp"):
            self.assertNotEqual(sign(SECRET, SALT, changed(name)), before, name)
        for name in ("device", "version", "signature"):
            self.assertEqual(sign(SECRET, SALT, changed(name)), before, name)

    def test_the_salt_matters(self) -> None:
        """Another salt gives another signature, and no salt is one too."""
        self.assertNotEqual(sign(SECRET, "salt", AUTH), sign(SECRET, SALT, AUTH))
        self.assertEqual(sign(SECRET, "", AUTH), by_hand(SECRET, SIGNED.removesuffix(SALT)))

    def test_what_utf8_cannot_carry(self) -> None:
        """Half an emoji in a name is signed as the `?` that it becomes on the phone."""
        self.assertEqual(
            sign(SECRET, SALT, AUTH._replace(bot="\ud83d")), sign(SECRET, SALT, AUTH._replace(bot="?"))
        )


class VerifierTests(SynchronousTestCase):
    def test_no_secrets(self) -> None:
        """A verifier that could verify nothing cannot be made."""
        with self.assertRaises(ValueError):
            Verifier([], SALT)

    def test_replaced(self) -> None:
        """Secrets can be replaced in a verifier that others hold, but not by none."""
        new, old = b"new", b"old"
        verifier = Verifier([old], SALT)
        signed = AUTH._replace(signature=sign(old, SALT, AUTH))
        verifier.replace([new, old])
        self.assertEqual(verifier.verify(signed), 1)
        verifier.replace([new])
        self.assertIsNone(verifier.verify(signed))
        with self.assertRaises(ValueError):
            verifier.replace([])
        self.assertEqual(verifier.verify(AUTH._replace(signature=sign(new, SALT, AUTH))), 0)

    def test_several_secrets(self) -> None:
        """While secrets are being changed the old and the new are good, and it is told which it was."""
        old, new, other = b"old", b"new", b"other"
        verifier = Verifier([new, old], SALT)
        for secret, index in ((new, 0), (old, 1), (other, None)):
            self.assertEqual(verifier.verify(AUTH._replace(signature=sign(secret, SALT, AUTH))), index)

    def test_the_same_secret_twice(self) -> None:
        """The first of equal secrets is the one that signed."""
        self.assertEqual(
            Verifier([SECRET, SECRET], SALT).verify(AUTH._replace(signature=sign(SECRET, SALT, AUTH))), 0
        )

    def test_no_signatures(self) -> None:
        """Nothing but the whole signature in lower-case hex is one, whatever characters it is made of."""
        good = sign(SECRET, SALT, AUTH)
        verifier = Verifier([SECRET], SALT)
        self.assertEqual(verifier.verify(AUTH._replace(signature=good)), 0)
        flipped = good[:-1] + ("0" if good[-1] != "0" else "1")
        full_width = good.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
        for bad in (
            "",
            good[:-1],
            good + "0",
            " " + good,
            flipped,
            good.upper(),
            full_width,
            "가" * 64,
            "\ud83d",
            "\0" * 64,
        ):
            self.assertIsNone(verifier.verify(AUTH._replace(signature=bad)), bad)

    def test_a_wrong_salt(self) -> None:
        """A phone that signs with another salt is refused."""
        signed = AUTH._replace(signature=sign(SECRET, "salt", AUTH))
        self.assertIsNone(Verifier([SECRET], SALT).verify(signed))
        self.assertEqual(Verifier([SECRET], "salt").verify(signed), 0)

    def test_long_secrets(self) -> None:
        """Secrets below, at and above the block size of SHA-256 work, and none stands for another."""
        secrets = [b"k" * length for length in (1, 63, 64, 65, 128, 1000)]
        verifier = Verifier(secrets, SALT)
        for index, secret in enumerate(secrets):
            self.assertEqual(verifier.verify(AUTH._replace(signature=by_hand(secret, SIGNED))), index)

    def test_verifying_changes_nothing(self) -> None:
        """A packet verifies the same way however many others were verified before it."""
        verifier = Verifier([b"other", SECRET], SALT)
        signed = AUTH._replace(signature=sign(SECRET, SALT, AUTH))
        for _ in range(3):
            self.assertEqual(verifier.verify(signed), 1)
            self.assertIsNone(verifier.verify(signed._replace(timestamp=1)))

    @unhurried
    @given(auths, keys, st.lists(keys, max_size=3), broken_texts)
    def test_whatever_is_signed_verifies(
        self, auth: Auth, secret: bytes, others: list[bytes], salt: str
    ) -> None:
        """A signature made with any secret is found among any others, with the secret that made it."""
        signed = auth._replace(signature=sign(secret, salt, auth))
        index = Verifier([*others, secret], salt).verify(signed)
        assert index is not None
        # HMAC fills short keys up with zeros, so keys that differ in trailing zeros alone are one.
        self.assertEqual(sign([*others, secret][index], salt, auth), signed.signature)

    @unhurried
    @given(auths, keys, broken_texts)
    def test_any_signature(self, auth: Auth, secret: bytes, signature: str) -> None:
        """Whatever stands in the place of a signature is compared, and is wrong."""
        self.assertIsNone(Verifier([secret], SALT).verify(auth._replace(signature=signature)))
