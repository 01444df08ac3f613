r"""Bytes to lines: split at `\n` alone, in linear time, with the tail of a chunk kept for the next."""

from __future__ import annotations


class LineBuffer:
    r"""Collects bytes and gives back complete lines, without their `\n`.

    A line longer than `max_length` bytes sets `overflowed`: what came before it is still given,
    what comes after it never is, and nothing more is kept.
    """

    __slots__ = ("_tail", "max_length", "overflowed")

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length
        self.overflowed = False
        self._tail = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of an incomplete line that are held."""
        return len(self._tail)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        if self.overflowed:
            return []
        tail = self._tail
        if b"\n" not in data:
            # Only the new bytes were searched: a line that drips in costs what it weighs.
            tail += data
            if len(tail) > self.max_length:
                self._overflow()
            return []
        lines = data.split(b"\n")
        if tail:
            tail += lines[0]
            lines[0] = bytes(tail)
        self._tail = bytearray(lines.pop())
        if len(self._tail) > self.max_length:
            self._overflow()
        if len(data) + len(tail) > self.max_length and max(map(len, lines)) > self.max_length:
            self._overflow()
            too_long = next(i for i, line in enumerate(lines) if len(line) > self.max_length)
            return lines[:too_long]
        return lines

    def _overflow(self) -> None:
        self.overflowed = True
        self._tail = bytearray()
