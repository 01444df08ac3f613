"""The file of a backup: a tar of small members, the last of which says what the others must be.

Rows are kept in parts of about a mebibyte, so that neither writing nor reading holds a whole table.
Nothing in an archive is ever unpacked to a path of its choosing: members are read by name.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from gzip import GzipFile
from io import BytesIO
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from relaytw.maintenance.access import MaintenanceError

#: The number of this form of archive.
FORMAT = 1
MANIFEST = "manifest.json"
#: Bytes after which a part of a table ends.
PART = 1 << 20
#: Largest member that is read: a part and the longest row that a table holds, escaped.
_LARGEST = 256 << 20
_CHUNK = 1 << 16


class Member(msgspec.Struct, frozen=True):
    """What a member must be."""

    bytes: int
    sha256: str


class TableEntry(msgspec.Struct, frozen=True):
    """A table: its columns, in the order of the values in its rows."""

    columns: list[str]
    rows: int


class Manifest(msgspec.Struct, frozen=True):
    """What an archive holds, from which relay and which kind of database."""

    format: int
    relay_version: str
    schema: int
    engine: str
    made_at: str
    tables: dict[str, TableEntry]
    files: list[str]
    members: dict[str, Member]


class Part(NamedTuple):
    """A member of an archive, or some rows of a table when `table` names one."""

    name: str
    data: bytes
    table: str | None


class ArchiveWriter:
    """Writes an archive beside `path`; `finish` puts it there, `abandon` removes what was written."""

    def __init__(self, path: Path, random: str) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{random}.partial")
        self._members: dict[str, Member] = {}
        try:
            self._file = os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        except OSError as error:
            raise MaintenanceError(f"{path} cannot be written: {error.strerror}") from error
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz", compresslevel=6)  # noqa: SIM115 (closed by finish or abandon)

    def add(self, name: str, data: bytes) -> None:
        """Add a member.  Raises OSError."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o600
        self._tar.addfile(info, BytesIO(data))
        self._members[name] = Member(len(data), hashlib.sha256(data).hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """Add the manifest, and make the archive appear at its path, whole and on the disk."""
        complete = msgspec.structs.replace(manifest, members=dict(self._members))
        self.add(MANIFEST, msgspec.json.format(msgspec.json.encode(complete), indent=1))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        with suppress(FileNotFoundError):
            self._partial.unlink()


class Archive:
    """Reads an archive, as often as one likes."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: IO[bytes] = path.open("rb")
        except OSError as error:
            raise MaintenanceError(f"{path} cannot be read: {error.strerror}") from error
        self._path = path

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def verify(self) -> Manifest:
        """Read it to its end and compare every member with the manifest.

        Raises MaintenanceError when it is damaged, incomplete, or of a newer form.
        """
        seen: dict[str, Member] = {}
        manifest: bytes | None = None
        for part in self.parts():
            if part.name == MANIFEST:
                manifest = part.data
            else:
                seen[part.name] = Member(len(part.data), hashlib.sha256(part.data).hexdigest())
        if manifest is None:
            raise self._damaged("it has no manifest, so it was cut short or is no backup of a relay")
        read = self._manifest(manifest)
        for name in sorted(read.members.keys() | seen.keys()):
            if read.members.get(name) != seen.get(name):
                raise self._damaged(f"{name} is not what was written")
        return read

    def parts(self) -> Iterator[Part]:
        """Every member, in the order in which they were written.  Raises MaintenanceError."""
        self._file.seek(0)
        try:
            with GzipFile(fileobj=self._file) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
                for info in tar:
                    if info.size > _LARGEST:
                        raise self._damaged(f"{info.name} is too large")
                    member = tar.extractfile(info)
                    if member is None:
                        raise self._damaged(f"{info.name} is no file")
                    yield Part(info.name, member.read(), _table(info.name))
                # A tar ends before its file does, and gzip's checksum is at the very end.
                while plain.read(_CHUNK):
                    pass
        except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise self._damaged(str(error) or type(error).__name__) from error

    def _manifest(self, data: bytes) -> Manifest:
        try:
            number = msgspec.json.decode(data)["format"]
            if isinstance(number, int) and number > FORMAT:
                raise MaintenanceError(
                    f"{self._path} was made by a newer relay (form {number}, this one reads {FORMAT})"
                )
            return msgspec.json.decode(data, type=Manifest)
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise self._damaged(f"its manifest cannot be read: {error}") from error

    def _damaged(self, why: str) -> MaintenanceError:
        return MaintenanceError(f"{self._path} is damaged, and nothing was changed: {why}")


def part_name(table: str, number: int) -> str:
    """What a part of a table is called."""
    return f"tables/{table}/{number:06}.jsonl"


def _table(name: str) -> str | None:
    folder, _, rest = name.partition("/")
    return rest.partition("/")[0] if folder == "tables" else None
