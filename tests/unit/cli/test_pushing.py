"""`relayctl tokens`, `push`, `broadcast`, `schedule` and `rooms tag`."""

from __future__ import annotations

import json

from relaytw.admin.pushing import Broadcast, Preview, Push, RoomOutcome, RoomTagged
from relaytw.admin.scheduling import Schedule, ScheduleRun
from relaytw.admin.tokens import Token, TokenMade, TokenName
from tests.unit.cli.fakes import NOW, CliTestCase

ROOM = RoomOutcome("봇", "ph\x1bone", "7", "가족", "waiting")
CAST = Broadcast("b1", "admin", "bot 봇", "running", 3, 20.0, {"waiting": 2, "expired": 1}, NOW, NOW, NOW + 6)
SCHEDULE = Schedule(
    5, "Mor\x1bning", "active", "봇", None, "7", "daily", "09:00", "2026-01-01 09:00:00", None, 2, None, "hi"
)


class TokenTests(CliTestCase):
    def test_issue(self) -> None:
        """The token alone goes to standard output, so that it can be piped."""
        self.relay.says("POST", "/api/v1/tokens", TokenMade("shop", "rly_x"))
        result = self.run_(
            "tokens", "issue", "shop", "--scope", "push", "--bot", "봇", "--expires", "2026-12-31"
        )
        self.assertEqual((result.exit_code, result.stdout), (0, "rly_x\n"))
        asked = self.relay.asked[-1][2]
        self.assertEqual(
            (asked["scopes"], asked["bots"], asked["expires_at"]), (["push"], ["봇"], 1798675200.0)
        )
        self.fails("tokens", "issue", "shop", "--scope", "everything", code=2)
        self.fails("tokens", "issue", "shop", "--scope", "push", "--expires", "soon", code=2)

    def test_list(self) -> None:
        """Each token has its line, and whether it counts."""
        self.relay.items("/api/v1/tokens")
        self.assertIn("relayctl tokens issue", self.ok("tokens", "list"))
        self.relay.items(
            "/api/v1/tokens",
            Token("shop", ["push"], None, NOW, "admin", None, None, NOW - 90),
            Token("old", ["push"], ["봇"], NOW, "admin", None, NOW, None),
            Token("past", ["read"], None, NOW, "admin", NOW - 1, None, None),
        )
        shown = self.ok("tokens", "list")
        for text in ("valid", "1 min 30 s ago", "revoked", "expired", "never", "봇"):
            self.assertIn(text, shown)
        self.assertEqual(json.loads(self.ok("tokens", "list", "--json"))[0]["name"], "shop")

    def test_revoke(self) -> None:
        """Revoking says so, and why not is the relay's own sentence."""
        self.relay.says("POST", "/api/v1/tokens/revoke", TokenName("shop"))
        self.assertEqual(self.ok("tokens", "revoke", "shop"), "The token shop counts no more.\n")
        self.relay.refuses("POST", "/api/v1/tokens/revoke", 404, "unknown_token", "no token shop counts")
        self.assertEqual(self.fails("tokens", "revoke", "shop"), "Error: no token shop counts\n")


class SendTests(CliTestCase):
    def test_send(self) -> None:
        """A message is sent with what was given; with --wait its end is waited for."""
        self.relay.says("POST", "/api/v1/messages", Push("p1", "admin", 1, 1, None, None, [ROOM]), 202)
        shown = self.ok(
            "push", "hello", "--bot", "봇", "--room", "가족", "--media", "https://example.org/a.jpg"
        )
        self.assertEqual(shown, "p1: waiting: 가족 of 봇@ph\\x1bone\n")
        asked = self.relay.asked[-1][2]
        self.assertEqual((asked["text"], asked["bot"], asked["room"]), ("hello", "봇", "가족"))
        self.assertEqual(asked["media"], [{"urls": ["https://example.org/a.jpg"]}])
        sent = Push("p1", "admin", 1, 1, 1, 2, [RoomOutcome("봇", "p", "7", "가족", "failed", "no")])
        self.relay.says("GET", "/api/v1/messages/p1", sent)
        shown = self.ok("push", "hello", "--room-id", "7", "--wait", "5")
        self.assertEqual(shown, "p1: failed (no): 가족 of 봇@p\n")

    def test_files(self) -> None:
        """A file is sent as it is; one that cannot be read is said."""
        self.relay.says("POST", "/api/v1/messages", Push("p1", "admin", 1, 1, None, None, [ROOM]), 202)
        self.write("a.PNG", "x")
        self.ok("push", "--room-id", "7", "--media", "a.PNG")
        self.assertEqual(self.relay.asked[-1][2]["media"], [{"base64": ["eA=="], "format": "png"}])
        self.assertIn("none.png cannot be read", self.fails("push", "--room-id", "7", "--media", "none.png"))


class BroadcastTests(CliTestCase):
    def test_start(self) -> None:
        """Where it goes is shown before anything is sent, and nothing is where the answer is no."""
        self.relay.says("POST", "/api/v1/broadcasts/preview", Preview(3, [ROOM], 6.0, ["8: not approved"]))
        self.relay.says("POST", "/api/v1/broadcasts", CAST, 202)
        refused = self.run_("broadcast", "start", "all", "--bot", "봇")
        self.assertEqual(refused.exit_code, 1)
        self.assertEqual([path for _, path, _ in self.relay.asked], ["/api/v1/broadcasts/preview"])
        for text in ("3 rooms, 6 s", "가족 (7) of 봇@ph\\x1bone", "left out: 8: not approved"):
            self.assertIn(text, refused.stderr)
        self.assertEqual(self.ok("broadcast", "start", "all", "--bot", "봇", "--yes"), "b1\n")
        self.ok("broadcast", "start", "all", "--room-id", "7", "--room-id", "8", "--yes")
        self.assertEqual(self.relay.asked[-1][2]["rooms"], [{"room_id": "7"}, {"room_id": "8"}])

    def test_watch(self) -> None:
        """How far it has come is shown in figures and room by room; verbs say what it is then."""
        self.relay.items("/api/v1/broadcasts", CAST)
        self.assertIn("1 expired, 2 waiting", self.ok("broadcast", "list"))
        self.relay.says("GET", "/api/v1/broadcasts/b1", CAST)
        self.relay.items("/api/v1/broadcasts/b1/rooms", ROOM)
        self.assertIn("ph\\x1bone", self.ok("broadcast", "show", "b1"))
        for verb in ("pause", "resume", "cancel"):
            self.relay.says("POST", f"/api/v1/broadcasts/{verb}", CAST)
            self.assertEqual(self.ok("broadcast", verb, "b1"), "b1 is running: 1 expired, 2 waiting\n")

    def test_tag(self) -> None:
        """A room's tags are changed and shown."""
        self.relay.says("POST", "/api/v1/rooms/tags", RoomTagged("봇", "p", "7", ["a", "vip"]))
        self.assertEqual(
            self.ok("rooms", "tag", "봇", "p", "7", "vip", "--remove", "x"), "7 of 봇@p: a vip\n"
        )
        self.assertEqual(self.relay.asked[-1][2]["remove"], ["x"])


class ScheduleTests(CliTestCase):
    def test_list(self) -> None:
        """Each schedule has its line; nobody moves the cursor."""
        self.relay.items("/api/v1/schedules")
        self.assertIn("relayctl schedule add", self.ok("schedule", "list"))
        self.relay.items("/api/v1/schedules", SCHEDULE)
        shown = self.ok("schedule", "list")
        for text in ("Mor\\x1bning", "09:00", "2026-01-01 09:00:00"):
            self.assertIn(text, shown)

    def test_add(self) -> None:
        """A schedule is made of what was given; days go with weekly, a date with once."""
        self.relay.says("POST", "/api/v1/schedules", SCHEDULE)
        common = ("schedule", "add", "hi", "--title", "t", "--bot", "봇", "--room-id", "7", "--at", "09:00")
        self.assertEqual(self.ok(*common), "Schedule 5 is due next at 2026-01-01 09:00:00.\n")
        self.ok(*common, "--weekly", "monday, friday", "--at", "10:00")
        asked = self.relay.asked[-1][2]
        self.assertEqual((asked["every"], asked["weekdays"]), ("weekly", ["monday", "friday"]))
        self.assertEqual(asked["times"], ["09:00", "10:00"])
        self.ok(*common, "--once", "2026-01-31")
        self.assertEqual(self.relay.asked[-1][2]["date"], "2026-01-31")
        self.fails(*common, "--once", "2026-01-31", "--weekly", "monday", code=2)

    def test_verbs(self) -> None:
        """What was done is said."""
        for verb, words in (("pause", "rests"), ("resume", "goes on; it is"), ("delete", "is deleted")):
            self.relay.says("POST", f"/api/v1/schedules/{verb}", SCHEDULE)
            self.assertIn(f"(Mor\\x1bning) {words}", self.ok("schedule", verb, "5"))
        run = ScheduleRun(1, 5, "7", "text", "partial", "waiting", None, "2026-01-01 09:00:00", None, None)
        self.relay.items("/api/v1/schedules/log", run)
        self.assertIn("waiting", self.ok("schedule", "log", "5"))
