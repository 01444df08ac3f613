"""When what has ended may be written down."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey
from relaytw.store.endings import KEPT_BACK, Endings

PHONE, DEAF = ClientKey("bot", "phone"), ClientKey("bot", "deaf")


class EndingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.deaf = {DEAF}
        self.endings = Endings(self.deaf.__contains__)

    def test_two_turns(self) -> None:
        """It ripens for one more turn after that in which it ended."""
        self.assertEqual(self.endings.turn([(1, PHONE), (2, None)]), [])
        self.assertTrue(self.endings.hurried)
        self.assertEqual(self.endings.turn([(3, PHONE)]), [1, 2])
        self.assertEqual(self.endings.turn([]), [3])
        self.assertFalse(self.endings.hurried)

    def test_deaf(self) -> None:
        """It is kept back while its phone takes nothing; others do not wait for that."""
        self.endings.turn([(1, DEAF), (2, PHONE), (3, DEAF)])
        self.assertEqual(self.endings.turn([]), [2])
        self.assertTrue(self.endings.kept_back)
        self.assertEqual(self.endings.turn([]), [])
        self.deaf.clear()
        self.assertEqual(self.endings.turn([]), [1, 3])
        self.assertFalse(self.endings.kept_back)

    def test_bounded(self) -> None:
        """Of too much that is kept back the oldest counts."""
        self.endings.turn([(number, DEAF) for number in range(KEPT_BACK + 2)])
        self.assertEqual(self.endings.turn([]), [0, 1])

    def test_rest(self) -> None:
        """At a stop everything counts."""
        self.endings.turn([(1, DEAF)])
        self.endings.turn([(2, PHONE)])
        self.assertEqual(self.endings.rest(), [1, 2])
        self.assertEqual(self.endings.rest(), [])
