"""`relayctl state` against an invented relay."""

from __future__ import annotations

import json

import msgspec

from relaytw.admin.state import Remembered
from tests.unit.cli.fakes import NOW, CliTestCase

ROW = Remembered("bot", "phone\x1b[2J", "room", "#abc", 2, 120, NOW + 60)
ROOM = Remembered("bot", "phone", "room", "", 1, 60, NOW + 60)


class StateTests(CliTestCase):
    def test_show(self) -> None:
        """Whose it is, how much and for how long; nothing in it can act on the terminal."""
        self.relay.items("/api/v1/state", ROW, ROOM)
        shown = self.ok("state", "show")
        for text in ("phone\\x1b[2J", "#abc", "(the room)", "60 s"):
            self.assertIn(text, shown)
        self.assertNotIn("VALUES", shown)
        self.assertEqual(json.loads(self.ok("state", "show", "--json"))[0]["names"], 2)
        self.relay.items("/api/v1/state?bot=b&user=a%20c")
        self.assertEqual(self.ok("state", "show", "--bot", "b", "--user", "a c"), "Nothing is remembered.\n")

    def test_values(self) -> None:
        """What is remembered is shown only when that is asked for."""
        row = msgspec.structs.replace(ROW, values={"step": "둘"})
        self.relay.says("POST", "/api/v1/state/values", {"items": [msgspec.to_builtins(row)]})
        self.assertIn('{"step": "둘"}', self.ok("state", "show", "--values", "--room", "room"))
        self.assertEqual(self.relay.asked[-1][2], {"room": "room"})

    def test_clear(self) -> None:
        """It is forgotten only if that is meant, and told how many those were."""
        self.relay.says("POST", "/api/v1/state/clear", {"conversations": 3})
        self.run_("state", "clear", "--bot", "bot")
        self.assertEqual(self.relay.asked, [])
        self.assertIn("3 conversations are forgotten", self.ok("state", "clear", "--bot", "bot", "--yes"))
        self.assertEqual(self.relay.asked[-1][2], {"bot": "bot"})
