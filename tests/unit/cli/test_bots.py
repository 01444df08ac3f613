"""`relayctl bots` against an invented relay."""

from __future__ import annotations

import json
from typing import Any

from relaytw.admin.shapes import Bot
from relaytw.settings import BotSettings, ChatLogPolicy
from tests.unit.cli.fakes import CliTestCase

PATH = "/api/v1/bots/settings"
WEATHER = Bot.of(
    BotSettings("Wea\x1b[2Jther", "!", frozenset({"b", "a"}), 5, None, ChatLogPolicy.NONE, 4096, 640, True)
)


class ListTests(CliTestCase):
    def test_table(self) -> None:
        """Bots stand in a table, without what could move the cursor."""
        self.relay.items("/api/v1/bots", WEATHER, Bot.of(BotSettings("News")))
        heading, weather, news = self.ok("bots", "list").splitlines()
        self.assertEqual(
            heading.split(), ["BOT", "STATE", "PREFIX", "ADMINS", "PER_BOT", "PER_ROOM", "CHAT_LOG"]
        )
        self.assertEqual(weather.split(), ["Wea\\x1b[2Jther", "paused", "!", "2", "5", "default", "none"])
        self.assertEqual(news.split(), ["News", "running", "#", "0", "default", "default", "default"])

    def test_none(self) -> None:
        """Without any it is said when a bot becomes known."""
        self.relay.items("/api/v1/bots")
        self.assertIn("No bot is known", self.ok("bots", "list"))

    def test_json(self) -> None:
        """A program gets the bots as the API has them."""
        self.relay.items("/api/v1/bots", WEATHER)
        [shown] = json.loads(self.ok("bots", "list", "--json"))
        self.assertEqual((shown["admins"], shown["max_message_size"]), (["a", "b"], 4096))


class ShowTests(CliTestCase):
    def test_all(self) -> None:
        """Every setting of one bot is shown."""
        self.relay.items("/api/v1/bots", WEATHER)
        shown = dict(line.split(None, 1) for line in self.ok("bots", "show", WEATHER.bot).splitlines())
        self.assertEqual(
            {key: value.strip() for key, value in shown.items()},
            {
                "SETTING": "VALUE", "prefix": "!", "admins": "a, b", "per_bot": "5", "per_room": "default",
                "chat_log": "none", "max_message_size": "4096", "image_width": "640", "paused": "yes",
            },
        )  # fmt: skip

    def test_unknown(self) -> None:
        """Of a bot that nobody knows the usual settings are shown, and that they are."""
        self.relay.items("/api/v1/bots", WEATHER)
        self.assertIn("News has no settings of its own", self.ok("bots", "show", "News"))
        shown = json.loads(self.ok("bots", "show", "News", "--json"))
        self.assertEqual((shown["prefix"], shown["per_bot"], shown["paused"]), ("#", None, False))


class SetTests(CliTestCase):
    def sent(self, *arguments: str) -> Any:
        """What relayctl asks for when it is run like that."""
        self.relay.says("POST", PATH, WEATHER)
        self.ok("bots", *arguments)
        method, path, body = self.relay.asked[-1]
        self.assertEqual((method, path), ("POST", PATH))
        return body

    def test_every_key(self) -> None:
        """Every setting can be set, to what its kind allows, and back."""
        given = [
            "prefix=!", "admins=a, b,", "per_bot=5", "per_room=2", "chat_log=metadata",
            "max_message_size=4096", "image_width=640", "paused=yes",
        ]  # fmt: skip
        self.assertEqual(
            self.sent("set", "News", *given),
            {
                "bot": "News", "prefix": "!", "admins": ["a", "b"], "per_bot": 5, "per_room": 2,
                "chat_log": "metadata", "max_message_size": 4096, "image_width": 640, "paused": True,
            },
        )  # fmt: skip
        usual = [f"{setting.partition('=')[0]}=default" for setting in given[:-1]]
        self.assertEqual(
            self.sent("set", "News", *usual, "--new"),
            {
                "bot": "News", "prefix": "#", "admins": [], "per_bot": None, "per_room": None,
                "chat_log": None, "max_message_size": None, "image_width": 900, "register": True,
            },
        )  # fmt: skip

    def test_prefix(self) -> None:
        """A prefix may be an equals sign."""
        self.assertEqual(self.sent("set", "News", "prefix=="), {"bot": "News", "prefix": "="})

    def test_pause(self) -> None:
        """To pause and to resume is one setting, and says what it did."""
        self.assertEqual(self.sent("pause", "News"), {"bot": "News", "paused": True})
        self.assertEqual(self.sent("resume", "News"), {"bot": "News", "paused": False})
        self.assertEqual(self.ok("bots", "pause", "News"), "News is paused.\n")

    def test_not_understood(self) -> None:
        """What cannot be meant is said, with what can be, and nothing is asked."""
        for setting, complaint in (
            ("per_bot", "must be KEY=VALUE with a KEY out of: prefix, admins, per_bot"),
            ("per_bto=5", "must be KEY=VALUE with a KEY out of: prefix"),
            ("per_bot=many", "per_bot=many: must be a whole number, or default"),
            ("per_bot=", "per_bot=: must be a whole number"),
            ("chat_log=all", "chat_log=all: must be none, metadata, full or default"),
            ("paused=maybe", "paused=maybe: must be yes or no"),
        ):
            self.assertIn(complaint, " ".join(self.fails("bots", "set", "News", setting, code=2).split()))
        self.assertIn("twice", self.fails("bots", "set", "News", "per_bot=1", "per_bot=2", code=2))
        self.fails("bots", "set", "News", code=2)
        self.assertEqual(self.relay.asked, [])

    def test_refused(self) -> None:
        """What the relay does not allow, or cannot do now, is told in its words."""
        self.relay.refuses("POST", PATH, 400, "bad_setting", "per_bot must be from 1 to 10000")
        self.assertIn("per_bot must be from 1", self.fails("bots", "set", "News", "per_bot=0"))
        self.relay.refuses("POST", PATH, 503, "database_away", "nothing was changed: the database is away")
        self.assertIn("nothing was changed", self.fails("bots", "pause", "News"))
