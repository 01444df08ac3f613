"""The journal's files, one segment each: append, read, sync, remove.  Everything here blocks."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from relaytw.errors import ConfigError
from relaytw.store.records import (
    HEADER_SIZE,
    Reading,
    Record,
    encode_header,
    read_header,
    scan,
)

_SUFFIX = ".log"
_DAMAGED = ".damaged"
#: Where a record stands: its segment, offset and size, and when its message came.
Place = tuple["Segment", int, int, float]


class Segment:
    """One open file of the journal.

    `live` counts the messages and replies in it that are not finished, `live_bytes` their records;
    `newest` is when its latest message came, in seconds since the epoch.
    """

    __slots__ = ("_dirty", "_fd", "live", "live_bytes", "newest", "number", "path", "salt", "size")

    def __init__(self, path: Path, fd: int, salt: int, size: int) -> None:
        self.path = path
        self.number = int(path.stem)
        self.salt = salt
        self.size = size
        self.live = 0
        self.live_bytes = 0
        self.newest = 0.0
        self._fd = fd
        self._dirty = False

    @property
    def empty(self) -> bool:
        """Does it hold no record at all?"""
        return self.size <= HEADER_SIZE

    def append(self, data: bytes) -> int:
        """Write all of it or nothing; where it begins.  Raises OSError."""
        if self._dirty:
            os.ftruncate(self._fd, self.size)
            self._dirty = False
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                # A disk that is nearly full takes a part, and says why with the rest.
                written += os.write(self._fd, data[written:])
        except OSError:
            self._dirty = True
            with suppress(OSError):
                os.ftruncate(self._fd, self.size)
                self._dirty = False
            raise
        begin, self.size = self.size, self.size + len(data)
        return begin

    def read(self, offset: int, size: int) -> bytes:
        """These bytes.  Raises OSError."""
        return os.pread(self._fd, size, offset)

    def sync(self) -> None:
        """Return when what was written survives a loss of power; at once when closed.  Raises OSError."""
        if self._fd >= 0:
            os.fdatasync(self._fd)

    def cut(self, size: int) -> None:
        """Forget what stands behind; a torn tail.  Raises OSError."""
        os.ftruncate(self._fd, size)
        self.size = size

    def close(self) -> None:
        """Let go of the file."""
        fd, self._fd = self._fd, -1
        os.close(fd)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)
        self.close()


def create(folder: Path, number: int, salt: int) -> Segment:
    """A new segment with its header.  Raises OSError, leaving nothing behind."""
    path = folder / f"{number:08d}{_SUFFIX}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    segment = Segment(path, fd, salt, 0)
    try:
        segment.append(encode_header(salt))
    except OSError:
        segment.remove()
        raise
    return segment


def sync_folder(folder: Path) -> None:
    """Return when the folder's list of files survives a loss of power.  Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def paths(folder: Path) -> list[Path]:
    """The segments of a folder, oldest first."""
    return sorted(path for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())


def last_number(folder: Path) -> int:
    """The highest number that a segment was given, 0 without any; damaged ones keep theirs."""
    numbers = [path.name.partition(".")[0] for path in folder.glob(f"*{_SUFFIX}*")]
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def remove_begun(folder: Path) -> None:
    """Delete segments that were just being begun when the process ended.  Raises OSError."""
    for path in paths(folder):
        if path.stat().st_size < HEADER_SIZE:
            path.unlink()


class Opened(NamedTuple):
    """A segment with its records; `found` is complete once they were looked through."""

    segment: Segment
    records: Iterator[Record]
    found: Reading


def open_segment(path: Path) -> Opened | None:
    """A segment of an earlier run.  None, and set aside, if its header is damaged.  Raises OSError."""
    data = path.read_bytes()
    salt = read_header(data)
    if salt is None:
        path.rename(path.with_name(path.name + _DAMAGED))
        return None
    found = Reading()
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    return Opened(Segment(path, fd, salt, len(data)), scan(data, salt, found), found)


class FolderLock:
    """Keeps a state folder to one relay.  The kernel lets go of it when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._fd: int | None = None

    def take(self) -> None:
        """Take it.  Raises ConfigError if another relay has it, or the folder cannot be written."""
        if self._fd is not None:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "?"
            os.close(fd)
            raise ConfigError(
                f"another relay (process {pid}) works in the state folder {self._path.parent}; "
                "stop it, or choose another folder with --state-dir (relay.state_dir)"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def give_back(self) -> None:
        """Let another relay have it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
