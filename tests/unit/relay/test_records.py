"""What a relay remembers of what is said and answered, under each policy, whatever becomes of a message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from relaytw.gate import Room
from relaytw.messages import Media, Status
from relaytw.services.writer import GATHER
from relaytw.settings import BotSettings, ChatLogPolicy, RoomSettings
from tests.unit.relay.harness import BOT, RelayTestCase
from tests.unit.relay.test_lookups import SlowTestCase

Row = tuple[Any, ...]


class RecordsTestCase(RelayTestCase):
    def rows(self, columns: str = "message, is_our_bot_response") -> list[Row]:
        """What is in the chat log, once what waits is written."""
        self.advance(GATHER)
        return self.database.rows(f"SELECT {columns} FROM kb_chat_logs ORDER BY id")

    def texts(self) -> list[str]:
        """The messages in it."""
        return [row[0] for row in self.rows()]

    def room(self) -> Room:
        """The only room that is known."""
        found = self.stages.approvals.room(self.key(), "room", "room")
        assert isinstance(found, Room)
        return found


class ChatTests(RecordsTestCase):
    def test_question_and_answer(self) -> None:
        """A message and its answer are two rows with one trace, in this order."""
        phone = self.proven()
        phone.say("# echo 안녕 👋")
        found = self.rows(
            "message, sender, directive, message_type, is_our_bot_response, device_id, room_name"
        )
        self.assertEqual(
            found,
            [
                ("# echo 안녕 👋", "Ada", "# echo", "command", 0, "phone-1", "room"),
                ("에코: 안녕 👋", BOT, "", "text", 1, "phone-1", "room"),
            ],
        )
        traces = self.rows("trace_id")
        self.assertEqual((traces[0], len(traces[0][0]) > 5), (traces[1], True))

    def test_later_answers(self) -> None:
        """What a handler says later, and in several parts, is written down too; media in words."""
        phone = self.proven()
        phone.say("# wait")
        self.assertEqual(self.texts(), ["# wait"])
        self.let_go(["one", Media((b"x", b"y")), "two"])
        self.advance(60)
        self.assertEqual(self.texts(), ["# wait", "one", "[image x2]", "two"])

    def test_repeated(self) -> None:
        """A message that is sent again is not written down again."""
        phone = self.proven()
        phone.send(phone.say("once"))
        self.assertEqual(self.texts(), ["once"])

    def test_restricted(self) -> None:
        """What a phone says that is not approved yet is written down."""
        phone = self.proven()
        self.set_device(Status.PENDING)
        phone.say("hello?")
        self.assertEqual(self.rows(), [("hello?", 0)])

    def test_room_not_approved(self) -> None:
        """So is what is said in a room that is not approved."""
        phone = self.proven()
        self.set_room(Status.BLOCKED)
        phone.say("hello?")
        self.assertEqual((self.texts(), self.heard_texts()), (["hello?"], []))

    def test_paused_and_muted(self) -> None:
        """And what is said to a paused bot, or in a muted room."""
        phone = self.proven()
        self.relay.settings.put(BotSettings(BOT, paused=True))
        phone.say("to a paused bot")
        self.relay.settings.put(BotSettings(BOT))
        self.room().settings = RoomSettings(muted=True)
        phone.say("in a muted room")
        self.assertEqual((self.texts(), self.heard_texts()), (["to a paused bot", "in a muted room"], []))

    def test_overlong(self) -> None:
        """That too long a text came is written down, but not the text."""
        phone = self.proven()
        phone.say("x" * 65_001)
        self.assertEqual(self.rows("message, sender"), [("", "Ada")])

    def test_stop(self) -> None:
        """What was said and answered last is in the table when the relay has stopped."""
        phone = self.proven()
        phone.say("# echo last")
        self.stop()
        self.advance(0)
        self.assertEqual(self.texts(), ["# echo last", "에코: last"])

    def test_database_away(self) -> None:
        """With the database away who is known is answered, and the rows are written when it is back."""
        phone = self.proven()
        phone.say("# echo 0")
        self.assertEqual(self.texts(), ["# echo 0", "에코: 0"])
        self.database.go_away()
        phone.say("# echo 1")
        self.advance(20)
        self.assertEqual(phone.texts, ["에코: 0", "에코: 1"])
        self.assertEqual(self.relay.operator.overview().rows_waiting, 2)
        self.assertFalse(self.relay.operator.overview().database_up)
        self.database.come_back()
        self.advance(5)
        self.assertEqual(self.texts(), ["# echo 0", "에코: 0", "# echo 1", "에코: 1"])
        self.assertTrue(self.relay.operator.overview().database_up)


class PolicyTests(RecordsTestCase):
    def room_policy(self, policy: ChatLogPolicy | None) -> None:
        """Give the only room this policy."""
        room = self.room()
        room.settings = replace(room.settings, chat_log=policy)

    def test_bot(self) -> None:
        """A bot's policy goes before the relay's: metadata keeps no text, none keeps nothing."""
        phone = self.proven()
        self.relay.settings.put(BotSettings(BOT, chat_log=ChatLogPolicy.METADATA))
        phone.say("# echo secret")
        self.assertEqual(self.rows("message, directive, sender"), [("", "# echo", "Ada"), ("", "", BOT)])
        self.relay.settings.put(BotSettings(BOT, chat_log=ChatLogPolicy.NONE))
        phone.say("# echo secret")
        self.assertEqual((len(self.rows()), phone.texts), (2, ["에코: secret"] * 2))

    def test_room(self) -> None:
        """A room's policy goes before its bot's."""
        phone = self.proven()
        self.relay.settings.put(BotSettings(BOT, chat_log=ChatLogPolicy.NONE))
        phone.say("before")
        self.room_policy(ChatLogPolicy.FULL)
        phone.say("full")
        self.room_policy(None)
        phone.say("after")
        self.assertEqual(self.texts(), ["full"])

    def test_answers_keep_to_it(self) -> None:
        """What holds for a message holds for its answer, whatever is set meanwhile."""
        phone = self.proven()
        phone.say("first")
        self.room_policy(ChatLogPolicy.NONE)
        phone.say("# wait")
        self.room_policy(ChatLogPolicy.FULL)
        self.let_go("an answer")
        self.assertEqual(self.texts(), ["first"])


class NothingTests(RecordsTestCase):
    sections = {"database": {"chat_log": "none"}}  # noqa: RUF012 (the harness declares it)

    def test_nothing(self) -> None:
        """Where nothing is kept no row is made, of a pending phone's chat neither."""
        phone = self.proven()
        phone.say("# echo 1")
        self.set_device(Status.PENDING)
        phone.say("# echo 2")
        self.assertEqual((self.rows(), phone.texts), ([], ["에코: 1"]))


class LookupTests(SlowTestCase, RecordsTestCase):
    def test_waits_for_the_room(self) -> None:
        """What is said in a room that is looked up is written under the policy that turns out to hold."""
        phone, approvals = self.proven(), self.slow()
        later: Deferred[Any] = Deferred()
        approvals.rooms["room"] = later
        for text in ("# echo one", "# echo two"):
            phone.say(text)
        self.assertEqual(self.rows(), [])
        room = approvals.set_room(self.key(), "room", Status.APPROVED, register=True)
        room.settings = RoomSettings(chat_log=ChatLogPolicy.METADATA)
        later.callback(room)
        self.assertEqual(self.rows(), [("", 0), ("", 0), ("", 1), ("", 1)])

    def test_failed(self) -> None:
        """Where the room cannot be looked up nobody knows whether its text may be kept: it is not."""
        phone, approvals = self.proven(), self.slow()
        later: Deferred[Any] = Deferred()
        approvals.rooms["room"] = later
        phone.say("secret")
        later.errback(KeyError())
        self.assertEqual(self.rows("message, sender"), [("", "Ada")])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class PingTests(RecordsTestCase):
    def test_every_pong(self) -> None:
        """Every pong is a row, with the round trip where it answers a ping of this relay."""
        phone = self.connect(answers=True).hello()
        self.advance(66)
        rows = self.database.rows(
            "SELECT device_id, client_ip, ping_time_ms, process_name, server_cpu_max, server_memory_usage "
            "FROM kb_ping_monitor"
        )
        self.assertEqual(rows[-1], ("phone-1", "10.0.0.7", 50, "relay-01", 10.0, 100.0))
        self.assertEqual(len(rows), self.stages.metrics.pongs)
        phone.pong(12345)
        self.advance(GATHER)
        self.assertEqual(
            self.database.rows("SELECT ping_time_ms FROM kb_ping_monitor ORDER BY id")[-1], (None,)
        )


class NamedTests(RecordsTestCase):
    sections = {"relay": {"name": "relay-07", "listen": ["unix:x", "tcp:port=1491:interface=127.0.0.1"]}}  # noqa: RUF012

    def test_process(self) -> None:
        """A relay that was given a name says in its table that it runs, and that it has stopped."""
        query = "SELECT process_name, port, status FROM kb_server_processes"
        self.assertEqual(self.database.rows(query), [("relay-07", 1491, "running")])
        self.stop()
        self.advance(0)
        self.assertEqual(self.database.rows(query), [("relay-07", 1491, "stopped")])


class ForgetTests(RecordsTestCase):
    def test_nobody_named(self) -> None:
        """A relay without a name of its own is in no list of processes."""
        self.assertEqual(self.database.rows("SELECT * FROM kb_server_processes"), [])

    def test_forget(self) -> None:
        """What a person said and was answered is deleted; that is written down, without the whole hash."""
        phone = self.proven()
        phone.say("# echo mine")
        self.rows()
        self.database.change("UPDATE kb_chat_logs SET user_hash = '0123456789' WHERE is_bot = 0")
        phone.say("# echo another's")
        forgotten = Deferred.fromCoroutine(self.relay.operator.forget("0123456789"))
        self.advance(GATHER)
        self.assertEqual(self.successResultOf(forgotten), (1, 1, False))
        self.assertEqual(self.texts(), ["# echo another's", "에코: another's"])
        self.assertEqual(
            self.database.rows("SELECT actor, act, detail FROM relaytw_audit"),
            [("operator", "forget", "012345…: 1 messages and 1 answers to them")],
        )


class EmergencyTests(RecordsTestCase):
    def test_memory(self) -> None:
        """When memory runs out caches go; what was accepted, or waits for a phone or a table, does not."""
        phone = self.proven()
        phone.say("# wait")
        self.database.go_away()
        phone.say("# echo 1")
        self.advance(1)
        phone.vanish()
        self.advance(1)
        self.let_go("for later")
        machine: Any = self.relay.getServiceNamed("machine")
        machine.percent = 95.0
        self.advance(self.relay.config.monitor.memory_interval - 10)
        self.advance(20)
        overview = self.relay.operator.overview()
        self.assertEqual(list(self.relay.operator.closes()), [])
        self.assertGreaterEqual(overview.rows_waiting, 3)
        self.database.come_back()
        self.advance(5)
        self.assertEqual(self.texts(), ["# wait", "# echo 1", "에코: 1", "for later"])
        self.stages.metrics.closes.clear()
        self.stages.metrics.connects = 0
