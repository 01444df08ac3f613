"""Which messages came before: ids, digests, the script's two code paths, and what is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relaytw.messages import Chat, ClientKey
from relaytw.seen import Pass
from tests.unit.doors import Door, DoorCase


def chat(
    text: str = "hi",
    log_id: str | None = None,
    *,
    room: str = "room",
    sender: str = "Ada",
    channel_id: str | None = "7",
) -> Chat:
    return Chat(room, text, sender, channel_id, log_id, None, False, False, "2026-01-01 00:00:00", None)


def enter(door: Door, pass_: Pass, said: Chat) -> str | None:
    """Show a message to the gate, with a line that is another one for each other message."""
    return door.gate.identify(pass_, said, repr(said).encode())


class DuplicateTests(DoorCase):
    def test_same_log_id(self) -> None:
        """The same logId of the same channel is the same message, whatever else its line says."""
        door = Door()
        pass_ = door.connect()
        name = enter(door, pass_, chat(log_id="1"))
        self.assertIsNotNone(name)
        self.assertIsNone(enter(door, pass_, chat(log_id="1")))
        self.assertIsNone(enter(door, pass_, chat("edited", "1")))
        others = [
            enter(door, pass_, chat(log_id="2")),
            enter(door, pass_, chat(log_id="1", channel_id="8")),
            enter(door, pass_, chat(log_id="1", channel_id=None)),
        ]
        self.assertEqual(len({name, *others} - {None}), 4)

    def test_same_line(self) -> None:
        """Without a logId identical bytes are the same message, and others are not."""
        door = Door()
        pass_ = door.connect()
        names = [door.gate.identify(pass_, chat(), line) for line in (b"a", b"a", b"b", b"a", b"b")]
        self.assertEqual([name is not None for name in names], [True, False, True, False, False])
        self.assertNotEqual(names[0], names[2])

    def test_over_another_connection(self) -> None:
        """What is sent again over the next connection is a duplicate too; another client's is not."""
        door = Door()
        first = enter(door, door.connect(), chat(log_id="1"))
        self.assertIsNone(enter(door, door.connect(), chat(log_id="1")))
        self.assertEqual(enter(door, door.connect(ClientKey("bot", "other")), chat(log_id="1")), first)

    def test_time_to_live(self) -> None:
        """Five minutes later the same id is a new message, and recognised for five minutes again."""
        door = Door()
        pass_ = door.connect()
        enter(door, pass_, chat(log_id="1"))
        door.clock.advance(300)
        self.assertIsNone(enter(door, pass_, chat(log_id="1")))
        door.clock.advance(0.5)
        self.assertIsNotNone(enter(door, pass_, chat(log_id="1")))
        self.assertIsNone(enter(door, pass_, chat(log_id="1")))
        self.assertEqual(door.gate.remembered, 1)

    def test_forgotten_without_a_sweep(self) -> None:
        """Ids past their time make room at the next message, those renewed meanwhile excepted."""
        door = Door()
        pass_ = door.connect()
        for number in range(3):
            enter(door, pass_, chat(f"text {number}", str(number)))
        door.clock.advance(300.5)
        enter(door, pass_, chat(log_id="0"))
        enter(door, pass_, chat("new", "new"))
        self.assertEqual(door.gate.remembered, 2)
        self.assertIsNone(enter(door, pass_, chat(log_id="0")))

    def test_bounded_per_client(self) -> None:
        """Of one client the last ids are remembered, as many as allowed."""
        door = Door(per_client=10)
        pass_ = door.connect()
        for number in range(100):
            enter(door, pass_, chat(f"text {number}", str(number)))
            self.assertLessEqual(door.gate.remembered, 10)
        again = [number for number in range(90, 100) if enter(door, pass_, chat("", str(number)))]
        self.assertEqual(again, [])
        self.assertIsNotNone(enter(door, pass_, chat("", "89")))

    def test_bounded_in_total(self) -> None:
        """The bound in all holds, and a flood of one client does not make another's be forgotten."""
        door = Door(total=10)
        quiet, busy = door.connect(ClientKey("bot", "quiet")), door.connect(ClientKey("bot", "busy"))
        enter(door, quiet, chat(log_id="1"))
        for number in range(100):
            enter(door, busy, chat(f"text {number}", str(number)))
            self.assertLessEqual(door.gate.remembered, 10)
        self.assertIsNone(enter(door, quiet, chat(log_id="1")))

    def test_total_spares_newcomers(self) -> None:
        """A client that comes when all is full is still known by the last message it has sent."""
        door = Door(total=1)
        for name in ("one", "two", "three"):
            pass_ = door.connect(ClientKey("bot", name))
            self.assertIsNotNone(enter(door, pass_, chat(log_id="1")))
            self.assertIsNone(enter(door, pass_, chat(log_id="1")))


class TwinTests(DoorCase):
    def test_either_order(self) -> None:
        """The same with and without a logId is one message: whichever came first runs."""
        for first, second in ((None, "1"), ("1", None)):
            door = Door()
            pass_ = door.connect()
            self.assertIsNotNone(enter(door, pass_, chat(log_id=first)))
            door.clock.advance(0.9)
            self.assertIsNone(enter(door, pass_, chat(log_id=second)))
            self.assertIsNone(enter(door, pass_, chat(log_id=second)))

    def test_within_exactly_a_second(self) -> None:
        """A second later it is still one message, in either order."""
        for first, second in ((None, "1"), ("1", None)):
            door = Door()
            pass_ = door.connect()
            enter(door, pass_, chat(log_id=first))
            door.clock.advance(1.0)
            self.assertIsNone(enter(door, pass_, chat(log_id=second)))

    def test_outside_the_window(self) -> None:
        """Later than that somebody has said the same again."""
        for first, second in ((None, "1"), ("1", None)):
            door = Door()
            pass_ = door.connect()
            enter(door, pass_, chat(log_id=first))
            door.clock.advance(1.25)
            self.assertIsNotNone(enter(door, pass_, chat(log_id=second)))

    def test_something_else(self) -> None:
        """Another room, sender or text is another message."""
        for said in (chat(room="other"), chat(sender="Bob"), chat("ho")):
            door = Door()
            pass_ = door.connect()
            enter(door, pass_, said._replace(log_id="1"))
            self.assertIsNotNone(enter(door, pass_, chat()))

    def test_another_phone(self) -> None:
        """Two phones in one room hear the same: neither is the other's twin."""
        door = Door()
        enter(door, door.connect(ClientKey("bot", "other")), chat(log_id="1"))
        self.assertIsNotNone(enter(door, door.connect(), chat()))

    def test_same_text_twice(self) -> None:
        """Whoever says the same twice in a second is heard twice: both have logIds of their own."""
        door = Door()
        pass_ = door.connect()
        self.assertIsNotNone(enter(door, pass_, chat(log_id="1")))
        self.assertIsNotNone(enter(door, pass_, chat(log_id="2")))

    def test_a_twin_is_used_up(self) -> None:
        """A message has one twin: what comes after the pair is a new message."""
        door = Door()
        pass_ = door.connect()
        enter(door, pass_, chat(log_id=None))
        self.assertIsNone(enter(door, pass_, chat(log_id="1")))
        self.assertIsNotNone(enter(door, pass_, chat(log_id="2")))

    def test_an_empty_log_id_is_none(self) -> None:
        """A phone that sends an empty logId has given none."""
        door = Door()
        pass_ = door.connect()
        enter(door, pass_, chat(log_id=""))
        self.assertIsNone(enter(door, pass_, chat(log_id="1")))

    def test_bounded(self) -> None:
        """A flood pushes the oldest texts out of the window: it cannot make it grow."""
        door = Door(total=10)
        pass_ = door.connect()
        enter(door, pass_, chat())
        for number in range(20):
            enter(door, pass_, chat(f"text {number}", str(number)))
        self.assertIsNotNone(enter(door, pass_, chat(log_id="1")))

    @given(
        st.permutations([(text, path) for text in range(6) for path in (True, False)]),
        st.lists(st.sampled_from([0.0, 0.01, 0.08]), min_size=12, max_size=12),
    )
    def test_every_pair_runs_once(self, sent: list[tuple[int, bool]], pauses: list[float]) -> None:
        """However the two code paths of several messages mix within the window, each runs once."""
        door = Door()
        pass_ = door.connect()
        ran = []
        for (text, has_id), pause in zip(sent, pauses, strict=True):
            door.clock.advance(pause)
            if enter(door, pass_, chat(str(text), f"id {text}" if has_id else None)) is not None:
                ran.append(text)
        self.assertEqual(sorted(ran), list(range(6)))


class SweepTests(DoorCase):
    def test_nothing_too_early(self) -> None:
        """What can still matter survives a sweep: ids for their time, signatures twice the skew."""
        door = Door()
        pass_, auth = door.connect(), door.auth(300_000)
        door.check(pass_, auth)
        enter(door, pass_, chat(log_id="1"))
        door.clock.advance(300)
        self.assertEqual(door.gate.sweep(), 0)
        self.assertIsNone(enter(door, pass_, chat(log_id="1")))
        door.clock.advance(300)
        self.assertEqual(door.gate.sweep(), 1)
        self.assertEqual((door.gate.remembered, door.gate.clients), (1, 1))
        door.clock.advance(0.5)
        self.assertEqual(door.gate.sweep(), 1)
        self.assertEqual((door.gate.remembered, door.gate.clients), (0, 0))

    def test_floor_survives(self) -> None:
        """A client's lowest acceptable timestamp is kept while anything it refuses could be fresh."""
        door = Door(per_client=1)
        first, auth = door.connect(), door.auth(300_000)
        door.check(first, auth)
        door.check(first, door.auth())
        door.clock.advance(599)
        door.gate.sweep()
        with self.assertRaisesRegex(Exception, "older than what is remembered"):
            door.check(door.connect(), auth)
        door.clock.advance(302)
        door.gate.sweep()
        self.assertEqual((door.gate.remembered, door.gate.clients), (0, 0))

    def test_a_connection_that_was_quiet_for_long(self) -> None:
        """What a connection says after a sweep forgot its client is known on the next one, and swept."""
        door = Door(required=False)
        pass_ = door.connect()
        enter(door, pass_, chat(log_id="1"))
        door.clock.advance(301)
        door.gate.sweep()
        self.assertEqual(door.gate.clients, 0)
        enter(door, pass_, chat(log_id="2"))
        self.assertIsNone(enter(door, door.connect(), chat(log_id="2")))
        door.clock.advance(301)
        self.assertEqual(door.gate.sweep(), 1)
        self.assertEqual((door.gate.remembered, door.gate.clients), (0, 0))

    def test_a_signature_after_a_sweep(self) -> None:
        """Likewise what it signs: shown on the next connection it is recognised."""
        door = Door()
        pass_ = door.connect()
        door.check(pass_, door.auth())
        door.clock.advance(601)
        door.gate.sweep()
        self.assertEqual(door.gate.clients, 0)
        auth = door.auth()
        door.check(pass_, auth)
        self.assertIs(door.check(door.connect(), auth), False)
