"""The journal's files: what is found again, what may go, and how little is left of what is finished."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from relaytw.messages import ClientKey, Reply, Text
from relaytw.store.journal_files import inspect, unfinished
from relaytw.store.records import Accepted, Kind, encode_place, encode_started, encode_waits
from relaytw.store.records import Message as Described
from relaytw.store.shelf import KEPT, Found, Shelf
from tests.unit.folders import OwnFolder

CLIENT = ClientKey("bot", "phone")
PLACE = encode_place("bot", "phone", "100")
SEGMENT = 65_536


def described(number: int, at: float = 5.0, size: int = 500) -> Described:
    """A message as it is written."""
    return (at, 1, number, 0, PLACE, f"100:{number}", f"t-{number}", b"x" * size)


class ShelfTests(OwnFolder):
    def setUp(self) -> None:
        self.folder = self.enter_folder() / "journal"
        self.salts = count(1)
        self.now = 5.0
        self.seen: list[Accepted] = []
        self.shelf = self.make()
        self.shelf.open(self.seen.append)

    def make(self) -> Shelf:
        """A shelf that nobody has opened."""
        return Shelf(self.folder, SEGMENT, lambda: next(self.salts), lambda: self.now)

    def again(self) -> Found:
        """What another process finds; the one before just ends."""
        for segment in self.shelf.segments:
            segment.close()
        self.seen.clear()
        self.shelf = self.make()
        return self.shelf.open(self.seen.append)

    def write(self, messages: int, size: int = 500) -> range:
        """Accept so many messages, in batches of ten; their numbers."""
        first = self.shelf.next_number
        for start in range(0, messages, 10):
            batch = range(first + start, first + min(start + 10, messages))
            self.shelf.write([described(number, self.now, size) for number in batch])
        return range(first, first + messages)

    def carry(self) -> None:
        """Tidy until there is nothing to tidy."""
        for _ in range(10_000):
            for segment in self.shelf.take_finished():
                segment.remove()
            oldest = self.shelf.worth_carrying()
            if oldest is None:
                return
            items = self.shelf.alive_in(oldest)
            self.shelf.carry(items, [oldest.read(offset, size) for _, (_, offset, size, _) in items])
        self.fail("it goes round in circles")

    def test_found_again(self) -> None:
        """What is not finished is found again, oldest first, with its deliveries; the finished are seen."""
        numbers = self.write(30)
        self.shelf.write_others([], [*numbers[:10], *numbers[12:]])
        self.shelf.deliveries[numbers[10]] = 2
        self.shelf.write_record(Kind.STARTED, encode_started(numbers[10], 2))
        found = self.again()
        self.assertEqual([(m.number, m.deliveries) for m in found.unfinished], [(11, 2), (12, 1)])
        self.assertEqual(found.unfinished[0].client, CLIENT)
        self.assertEqual([said.number for said in self.seen], list(numbers))
        self.assertEqual(self.shelf.next_number, 31)
        self.assertEqual(unfinished(self.folder), ["100:11", "100:12"])

    def test_replies(self) -> None:
        """So are replies that wait."""
        reply = Reply(CLIENT, "room", None, Text("안녕"), "t-1")
        others = [(number, encode_waits(number, 4.0, reply, spaced=False)) for number in (1, 2)]
        self.shelf.write_others(others, [])
        self.shelf.write_others([], [1])
        found = self.again()
        self.assertEqual([(w.number, w.at, w.reply) for w in found.waiting], [(2, 4.0, reply)])
        self.assertEqual(inspect(self.folder).unfinished_replies, 1)

    def test_shrinks(self) -> None:
        """However many messages were finished, two files are left of them."""
        for _ in range(100):
            numbers = self.write(50)
            self.shelf.write_others([], numbers)
            self.carry()
            self.assertLessEqual(len(self.shelf.segments), KEPT + 1)
        self.assertLessEqual(len(list(self.folder.iterdir())), KEPT)
        self.assertEqual(self.again().unfinished, [])

    def test_left_over(self) -> None:
        """A few that are never finished are carried forward, with their deliveries, and keep no old file."""
        first, second, *rest = self.write(200)
        self.shelf.deliveries[second] = 2
        self.shelf.write_others([], rest)
        for _ in range(100):
            self.shelf.write_others([], self.write(50))
            self.carry()
        self.assertLessEqual(len(list(self.folder.iterdir())), KEPT)
        found = self.again()
        self.assertEqual([(m.number, m.deliveries) for m in found.unfinished], [(first, 1), (second, 2)])

    def test_bounded(self) -> None:
        """Many unfinished ones cost about twice their size, however long the relay works on."""
        kept = self.write(400)
        for number in range(100):
            self.shelf.write_others([], self.write(50))
            if number % 10 == 0:
                self.carry()
        self.carry()
        self.assertLessEqual(self.shelf.size, 2 * SEGMENT + 2 * self.shelf.live_bytes + SEGMENT)
        self.assertEqual([m.number for m in self.again().unfinished], list(kept))

    def test_oldest_first(self) -> None:
        """A file is kept while an older one is: what it says of the older one's messages still counts."""
        oldest = self.write(150)
        middle = self.write(150)
        self.shelf.write_others([], [*oldest[:100], *middle])
        self.write(150)
        self.assertEqual(self.shelf.take_finished(), [])
        self.assertEqual(len(self.again().unfinished), 200)

    def test_ages_out(self) -> None:
        """What is finished goes altogether once it is too old to be recognised if it came again."""
        self.shelf.write_others([], self.write(20))
        self.assertFalse(self.shelf.stale(5.0))
        self.assertTrue(self.shelf.stale(5.1))
        self.shelf.rotate()
        (old,) = self.shelf.take_finished(before=5.1)
        old.remove()
        self.assertEqual(self.again().unfinished, [])
        self.assertEqual(self.seen, [])

    def test_torn(self) -> None:
        """A torn end is cut off and written over; nothing before it is lost."""
        self.write(3)
        path = self.shelf.segments[-1].path
        os.truncate(path, path.stat().st_size - 7)
        self.assertEqual([m.number for m in self.again().unfinished], [1, 2])
        self.assertEqual((self.shelf.torn, self.shelf.bad), (1, 0))
        self.write(1)
        self.assertEqual(len(self.again().unfinished), 3)
        self.assertEqual((self.shelf.torn, self.shelf.bad), (0, 0))
        self.assertEqual(len(list(self.folder.iterdir())), 1)

    def test_damaged(self) -> None:
        """Behind damage nothing is written: another file is begun, and both are read."""
        self.write(3)
        path = self.shelf.segments[-1].path
        data = bytearray(path.read_bytes())
        data[-600] ^= 0xFF
        path.write_bytes(bytes(data))
        self.assertEqual([m.number for m in self.again().unfinished], [1, 3])
        self.assertEqual(self.shelf.bad, 1)
        self.write(1)
        self.assertEqual([m.number for m in self.again().unfinished], [1, 3, 4])
        self.assertEqual(len(list(self.folder.iterdir())), 2)

    def test_header(self) -> None:
        """A file without a readable header is set aside, and its number is not used again."""
        self.write(1)
        path = self.shelf.segments[-1].path
        path.write_bytes(b"?" * 100)
        Path(self.folder, "00000002.log").write_bytes(b"relay")  # begun when the process died
        self.assertEqual(self.again().unfinished, [])
        self.assertEqual(
            sorted(path.name for path in self.folder.iterdir()), ["00000001.log.damaged", "00000002.log"]
        )
        self.assertEqual(self.shelf.bad, 1)

    def test_private(self) -> None:
        """What people said is readable by the relay's user alone."""
        self.write(1)
        (path,) = self.folder.iterdir()
        self.assertEqual((path.stat().st_mode & 0o777, self.folder.stat().st_mode & 0o777), (0o600, 0o700))
