"""When what has ended may be written down."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey
from relaytw.store.endings import KEPT_BACK, Endings

PHONE, DEAF = ClientKey("bot", "phone"), ClientKey("bot", "deaf")


class Told:
    """What two phones were told and have taken, in bytes; whoever is not in `told` is not here."""

    def __init__(self) -> None:
        self.told = {PHONE: 0, DEAF: 0}
        self.took = {PHONE: 0, DEAF: 0}

    def mark(self, client: ClientKey) -> object | None:
        return self.told.get(client)

    def taken(self, client: ClientKey, mark: object) -> bool:
        return client not in self.told or (isinstance(mark, int) and self.took[client] >= mark)


class EndingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.phones = Told()
        self.endings = Endings()
        self.endings.witness = self.phones

    def test_two_turns(self) -> None:
        """It ripens for one more turn after that in which it ended."""
        self.assertEqual(self.endings.turn([(1, PHONE), (2, None)]), [])
        self.assertTrue(self.endings.hurried)
        self.assertEqual(self.endings.turn([(3, PHONE)]), [1, 2])
        self.assertEqual(self.endings.turn([]), [3])
        self.assertFalse(self.endings.hurried)

    def test_deaf(self) -> None:
        """It is kept back while its phone takes nothing; others do not wait for that."""
        self.phones.told[DEAF] = 10
        self.endings.turn([(1, DEAF), (2, PHONE), (3, DEAF)])
        self.assertEqual(self.endings.turn([]), [2])
        self.assertTrue(self.endings.kept_back)
        self.assertEqual(self.endings.turn([]), [])
        self.phones.took[DEAF] = 10
        self.assertEqual(self.endings.turn([]), [1, 3])
        self.assertFalse(self.endings.kept_back)

    def test_busy(self) -> None:
        """A phone that is told more in every turn is waited for only as far as it was told before."""
        for turn in range(1, 6):
            self.phones.told[PHONE] += 100
            ripe = self.endings.turn([(turn, PHONE)])
            self.assertEqual(ripe, [turn - 1] if turn > 1 else [])
            self.phones.took[PHONE] = self.phones.told[PHONE]

    def test_gone(self) -> None:
        """A phone that is gone is not waited for: what it has not taken is kept elsewhere."""
        self.phones.told[DEAF] = 10
        self.endings.turn([(1, DEAF)])
        del self.phones.told[DEAF]
        self.assertEqual(self.endings.turn([(2, DEAF)]), [1])
        self.assertEqual(self.endings.turn([]), [2])

    def test_bounded(self) -> None:
        """Of too much that is kept back the oldest counts."""
        self.phones.told[DEAF] = 10
        self.endings.turn([(1, DEAF), (2, DEAF)])
        self.endings.turn([(number, DEAF) for number in range(3, KEPT_BACK + 3)])
        self.assertEqual(self.endings.turn([]), [1, 2])

    def test_rest(self) -> None:
        """At a stop everything counts."""
        self.phones.told[DEAF] = 10
        self.endings.turn([(1, DEAF)])
        self.endings.turn([(2, PHONE)])
        self.assertEqual(self.endings.rest(), [1, 2])
        self.assertEqual(self.endings.rest(), [])
