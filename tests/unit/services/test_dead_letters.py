"""Dead letters on their way into the database."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Media, Part, Reply, Text
from relaytw.metrics import Metrics
from relaytw.services.dead_letters import WAITING, DeadLetters
from relaytw.services.lost_replies import LostReplies
from relaytw.store.dead_letters import DeadLetter
from relaytw.testing import MemoryDatabase


def letter(number: int = 1, text: str = "안녕") -> DeadLetter:
    """A message that was given up."""
    client = ClientKey("bot", "phone")
    return DeadLetter(0, 50.0, "too_old", client, "100", f"100:{number}", "t", text, 1, 40.0, b"{}")


class DeadLetterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.database = MemoryDatabase()
        self.metrics = Metrics()
        self.stored: list[int] = []
        self.letters = DeadLetters(self.database, self.clock, self.metrics, keep=3)
        self.letters.startService()

    def add(self, *numbers: int) -> None:
        """Give messages up."""
        for number in numbers:
            self.letters.add(letter(number), lambda number=number: self.stored.append(number))  # type: ignore[misc]

    def test_stored(self) -> None:
        """A letter is stored, counted, and found again as it was."""
        self.add(1)
        self.assertEqual((self.stored, self.metrics.dead_letters), ([1], {"too_old": 1}))
        (found,) = self.successResultOf(self.letters.newest(10))
        self.assertEqual(found, letter(1)._replace(id=found.id))
        self.assertEqual(self.successResultOf(self.letters.get(found.id)), found)
        self.assertTrue(self.successResultOf(self.letters.drop(found.id)))
        self.assertIsNone(self.successResultOf(self.letters.get(found.id)))

    def test_kept(self) -> None:
        """No more than so many are kept, the newest."""
        self.add(1, 2, 3, 4, 5)
        found = self.successResultOf(self.letters.newest(10))
        self.assertEqual([one.message_id for one in found], ["100:5", "100:4", "100:3"])

    def test_any_text(self) -> None:
        """Whatever it says, and however long its names are, it can be stored."""
        names = letter()._replace(client=ClientKey("b" * 99, "\ud83d"), room_id="r" * 999, text="\ud83d!")
        self.letters.add(names, lambda: self.stored.append(0))
        self.assertEqual(self.stored, [0])

    def test_away(self) -> None:
        """Without a database they wait, in order, and are stored when it is back; tried ever less often."""
        self.database.go_away()
        self.add(1, 2)
        self.clock.pump([1.0, 1.0, 1.0])
        self.assertEqual(self.stored, [])
        self.database.come_back()
        self.clock.advance(4.0)
        self.assertEqual(self.stored, [1, 2])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_full(self) -> None:
        """Whoever gives up more than may wait is told so."""
        self.database.go_away()
        self.add(*range(WAITING))
        self.assertTrue(self.letters.full)
        self.letters.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LostReplyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.database = MemoryDatabase()
        self.metrics = Metrics()
        self.letters = DeadLetters(self.database, self.clock, self.metrics, keep=10)
        self.letters.startService()
        self.lost = LostReplies(self.letters, lambda: 50.0)

    def note(self, part: Part, why: str = "expired") -> None:
        """Give a reply up."""
        self.lost.note(Reply(ClientKey("bot", "phone"), "family", "100", part, "t", id="m7/0"), why)

    def test_recorded(self) -> None:
        """A reply that is given up is recorded with its reason, its id and its size, but not what it said."""
        self.note(Text("a secret"))
        self.note(Media((b"123", b"45")), "no_room")
        found = self.successResultOf(self.letters.newest(10))
        self.assertEqual(
            [(one.reason, one.room_id, one.message_id, one.trace, one.text, one.line) for one in found],
            [
                ("reply_no_room", "100", "m7/0", "t", "(image, 2 sources, 5 bytes)", b""),
                ("reply_expired", "100", "m7/0", "t", "(8 characters)", b""),
            ],
        )
        self.assertEqual(self.metrics.dead_letters, {"reply_expired": 1, "reply_no_room": 1})

    def test_bounded(self) -> None:
        """While the database is away only so many wait; the others are counted as lost."""
        self.database.go_away()
        for _ in range(WAITING + 5):
            self.note(Text("x"))
        # Those that are being written do not count among those that wait.
        self.assertGreater(self.metrics.rows_dropped["relaytw_dead_letters"], 0)
        self.assertEqual(self.metrics.dead_letters["reply_expired"], WAITING + 5)
        self.letters.stopService()
