"""Looks through the files of a journal without touching them, whether its relay runs or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from relaytw.store.records import Accepted, BadRecord, Finished, Reading, Waits, decode, read_header, scan
from relaytw.store.segments import paths


class FileReport(NamedTuple):
    """What one file holds; `readable` says whether its header could be read at all."""

    name: str
    bytes: int
    readable: bool
    messages: int
    replies: int
    bad: int
    torn: bool


class Inspection(NamedTuple):
    """What a journal holds, and what of it is not finished."""

    files: Sequence[FileReport]
    unfinished_messages: int
    unfinished_replies: int


def inspect(folder: Path) -> Inspection:
    """Read every file of a journal.  Raises OSError."""
    messages: set[int] = set()
    replies: set[int] = set()
    files = [_read(path, messages, replies) for path in paths(folder)]
    return Inspection(files, len(messages), len(replies))


def unfinished(folder: Path) -> list[str]:
    """The ids of the messages that are not finished, and of those whose answers wait, oldest first.

    Raises OSError, BadRecord.
    """
    messages: dict[int, str] = {}
    for path in paths(folder):
        data = path.read_bytes()
        salt = read_header(data)
        if salt is None:
            continue
        for record in scan(data, salt, Reading()):
            said = decode(record)
            if isinstance(said, Accepted):
                messages[said.number] = said.id
            elif isinstance(said, Waits):
                messages[said.number] = said.reply.id.rpartition("/")[0]
            elif isinstance(said, Finished):
                for number in said.numbers:
                    messages.pop(number, None)
    return [messages[number] for number in sorted(messages)]


def _read(path: Path, messages: set[int], replies: set[int]) -> FileReport:
    data = path.read_bytes()
    salt = read_header(data)
    if salt is None:
        return FileReport(path.name, len(data), False, 0, 0, 0, False)
    found, accepted, waiting, unreadable = Reading(), 0, 0, 0
    for record in scan(data, salt, found):
        try:
            said = decode(record)
        except BadRecord:
            unreadable += 1
            continue
        if isinstance(said, Accepted):
            accepted += 1
            messages.add(said.number)
        elif isinstance(said, Waits):
            waiting += 1
            replies.add(said.number)
        elif isinstance(said, Finished):
            messages.difference_update(said.numbers)
            replies.difference_update(said.numbers)
    return FileReport(path.name, len(data), True, accepted, waiting, found.bad + unreadable, found.torn)
