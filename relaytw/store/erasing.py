"""Takes what a person said out of the journal's files, where it stands."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from relaytw.store.records import (
    Accepted,
    BadRecord,
    Kind,
    Reading,
    Record,
    decode,
    encode,
    read_header,
    scan,
)

#: Is this line of a phone what somebody said?
SaidBy = Callable[[bytes], bool]


def erase(paths: Sequence[Path], said_by: SaidBy) -> int:
    """Blank the lines that are somebody's in these segments; how many.  Blocks; raises OSError.

    A record keeps its place and its numbers, so that what is finished and what was sent twice is known
    as before.  Files that were deleted meanwhile have nothing left to blank.
    """
    erased = 0
    for path in paths:
        try:
            # Not the descriptor that appends: to the kernel that would mean appending here too.
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            erased += _erase(fd, said_by)
        finally:
            os.close(fd)
    return erased


def _erase(fd: int, said_by: SaidBy) -> int:
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    salt, erased = read_header(data), 0
    if salt is None:
        return 0
    for record in scan(data, salt, Reading()):
        line = _line(record)
        if line and said_by(line):
            payload = record.payload[: -len(line)] + b" " * len(line)
            os.pwrite(fd, encode(salt, record.kind, payload), record.offset)
            erased += 1
    if erased:
        os.fdatasync(fd)
    return erased


def _line(record: Record) -> bytes:
    """The line in a record of an accepted message; it stands last in it."""
    if record.kind != Kind.ACCEPTED:
        return b""
    try:
        said = decode(record)
    except BadRecord:
        return b""
    return said.line if isinstance(said, Accepted) else b""
