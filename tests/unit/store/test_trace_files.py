"""Files of traces: bounded, and readable whatever a kill has left of them."""

from __future__ import annotations

from relaytw.messages import ClientKey
from relaytw.store.trace_files import MessageNote, TraceFiles
from tests.unit.folders import OwnFolder

CLIENT = ClientKey("bot", "phone\ud83d")


def note(name: str, room: str = "room") -> MessageNote:
    return ("t-" + name, name, CLIENT, room, None, 1000.0, 5.0, None, 6.0, 0, False, 10)


class TraceFileTests(OwnFolder):
    def setUp(self) -> None:
        super().setUp()
        self.folder = self.enter_folder() / "trace"
        self.now = 2000.0

    def make(self, most: int = 1_000_000) -> TraceFiles:
        return TraceFiles(self.folder, most, 7, lambda: self.now)

    def test_found(self) -> None:
        """What was written is found by id and trace, times as of the epoch, half characters replaced."""
        files = self.make()
        files.write([note("a"), note('a"b\\\n한'), note("ab")], 995.0)
        for name in ("a", 'a"b\\\n한'):
            (found,) = files.find(name).messages
            self.assertEqual((found.id, found.device, found.accepted), (name, "phone?", 1000.0))
            self.assertIsNone(found.started)
            self.assertEqual(files.find("t-" + name).messages, [found])

    def test_size(self) -> None:
        """No more than so many bytes are kept, the newest, in several files."""
        files = self.make(10_000)
        for number in range(500):
            files.write([note(f"m{number}", "r" * 100)], 0.0)
        sizes = [path.stat().st_size for path in self.folder.iterdir()]
        self.assertLessEqual(sum(sizes), 10_000 + 300)
        self.assertGreater(len(sizes), 2)
        self.assertEqual((len(files.find("m0").messages), len(files.find("m499").messages)), (0, 1))

    def test_age(self) -> None:
        """And none older than so many days."""
        files = self.make()
        files.write([note("old")], 0.0)
        for _ in range(8):
            self.now += 86_400
            files.write([note("new")], 0.0)
        self.assertEqual((len(files.find("old").messages), len(files.find("new").messages)), (1, 8))
        self.now += 86_400
        files.write([note("new")], 0.0)
        self.assertEqual(files.find("old").messages, [])

    def test_torn(self) -> None:
        """A line that a kill has cut off is skipped, with what is written right behind it."""
        files = self.make()
        files.write([note("a"), note("b")], 0.0)
        (path,) = self.folder.iterdir()
        path.write_bytes(path.read_bytes()[:-10] + b"\xff")
        files.write([note("c"), note("d")], 0.0)
        self.assertEqual([len(files.find(name).messages) for name in "abcd"], [1, 0, 0, 1])

    def test_nothing(self) -> None:
        """Where there is no folder nothing is found."""
        self.assertEqual(self.make().find("a").messages, [])
