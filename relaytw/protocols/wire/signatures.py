"""The signature of dialects 3.2 and 3.3: HMAC-SHA256 over who and when, not over what."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from relaytw.messages import Auth

_BLOCK = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


def signed_text(auth: Auth, salt: str) -> bytes:
    """What is signed: the fields joined by `|`; what UTF-8 cannot carry becomes `?`."""
    text = f"{auth.client_type}|{auth.bot}|{auth.device_uuid}|{auth.mac}|{auth.ip}|{auth.timestamp}|{salt}"
    return text.encode("utf-8", "replace")


def sign(secret: bytes, salt: str, auth: Auth) -> str:
    """The signature of `auth` in lower-case hex; its own `signature` field is not looked at."""
    return hmac.new(secret, signed_text(auth, salt), hashlib.sha256).hexdigest()


class Verifier:
    """Checks signatures against several secrets, in constant time.

    The padded key blocks are hashed once for each secret (RFC 2104, section 4, suggests it) and
    copied for each packet.  Whoever holds a verifier sees at once that its secrets were replaced.
    Raises ValueError when there is no secret.
    """

    __slots__ = ("_pads", "_salt")

    def __init__(self, secrets: Sequence[bytes], salt: str) -> None:
        self._salt = salt
        self.replace(secrets)

    def replace(self, secrets: Sequence[bytes]) -> None:
        """Check against these secrets from now on.  Raises ValueError when there is none."""
        if not secrets:
            raise ValueError("a verifier needs at least one secret")
        self._pads = [pads(secret) for secret in secrets]

    def verify(self, auth: Auth) -> int | None:
        """The index of the secret that signed this, None if none of them did."""
        shown = auth.signature
        if not shown.isascii():  # compare_digest takes no other text
            return None
        text = signed_text(auth, self._salt)
        for index, (inner, outer) in enumerate(self._pads):
            first, second = inner.copy(), outer.copy()
            first.update(text)
            second.update(first.digest())
            if hmac.compare_digest(second.hexdigest(), shown):
                return index
        return None


def pads(secret: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The hashes of a key's two padded blocks, to be copied for each MAC."""
    key = hashlib.sha256(secret).digest() if len(secret) > _BLOCK else secret
    key = key.ljust(_BLOCK, b"\0")
    return hashlib.sha256(key.translate(_INNER)), hashlib.sha256(key.translate(_OUTER))
