"""Settings of a room, changed while it talks: in force at once, on connections that are open."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from relaytw.errors import Unavailable
from relaytw.services.retention import FIRST
from relaytw.store.times import WallClock
from tests.unit.books import done
from tests.unit.relay.harness import RelayTestCase


class RoomSettingsTests(RelayTestCase):
    def set(self, **values: object) -> bool:
        """The operator changes settings of the one room."""
        return done(self.relay.operator.set_room_settings(self.key(), "room", values))

    def test_muted(self) -> None:
        """What is said in a muted room is taken in and not run, from now until it is unmuted."""
        phone = self.proven()
        phone.say("first")
        self.assertTrue(self.set(muted=True))
        phone.say("second")
        self.set(muted=False)
        phone.say("third")
        self.assertEqual(self.heard_texts(), ["first", "third"])
        self.assertEqual(self.stages.metrics.muted, 1)
        self.advance(1)
        logged = self.database.rows("SELECT message FROM kb_chat_logs ORDER BY id")
        self.assertEqual(logged, [("first",), ("second",), ("third",)])

    def test_ordered(self) -> None:
        """An ordered room runs one message at a time; it may become so, and cease to, while it is busy."""
        phone = self.proven()
        phone.say("# wait 0")
        self.set(ordered=True)
        for number in (1, 2, 3):
            phone.say(f"# wait {number}")
        self.assertEqual(self.heard_texts(), ["# wait 0"])
        self.let_go(number=1)
        self.assertEqual(self.heard_texts(), ["# wait 0", "# wait 1"])
        self.set(ordered=False)
        self.assertEqual(self.heard_texts(), [f"# wait {number}" for number in range(4)])

    def test_per_room(self) -> None:
        """A room's own number goes before the usual one."""
        phone = self.proven()
        phone.say("hello")
        self.set(per_room=5)
        for number in range(7):
            phone.say(f"# wait {number}")
        self.assertEqual(len(self.waiting), 5)

    def test_chat_log(self) -> None:
        """How much is kept of a chat changes with the next message; the other rooms' is as it was."""
        phone = self.proven()
        phone.say("hello")
        self.set(chat_log="metadata", retention_days=7)
        phone.say("secret")
        phone.say("open", room="another")
        self.advance(1)
        texts = self.database.rows("SELECT message FROM kb_chat_logs ORDER BY id")
        self.assertEqual(texts, [("hello",), ("",), ("open",)])
        [room, other] = self.rooms()
        self.assertEqual(
            {room.name: room.settings.retention_days, other.name: other.settings.retention_days},
            {"room": 7, "another": None},
        )

    def test_retention(self) -> None:
        """The next look for old rows keeps a room's chat for its own time; the other rooms' as usual."""
        phone = self.proven(answers=True)
        phone.say("hello")
        phone.say("open", room="another")
        self.advance(1)
        old = WallClock("Asia/Seoul").text(self.now() - 8 * 86_400)
        self.database.change("UPDATE kb_chat_logs SET created_at = ?", old)
        self.set(retention_days=7)
        self.advance(FIRST)
        self.assertEqual(self.database.rows("SELECT message FROM kb_chat_logs"), [("open",)])

    def test_written_down(self) -> None:
        """Who has set what is in the audit, and the table has it after a restart."""
        self.proven().say("hello")
        self.set(muted=True)
        acts = self.database.rows("SELECT actor, detail FROM relaytw_audit WHERE act = 'set room'")
        self.assertEqual(acts, [("operator", "muted=True")])
        self.assertEqual(self.database.rows("SELECT muted FROM kb_rooms"), [(1,)])

    def test_refused(self) -> None:
        """A value that is not allowed changes nothing, nor does a room that nobody knows."""
        self.proven().say("hello")
        self.assertIn("per_room must be from 1", str(self.assertRaises(ValueError, self.set, per_room=0)))
        self.assertIn(
            "retention_days must be from 1", str(self.assertRaises(ValueError, self.set, retention_days=0))
        )
        unknown = self.relay.operator.set_room_settings(self.key(), "nowhere", {"muted": True})
        self.assertFalse(done(unknown))

    def test_away(self) -> None:
        """While the database is away nothing is changed, and the operator is told so."""
        phone = self.proven()
        phone.say("hello")
        self.database.go_away()
        changing = Deferred.fromCoroutine(
            self.relay.operator.set_room_settings(self.key(), "room", {"muted": True})
        )
        self.assertIn("nothing was changed", str(self.failureResultOf(changing, Unavailable).value))
        phone.say("go on")
        self.assertEqual(self.heard_texts(), ["hello", "go on"])
        self.database.come_back()
        self.advance(5)
