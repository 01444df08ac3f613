"""The routes about what bots remember."""

from __future__ import annotations

from urllib.parse import urlencode

from relaytw.admin.state import StateFilter
from tests.unit.admin.fakes import SiteTestCase


class StateRoutesTests(SiteTestCase):
    def test_show(self) -> None:
        """Whose conversations there are, without what is in them."""
        (row,) = self.get("/api/v1/state").json["items"]
        self.assertEqual((row["user"], row["names"], row["until"]), ("#abc", 1, 1600.0))
        self.assertNotIn("values", row)
        self.assertEqual(self.get(f"/api/v1/state?{urlencode({'user': 'x'})}").json["items"], [])
        self.assertEqual(self.get("/api/v1/state?nonsense=1").status, 400)

    def test_values(self) -> None:
        """What is in them is told to somebody with a name."""
        (row,) = self.post("/api/v1/state/values", {"bot": "봇/1"}).json["items"]
        self.assertEqual(row["values"], {"step": 2})
        self.assertEqual(self.view.state.asked, [(StateFilter(bot="봇/1"), "admin")])

    def test_clear(self) -> None:
        """Forgetting says how many those were, and 404 if there were none."""
        self.assertEqual(self.post("/api/v1/state/clear", {"user": "abc"}).json, {"conversations": 1})
        answer = self.post("/api/v1/state/clear", {"user": "x"})
        self.assertEqual((answer.status, answer.json["error"]["code"]), (404, "nothing_remembered"))
        self.assertEqual(self.ask("POST", "/api/v1/state/clear", token=None).status, 401)
