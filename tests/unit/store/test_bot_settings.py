"""Bots' settings in their table: made, read, changed, and whatever people write into it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.settings import BotSettings, ChatLogPolicy
from relaytw.store.bot_settings import TooManyBots, change, read_all, understand
from relaytw.testing import MemoryDatabase

AT = 1_700_000_000_000


class TableTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = MemoryDatabase()

    def read(self, *new: str, most: int = 10) -> list[BotSettings]:
        """Everybody's settings, once those new ones are made."""
        return [understand(row).settings for row in self.database.now(read_all, new, most, AT)]

    def change(self, bot: str, most: int = 10, **values: Any) -> BotSettings:
        """Change settings; those there are then."""
        return understand(self.database.now(change, bot, values, "ada", most, AT + 5)).settings


class ReadTests(TableTestCase):
    def test_made(self) -> None:
        """A new bot has the usual settings, once."""
        self.assertEqual(self.read("b", "a"), [BotSettings("a"), BotSettings("b")])
        self.assertEqual(self.read("a"), [BotSettings("a"), BotSettings("b")])
        self.assertEqual(
            self.database.rows("SELECT DISTINCT created_at_ms, updated_at_ms FROM relaytw_bots"), [(AT, AT)]
        )

    def test_not_overwritten(self) -> None:
        """A bot that is seen again keeps what was set for it."""
        self.change("a", prefix="!")
        self.assertEqual(self.read("a"), [BotSettings("a", "!")])

    def test_not_too_many(self) -> None:
        """No more are made than there may be, and no more are read."""
        self.assertEqual([one.bot for one in self.read("a", "b", "c", most=2)], ["a", "b"])
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM relaytw_bots"), [(2,)])
        self.assertEqual([one.bot for one in self.read(most=1)], ["a"])


class ChangeTests(TableTestCase):
    def test_all(self) -> None:
        """Every setting is kept as it was given, and none of another bot."""
        self.read("b")
        wanted = BotSettings(
            "a", "!", frozenset({"y", "봇"}), 5, 2, ChatLogPolicy.METADATA, 4096, 640, paused=True
        )
        values = {name: getattr(wanted, name) for name in BotSettings.__slots__ if name != "bot"}
        self.assertEqual(self.change("a", **values), wanted)
        self.assertEqual(self.read(), [wanted, BotSettings("b")])
        self.assertEqual(self.change("a", per_bot=None, chat_log=None).per_bot, None)

    def test_only_what_was_named(self) -> None:
        """What is not named stays, even if it was changed a moment ago by somebody else."""
        self.read("a")
        self.database.change("UPDATE relaytw_bots SET per_bot = 7, prefix = 'x y'")
        self.change("a", per_room=2)
        rows = self.database.rows("SELECT per_bot, per_room, prefix, updated_at_ms FROM relaytw_bots")
        self.assertEqual(rows, [(7, 2, "x y", AT + 5)])

    def test_written_down(self) -> None:
        """Who changed what is written down."""
        self.change("a", prefix="!", admins=frozenset({"y", "x"}))
        [(at, actor, act, bot, detail)] = self.database.rows(
            "SELECT at_ms, actor, act, bot_name, detail FROM relaytw_audit"
        )
        self.assertEqual((at, actor, act, bot), (AT + 5, "ada", "set bot", "a"))
        self.assertEqual(json.loads(detail), {"prefix": "!", "admins": ["x", "y"]})

    def test_too_many(self) -> None:
        """A bot too many is refused, and nothing is written; one that is there can still be changed."""
        self.change("a", most=1, prefix="!")
        self.assertRaises(TooManyBots, self.change, "b", most=1, prefix="!")
        self.assertEqual(self.change("a", most=1, prefix="?").prefix, "?")
        self.assertEqual(self.database.rows("SELECT COUNT(*) FROM relaytw_audit"), [(2,)])


def row(**values: Any) -> tuple[Any, ...]:
    """A row as a driver gives it."""
    usual = {"prefix": "#", "admins": None, "per_bot": None, "per_room": None, "chat_log": None}
    rest = {"line_bytes": None, "image_width": 900, "paused": 0}
    return ("a", *{**usual, **rest, **values}.values())


class ByHandTests(SynchronousTestCase):
    def test_useless(self) -> None:
        """A value that cannot be used is said, and counts as not set; the others hold."""
        for name, value in (
            ("prefix", ""), ("prefix", "a b"), ("admins", "ada"), ("admins", '{"a": 1}'), ("admins", "[1]"),
            ("admins", '[""]'), ("per_bot", 0), ("per_room", -1), ("per_room", "x"), ("line_bytes", 5),
            ("image_width", 0), ("paused", "x"),
        ):  # fmt: skip
            found = understand(row(**{"per_bot": 5, name: value}))
            self.assertEqual(list(found.faults), [name], value)
            self.assertEqual(getattr(found.settings, name), getattr(BotSettings("a"), name))
            self.assertEqual(found.settings.per_bot, None if name == "per_bot" else 5)

    def test_chat_log(self) -> None:
        """Who cannot say how much of a chat is kept has none of it kept."""
        for text, policy in (("full", "full"), (" Metadata ", "metadata"), ("", None), (None, None)):
            self.assertEqual(understand(row(chat_log=text)).settings.chat_log, policy)
        found = understand(row(chat_log="nothing"))
        self.assertEqual((found.settings.chat_log, list(found.faults)), (ChatLogPolicy.NONE, ["chat_log"]))

    @given(
        st.fixed_dictionaries(
            dict.fromkeys(
                (
                    "prefix",
                    "admins",
                    "per_bot",
                    "per_room",
                    "chat_log",
                    "line_bytes",
                    "image_width",
                    "paused",
                ),
                st.one_of(st.none(), st.integers(), st.text(), st.floats(), st.binary(), st.booleans()),
            )
        )
    )
    def test_anything(self, values: dict[str, Any]) -> None:
        """Whatever stands in a row: there are settings, and they are allowed."""
        self.assertEqual(understand(row(**values)).settings.faults(), {})
