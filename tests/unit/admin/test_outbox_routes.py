"""The routes about replies: what is shown, dropped and sent, and what is refused."""

from __future__ import annotations

from relaytw.admin.outbox import DropReplies, SendRefused, SendText
from tests.unit.admin.fakes import ALICE, SiteTestCase

WHO = {"bot": ALICE.bot, "device": ALICE.device}


class OutboxRouteTests(SiteTestCase):
    def test_list(self) -> None:
        """Whom something is held for, and what, without what it says."""
        (held,) = self.get("/api/v1/outbox").json["items"]
        self.assertEqual((held["bot"], held["waiting"], held["here"]), (ALICE.bot, 1, False))
        query = "bot=%EB%B4%87/1&device=a%20b/c%3Fd"
        (reply,) = self.get(f"/api/v1/outbox/replies?{query}").json["items"]
        self.assertEqual((reply["id"], reply["what"]), ("m7/0", "(120 characters)"))
        self.assertEqual(self.get("/api/v1/outbox/replies?bot=x&device=y").json["items"], [])

    def test_drop(self) -> None:
        """Replies are dropped by client, room and id; where there are none that is said."""
        answer = self.post("/api/v1/outbox/drop", {**WHO, "room": "100"})
        self.assertEqual((answer.status, answer.json), (200, {"replies": 1}))
        self.assertEqual(self.view.outbox.asked, [(DropReplies(*ALICE, room="100"), "admin")])
        answer = self.post("/api/v1/outbox/drop", {"bot": "x", "device": "y"})
        self.assertEqual((answer.status, answer.json["error"]["code"]), (404, "nothing_held"))

    def test_send(self) -> None:
        """A text is sent, and the answer says what has become of it so far."""
        answer = self.post("/api/v1/send", {**WHO, "room": "100", "text": "hi", "wait": 0})
        self.assertEqual(answer.json, {"id": "~op-1/0", "outcome": "waiting", "why": ""})
        self.assertEqual(self.view.outbox.asked, [(SendText(*ALICE, "100", "hi", 0), "admin")])
        for bad in ({"text": ""}, {"wait": 61}, {"wait": -1}):
            body = {**WHO, "room": "100", "text": "hi", **bad}
            self.assertEqual(self.post("/api/v1/send", body).status, 400, bad)
        self.view.outbox.refusal = SendRefused("ambiguous_room", "which?")
        answer = self.post("/api/v1/send", {**WHO, "room": "family", "text": "hi"})
        self.assertEqual((answer.status, answer.json["error"]["code"]), (409, "ambiguous_room"))

    def test_trace(self) -> None:
        """A message's life by its name; where nothing is kept that is said."""
        told = self.get("/api/v1/trace?id=m7").json
        self.assertEqual((told["messages"][0]["started"], told["replies"][0]["stage"]), (1.2, "confirmed"))
        self.assertEqual(self.get("/api/v1/trace?id=m8").json, {"messages": [], "replies": []})
        self.assertEqual(self.get("/api/v1/trace?id=off").status, 503)
