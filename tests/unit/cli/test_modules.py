"""`relayctl bots modules` and `reload` against an invented relay."""

from __future__ import annotations

import json

import msgspec

from relaytw.admin.modules import ModuleLoaded
from tests.unit.cli.fakes import CliTestCase

WELL = ModuleLoaded("greeter", "load", 1, 3, 900.0, None)
BROKEN = ModuleLoaded("quiz", "folder", 0, 0, None, "SyntaxError: no\x1b[2J (quiz.py, line 3)")


class ModulesTests(CliTestCase):
    def test_list(self) -> None:
        """Every module is listed with what is in force; what is wrong stands below, harmless."""
        self.relay.items("/api/v1/bots/modules", WELL, BROKEN)
        shown = self.ok("bots", "modules")
        for text in (
            "greeter",
            "folder",
            "never",
            "quiz cannot be loaded: SyntaxError: no\\x1b[2J (quiz.py, line 3)",
        ):
            self.assertIn(text, shown)
        self.assertEqual(len(json.loads(self.ok("bots", "modules", "--json"))), 2)
        self.relay.items("/api/v1/bots/modules")
        self.assertEqual(self.ok("bots", "modules"), "No module with bots is loaded.\n")

    def test_reload(self) -> None:
        """What came of it is shown; it failed if something could not be loaded."""
        self.relay.says("POST", "/api/v1/bots/reload", {"items": [msgspec.to_builtins(WELL)]})
        self.assertIn("greeter", self.ok("bots", "reload", "greeter"))
        self.assertEqual(self.relay.asked[-1][2], {"module": "greeter"})
        self.relay.says("POST", "/api/v1/bots/reload", {"items": [msgspec.to_builtins(BROKEN)]})
        result = self.run_("bots", "reload")
        self.assertEqual((result.exit_code, self.relay.asked[-1][2]), (1, {}))
