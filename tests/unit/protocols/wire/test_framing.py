"""Bytes to lines: the same lines however the network cut them, and never more kept than allowed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.protocols.wire import LineBuffer
from tests.unit.protocols.wire.strategies import unhurried

LIMIT = 20


def expected(stream: bytes, limit: int) -> tuple[list[bytes], bool]:
    """The lines of the whole stream up to the first that is too long, and whether there is one."""
    *lines, tail = stream.split(b"\n")
    for number, line in enumerate(lines):
        if len(line) > limit:
            return lines[:number], True
    return lines, len(tail) > limit


def feed_all(subject: LineBuffer, chunks: list[bytes]) -> list[bytes]:
    return [line for chunk in chunks for line in subject.feed(chunk)]


def pieces_of(stream: bytes, size: int) -> list[bytes]:
    return [stream[start : start + size] for start in range(0, len(stream), size)]


streams = st.lists(
    st.one_of(st.binary(max_size=8), st.sampled_from([b"\n", b"\r\n", b"x" * 15])), max_size=20
)


class LineTests(SynchronousTestCase):
    def test_a_line_is_given_when_it_ends(self) -> None:
        """An unfinished line is held, counted, and given without its end once that has come."""
        subject = LineBuffer(LIMIT)
        self.assertEqual(subject.feed(b"he"), [])
        self.assertEqual(subject.pending, 2)
        self.assertEqual(subject.feed(b"llo"), [])
        self.assertEqual(subject.pending, 5)
        self.assertEqual(subject.feed(b"\nwor"), [b"hello"])
        self.assertEqual(subject.pending, 3)

    def test_several_lines_in_one_chunk(self) -> None:
        """Lines that arrive together are given together, in order, empty ones too."""
        subject = LineBuffer(LIMIT)
        self.assertEqual(subject.feed(b"a\n\nb\nc\n"), [b"a", b"", b"b", b"c"])
        self.assertEqual(subject.pending, 0)

    def test_only_a_line_feed_ends_a_line(self) -> None:
        """Every other character that some library takes for a line end stays in its line."""
        line = "a\rb\u2028c\u2029d\u0085e\x0bf\x0cg\x1ch".encode()
        self.assertEqual(LineBuffer(100).feed(line + b"\n"), [line])

    def test_a_carriage_return_before_the_end_is_kept(self) -> None:
        """A phone that ends its lines with CR LF sends one line each, and the codec sees the CR."""
        self.assertEqual(LineBuffer(LIMIT).feed(b"a\r\nb\r\n"), [b"a\r", b"b\r"])

    def test_a_cut_between_carriage_return_and_line_feed(self) -> None:
        """A chunk that ends between CR and LF makes neither a line too many nor one too few."""
        self.assertEqual(feed_all(LineBuffer(LIMIT), [b"a\r", b"\nb\r\n"]), [b"a\r", b"b\r"])

    def test_an_empty_chunk_is_nothing(self) -> None:
        """No bytes complete no line and disturb none."""
        self.assertEqual(feed_all(LineBuffer(LIMIT), [b"", b"a", b"", b"b\n", b""]), [b"ab"])

    def test_lines_are_plain_bytes(self) -> None:
        """A line put together from pieces does not change when more bytes come."""
        subject = LineBuffer(LIMIT)
        subject.feed(b"a")
        (line,) = subject.feed(b"b\n")
        self.assertIs(type(line), bytes)
        subject.feed(b"c")
        self.assertEqual(line, b"ab")


class OverflowTests(SynchronousTestCase):
    def test_a_line_of_exactly_the_limit_passes(self) -> None:
        """The limit itself is allowed, in one chunk and byte by byte."""
        line = b"x" * LIMIT
        for chunks in ([line + b"\n"], [line, b"\n"], pieces_of(line + b"\n", 1)):
            subject = LineBuffer(LIMIT)
            self.assertEqual(feed_all(subject, chunks), [line])
            self.assertFalse(subject.overflowed)

    def test_one_byte_more_overflows(self) -> None:
        """One byte above the limit overflows, whether or not the line has ended by then."""
        line = b"x" * (LIMIT + 1)
        for chunks in ([line + b"\n"], [line], [line[:-1], b"x\n"], pieces_of(line, 1)):
            subject = LineBuffer(LIMIT)
            self.assertEqual(feed_all(subject, chunks), [])
            self.assertTrue(subject.overflowed)

    def test_lines_before_the_long_one_are_given(self) -> None:
        """What came whole before the long line still counts, what came behind it in the chunk does not."""
        subject = LineBuffer(LIMIT)
        self.assertEqual(subject.feed(b"a\nb\n" + b"x" * 21 + b"\nc\n"), [b"a", b"b"])
        self.assertTrue(subject.overflowed)

    def test_lines_before_a_long_tail_are_given(self) -> None:
        """A long line that has not ended takes nothing away from those before it."""
        subject = LineBuffer(LIMIT)
        self.assertEqual(subject.feed(b"a\n" + b"x" * 21), [b"a"])
        self.assertTrue(subject.overflowed)

    def test_bytes_after_an_overflow_are_ignored(self) -> None:
        """After an overflow nothing is kept and nothing is given, not even well-formed lines."""
        subject = LineBuffer(LIMIT)
        subject.feed(b"x" * 21)
        self.assertEqual(subject.pending, 0)
        self.assertEqual(feed_all(subject, [b"\n", b"a\n", b"x" * 1000]), [])
        self.assertEqual(subject.pending, 0)
        self.assertTrue(subject.overflowed)


class ResizeTests(SynchronousTestCase):
    def test_an_unfinished_line(self) -> None:
        """A line that is held is judged by the new limit at once: longer ones may end, or are too long."""
        grown, shrunk = LineBuffer(LIMIT), LineBuffer(LIMIT)
        for subject in (grown, shrunk):
            subject.feed(b"x" * 15)
        self.assertEqual((grown.resize(40), shrunk.resize(14)), ([], []))
        self.assertEqual((grown.overflowed, shrunk.overflowed), (False, True))
        self.assertEqual(grown.feed(b"y" * 25 + b"\n"), [b"x" * 15 + b"y" * 25])

    def test_what_was_cut_off(self) -> None:
        """What a chunk held behind a line that was too long comes back if the limit grows in time."""
        subject = LineBuffer(LIMIT)
        self.assertEqual(subject.feed(b"a\n" + b"x" * 30 + b"\nb\nc"), [b"a"])
        self.assertEqual(subject.resize(25), [])
        self.assertTrue(subject.overflowed)
        self.assertEqual(subject.resize(30), [b"x" * 30, b"b"])
        self.assertFalse(subject.overflowed)
        self.assertEqual(subject.feed(b"d\n"), [b"cd"])

    def test_too_late(self) -> None:
        """Once bytes were ignored, or the buffer was given up, nothing brings the rest back."""
        late, given_up = LineBuffer(LIMIT), LineBuffer(LIMIT)
        for subject in (late, given_up):
            subject.feed(b"x" * 30 + b"\n")
        late.feed(b"y")
        given_up.give_up()
        for subject in (late, given_up):
            self.assertEqual(subject.resize(100), [])
            self.assertTrue(subject.overflowed)
            self.assertEqual(subject.feed(b"a\n"), [])


class ChunkingTests(SynchronousTestCase):
    @unhurried
    @given(streams, st.integers(0, 30))
    def test_any_chunking(self, chunks: list[bytes], limit: int) -> None:
        """However the bytes are cut the lines are those of the whole, and so is the overflow."""
        stream = b"".join(chunks)
        lines, overflowed = expected(stream, limit)
        for cut in (chunks, [stream], pieces_of(stream, 1), pieces_of(stream, 3)):
            subject = LineBuffer(limit)
            self.assertEqual(feed_all(subject, cut), lines)
            self.assertEqual(subject.overflowed, overflowed)

    @unhurried
    @given(streams, st.integers(0, 30))
    def test_never_more_than_the_limit_is_kept(self, chunks: list[bytes], limit: int) -> None:
        """Between chunks at most one unfinished line of allowed length is held."""
        subject = LineBuffer(limit)
        so_far = b""
        for chunk in chunks:
            subject.feed(chunk)
            so_far += chunk
            unfinished = 0 if subject.overflowed else len(so_far) - so_far.rfind(b"\n") - 1
            self.assertEqual(subject.pending, unfinished)
            self.assertLessEqual(subject.pending, limit)


class Plain:
    """The same by the most simple means, one byte after the other."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.rest = b""
        self.ignored = False

    def give(self) -> list[bytes]:
        """The lines at the front that are short enough; the rest is kept."""
        lines = []
        while b"\n" in self.rest and self.rest.index(b"\n") <= self.limit:
            line, _, self.rest = self.rest.partition(b"\n")
            lines.append(line)
        return lines

    def overflowed(self) -> bool:
        return self.ignored or len(self.rest.partition(b"\n")[0]) > self.limit

    def feed(self, data: bytes) -> list[bytes]:
        if self.overflowed():
            self.ignored = True
            return []
        self.rest += data
        return self.give()

    def resize(self, limit: int) -> list[bytes]:
        self.limit = limit
        return [] if self.ignored else self.give()


class ResizingTests(SynchronousTestCase):
    @unhurried
    @given(st.lists(st.one_of(st.integers(0, 30), st.binary(max_size=8), st.just(b"x" * 9 + b"\n" * 2))))
    def test_any_order(self, steps: list[int | bytes]) -> None:
        """Whenever the limit moves: lines, overflow and what is held are those of the plain way."""
        subject, plain = LineBuffer(LIMIT), Plain(LIMIT)
        for step in steps:
            if isinstance(step, int):
                self.assertEqual(subject.resize(step), plain.resize(step))
            else:
                self.assertEqual(subject.feed(step), plain.feed(step))
            self.assertEqual(subject.overflowed, plain.overflowed())
            self.assertEqual(subject.pending, 0 if subject.overflowed else len(plain.rest))


class Segment(bytes):
    """A segment off the socket that adds up how many bytes are read through for line ends."""

    searched = 0

    def __contains__(self, wanted: Any) -> bool:
        Segment.searched += len(self)
        return wanted in bytes(self)

    def split(self, *args: object, **kwargs: object) -> list[bytes]:
        Segment.searched += len(self)
        return bytes(self).split(b"\n")


class DripTests(SynchronousTestCase):
    def test_a_line_that_drips_in_costs_what_it_weighs(self) -> None:
        """A line of 1 MiB in small segments is neither searched again nor copied at every segment."""
        total, size = 2**20, 64
        subject = LineBuffer(total)
        self.addCleanup(setattr, Segment, "searched", 0)
        held = subject._tail
        for number in range(1, total // size + 1):
            self.assertEqual(subject.feed(Segment(b"x" * size)), [])
            self.assertEqual(subject.pending, number * size)
            self.assertIs(subject._tail, held)
        self.assertEqual(Segment.searched, total)
        self.assertEqual(subject.feed(b"\n"), [b"x" * total])
        self.assertEqual(subject.pending, 0)
