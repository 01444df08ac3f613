"""The routes about the code of bots."""

from __future__ import annotations

from tests.unit.admin.fakes import SiteTestCase


class ModuleRoutesTests(SiteTestCase):
    def test_modules(self) -> None:
        """Every module is told of, with what is wrong with it."""
        rows = self.get("/api/v1/bots/modules").json["items"]
        self.assertEqual(
            [(row["name"], row["problem"] is None) for row in rows], [("greeter", True), ("quiz", False)]
        )

    def test_reload(self) -> None:
        """One module is loaded anew, or all; who asked is known."""
        (row,) = self.post("/api/v1/bots/reload", {"module": "quiz"}).json["items"]
        self.assertIn("line 3", row["problem"])
        self.assertEqual(len(self.post("/api/v1/bots/reload", {}).json["items"]), 2)
        self.assertEqual(self.view.modules.reloaded, [("quiz", "admin"), (None, "admin")])

    def test_unknown(self) -> None:
        """A module that is not loaded cannot be loaded anew, and nobody may without the token."""
        answer = self.post("/api/v1/bots/reload", {"module": "nothing"})
        self.assertEqual((answer.status, answer.json["error"]["code"]), (404, "unknown_module"))
        self.assertEqual(self.ask("POST", "/api/v1/bots/reload", token=None).status, 401)
