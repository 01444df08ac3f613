"""Who is here: joining, leaving late, doubt, and two phones with one identity."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey
from relaytw.registry import FIGHT_SECONDS, TAKEOVER_CLIENTS, Fight, Registry

PHONE = ClientKey("bot", "phone")


class Connection:
    """A connection that looks like every other of its client: only its identity differs."""

    def __init__(self, peer: str = "10.0.0.2:1", key: ClientKey | None = PHONE) -> None:
        self.peer = peer
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Connection) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class PresenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry: Registry[Connection] = Registry()

    def test_join_and_leave(self) -> None:
        """Who has joined is found by client and by address until it leaves."""
        one = Connection()
        self.assertIsNone(self.registry.join(PHONE, one))
        self.assertIs(self.registry.live(PHONE), one)
        self.assertIs(self.registry.at("10.0.0.2:1"), one)
        self.assertEqual((len(self.registry), self.registry.everyone()), (1, [one]))
        self.registry.leave(one)
        self.assertIsNone(self.registry.live(PHONE))
        self.assertIsNone(self.registry.at("10.0.0.2:1"))
        self.assertEqual((len(self.registry), self.registry.everyone()), (0, []))

    def test_take_over(self) -> None:
        """Who joins for a client that is live is told whom it replaces; joining twice replaces nobody."""
        one, two = Connection("10.0.0.2:1"), Connection("10.0.0.3:1")
        self.registry.join(PHONE, one)
        self.assertIs(self.registry.join(PHONE, two), one)
        self.assertIsNone(self.registry.join(PHONE, two))
        self.assertIs(self.registry.live(PHONE), two)
        self.assertEqual(len(self.registry), 1)

    def test_late_leave(self) -> None:
        """The late clean-up of a replaced connection does not take its successor away."""
        one, two = Connection(), Connection()
        self.registry.join(PHONE, one)
        self.registry.join(PHONE, two)
        self.registry.leave(one)
        self.assertIs(self.registry.live(PHONE), two)
        self.assertIs(self.registry.at(two.peer), two)

    def test_late_leave_at_another_address(self) -> None:
        """A replaced connection takes its own address with it."""
        one, two = Connection("10.0.0.2:1"), Connection("10.0.0.3:1")
        self.registry.join(PHONE, one)
        self.registry.join(PHONE, two)
        self.registry.leave(one)
        self.assertIsNone(self.registry.at("10.0.0.2:1"))
        self.assertIs(self.registry.at("10.0.0.3:1"), two)

    def test_leave_of_a_stranger(self) -> None:
        """Who never introduced itself, or was refused, leaves without a trace."""
        one = Connection()
        self.registry.join(PHONE, one)
        self.registry.leave(Connection("10.0.0.9:1", None))
        self.registry.leave(Connection("10.0.0.9:1"))
        self.assertIs(self.registry.live(PHONE), one)


class DoubtTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry: Registry[Connection] = Registry(2)
        self.live = Connection("10.0.0.2:1")
        self.registry.join(PHONE, self.live)

    def test_provisional_beside_live(self) -> None:
        """A doubted connection is found by address, and the live one stays live."""
        one = Connection("10.0.0.3:1")
        self.assertIsNone(self.registry.doubt(PHONE, one))
        self.assertIs(self.registry.live(PHONE), self.live)
        self.assertIs(self.registry.at("10.0.0.3:1"), one)
        self.assertEqual((len(self.registry), self.registry.provisional), (1, 1))

    def test_promotion(self) -> None:
        """One that proved itself is doubted no more, and the others still are."""
        one, two = Connection("10.0.0.3:1"), Connection("10.0.0.4:1")
        self.registry.doubt(PHONE, one)
        self.registry.doubt(PHONE, two)
        self.assertIs(self.registry.join(PHONE, two), self.live)
        self.assertIs(self.registry.doubted(PHONE)[0], one)
        self.assertEqual(self.registry.provisional, 1)

    def test_oldest_too_many(self) -> None:
        """At most two are doubted at a time: the oldest one too many is named, to be dropped."""
        waiting = [Connection(f"10.0.0.{number}:1") for number in range(3, 7)]
        self.assertIsNone(self.registry.doubt(PHONE, waiting[0]))
        self.assertIsNone(self.registry.doubt(PHONE, waiting[1]))
        for newcomer, oldest in ((waiting[2], waiting[0]), (waiting[3], waiting[1])):
            dropped = self.registry.doubt(PHONE, newcomer)
            self.assertIs(dropped, oldest)
            self.registry.leave(oldest)
            self.assertEqual(self.registry.provisional, 2)
        self.assertEqual([c.peer for c in self.registry.doubted(PHONE)], ["10.0.0.5:1", "10.0.0.6:1"])

    def test_clients_do_not_compete(self) -> None:
        """The doubted connections of one client do not count for another."""
        other = ClientKey("bot", "other")
        for number in range(2):
            self.registry.doubt(PHONE, Connection(f"10.0.0.3:{number}"))
            self.assertIsNone(self.registry.doubt(other, Connection(f"10.0.0.4:{number}", other)))
        self.assertEqual(self.registry.provisional, 4)

    def test_leave(self) -> None:
        """A doubted connection that leaves takes neither the live one nor another doubted one away."""
        one, two = Connection("10.0.0.3:1"), Connection("10.0.0.4:1")
        self.registry.doubt(PHONE, one)
        self.registry.doubt(PHONE, two)
        self.registry.leave(two)
        self.assertIs(self.registry.live(PHONE), self.live)
        self.assertEqual([c.peer for c in self.registry.doubted(PHONE)], ["10.0.0.3:1"])
        self.registry.leave(one)
        self.assertEqual((self.registry.provisional, self.registry.doubted(PHONE)), (0, []))

    @given(st.lists(st.tuples(st.sampled_from(["join", "doubt", "leave"]), st.integers(0, 5))))
    def test_only_leaving_takes_away(self, steps: list[tuple[str, int]]) -> None:
        """Whoever joins, is doubted or leaves in whatever order: the live one is the last that joined."""
        registry: Registry[Connection] = Registry()
        everyone = [Connection(f"10.0.0.{number}:1") for number in range(6)]
        live: Connection | None = None
        for step, number in steps:
            connection = everyone[number]
            if step == "join":
                registry.join(PHONE, connection)
                live = connection
            elif step == "doubt" and connection is not live:
                registry.doubt(PHONE, connection)
            elif step == "leave":
                registry.leave(connection)
                live = None if live is connection else live
            self.assertIs(registry.live(PHONE), live)
            self.assertEqual(len(registry), int(live is not None))
        for connection in everyone * len(steps):
            registry.leave(connection)
        self.assertEqual((registry.provisional, len(registry)), (0, 0))
        self.assertEqual([registry.at(connection.peer) for connection in everyone], [None] * 6)


class FightTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.registry: Registry[Connection] = Registry()

    def test_third_within_a_minute(self) -> None:
        """The third take-over within a minute is a fight, and both are named; then it counts anew."""
        for _ in range(2):
            self.assertIsNone(self.registry.took_over(PHONE, "a", "b", 0.0))
            self.assertIsNone(self.registry.took_over(PHONE, "b", "a", 1.0))
            self.assertEqual(self.registry.took_over(PHONE, "a", "b", FIGHT_SECONDS), Fight(PHONE, "a", "b"))

    def test_once_in_a_while(self) -> None:
        """A phone that changes its network once in a while does not fight."""
        for number in range(20):
            self.assertIsNone(self.registry.took_over(PHONE, "a", "b", number * (FIGHT_SECONDS / 2 + 1)))

    def test_clients_apart(self) -> None:
        """Take-overs of different clients are not added up."""
        for number in range(10):
            self.assertIsNone(self.registry.took_over(ClientKey("bot", str(number)), "a", "b", 0.0))

    def test_recent_fighters_are_kept(self) -> None:
        """Whoever was taken over again lately is not the one that is forgotten."""
        self.registry.took_over(PHONE, "a", "b", 0.0)
        for number in range(TAKEOVER_CLIENTS - 1):
            self.registry.took_over(ClientKey("bot", str(number)), "a", "b", 0.0)
        self.registry.took_over(PHONE, "a", "b", 0.0)
        self.registry.took_over(ClientKey("bot", "one more"), "a", "b", 0.0)
        self.assertIsNotNone(self.registry.took_over(PHONE, "a", "b", 0.0))

    def test_bounded(self) -> None:
        """Of the clients that were taken over long ago the oldest is forgotten."""
        first = ClientKey("bot", "first")
        self.registry.took_over(first, "a", "b", 0.0)
        self.registry.took_over(first, "a", "b", 0.0)
        for number in range(TAKEOVER_CLIENTS):
            self.registry.took_over(ClientKey("bot", str(number)), "a", "b", 0.0)
        self.assertIsNone(self.registry.took_over(first, "a", "b", 0.0))
