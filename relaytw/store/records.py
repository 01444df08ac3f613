"""The journal's records as bytes and back, without files.

A segment is a header with a salt of its own and then records: a head (length and kind of the payload,
checksums of both), and the payload.  Checksums begin with the salt, which a phone cannot know, so
that nothing it writes into a message can pass for a record.  A damaged payload is skipped, for its
head still says how long it is; behind a damaged head the next good record is looked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import msgspec

from relaytw.messages import ClientKey, Media, Reply, ReplyKind, Text

MAGIC = b"relaytw1"
_HEADER = struct.Struct("<8sII")
_HEAD = struct.Struct("<IBII")
_ACCEPTED = struct.Struct("<QBdIQqIII")
_PLACE = struct.Struct("<III")
_STARTED = struct.Struct("<QB")
_WAITS = struct.Struct("<Qd")
# Odd, so that no two lengths, and no two kinds, are the same in a checksum of 32 bits.
_LENGTH, _KIND, _MASK = 0x9E3779B1, 0x85EBCA6B, 0xFFFFFFFF
# Names come from phones and may hold half of a surrogate pair.
_ANY = "surrogatepass"
#: What is written of a message: when it came, serial, signature and its time, place, id, trace and line.
Message = tuple[float, int, int, int, bytes, str, str, bytes]
#: Bytes before the first record of a segment.
HEADER_SIZE = _HEADER.size
#: Bytes before a record's payload.
HEAD_SIZE = _HEAD.size
#: How far behind a damaged head the next record is looked for: more than the longest line.
RESYNC = 4 * 1024 * 1024


class Kind(IntEnum):
    """What a record says."""

    ACCEPTED = 1
    STARTED = 2
    FINISHED = 3
    WAITS = 4


#: In place of a number of deliveries: the handler has asked somebody something, and cannot be run again.
ASKED = 255


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
    """A reply has to wait since `at`, in seconds since the epoch: for its phone, or for a word of it.

    It was `written` to the phone or not, and how it ended is `told` already or not.
    """

    number: int
    at: float
    reply: Reply
    spaced: bool
    written: bool = False
    told: bool = False


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
    # Texts are bytes here, for they may hold half of a surrogate pair.
    bot: bytes
    device: bytes
    room: bytes
    channel_id: bytes | None
    trace: bytes
    reply_kind: str
    spaced: bool
    text: bytes | None
    urls: bool = False
    sources: tuple[bytes, ...] = ()
    kind: bytes = b""
    format: bytes = b""
    wait_ms: int | None = None
    id: bytes = b""
    written: bool = False
    told: bool = False


# -- writing


def encode_header(salt: int) -> bytes:
    """The beginning of a segment."""
    head = MAGIC + salt.to_bytes(4, "little")
    return head + crc32(head).to_bytes(4, "little")


def encode(salt: int, kind: int, payload: bytes) -> bytes:
    """One record."""
    length, check = len(payload), crc32(payload, salt)
    return _HEAD.pack(length, kind, check, check ^ _mix(length, kind, salt)) + payload


def encode_place(bot: str, device: str, room: str) -> bytes:
    """Where messages come from, as it stands in each of them."""
    names = [_bytes(name) for name in (bot, device, room)]
    return _PLACE.pack(*map(len, names)) + b"".join(names)


def encode_messages(salt: int, number: int, messages: Iterable[Message]) -> list[bytes]:
    """The records of accepted messages, numbered from `number`."""
    records = []
    for received_at, serial, signature, signed_at, place, name, trace, line in messages:
        id_, trace_ = name.encode("utf-8", _ANY), trace.encode("utf-8", _ANY)
        head = _ACCEPTED.pack(
            number, 1, received_at, serial, signature, signed_at, len(place), len(id_), len(trace_)
        )
        payload = b"".join((head, place, id_, trace_, line))
        length, check = len(payload), crc32(payload, salt)
        mixed = (length * _LENGTH + _KIND + salt) & _MASK
        records.append(_HEAD.pack(length, 1, check, check ^ mixed) + payload)
        number += 1
    return records


def encode_accepted(record: Accepted) -> bytes:
    """The payload of an accepted message."""
    number, deliveries, at, serial, signature, signed_at, client, room, name, trace, line = record
    place, id_, trace_ = encode_place(*client, room), _bytes(name), _bytes(trace)
    sizes = len(place), len(id_), len(trace_)
    head = _ACCEPTED.pack(number, deliveries, at, serial, signature, signed_at, *sizes)
    return b"".join((head, place, id_, trace_, line))


def with_deliveries(payload: bytes, deliveries: int) -> bytes:
    """The payload of an accepted message that was delivered so often."""
    return payload[:8] + bytes((deliveries,)) + payload[9:]


def encode_started(number: int, deliveries: int) -> bytes:
    """The payload of a message's start."""
    return _STARTED.pack(number, deliveries)


def encode_finished(numbers: Sequence[int]) -> bytes:
    """The payload of what is finished."""
    return struct.pack(f"<{len(numbers)}Q", *numbers)


def encode_waits(
    number: int, at: float, reply: Reply, *, spaced: bool, written: bool = False, told: bool = False
) -> bytes:
    """The payload of a reply that waits."""
    part, channel = reply.part, reply.channel_id
    common = (
        _bytes(reply.client.bot), _bytes(reply.client.device), _bytes(reply.room),
        None if channel is None else _bytes(channel), _bytes(reply.trace), reply.kind.value, spaced,
    )  # fmt: skip
    if isinstance(part, Text):
        waiting = _Waiting(*common, _bytes(part.text), id=_bytes(reply.id), written=written, told=told)
    else:
        urls = bool(part.sources) and isinstance(part.sources[0], str)
        sources = tuple(_bytes(source) if isinstance(source, str) else source for source in part.sources)
        waiting = _Waiting(
            *common, None, urls, sources, _bytes(part.kind), _bytes(part.format), part.wait_ms,
            _bytes(reply.id), written, told,
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
    if len(data) - at < HEAD_SIZE:
        return None
    length, kind, check, mixed = _HEAD.unpack_from(data, at)
    return (length, kind, check) if mixed == check ^ _mix(length, kind, salt) else None


def _mix(length: int, kind: int, salt: int) -> int:
    # A checksum of the head alone: quicker than a CRC, and any one damaged byte shows as well.
    return (length * _LENGTH + kind * _KIND + salt) & _MASK


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
    (place, name, trace), line = _cut(payload, _ACCEPTED.size, sizes)
    client, room = _decode_place(place)
    return Accepted(
        number, deliveries, at, serial, signature, signed_at, client, room, _text(name), _text(trace), line
    )


@lru_cache(10_000)
def _decode_place(place: bytes) -> tuple[ClientKey, str]:
    # Most messages come from a few rooms: one key for all that is kept of them, not an equal one for each.
    (bot, device, room), _ = _cut(place, _PLACE.size, _PLACE.unpack_from(place))
    return ClientKey(_text(bot), _text(device)), _text(room)


def _cut(data: bytes, start: int, sizes: Sequence[int]) -> tuple[list[bytes], bytes]:
    pieces = []
    for size in sizes:
        if start + size > len(data):
            raise BadRecord("it is cut off")
        pieces.append(data[start : start + size])
        start += size
    return pieces, data[start:]


def _text(data: bytes) -> str:
    return data.decode("utf-8", _ANY)


def _decode_started(payload: bytes) -> Started:
    return Started(*_STARTED.unpack(payload))


def _decode_finished(payload: bytes) -> Finished:
    return Finished(struct.unpack(f"<{len(payload) // 8}Q", payload))


def _decode_waits(payload: bytes) -> Waits:
    number, at = _WAITS.unpack_from(payload)
    said = msgspec.msgpack.decode(payload[_WAITS.size :], type=_Waiting)
    if said.text is not None:
        part: Text | Media = Text(_text(said.text))
    else:
        sources = tuple(map(_text, said.sources)) if said.urls else said.sources
        part = Media(sources, _text(said.kind), _text(said.format), said.wait_ms)
    reply = Reply(
        ClientKey(_text(said.bot), _text(said.device)),
        _text(said.room),
        None if said.channel_id is None else _text(said.channel_id),
        part,
        _text(said.trace),
        ReplyKind(said.reply_kind),
        _text(said.id),
    )
    return Waits(number, at, reply, said.spaced, said.written, said.told)


_DECODERS: Mapping[int, Callable[[bytes], Accepted | Started | Finished | Waits]] = {
    Kind.ACCEPTED: _decode_accepted,
    Kind.STARTED: _decode_started,
    Kind.FINISHED: _decode_finished,
    Kind.WAITS: _decode_waits,
}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", _ANY)
