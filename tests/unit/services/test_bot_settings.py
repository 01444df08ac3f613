"""Bots' settings kept the same in the table and in memory, whoever changes them, database or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import Unavailable
from relaytw.messages import SettingChange
from relaytw.services.bot_settings import KeeperSettings, SettingsKeeper
from relaytw.services.live_settings import LiveSettings
from relaytw.settings import BotSettings, ChatLogPolicy
from relaytw.store.layout import FRESH
from relaytw.store.urls import Engine
from relaytw.testing import MemoryDatabase


class LateDatabase:
    """Does at once what it is asked, and says so when the test lets it."""

    engine = Engine.SQLITE
    layout = FRESH
    errors = 0
    away = None

    def __init__(self, real: MemoryDatabase) -> None:
        self._real = real
        self._done: list[tuple[Deferred[Any], Any]] = []

    def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self._done.append((done, self._real.now(function, *args, **kwargs)))
        return done

    def answer(self, which: int) -> None:
        """Say what came of one of the transactions."""
        done, result = self._done[which]
        done.callback(result)


class KeeperTestCase(SynchronousTestCase):
    most = 5

    def setUp(self) -> None:
        self.clock = Clock()
        self.database = MemoryDatabase()
        self.live = LiveSettings()
        self.applied: list[tuple[BotSettings, BotSettings]] = []
        self.live.changed = lambda old, new: self.applied.append((old, new))
        self.keeper = SettingsKeeper(
            self.database, self.live, self.clock, self.clock.seconds, KeeperSettings(2.0, self.most)
        )

    def start(self) -> None:
        """Start the keeper."""
        self.keeper.startService()
        self.addCleanup(self.keeper.stopService)

    def know(self, *bots: str) -> None:
        """Start with these bots in the table."""
        for bot in bots:
            self.database.change(
                "INSERT INTO relaytw_bots VALUES (?, '#', NULL, 5, 2, NULL, NULL, 900, 0, 1, 1)", bot
            )
        self.start()

    def set_bot(self, bot: str, register: bool = False, **values: Any) -> Deferred[BotSettings | None]:
        """Change settings."""
        return Deferred.fromCoroutine(self.keeper.set_bot(bot, values, "ada", register=register))

    def reload(self) -> Deferred[list[SettingChange]]:
        """Look now."""
        return Deferred.fromCoroutine(self.keeper.reload("ada"))

    def names(self) -> list[str]:
        """The bots in the table."""
        return [bot for (bot,) in self.database.rows("SELECT bot_name FROM relaytw_bots ORDER BY bot_name")]


class LookTests(KeeperTestCase):
    def test_start(self) -> None:
        """What stands in the table is known at once when the relay starts."""
        self.know("a", "b")
        self.assertEqual(
            self.live.everyone(),
            [BotSettings("a", per_bot=5, per_room=2), BotSettings("b", per_bot=5, per_room=2)],
        )
        self.assertEqual(len(self.applied), 2)

    def test_by_hand(self) -> None:
        """What somebody writes into the table is in force with the next look, and is applied once."""
        self.know("a")
        self.applied.clear()
        self.database.change("UPDATE relaytw_bots SET prefix = '!', paused = 1")
        self.assertEqual(self.live.settings_of("a").prefix, "#")
        for _ in range(3):
            self.clock.advance(2)
        [(old, new)] = self.applied
        self.assertEqual((old.prefix, new.prefix, new.paused), ("#", "!", True))

    def test_row_taken_away(self) -> None:
        """A bot whose row is deleted has the usual settings again, and gets a new row when it is seen."""
        self.know("a")
        self.database.change("DELETE FROM relaytw_bots")
        self.clock.advance(2)
        self.assertEqual((self.live.settings_of("a"), len(self.live)), (BotSettings("a"), 0))
        self.keeper.seen("a")
        self.clock.advance(2)
        self.assertEqual(self.names(), ["a"])

    def test_useless_values(self) -> None:
        """A value that cannot be used changes nothing else and is complained of once."""
        self.know("a")
        self.database.change("UPDATE relaytw_bots SET prefix = '', per_bot = 9, chat_log = 'x'")
        for _ in range(3):
            self.clock.advance(2)
        self.assertEqual(
            self.live.settings_of("a"), BotSettings("a", per_bot=9, per_room=2, chat_log=ChatLogPolicy.NONE)
        )
        self.assertEqual(len(self.applied), 2)

    def test_broken(self) -> None:
        """A look that fails for another reason is logged, and is followed by the next."""
        self.know("a")
        self.database.change("ALTER TABLE relaytw_bots RENAME TO elsewhere")
        self.clock.advance(2)
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.database.change("UPDATE elsewhere SET prefix = '!'")
        self.database.change("ALTER TABLE elsewhere RENAME TO relaytw_bots")
        self.clock.advance(2)
        self.assertEqual(self.live.settings_of("a").prefix, "!")

    def test_stopped(self) -> None:
        """A keeper that has stopped has no timer, and applies nothing that is still on its way."""
        self.know("a")
        self.database.hold()
        self.database.change("UPDATE relaytw_bots SET prefix = '!'")
        self.clock.advance(2)
        self.keeper.stopService()
        self.database.let_go()
        self.assertEqual(self.live.settings_of("a").prefix, "#")
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SeenTests(KeeperTestCase):
    def test_first_sight(self) -> None:
        """A bot that is seen gets a row within the next look, and only one."""
        self.start()
        for _ in range(3):
            self.keeper.seen("new")
            self.clock.advance(2)
        self.assertEqual(self.names(), ["new"])
        self.assertTrue(self.live.knows("new"))
        self.assertEqual(self.applied, [])

    def test_as_many_as_may_be(self) -> None:
        """No more rows are made than there may be; the bots beyond them have the usual settings."""
        self.start()
        for number in range(100):
            self.keeper.seen(f"bot {number}")
        self.assertLessEqual(len(self.keeper._new), self.most)
        self.clock.advance(2)
        self.keeper.seen("one more")
        self.clock.advance(2)
        self.assertEqual(len(self.names()), self.most)
        self.assertEqual(self.live.settings_of("one more"), BotSettings("one more"))

    def test_not_for_a_table(self) -> None:
        """A name that the table cannot hold, or not tell from another, is served as usual."""
        self.start()
        for bot in ("x" * 31, "", "bot ", "\ud83d"):
            self.keeper.seen(bot)
        self.keeper.seen("가족 👨‍👩‍👧 bot")
        self.clock.advance(2)
        self.assertEqual(self.names(), ["가족 👨‍👩‍👧 bot"])

    def test_while_a_look_is_under_way(self) -> None:
        """A bot that is seen while the table is being read gets its row with the look after that."""
        self.start()
        self.database.hold()
        self.keeper.seen("a")
        self.clock.advance(2)
        self.keeper.seen("b")
        self.database.let_go()
        self.assertEqual(self.names(), ["a"])
        self.clock.advance(2)
        self.assertEqual(self.names(), ["a", "b"])


class AwayTests(KeeperTestCase):
    def test_last_known(self) -> None:
        """Without the database what was known last holds; who is seen meanwhile gets a row afterwards."""
        self.know("a")
        self.database.go_away()
        self.clock.advance(2)
        self.keeper.seen("b")
        self.clock.advance(2)
        self.assertEqual(self.live.settings_of("a").per_bot, 5)
        self.assertEqual(self.live.settings_of("b"), BotSettings("b"))
        self.database.come_back()
        self.clock.advance(2)
        self.assertEqual(self.names(), ["a", "b"])

    def test_nothing_is_changed(self) -> None:
        """A change, and a look that somebody asks for, are refused in words."""
        self.know("a")
        self.database.go_away("it was unplugged")
        told = self.failureResultOf(self.set_bot("a", prefix="!"), Unavailable)
        self.assertIn("nothing was changed: the database is away (it was unplugged)", str(told.value))
        self.failureResultOf(self.reload(), Unavailable)
        self.assertEqual(self.live.settings_of("a").prefix, "#")

    def test_from_the_start(self) -> None:
        """A relay that never had its database serves with the usual settings and knows no bot yet."""
        self.database.go_away()
        self.start()
        self.assertEqual(self.live.settings_of("a"), BotSettings("a"))
        told = self.failureResultOf(self.set_bot("a", prefix="!"), Unavailable)
        self.assertIn("could not be read yet", str(told.value))
        self.database.come_back()
        self.clock.advance(2)
        self.assertIsNone(self.successResultOf(self.set_bot("a", prefix="!")))


class ChangeTests(KeeperTestCase):
    def test_at_once(self) -> None:
        """A change is in the table and in force when it is answered, and no look applies it again."""
        self.know("a")
        self.applied.clear()
        changed = self.successResultOf(self.set_bot("a", prefix="!", paused=True))
        self.assertEqual(changed, BotSettings("a", "!", per_bot=5, per_room=2, paused=True))
        self.assertEqual(self.live.settings_of("a"), changed)
        self.clock.advance(2)
        self.assertEqual(len(self.applied), 1)
        self.assertEqual(self.database.rows("SELECT actor, act FROM relaytw_audit"), [("ada", "set bot")])

    def test_unknown(self) -> None:
        """A bot that was never seen is not made by a slip of the pen, but it can be made."""
        self.know("a")
        self.assertIsNone(self.successResultOf(self.set_bot("b", paused=True)))
        self.assertEqual(self.names(), ["a"])
        made = self.successResultOf(self.set_bot("b", register=True, paused=True))
        self.assertEqual(made, BotSettings("b", paused=True))
        self.keeper.seen("c")
        self.assertIsNotNone(self.successResultOf(self.set_bot("c", paused=True)))

    def test_not_allowed(self) -> None:
        """Each value that is not allowed is named as people know it; nothing is changed."""
        self.know("a")
        told = self.failureResultOf(self.set_bot("a", per_bot=0, line_bytes=1, prefix="!"), ValueError)
        self.assertIn("per_bot must be from 1 to 10000", str(told.value))
        self.assertIn("max_message_size must be from 1024", str(told.value))
        for bot in ("", "x" * 31, "a "):
            self.failureResultOf(self.set_bot(bot, register=True, paused=True), ValueError)
        self.assertEqual((self.live.settings_of("a").prefix, self.names()), ("#", ["a"]))

    def test_full(self) -> None:
        """A bot too many is refused."""
        self.know(*"abcde")
        told = self.failureResultOf(self.set_bot("f", register=True, paused=True), ValueError)
        self.assertIn("there are 5 bots already", str(told.value))

    def test_an_older_look(self) -> None:
        """What a look has read before a change does not undo it, however late it is heard of."""
        self.know("a")
        late = LateDatabase(self.database)
        self.keeper._database = late
        looking, changing = self.reload(), self.set_bot("a", prefix="!")
        late.answer(1)
        self.assertEqual(self.successResultOf(changing), BotSettings("a", "!", per_bot=5, per_room=2))
        late.answer(0)
        self.assertEqual(self.successResultOf(looking), [])
        self.assertEqual(self.live.settings_of("a").prefix, "!")

    def test_two_looks(self) -> None:
        """Of two looks that are under way the one that began later counts."""
        self.know("a")
        late = LateDatabase(self.database)
        self.keeper._database = late
        self.keeper.seen("b")
        first = self.reload()
        self.database.change("UPDATE relaytw_bots SET prefix = '!'")
        second = self.reload()
        late.answer(1)
        late.answer(0)
        self.assertEqual(len(self.successResultOf(second)), 2)
        self.assertEqual(self.successResultOf(first), [])
        self.assertEqual(self.live.settings_of("a").prefix, "!")


class ReloadTests(KeeperTestCase):
    def test_what_has_changed(self) -> None:
        """Who asks is told what has changed since the last look; of admins it is their number."""
        self.know("a", "b")
        self.database.change(
            """UPDATE relaytw_bots SET prefix = '!', admins = '["x"]' WHERE bot_name = 'a'"""
        )
        self.database.change("DELETE FROM relaytw_bots WHERE bot_name = 'b'")
        changes = self.successResultOf(self.reload())
        self.assertEqual(
            changes,
            [
                SettingChange("b", "per_bot", "5", "default"),
                SettingChange("b", "per_room", "2", "default"),
                SettingChange("a", "prefix", "#", "!"),
                SettingChange("a", "admins", "0", "1"),
            ],
        )
        self.assertEqual(self.successResultOf(self.reload()), [])
        self.assertEqual(
            self.database.rows("SELECT actor, act FROM relaytw_audit"), [("ada", "reload bots")] * 2
        )
