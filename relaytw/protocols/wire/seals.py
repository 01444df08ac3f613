"""The seals of dialect 4.0: session keys, and the MAC and number that every line carries.

A line is sealed and opened as bytes, so nobody has to agree on how JSON is written: the codec makes and
reads `{"event":…,"data":…}`, and what stands before `"event"` is this module's.  The specification is
docs/protocol-4.md; HKDF is that of RFC 5869.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from relaytw.errors import BrokenSeal
from relaytw.messages import ErrorCode
from relaytw.protocols.wire.signatures import pads

#: How every sealed line begins; the MAC's digits follow.
HEAD = b'{"v":4,"mac":"'
_OPEN = b'{"v":4,'
_MAC_END = len(HEAD) + 64
#: Where the covered part of a sealed line begins.
COVERED = _MAC_END + 2
NONCE_BYTES = 16


class Keys(NamedTuple):
    """The two keys of a connection, by who writes with them."""

    phone: bytes
    relay: bytes


def derive(secret: bytes, phone_nonce: bytes, relay_nonce: bytes, hello: bytes, challenge: bytes) -> Keys:
    """The keys of a connection, from what was said on it; the two lines without their ends."""
    transcript = hashlib.sha256(hello + b"\n" + challenge).digest()
    extracted = hmac.digest(phone_nonce + relay_nonce, secret, "sha256")
    return Keys(
        _expand(extracted, b"relaytw 4 phone" + transcript),
        _expand(extracted, b"relaytw 4 relay" + transcript),
    )


def _expand(key: bytes, info: bytes) -> bytes:
    # 32 bytes are one block of SHA-256, so the expansion of RFC 5869 ends with its first step.
    return hmac.digest(key, info + b"\x01", "sha256")


def leave_open(lines: bytes) -> bytes:
    """These lines of the codec as they are said before there is a key."""
    return b"".join(_OPEN + line[1:] + b"\n" for line in lines.split(b"\n") if line)


class Mac:
    """HMAC-SHA256 under one key, whose padded blocks are hashed once."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        self._inner, self._outer = pads(key)

    def of(self, data: bytes | memoryview) -> bytes:
        """The MAC in lower-case hex."""
        first, second = self._inner.copy(), self._outer.copy()
        first.update(data)
        second.update(first.digest())
        return bytes(second.hexdigest(), "ascii")


class Sealer:
    """Seals what one end says, line by line."""

    __slots__ = ("_mac", "_next")

    def __init__(self, key: bytes) -> None:
        self._mac = Mac(key)
        self._next = 1

    def seal(self, lines: bytes) -> bytes:
        """These lines of the codec, each with its MAC and its number."""
        if lines.find(b"\n") == len(lines) - 1:
            return self._one(lines[1:-1])
        return b"".join(self._one(line[1:]) for line in lines.split(b"\n") if line)

    def _one(self, rest: bytes) -> bytes:
        covered = b'"seq":%d,' % self._next + rest
        self._next += 1
        return b'%b%b",%b\n' % (HEAD, self._mac.of(covered), covered)


class Opener:
    """Checks what one end hears.

    Of several candidate keys the one that fits the first line is the one from then on; `chosen` is its
    index, None before that.
    """

    __slots__ = ("_macs", "_next", "chosen")

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._macs = [Mac(key) for key in keys]
        self._next = 1
        self.chosen: int | None = None

    def check(self, line: bytes) -> None:
        """See that this is the next line and nobody has changed it.  Raises BrokenSeal."""
        if not line.startswith(HEAD) or line[_MAC_END:COVERED] != b'",':
            raise BrokenSeal(ErrorCode.NO_AUTH, "a line is not sealed")
        shown, covered = line[len(HEAD) : _MAC_END], memoryview(line)[COVERED:]
        fits = (n for n, mac in enumerate(self._macs) if hmac.compare_digest(mac.of(covered), shown))
        if (index := next(fits, None)) is None:
            why = "the secret does not match" if self.chosen is None else "a line was changed on its way"
            raise BrokenSeal(ErrorCode.BAD_SIGNATURE, why)
        if not line.startswith(b'"seq":%d,' % self._next, COVERED):
            raise BrokenSeal(ErrorCode.BAD_SEQUENCE, f"line {self._next} was due: one is missing or repeated")
        if self.chosen is None:
            self.chosen, self._macs = index, [self._macs[index]]
        self._next += 1
