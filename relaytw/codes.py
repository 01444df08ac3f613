"""Short codes by which an operator names a device or a room that waits for approval."""

from __future__ import annotations

from hashlib import blake2b

from relaytw.messages import ClientKey

#: Without what is taken for something else when it is read out or off a phone.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
LENGTH = 5


class Codes:
    """Names everything by a hash with a key of the relay's own, so that nobody can choose his code."""

    def __init__(self, key: str) -> None:
        self._key = blake2b(
            key.encode("utf-8", "surrogatepass"), digest_size=32, person=b"relaytw codes"
        ).digest()

    def device(self, client: ClientKey) -> str:
        """The code of a device."""
        return self._code(*client)

    def room(self, client: ClientKey, room_id: str) -> str:
        """The code of a room, by the table's id for it."""
        return self._code(*client, room_id)

    def _code(self, *parts: str) -> str:
        # Lengths keep ("a", "bc") and ("ab", "c") apart.
        text = "".join(f"{len(part)}:{part}" for part in parts)
        digest = blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).digest()
        number, code = int.from_bytes(digest, "big"), ""
        for _ in range(LENGTH):
            number, index = divmod(number, len(_ALPHABET))
            code += _ALPHABET[index]
        return code


def read_code(text: str) -> str | None:
    """The code that somebody has typed, None if it is none."""
    code = text.strip().upper()
    return code if len(code) == LENGTH and all(letter in _ALPHABET for letter in code) else None
