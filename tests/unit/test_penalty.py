"""The penalty box: who gets in, for how long, and who never does."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey
from relaytw.penalty import Penalty, PenaltyBox, PenaltySettings

PHONE = ClientKey("bot", "phone")
HOST = "10.0.0.2"
#: Some time after the relay's first minute.
LATER = 1000.0


def box(**settings: Any) -> PenaltyBox:
    return PenaltyBox(PenaltySettings(**settings), 0.0)


def connect(subject: PenaltyBox, times: int, now: float, client: ClientKey = PHONE) -> float | None:
    """Connect this often at one moment; what the last one is told."""
    answers = [subject.connected(client, HOST, now) for _ in range(times)]
    return answers[-1]


class CountTests(SynchronousTestCase):
    def test_thirty_a_minute(self) -> None:
        """Thirty connects in a minute are let in; with the next one the client is in for five minutes."""
        subject = box()
        answers = [subject.connected(PHONE, HOST, LATER + number) for number in range(31)]
        self.assertEqual(answers, [None] * 30 + [300.0])
        self.assertEqual(subject.boxed(LATER + 30), [Penalty(PHONE, HOST, LATER + 330, 1)])

    def test_a_new_minute(self) -> None:
        """Every minute counts anew: a script that retries at leisure is let in for ever."""
        subject = box()
        for minute in range(5):
            self.assertIsNone(connect(subject, 30, LATER + minute * 60.5))

    def test_told_how_long(self) -> None:
        """Inside the box each connect is told what is left; none of them makes the stay longer."""
        subject = box()
        connect(subject, 31, LATER)
        self.assertEqual(connect(subject, 100, LATER + 100), 200.0)
        self.assertEqual(connect(subject, 1, LATER + 299), 1.0)
        self.assertIsNone(connect(subject, 1, LATER + 300))
        self.assertEqual(subject.boxed(LATER + 300), [])

    def test_client_and_host(self) -> None:
        """Another host with the phone's name, or another phone on the host, is not held against it."""
        subject = box()
        connect(subject, 31, LATER)
        self.assertIsNone(subject.connected(PHONE, "10.0.0.3", LATER))
        self.assertIsNone(subject.connected(ClientKey("bot", "other"), HOST, LATER))

    def test_first_minute(self) -> None:
        """Connects in the first minute after the relay's start are not counted: everybody comes at once."""
        subject = PenaltyBox(PenaltySettings(), 500.0)
        self.assertIsNone(connect(subject, 500, 559.9))
        self.assertIsNone(connect(subject, 30, 560.0))
        self.assertEqual(connect(subject, 1, 560.0), 300.0)


class GrowthTests(SynchronousTestCase):
    def test_doubles(self) -> None:
        """Who comes back like that stays twice as long each time, up to an hour."""
        subject, now, stays = box(), LATER, []
        for _ in range(6):
            stay = connect(subject, 31, now)
            assert stay is not None
            stays.append(stay)
            now += stay
        self.assertEqual(stays, [300, 600, 1200, 2400, 3600, 3600])

    def test_back_for_ever(self) -> None:
        """A script that comes back for months is still answered."""
        subject = box(connects_per_minute=0)
        now = LATER
        for _ in range(3000):
            stay = subject.connected(PHONE, HOST, now)
            assert stay is not None
            now += stay
        self.assertEqual(stay, 3600.0)

    def test_expires(self) -> None:
        """Who kept away for an hour after its stay starts from the beginning."""
        subject = box()
        connect(subject, 31, LATER)
        self.assertEqual(connect(subject, 31, LATER + 300 + 3601), 300.0)

    def test_does_not_expire_early(self) -> None:
        """Who kept away for less does not."""
        subject = box()
        connect(subject, 31, LATER)
        self.assertEqual(connect(subject, 31, LATER + 300 + 3599), 600.0)


class MercyTests(SynchronousTestCase):
    def test_proven(self) -> None:
        """The connects of a client whose sessions prove themselves are not counted."""
        subject = box()
        for number in range(200):
            self.assertIsNone(subject.connected(PHONE, HOST, LATER + number / 10))
            subject.proved(PHONE, HOST)

    def test_proven_once(self) -> None:
        """A session that proved itself wipes the slate clean, and no more: counting begins anew."""
        subject = box()
        connect(subject, 30, LATER)
        subject.proved(PHONE, HOST)
        self.assertIsNone(connect(subject, 30, LATER))
        self.assertEqual(connect(subject, 1, LATER), 300.0)

    def test_proof_ends_the_growth(self) -> None:
        """Who has proven itself since is in for the shortest stay again."""
        subject = box()
        connect(subject, 31, LATER)
        subject.proved(PHONE, HOST)
        self.assertEqual(connect(subject, 31, LATER + 300), 300.0)

    def test_proof_from_elsewhere(self) -> None:
        """A phone that proves itself does not excuse a stranger who uses its name on another host."""
        subject = box()
        connect(subject, 30, LATER)
        subject.proved(PHONE, "10.0.0.3")
        self.assertEqual(connect(subject, 1, LATER), 300.0)

    def test_lift(self) -> None:
        """An operator lets a client out, from whatever host; it is counted from nothing again."""
        subject = box()
        for host in (HOST, "10.0.0.3"):
            for _ in range(31):
                subject.connected(PHONE, host, LATER)
        other = ClientKey("bot", "other")
        connect(subject, 31, LATER, other)
        self.assertTrue(subject.lift(PHONE, LATER))
        self.assertEqual([entry.client for entry in subject.boxed(LATER)], [other])
        self.assertIsNone(connect(subject, 30, LATER))

    def test_nothing_to_lift(self) -> None:
        """Who is not in the box, or not any more, cannot be let out."""
        subject = box()
        self.assertFalse(subject.lift(PHONE, LATER))
        connect(subject, 31, LATER)
        self.assertFalse(subject.lift(PHONE, LATER + 300))


class BoundTests(SynchronousTestCase):
    def test_bounded(self) -> None:
        """Of too many clients the one that was quiet for longest is forgotten."""
        subject = box(clients=2)
        quiet, busy = ClientKey("bot", "quiet"), ClientKey("bot", "busy")
        connect(subject, 31, LATER, quiet)
        connect(subject, 1, LATER, busy)
        connect(subject, 1, LATER, quiet)
        connect(subject, 30, LATER, busy)
        connect(subject, 1, LATER)
        self.assertEqual([entry.client for entry in subject.boxed(LATER)], [busy])

    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.floats(0, 400)), max_size=60))
    def test_never_beyond_an_hour(self, steps: list[tuple[int, bool, float]]) -> None:
        """Whatever clients do, nobody stays longer than an hour, and whoever is in is listed."""
        subject, now = box(connects_per_minute=1, clients=2), LATER
        for which, proves, pause in steps:
            now += pause
            client = ClientKey("bot", str(which))
            left = subject.connected(client, HOST, now)
            if left is not None:
                self.assertTrue(0 < left <= 3600)
            listed = [entry.client for entry in subject.boxed(now)]
            self.assertEqual(client in listed, left is not None)
            self.assertLessEqual(len(listed), 2)
            if proves:
                subject.proved(client, HOST)
