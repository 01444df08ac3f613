"""The journal's records as bytes and back, without files.

A segment is a header with a salt of its own and then records: a head (length and kind of the payload,
checksums of both), and the payload.  Checksums begin with the salt, which a phone cannot know, so
that nothing it writes into a message can pass for a record.  A damaged payload is skipped, for its
head still says how long it is; behind a damaged head the next good record is looked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple
from zlib import crc32

import msgspec

from relaytw.messages import ClientKey, Media, Reply, ReplyKind, Text

MAGIC = b"relaytw1"
_HEADER = struct.Struct("<8sII")
_HEAD = struct.Struct("<IBI")
_CHECK = struct.Struct("<I")
_ACCEPTED = struct.Struct("<QBdIQqIIIII")
_STARTED = struct.Struct("<QB")
_WAITS = struct.Struct("<Qd")
#: Bytes before the first record of a segment.
HEADER_SIZE = _HEADER.size
#: Bytes before a record's payload.
HEAD_SIZE = _HEAD.size + _CHECK.size
#: How far behind a damaged head the next record is looked for: more than the longest line.
RESYNC = 4 * 1024 * 1024


class Kind(IntEnum):
    """What a record says."""

    ACCEPTED = 1
    STARTED = 2
    FINISHED = 3
    WAITS = 4


class BadRecord(ValueError):
    """The payload of a record is not what its kind has."""


class Accepted(NamedTuple):
    """A message was accepted: the phone's own line, and what the relay knew of it.

    `received_at` is in seconds since the epoch, `signed_at` in ms; `serial` numbers the connection and
    `signature` is what the gate remembers of the message's signature, 0 without one.
    """

    number: int
    deliveries: int
    received_at: float
    serial: int
    signature: int
    signed_at: int
    client: ClientKey
    room: str
    id: str
    trace: str
    line: bytes


class Started(NamedTuple):
    """A message was given to its handler for the second time or more."""

    number: int
    deliveries: int


class Finished(NamedTuple):
    """These messages and replies need nothing more."""

    numbers: tuple[int, ...]


class Waits(NamedTuple):
    """A reply has to wait for its phone since `at`, in seconds since the epoch."""

    number: int
    at: float
    reply: Reply
    spaced: bool


class Record(NamedTuple):
    """One record as it stands at `offset`; `size` counts its head too."""

    kind: int
    offset: int
    size: int
    payload: bytes


@dataclass(slots=True)
class Reading:
    """What a scan met besides records: `end` is where the last good one ended."""

    bad: int = 0
    torn: bool = False
    end: int = HEADER_SIZE


class _Waiting(msgspec.Struct, array_like=True, frozen=True):
    bot: str
    device: str
    room: str
    channel_id: str | None
    trace: str
    reply_kind: str
    spaced: bool
    text: str | None
    sources: tuple[str | bytes, ...] = ()
    kind: str = ""
    format: str = ""
    wait_ms: int | None = None


# -- writing


def encode_header(salt: int) -> bytes:
    """The beginning of a segment."""
    head = MAGIC + salt.to_bytes(4, "little")
    return head + crc32(head).to_bytes(4, "little")


def encode(salt: int, kind: int, payload: bytes) -> bytes:
    """One record."""
    head = _HEAD.pack(len(payload), kind, crc32(payload, salt))
    return head + _CHECK.pack(crc32(head, salt)) + payload


def encode_accepted(record: Accepted) -> bytes:
    """The payload of an accepted message."""
    bot, device = _bytes(record.client.bot), _bytes(record.client.device)
    room, name, trace = _bytes(record.room), _bytes(record.id), _bytes(record.trace)
    return b"".join((
        _ACCEPTED.pack(
            record.number, record.deliveries, record.received_at, record.serial, record.signature,
            record.signed_at, len(bot), len(device), len(room), len(name), len(trace),
        ),
        bot, device, room, name, trace, record.line,
    ))  # fmt: skip


def with_deliveries(payload: bytes, deliveries: int) -> bytes:
    """The payload of an accepted message that was delivered so often."""
    return payload[:8] + bytes((deliveries,)) + payload[9:]


def encode_started(number: int, deliveries: int) -> bytes:
    """The payload of a message's start."""
    return _STARTED.pack(number, deliveries)


def encode_finished(numbers: Sequence[int]) -> bytes:
    """The payload of what is finished."""
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def encode_waits(number: int, at: float, reply: Reply, *, spaced: bool) -> bytes:
    """The payload of a reply that waits.  Raises ValueError for text that no packet can hold."""
    part = reply.part
    text, media = (part.text, None) if isinstance(part, Text) else (None, part)
    waiting = _Waiting(
        reply.client.bot, reply.client.device, reply.room, reply.channel_id, reply.trace, reply.kind.value,
        spaced, text, *((media.sources, media.kind, media.format, media.wait_ms) if media else ()),
    )  # fmt: skip
    return _WAITS.pack(number, at) + msgspec.msgpack.encode(waiting)


# -- reading


def read_header(data: bytes) -> int | None:
    """The salt of a segment, None if its header is damaged."""
    if len(data) < HEADER_SIZE:
        return None
    magic, salt, check = _HEADER.unpack_from(data)
    return int(salt) if magic == MAGIC and crc32(data[:12]) == check else None


def scan(data: bytes, salt: int, found: Reading) -> Iterator[Record]:
    """Every good record behind the header; what else there is goes to `found`.  Raises nothing."""
    at, size = found.end, len(data)
    while at < size:
        head = _head_at(data, at, salt)
        if head is None:
            if size - at < HEAD_SIZE:
                found.torn = True
                return
            found.bad += 1
            at = _next_good(data, at + 1, salt)
            continue
        length, kind, check = head
        end = at + HEAD_SIZE + length
        if end > size:
            found.torn = True
            return
        payload = data[at + HEAD_SIZE : end]
        if crc32(payload, salt) == check:
            found.end = end
            yield Record(kind, at, end - at, payload)
        else:
            found.bad += 1
        at = end


def decode(record: Record) -> Accepted | Started | Finished | Waits:
    """What a record says.  Raises BadRecord, and nothing else."""
    try:
        return _DECODERS[record.kind](record.payload)
    except (struct.error, KeyError, ValueError, msgspec.MsgspecError) as error:
        raise BadRecord(f"record of kind {record.kind} at {record.offset}: {error}") from error


def _head_at(data: bytes, at: int, salt: int) -> tuple[int, int, int] | None:
    head = data[at : at + _HEAD.size]
    if data[at + _HEAD.size : at + HEAD_SIZE] != _CHECK.pack(crc32(head, salt)) or len(head) < _HEAD.size:
        return None
    length, kind, check = _HEAD.unpack(head)
    return length, kind, check


def _next_good(data: bytes, at: int, salt: int) -> int:
    """Where the next good record begins, or the end of the data."""
    for start in range(at, min(at + RESYNC, len(data) - HEAD_SIZE + 1)):
        head = _head_at(data, start, salt)
        if head is not None:
            body = data[start + HEAD_SIZE : start + HEAD_SIZE + head[0]]
            if len(body) == head[0] and crc32(body, salt) == head[2]:
                return start
    return len(data)


def _decode_accepted(payload: bytes) -> Accepted:
    number, deliveries, at, serial, signature, signed_at, *sizes = _ACCEPTED.unpack_from(payload)
    start, texts = _ACCEPTED.size, []
    for size in sizes:
        if start + size > len(payload):
            raise BadRecord("a name is cut off")
        texts.append(payload[start : start + size].decode("utf-8", "surrogatepass"))
        start += size
    bot, device, room, name, trace = texts
    return Accepted(
        number, deliveries, at, serial, signature, signed_at, ClientKey(bot, device), room, name, trace,
        payload[start:],
    )  # fmt: skip


def _decode_started(payload: bytes) -> Started:
    return Started(*_STARTED.unpack(payload))


def _decode_finished(payload: bytes) -> Finished:
    return Finished(struct.unpack(f"<{len(payload) // 8}Q", payload))


def _decode_waits(payload: bytes) -> Waits:
    number, at = _WAITS.unpack_from(payload)
    said = msgspec.msgpack.decode(payload[_WAITS.size :], type=_Waiting)
    client, kind = ClientKey(said.bot, said.device), ReplyKind(said.reply_kind)
    if said.text is not None:
        part: Text | Media = Text(said.text)
    else:
        sources = said.sources
        if len({type(source) for source in sources}) > 1:
            raise BadRecord("media are URLs or contents, not both")
        part = Media(sources, said.kind, said.format, said.wait_ms)  # type: ignore[arg-type]
    return Waits(number, at, Reply(client, said.room, said.channel_id, part, said.trace, kind), said.spaced)


_DECODERS: Mapping[int, Callable[[bytes], Accepted | Started | Finished | Waits]] = {
    Kind.ACCEPTED: _decode_accepted,
    Kind.STARTED: _decode_started,
    Kind.FINISHED: _decode_finished,
    Kind.WAITS: _decode_waits,
}


def _bytes(text: str) -> bytes:
    # Names come from phones and may hold half of a surrogate pair.
    return text.encode("utf-8", "surrogatepass")
