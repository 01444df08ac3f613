"""What became of messages, in files: appended line by line, searched from the newest back, bounded.

Everything here is called in a thread, by one caller at a time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from relaytw.messages import ClientKey

#: Bytes of a file before the next is begun, and records found at most.
FILE_BYTES = 16 * 1024 * 1024
MOST_FOUND = 1000
_NAME = re.compile(r"\d{12}\.trace")
_DAY = 86_400

#: A message: trace, id, client, room, channel, when it came (since the epoch), when it was accepted, started
#: and ended (on the relay's clock), how many replies it got, whether it came again, and its bytes.
MessageNote = tuple[
    str, str, ClientKey, str, str | None, float, float, float | None, float, int, bool, int
]  # fmt: skip
#: A reply: trace, id, client, what happened and why, when it was written before, and when that was.
ReplyNote = tuple[str, str, ClientKey, str, str, float | None, float]
Traced = MessageNote | ReplyNote
_MESSAGE = 12


class MessageTrace(msgspec.Struct, frozen=True, array_like=True, tag="m"):
    """The life of a message; times in seconds since the epoch, `started` is None if no handler was."""

    trace: str
    id: str
    bot: str
    device: str
    room: str
    channel_id: str | None
    received: float
    accepted: float
    started: float | None
    ended: float
    replies: int
    redelivered: bool
    bytes: int


class ReplyTrace(msgspec.Struct, frozen=True, array_like=True, tag="r"):
    """What happened to a reply; times in seconds since the epoch."""

    trace: str
    id: str
    bot: str
    device: str
    stage: str
    why: str
    written: float | None
    at: float


class Found(NamedTuple):
    """What is known under a name, oldest first."""

    messages: Sequence[MessageTrace]
    replies: Sequence[ReplyTrace]


class TraceFiles:
    """A folder of them: at most `most_bytes`, for `days` at most.  `now` gives seconds since the epoch."""

    def __init__(self, folder: Path, most_bytes: int, days: float, now: Callable[[], float]) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._seconds = days * _DAY
        self._now = now
        self._file_bytes = min(FILE_BYTES, max(1, most_bytes // 4))

    def write(self, notes: Sequence[Traced], offset: float) -> None:
        """Append these; `offset` makes times since the epoch of the relay's clock's.  Raises OSError."""
        data = b"".join(_line(note, offset) for note in notes)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = self._paths()
        if not paths or self._is_full(paths[-1]):
            # A file is called by when it was begun.
            begun = max(int(self._now()), _begun(paths[-1]) + 1 if paths else 0)
            paths.append(self._folder / f"{begun:012}.trace")
        handle = os.open(paths[-1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "ab") as file:
            file.write(data)
        self._prune(paths)

    def find(self, name: str) -> Found:
        """What is known of a message by its id or its trace, and of its replies.  Raises OSError."""
        messages: list[MessageTrace] = []
        replies: list[ReplyTrace] = []
        for record in self._search(name):
            (messages if isinstance(record, MessageTrace) else replies).append(record)  # type: ignore[arg-type]
            if len(messages) + len(replies) >= MOST_FOUND:
                break
        return Found(sorted(messages, key=lambda one: one.ended), sorted(replies, key=lambda one: one.at))

    def _search(self, name: str) -> Iterator[MessageTrace | ReplyTrace]:
        needle = _encoder.encode(_clean(name))[1:-1]
        traces = {name}
        for path in reversed(self._paths()):
            data = path.read_bytes()
            at = data.rfind(needle) if needle else -1
            while at >= 0:
                start, end = data.rfind(b"\n", 0, at) + 1, data.find(b"\n", at)
                record = _record(data[start:end])
                if record is not None and (record.trace in traces or _is_named(record, name)):
                    yield record
                at = data.rfind(needle, 0, start) if start else -1

    def _paths(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))

    def _is_full(self, path: Path) -> bool:
        begun_long_ago = self._now() - _begun(path) >= min(_DAY, self._seconds)
        return begun_long_ago or path.stat().st_size >= self._file_bytes

    def _prune(self, paths: list[Path]) -> None:
        total = sum(path.stat().st_size for path in paths)
        for path, behind in pairwise(paths):
            # What is in a file was written before the next was begun.
            if total <= self._most_bytes and _begun(behind) >= self._now() - self._seconds:
                break
            total -= path.stat().st_size
            path.unlink()


def _begun(path: Path) -> int:
    return int(path.stem)


def _is_named(record: MessageTrace | ReplyTrace, name: str) -> bool:
    return record.id == name or (isinstance(record, ReplyTrace) and record.id.rpartition("/")[0] == name)


def _line(note: Traced, offset: float) -> bytes:
    record = _message(note, offset) if len(note) == _MESSAGE else _reply(note, offset)  # type: ignore[arg-type]
    try:
        return _encoder.encode(record) + b"\n"
    except UnicodeEncodeError:
        fields = msgspec.to_builtins(record)
        return _encoder.encode([_clean(one) if isinstance(one, str) else one for one in fields]) + b"\n"


def _message(note: MessageNote, offset: float) -> MessageTrace:
    trace, name, client, room, channel, received, accepted, started, ended, said, again, size = note
    return MessageTrace(
        trace, name, client.bot, client.device, room, channel, received, accepted + offset,
        started + offset if started is not None else None, ended + offset, said, again, size,
    )  # fmt: skip


def _reply(note: ReplyNote, offset: float) -> ReplyTrace:
    trace, name, client, stage, why, written, at = note
    before = written + offset if written is not None else None
    return ReplyTrace(trace, name, client.bot, client.device, stage, why, before, at + offset)


def _clean(text: str) -> str:
    # Half of a surrogate pair cannot be written.
    return text.encode("utf-8", "replace").decode()


def _record(line: bytes) -> MessageTrace | ReplyTrace | None:
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None  # a kill came in the middle of it


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[MessageTrace | ReplyTrace] = msgspec.json.Decoder(MessageTrace | ReplyTrace)
