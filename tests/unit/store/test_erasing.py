"""Forgetting what somebody said, in the journal's files: their lines alone, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey
from relaytw.store.erasing import erase
from relaytw.store.records import (
    Accepted,
    Kind,
    Reading,
    decode,
    encode,
    encode_accepted,
    encode_finished,
    read_header,
    scan,
)
from relaytw.store.segments import create
from tests.unit.folders import OwnFolder

SALT = 77
ADA, BOB = b'{"userHash":"ada","text":"mine"}', b'{"userHash":"bob","text":"his"}'


def accepted(number: int, line: bytes) -> Accepted:
    """A message as the journal has it."""
    return Accepted(number, 1, 5.0, 1, 2, 3, ClientKey("bot", "phone"), "방", f"id {number}", "t", line)


def is_adas(line: bytes) -> bool:
    """Did she say this?"""
    return b"ada" in line


def write(folder: Path, lines: Sequence[bytes], number: int = 1) -> Path:
    """A segment that holds these lines, the first of which is finished."""
    segment = create(folder, number, SALT)
    for place, line in enumerate(lines):
        segment.append(encode(SALT, Kind.ACCEPTED, encode_accepted(accepted(place, line))))
    segment.append(encode(SALT, Kind.FINISHED, encode_finished([0])))
    segment.close()
    return segment.path


def read(path: Path) -> tuple[list[object], Reading]:
    """Everything that a segment says, and what could not be read."""
    data, found = path.read_bytes(), Reading()
    salt = read_header(data)
    assert salt is not None
    return [decode(record) for record in scan(data, salt, found)], found


class EraseTests(OwnFolder):
    def setUp(self) -> None:
        self.folder = self.enter_folder()

    def test_hers_alone(self) -> None:
        """Her lines are blank, his are as they were, and nothing is damaged or moved."""
        path = write(self.folder, [ADA, BOB, ADA])
        before, _ = read(path)
        size = path.stat().st_size
        self.assertEqual(erase([path], is_adas), 2)
        after, found = read(path)
        self.assertEqual((found.bad, found.torn, path.stat().st_size), (0, False, size))
        self.assertNotIn(b"mine", path.read_bytes())
        blank = b" " * len(ADA)
        self.assertEqual(after, [accepted(0, blank), before[1], accepted(2, blank), before[3]])
        self.assertEqual(erase([path], is_adas), 0)

    def test_every_file(self) -> None:
        """All segments are looked through; one that was deleted meanwhile, or is none, stops nothing."""
        first, third = write(self.folder, [ADA]), write(self.folder, [ADA], 3)
        none = self.folder / "00000002.log"
        none.write_bytes(b"rubbish that names ada")
        self.assertEqual(erase([first, self.folder / "gone.log", none, third], is_adas), 2)
        self.assertEqual(none.read_bytes(), b"rubbish that names ada")

    def test_torn(self) -> None:
        """A record that is being written at the end is left to whoever writes it."""
        path = write(self.folder, [ADA])
        whole = path.read_bytes()
        torn = encode(SALT, Kind.ACCEPTED, encode_accepted(accepted(9, ADA)))[:-3]
        path.write_bytes(whole + torn)
        self.assertEqual(erase([path], is_adas), 1)
        self.assertTrue(path.read_bytes().endswith(torn))


class AnyTests(SynchronousTestCase):
    @given(st.lists(st.one_of(st.just(ADA), st.binary(max_size=50))))
    def test_any_lines(self, lines: list[bytes]) -> None:
        """Whatever the lines are, hers are gone, and every record can be read."""
        case = OwnFolder("mktemp")
        folder = Path(case.mktemp())
        folder.mkdir()
        path = write(folder, lines)
        hers = [line for line in lines if line and is_adas(line)]
        self.assertEqual(erase([path], is_adas), len(hers))
        records, found = read(path)
        self.assertEqual((len(records), found.bad, found.torn), (len(lines) + 1, 0, False))
        case.doCleanups()
