"""`relayctl phone`: the talk between a person and the relay, on a clock."""

from __future__ import annotations

import sys
from io import StringIO

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaytw.cli.phone import QUIET, Talk, Where
from relaytw.messages import Chat, ClientKey, Dialect, ErrorCode, Handshake, Media, Reply, Text
from relaytw.phone import Identity, SimulatedPhone
from relaytw.protocols import wire
from tests.unit.cli.fakes import CliTestCase

PATIENCE = 10.0


class TalkTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(sys, "stdin", StringIO())
        self.clock = Clock()
        self.shown: list[str] = []
        self.complaints: list[str] = []
        identity = Identity("bot", "phone-1")
        where = Where("room", "100", "Ada", "hash")
        self.talk = Talk(self.clock, identity, where, PATIENCE, self.shown.append, self.complaints.append)
        self.phone = SimulatedPhone(identity, self.talk, lambda: 1_700_000_000.0)
        self.transport = StringTransport()

    def connect(self, *, success: bool = True, approved: bool = True) -> None:
        """The phone connects and the relay answers its handshake."""
        self.phone.makeConnection(self.transport)
        self.phone.dataReceived(
            wire.encode_handshake_complete(
                success=success, approved=approved, message="so it is", server_version="x"
            )
        )

    def answer(self, *parts: Text | Media) -> None:
        """The relay answers."""
        client = ClientKey("bot", "phone-1")
        replies = [Reply(client, "room", "100", part, "trace") for part in parts]
        self.phone.dataReceived(b"".join(wire.encode_reply(Dialect.V32, reply, 0.0) for reply in replies))

    def lose(self) -> None:
        """The connection ends."""
        self.phone.connectionLost(Failure(ConnectionDone()))

    def said(self) -> list[str]:
        """The texts that the relay has read."""
        packets = [wire.decode_first(line)[0] for line in self.transport.value().splitlines()[:1]]
        self.assertTrue(all(isinstance(packet, Handshake) for packet in packets))
        chats = [wire.decode(line) for line in self.transport.value().splitlines()[1:]]
        return [chat.text for chat in chats if isinstance(chat, Chat)]

    def assert_left(self, code: int) -> None:
        """The talk is over, and nothing is left that would still happen."""
        self.assertEqual(self.successResultOf(self.talk.done), code)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SayTests(TalkTestCase):
    """`--say`: one message, one answer."""

    def test_answered(self) -> None:
        """The reply is printed, and the first one is the end, with 0."""
        self.talk.say("# echo hi")
        self.talk.wait_for_one()
        self.connect()
        self.assertEqual(self.said(), ["# echo hi"])
        self.assertNoResult(self.talk.done)
        self.answer(Text("에코: hi"))
        self.assertEqual((self.shown, self.complaints), (["에코: hi"], []))
        self.assert_left(0)

    def test_no_answer(self) -> None:
        """Without a reply within the time-out the end is 1, with advice."""
        self.connect()
        self.talk.say("# nonsense")
        self.talk.wait_for_one()
        self.clock.advance(PATIENCE - 0.1)
        self.assertNoResult(self.talk.done)
        self.clock.advance(0.1)
        self.assertIn("no reply within 10 s", self.complaints[0])
        self.assertIn("relayctl rooms list", self.complaints[0])
        self.assert_left(1)

    def test_whole_answer_at_once(self) -> None:
        """What comes along with the first reply is printed too."""
        self.connect()
        self.talk.say("x")
        self.talk.wait_for_one()
        self.answer(Text("one"), Media(("https://a/1.jpg", "https://a/2.jpg")))
        self.assertEqual(self.shown, ["one", "https://a/1.jpg", "https://a/2.jpg"])
        self.assert_left(0)

    def test_turned_away(self) -> None:
        """A phone that is turned away says why and leaves with 1; nothing is said."""
        self.talk.say("x")
        self.talk.wait_for_one()
        self.connect(success=False)
        self.assertEqual(self.complaints, ["the relay turns this phone away: so it is"])
        self.assertEqual(self.said(), [])
        self.assert_left(1)
        self.lose()
        self.assertEqual(len(self.complaints), 1)

    def test_connection_lost(self) -> None:
        """A connection that ends before the reply is the end, with 1."""
        self.connect()
        self.talk.say("x")
        self.talk.wait_for_one()
        self.lose()
        self.assertIn("relayctl closes", self.complaints[0])
        self.assert_left(1)

    def test_pending(self) -> None:
        """A phone that waits for approval is told how to get it, and goes on."""
        self.connect(approved=False)
        self.assertEqual(
            self.complaints, ["this phone is not approved yet: relayctl devices approve bot phone-1"]
        )
        self.talk.say("x")
        self.assertEqual(self.said(), ["x"])
        self.assertNoResult(self.talk.done)

    def test_scolded(self) -> None:
        """What the relay did not like is passed on."""
        self.connect()
        self.phone.dataReceived(wire.encode_error(ErrorCode.STALE, "the clock is off", 5))
        self.assertEqual(self.complaints, ["the relay says stale: the clock is off"])


class PipeTests(TalkTestCase):
    """Lines from a pipe or a file."""

    def test_order(self) -> None:
        """Lines typed before the relay has answered are said then, in order, as whom one is."""
        for line in ("one", "two"):
            self.talk.say(line)
        self.connect()
        self.talk.say("three")
        self.assertEqual(self.said(), ["one", "two", "three"])
        last = wire.decode(self.transport.value().splitlines()[-1])
        assert isinstance(last, Chat)
        self.assertEqual(
            (last.room, last.channel_id, last.sender, last.user_hash), ("room", "100", "Ada", "hash")
        )

    def test_waits_for_answers(self) -> None:
        """At the end of the input the answers are awaited, and a little longer for their further texts."""
        self.connect()
        self.talk.say("one")
        self.talk.say("two")
        self.talk.end_of_input()
        self.clock.advance(1)
        self.answer(Text("first"))
        self.clock.advance(QUIET + 1)
        self.assertNoResult(self.talk.done)
        self.answer(Text("second, 1"))
        self.clock.advance(QUIET - 0.1)
        self.answer(Text("second, 2"))
        self.clock.advance(QUIET - 0.1)
        self.assertNoResult(self.talk.done)
        self.clock.advance(0.2)
        self.assertEqual(self.shown, ["first", "second, 1", "second, 2"])
        self.assert_left(0)

    def test_not_all_answered(self) -> None:
        """A line without an answer ends with 1 after the time-out."""
        self.connect()
        self.talk.say("one")
        self.talk.say("two")
        self.answer(Text("first"))
        self.talk.end_of_input()
        self.clock.advance(PATIENCE)
        self.assertEqual(len(self.complaints), 1)
        self.assert_left(1)

    def test_nothing_to_wait_for(self) -> None:
        """Without anything said, or with all of it answered, the end of the input is the end."""
        self.connect()
        self.talk.say("one")
        self.answer(Text("first"))
        self.talk.end_of_input()
        self.assert_left(0)

    def test_late_reply(self) -> None:
        """A reply that comes while the phone hangs up changes nothing."""
        self.connect()
        self.talk.say("one")
        self.talk.end_of_input()
        self.clock.advance(PATIENCE)
        self.answer(Text("too late"))
        self.assertEqual(self.shown, ["too late"])
        self.assert_left(1)


class OptionsTests(CliTestCase):
    def test_not_understood(self) -> None:
        """What a phone cannot be is refused before anything is asked of the relay."""
        for option, value in (
            ("--port", "0"),
            ("--timeout", "-1"),
            ("--dialect", "4"),
            ("--secret-file", "missing"),
        ):
            self.assertIn(option, self.fails("phone", option, value, code=2))
        self.assertEqual(self.relay.asked, [])
