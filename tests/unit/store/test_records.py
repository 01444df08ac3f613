"""The journal's records: whatever becomes of the bytes, nothing wrong is read, and nothing before is lost."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Reply, Text
from relaytw.store.records import (
    HEAD_SIZE,
    HEADER_SIZE,
    Accepted,
    BadRecord,
    Finished,
    Kind,
    Reading,
    Record,
    Started,
    Waits,
    decode,
    encode,
    encode_accepted,
    encode_finished,
    encode_header,
    encode_messages,
    encode_place,
    encode_started,
    encode_waits,
    read_header,
    scan,
    with_deliveries,
)
from tests.unit.protocols.wire.strategies import broken_texts, media, replies, unhurried, written

SALT = 0x5EED
numbers = st.integers(0, 2**64 - 1)
times = st.floats(0, 1e11)
messages = st.builds(
    Accepted,
    number=numbers,
    deliveries=st.integers(0, 255),
    received_at=times,
    serial=st.integers(0, 2**32 - 1),
    signature=numbers,
    signed_at=st.integers(0, 2**53),
    client=st.builds(ClientKey, broken_texts, broken_texts),
    room=broken_texts,
    id=broken_texts,
    trace=broken_texts,
    line=st.binary(),
)
records = st.one_of(
    messages.map(lambda said: (Kind.ACCEPTED, encode_accepted(said))),
    st.builds(lambda n, d: (Kind.STARTED, encode_started(n, d)), numbers, st.integers(0, 255)),
    st.lists(numbers).map(lambda ended: (Kind.FINISHED, encode_finished(ended))),
)
CLIENT = ClientKey("bot", "phone")
REPLY = Reply(CLIENT, "room", "100", Text("안녕"), "ab-1")


def segment(said: Sequence[tuple[int, bytes]]) -> bytes:
    """A whole segment."""
    return encode_header(SALT) + b"".join(encode(SALT, kind, payload) for kind, payload in said)


def read(data: bytes, salt: int = SALT) -> tuple[list[tuple[int, bytes]], Reading]:
    """What a scan finds."""
    found = Reading()
    return [(record.kind, record.payload) for record in scan(data, salt, found)], found


def small_log() -> tuple[list[tuple[int, bytes]], list[int]]:
    """A record of each kind, and where each ends."""
    accepted = Accepted(1, 1, 5.0, 1, 2, 3, CLIENT, "100", "100:1", "ab-1", b'{"event":"analyze"}')
    said = [
        (int(Kind.ACCEPTED), encode_accepted(accepted)),
        (int(Kind.WAITS), encode_waits(2, 5.0, REPLY, spaced=False)),
        (int(Kind.STARTED), encode_started(1, 2)),
        (int(Kind.FINISHED), encode_finished([1, 2])),
    ]
    ends, at = [], HEADER_SIZE
    for _, payload in said:
        at += HEAD_SIZE + len(payload)
        ends.append(at)
    return said, ends


class RoundTripTests(SynchronousTestCase):
    @given(st.lists(records), st.integers(0, 2**32 - 1))
    @unhurried
    def test_segment(self, said: list[tuple[int, bytes]], salt: int) -> None:
        """What was written is read, in order, and nothing else was met."""
        data = encode_header(salt) + b"".join(encode(salt, kind, payload) for kind, payload in said)
        self.assertEqual(read_header(data), salt)
        self.assertEqual(read(data, salt), (said, Reading(0, False, len(data))))

    @given(messages)
    @unhurried
    def test_accepted(self, said: Accepted) -> None:
        """A message comes back to the last byte of its line, halves of emoji in its names too."""
        payload = encode_accepted(said)
        self.assertEqual(decode(Record(Kind.ACCEPTED, 0, 0, payload)), said)
        again = decode(Record(Kind.ACCEPTED, 0, 0, with_deliveries(payload, 7)))
        self.assertEqual(again, said._replace(deliveries=7))

    @given(st.lists(messages, max_size=4), st.integers(0, 2**63))
    @unhurried
    def test_batch(self, batch: list[Accepted], first: int) -> None:
        """Messages written together are the same as each written alone, numbered one after the other."""
        data = b"".join(
            encode_messages(
                SALT,
                first,
                [
                    (m.received_at, m.serial, m.signature, m.signed_at, encode_place(*m.client, m.room),
                     m.id, m.trace, m.line)
                    for m in batch
                ],
            )
        )  # fmt: skip
        said, _ = read(encode_header(SALT) + data)
        expected = [m._replace(number=first + n, deliveries=1) for n, m in enumerate(batch)]
        self.assertEqual([decode(Record(kind, 0, 0, payload)) for kind, payload in said], expected)

    @given(replies(written | media), numbers, times, st.booleans(), st.booleans(), st.booleans())
    @unhurried
    def test_reply(self, reply: Reply, number: int, at: float, spaced: bool, given: bool, told: bool) -> None:
        """A reply comes back as it was: text, URLs or the bytes of a file, and what has come of it."""
        payload = encode_waits(number, at, reply, spaced=spaced, written=given, told=told)
        self.assertEqual(
            decode(Record(Kind.WAITS, 0, 0, payload)), Waits(number, at, reply, spaced, given, told)
        )

    def test_others(self) -> None:
        """So do a start and what has ended."""
        self.assertEqual(decode(Record(Kind.STARTED, 0, 0, encode_started(5, 2))), Started(5, 2))
        self.assertEqual(decode(Record(Kind.FINISHED, 0, 0, encode_finished([3, 9]))), Finished((3, 9)))


class DamageTests(SynchronousTestCase):
    def test_cut(self) -> None:
        """A log cut anywhere gives every record before the cut; a half one is a torn end, not damage."""
        said, ends = small_log()
        data = segment(said)
        for end in range(HEADER_SIZE, len(data) + 1):
            got, found = read(data[:end])
            whole = sum(at <= end for at in ends)
            self.assertEqual(got, said[:whole])
            self.assertEqual((found.bad, found.torn), (0, end not in (HEADER_SIZE, *ends)), end)
            self.assertEqual(found.end, ends[whole - 1] if whole else HEADER_SIZE)

    def test_every_byte(self) -> None:
        """A damaged byte costs the record it is in, counted, and no other; nothing wrong is ever read."""
        said, ends = small_log()
        data = segment(said)
        for at in range(HEADER_SIZE, len(data)):
            struck = sum(end <= at for end in ends)
            for value in (data[at] ^ 0x01, data[at] ^ 0x80, data[at] ^ 0xFF):
                got, found = read(data[:at] + bytes((value,)) + data[at + 1 :])
                self.assertEqual(got, said[:struck] + said[struck + 1 :], at)
                self.assertEqual(found.bad, 1, at)

    def test_header(self) -> None:
        """Without its header a segment cannot be read, and says so."""
        data = segment(small_log()[0])
        for at in range(HEADER_SIZE):
            self.assertIsNone(read_header(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]))
            self.assertIsNone(read_header(data[:at]))

    @given(st.binary(), st.binary(), st.integers(0, 2**32 - 1))
    @unhurried
    def test_any_bytes(self, before: bytes, after: bytes, salt: int) -> None:
        """Any bytes at all are scanned to their end, and a good record among them is found."""
        good = encode(salt, Kind.STARTED, encode_started(1, 2))
        got, _ = read(encode_header(salt) + before + good + after, salt)
        if not before:
            self.assertEqual(got[:1], [(Kind.STARTED, encode_started(1, 2))])
        for kind, payload in got:
            self.assertEqual(encode(salt, kind, payload) in before + good + after, True)

    @given(st.integers(0, 255), st.binary())
    @unhurried
    def test_any_payload(self, kind: int, payload: bytes) -> None:
        """A payload that is not what its kind has gives BadRecord: there is no third outcome."""
        try:
            said = decode(Record(kind, 0, 0, payload))
        except BadRecord:
            return
        self.assertIsInstance(said, (Accepted, Started, Finished, Waits))

    def test_forged(self) -> None:
        """A record that a phone has written into its message does not count, however well it is made."""
        forged = encode(SALT + 1, Kind.FINISHED, encode_finished([1]))
        payload = encode_accepted(Accepted(1, 1, 0.0, 0, 0, 0, CLIENT, "r", "i", "t", forged * 3))
        data = bytearray(segment([(Kind.ACCEPTED, payload), (Kind.STARTED, encode_started(1, 2))]))
        data[HEADER_SIZE] ^= 0xFF
        got, found = read(bytes(data))
        self.assertEqual(got, [(Kind.STARTED, encode_started(1, 2))])
        self.assertEqual(found.bad, 1)
