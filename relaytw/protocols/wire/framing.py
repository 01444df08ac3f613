r"""Bytes to lines: split at `\n` alone, in linear time, with the tail of a chunk kept for the next."""

from __future__ import annotations


class LineBuffer:
    r"""Collects bytes and gives back complete lines, without their `\n`.

    A line longer than `max_length` bytes sets `overflowed`: what came before it is still given,
    what comes after it never is, and nothing more is kept.  Only until the next chunk could it still
    turn out to be allowed: by `resize`.
    """

    __slots__ = ("_cut_off", "_tail", "max_length", "overflowed")

    def __init__(self, max_length: int) -> None:
        self.max_length = max_length
        self.overflowed = False
        self._tail = bytearray()
        self._cut_off = b""

    @property
    def pending(self) -> int:
        """Bytes of an incomplete line that are held."""
        return len(self._tail)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        if self.overflowed:
            self._cut_off = b""
            return []
        tail = self._tail
        if b"\n" not in data:
            # Only the new bytes were searched: a line that drips in costs what it weighs.
            tail += data
            if len(tail) > self.max_length:
                self._overflow([])
            return []
        lines = data.split(b"\n")
        if tail:
            tail += lines[0]
            lines[0] = bytes(tail)
        self._tail = bytearray(lines.pop())
        if len(data) + len(tail) > self.max_length and max(map(len, lines)) > self.max_length:
            too_long = next(i for i, line in enumerate(lines) if len(line) > self.max_length)
            self._overflow(lines[too_long:])
            return lines[:too_long]
        if len(self._tail) > self.max_length:
            self._overflow([])
        return lines

    def resize(self, max_length: int) -> list[bytes]:
        """Judge by another limit from now on, what is held too; the lines that this lets through."""
        self.max_length = max_length
        cut_off = self._cut_off
        if cut_off:
            self.overflowed, self._cut_off = False, b""
            return self.feed(cut_off)
        if len(self._tail) > max_length:
            self._overflow([])
        return []

    def give_up(self) -> None:
        """Overflow: a line that was given already is longer than it may be."""
        self._overflow([])
        self._cut_off = b""

    def _overflow(self, lines: list[bytes]) -> None:
        self.overflowed = True
        self._cut_off = b"\n".join([*lines, self._tail])
        self._tail = bytearray()
