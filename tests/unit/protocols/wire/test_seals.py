"""Seals: nobody without the key makes one, and no sealed line can be changed, moved or repeated."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import BrokenSeal
from relaytw.messages import ErrorCode
from relaytw.protocols import wire
from relaytw.protocols.wire.seals import HEAD, Mac

KEYS = wire.derive(b"secret", bytes(16), bytes(range(16)), b"hello line", b"challenge line")
LINE = b'{"event":"chat","data":{"id":"1","text":"hi"}}\n'


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, as its text has it."""
    extracted = hmac.new(salt, secret, hashlib.sha256).digest()
    block, made, number = b"", b"", 0
    while len(made) < length:
        number += 1
        block = hmac.new(extracted, block + info + bytes([number]), hashlib.sha256).digest()
        made += block
    return made[:length]


class KeyTests(SynchronousTestCase):
    def test_reference(self) -> None:
        """The RFC's first example comes out of the reference, so the reference may judge."""
        made = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
        self.assertEqual(made.hex()[:32], "3cb25f25faacd57a90434f64d0362f2a")

    @given(st.binary(), st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16), st.binary())
    def test_derive(self, secret: bytes, phone: bytes, relay: bytes, said: bytes) -> None:
        """Each direction has a key of its own, of the secret, both nonces, and all that was said."""
        transcript = hashlib.sha256(said + b"\n" + b"challenge").digest()
        keys = wire.derive(secret, phone, relay, said, b"challenge")
        self.assertEqual(keys.phone, hkdf(secret, phone + relay, b"relaytw 4 phone" + transcript, 32))
        self.assertEqual(keys.relay, hkdf(secret, phone + relay, b"relaytw 4 relay" + transcript, 32))

    @given(st.binary(), st.binary())
    def test_mac(self, key: bytes, data: bytes) -> None:
        """The MAC with prepared pads is that of the standard library, for keys of any length."""
        self.assertEqual(Mac(key).of(data).decode(), hmac.new(key, data, hashlib.sha256).hexdigest())


class SealTests(SynchronousTestCase):
    def assertRefused(self, line: bytes, *codes: ErrorCode, opener: wire.Opener | None = None) -> None:
        """A line is refused, with one of these codes, and changes nothing for those that come."""
        error = self.assertRaises(BrokenSeal, (opener or wire.Opener([KEYS.phone])).check, line)
        self.assertIn(error.code, codes)

    def sealed(self, line: bytes = LINE) -> bytes:
        """The first line that a phone seals, without its end."""
        return wire.Sealer(KEYS.phone).seal(line).removesuffix(b"\n")

    def test_form(self) -> None:
        """A sealed line has the one form that the specification shows."""
        line = self.sealed()
        self.assertEqual(line[:14], HEAD)
        covered = b'"seq":1,"event":"chat","data":{"id":"1","text":"hi"}}'
        mac = hmac.new(KEYS.phone, covered, hashlib.sha256).hexdigest().encode()
        self.assertEqual(line, b'{"v":4,"mac":"' + mac + b'",' + covered)
        self.assertEqual(wire.leave_open(LINE), b'{"v":4,' + LINE[1:])

    @given(st.lists(st.lists(st.just(LINE), min_size=1, max_size=3).map(b"".join), max_size=20))
    def test_in_order(self, said: list[bytes]) -> None:
        """However lines are said together, each is sealed for itself, and opens in its turn."""
        sealer, opener = wire.Sealer(KEYS.phone), wire.Opener([KEYS.phone])
        lines = b"".join(map(sealer.seal, said)).split(b"\n")[:-1]
        self.assertEqual(len(lines), b"".join(said).count(b"\n"))
        for line in lines:
            opener.check(line)
        if lines:
            self.assertRefused(lines[-1], ErrorCode.BAD_SEQUENCE, opener=opener)

    def test_every_bit(self) -> None:
        """A line of which any single bit was turned over is refused."""
        line = self.sealed()
        for place in range(len(line) * 8):
            changed = bytearray(line)
            changed[place // 8] ^= 1 << place % 8
            self.assertRefused(bytes(changed), ErrorCode.BAD_SIGNATURE, ErrorCode.NO_AUTH)

    def test_every_length(self) -> None:
        """A line that was cut anywhere is refused."""
        line = self.sealed()
        for length in range(len(line)):
            self.assertRefused(line[:length], ErrorCode.BAD_SIGNATURE, ErrorCode.NO_AUTH)

    def test_order(self) -> None:
        """A line that comes too early, again, or the wrong way is refused, and the next one is not."""
        sealer, opener = wire.Sealer(KEYS.phone), wire.Opener([KEYS.phone])
        one, two, three = (sealer.seal(LINE)[:-1] for _ in range(3))
        self.assertRefused(two, ErrorCode.BAD_SEQUENCE, opener=opener)
        opener.check(one)
        self.assertRefused(one, ErrorCode.BAD_SEQUENCE, opener=opener)
        self.assertRefused(three, ErrorCode.BAD_SEQUENCE, opener=opener)
        self.assertRefused(wire.Sealer(KEYS.relay).seal(LINE)[:-1], ErrorCode.BAD_SIGNATURE, opener=opener)
        opener.check(two)

    def test_candidates(self) -> None:
        """The key that fits the first line is the one from then on."""
        other = wire.derive(b"other", bytes(16), bytes(16), b"", b"")
        opener = wire.Opener([other.phone, KEYS.phone])
        opener.check(self.sealed())
        self.assertEqual(opener.chosen, 1)
        second = wire.Sealer(other.phone)
        second.seal(LINE)
        self.assertRefused(second.seal(LINE)[:-1], ErrorCode.BAD_SIGNATURE, opener=opener)

    @given(st.binary())
    def test_any_bytes(self, line: bytes) -> None:
        """Bytes from a stranger are never taken for sealed."""
        self.assertRefused(line, ErrorCode.BAD_SIGNATURE, ErrorCode.NO_AUTH)
        self.assertRefused(HEAD + line, ErrorCode.BAD_SIGNATURE, ErrorCode.NO_AUTH)
