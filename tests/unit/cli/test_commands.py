"""Every command of relayctl against an invented relay."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from relaytw import __version__
from relaytw.admin.shapes import Act, Close, Device, Figures, Penalty, Phone, RelayStatus, Room
from relaytw.messages import CloseReason, Status
from tests.unit.cli.fakes import NOW, CliTestCase

PENDING = Device("bot", "phone [red]1", Status.PENDING, "192.0.2.7", "3.3.3", None, NOW - 90, NOW - 60)
APPROVED = Device("봇", "ph\x1b[2Jone", Status.APPROVED, "192.0.2.8", "3.2.1", "uuid", NOW, NOW)
ROOM = Room("bot", "phone", "100", "가족", Status.PENDING, NOW, NOW - 3700)
STATUS: dict[str, Any] = {
    "name": "relay-01", "version": "0.1.0", "mode": "queued", "not_ready": None, "started_at": NOW - 3725,
    "listening": ["tcp:1490"], "connections": 3, "connections_limit": 100, "overflow": 0, "provisional": 0,
    "clients": 2, "waiting": 5, "waiting_bytes": 2048, "running": 1, "consumers": 31, "lanes": 2, "outbox": 0,
    "outbox_bytes": 0, "penalties": 0, "memory_bytes": 50_000_000, "accepted": 9, "finished": 4, "failed": 0,
    "replies_sent": 4,
    "rows_waiting": 0,
    "rows_waiting_bytes": 0,
    "database_up": True,
    "database_errors": 0,
    "journal_segments": 2, "journal_bytes": 4096, "journal_unfinished": 6,
    "webhooks": [
        {"name": "*", "state": "open", "again_in": 7.0, "calls": 26, "failures": 27, "at_work": 0},
    ],
}  # fmt: skip


class GeneralTests(CliTestCase):
    def test_version(self) -> None:
        """The version is one line."""
        self.assertEqual(self.ok("--version"), f"relayctl {__version__}\n")

    def test_help(self) -> None:
        """Help names every command without importing any of them."""
        for name in [name for name in sys.modules if name == "relaytw.cli.status"]:
            self.addCleanup(sys.modules.__setitem__, name, sys.modules.pop(name))
        shown = self.ok("--help")
        for command in ("status", "phones", "devices", "secret", "phone", "simulate"):
            self.assertIn(f"\n  {command} ", shown)
        self.assertNotIn("relaytw.cli.status", sys.modules)

    def test_usage(self) -> None:
        """What is not understood exits with 2."""
        self.assertIn("No such command", self.fails("nonsense", code=2))
        self.fails("devices", "approve", "bot", code=2)
        self.fails("devices", "list", "--status", "fine", code=2)
        self.fails("--config", "missing.toml", "status", code=2)

    def test_token_is_sent(self) -> None:
        """Each question carries the token."""
        self.relay.items("/api/v1/phones")
        self.ok("phones")
        self.assertEqual(self.relay.headers[0]["Authorization"], "Bearer open-sesame")

    def test_no_relay(self) -> None:
        """Without a relay the operator is told how to start one."""
        self.relay.failure = ConnectionRefusedError(111, "Connection refused")
        complaint = self.fails("status")
        self.assertIn("no relay answers at http://127.0.0.1:8490 (Connection refused)", complaint)
        self.assertIn("twistd -n relay", complaint)

    def test_wrong_token(self) -> None:
        """A refused token names the file it came from, a missing one the file it should be in."""
        self.relay.refuses("GET", "/api/v1/status", 401, "unauthorized", "")
        self.assertIn(f"{Path('relay-state/admin-token')} holds another token", self.fails("status"))
        complaint = self.fails("--state-dir", "elsewhere", "status")
        self.assertIn(f"{Path('elsewhere/admin-token')} has no token", complaint)
        self.assertNotIn("Authorization", self.relay.headers[-1])

    def test_not_a_relay(self) -> None:
        """What is no relay is recognised, whether it refuses or answers."""
        self.assertIn("HTTP status 404", self.fails("status"))
        self.relay.says("GET", "/api/v1/status", ["hello"])
        self.assertIn("does not understand", self.fails("status"))
        self.assertIn("cannot be asked", self._real("--url", "nonsense", "status"))

    def _real(self, *arguments: str) -> str:
        self.relay.connect = None  # type: ignore[method-assign,assignment]
        return self.fails(*arguments)


class StatusTests(CliTestCase):
    def test_status(self) -> None:
        """The status is readable at a glance."""
        self.relay.says("GET", "/api/v1/status", STATUS)
        shown = self.ok("status")
        self.assertIn("relay-01 (queued), ready", shown)
        self.assertIn("up 1 h 2 min", shown)
        self.assertIn("3 of 100", shown)
        self.assertIn("5 waiting (2.0 KiB)", shown)
        self.assertIn("47.7 MiB", shown)
        self.assertIn("6 unfinished in 2 files (4.0 KiB)", shown)
        self.assertIn("*: open for 7 s, 26 calls, 27 failures, 0 at work", shown)

    def test_not_ready(self) -> None:
        """A relay that serves no phones says why."""
        self.relay.says("GET", "/api/v1/status", {**STATUS, "not_ready": "the listener\nis closed"})
        self.assertIn("not ready: the listener\\nis closed", self.ok("status"))

    def test_json(self) -> None:
        """With --json everything is there for a program."""
        self.relay.says("GET", "/api/v1/status", STATUS)
        self.assertEqual(json.loads(self.ok("status", "--json")), STATUS)
        self.assertEqual(set(STATUS), set(RelayStatus.__struct_fields__))

    def test_phones(self) -> None:
        """Each phone has a line; a round trip not known yet is a dash."""
        figures = Figures(512, 100, 19.5, 0, 3)
        phone = Phone(
            "bot", "phone", "3.3", "3.3.3", "192.0.2.7:1", "Galaxy",
            Status.APPROVED, NOW, NOW - 5, 42, 7, True, figures,
        )  # fmt: skip
        self.relay.items("/api/v1/phones", phone)
        (line,) = self.ok("phones").splitlines()[1:]
        for text in ("bot", "phone", "approved", "yes", "3.3.3", "5 s ago", "42 ms"):
            self.assertIn(text, line)
        self.assertEqual(json.loads(self.ok("phones", "--json"))[0]["monitoring"]["active_rooms"], 3)
        self.relay.items("/api/v1/phones")
        self.assertEqual(self.ok("phones"), "No phone is connected.\n")
        self.assertEqual(self.ok("phones", "--json"), "[]\n")

    def test_disconnect(self) -> None:
        """A phone is disconnected by name; one that is not connected is an error."""
        self.relay.says("POST", "/api/v1/phones/disconnect", {})
        self.assertEqual(self.ok("disconnect", "bot", "a/b"), "bot@a/b is disconnected.\n")
        self.assertEqual(self.relay.asked[-1][2], {"bot": "bot", "device": "a/b"})
        self.relay.refuses("POST", "/api/v1/phones/disconnect", 404, "not_connected", "it is not connected")
        self.assertEqual(self.fails("disconnect", "bot", "x"), "Error: it is not connected\n")

    def test_closes(self) -> None:
        """The last closes are shown, with what is known of who it was."""
        rows = [
            Close(NOW - 60, "192.0.2.9:1", None, None, CloseReason.HANDSHAKE_TIMEOUT, "", 10.0),
            Close(NOW - 1, "192.0.2.9:2", "bot", "phone", CloseReason.ZOMBIE, "3 strikes", 90.0),
        ]
        self.relay.items("/api/v1/closes", *rows)
        first, last = self.ok("closes").splitlines()[1:]
        self.assertIn("handshake_timeout", first)
        self.assertIn("1 min 0 s ago", first)
        self.assertIn("3 strikes", last)
        self.assertEqual(len(json.loads(self.ok("closes", "--json", "--limit", "1"))), 1)
        self.relay.items("/api/v1/closes")
        self.assertEqual(self.ok("closes"), "No connection has ended yet.\n")


class ApprovalTests(CliTestCase):
    def test_devices(self) -> None:
        """Every device has a line; whatever it calls itself cannot act on the terminal."""
        self.relay.items("/api/v1/devices", PENDING, APPROVED)
        shown = self.ok("devices", "list")
        self.assertIn("phone [red]1", shown)
        self.assertIn("ph\\x1b[2Jone", shown)
        self.assertNotIn("\x1b", shown)
        self.assertIn("relayctl devices approve", shown)

    def test_filter(self) -> None:
        """Devices and rooms can be listed by status."""
        for path in ("/api/v1/devices", "/api/v1/rooms"):
            self.relay.items(f"{path}?status=blocked&limit=1000")
        self.relay.items("/api/v1/devices?status=approved&limit=1000", APPROVED)
        self.relay.items("/api/v1/devices?status=pending&limit=1000", PENDING)
        shown = self.ok("devices", "list", "--status", "approved")
        self.assertNotIn("phone [red]1", shown)
        self.assertNotIn("relayctl devices approve", shown)
        (device,) = json.loads(self.ok("devices", "list", "--status", "pending", "--json"))
        self.assertEqual(device["device"], "phone [red]1")
        self.assertIn("No such device", self.ok("devices", "list", "--status", "blocked"))
        self.relay.items("/api/v1/rooms?status=pending&limit=1000", ROOM)
        self.assertEqual(len(json.loads(self.ok("rooms", "list", "--status", "pending", "--json"))), 1)
        self.assertIn("No such room", self.ok("rooms", "list", "--status", "blocked"))

    def test_pages(self) -> None:
        """Every page is asked for and shown, as a table and as one JSON list."""
        first = {"items": [PENDING], "next": "한 [1]"}
        self.relay.says("GET", "/api/v1/devices?limit=1000", first)
        self.relay.items("/api/v1/devices?limit=1000&after=%ED%95%9C%20%5B1%5D", APPROVED)
        rows = json.loads(self.ok("devices", "list", "--json"))
        self.assertEqual([row["bot"] for row in rows], ["bot", "봇"])
        shown = self.ok("devices", "list")
        self.assertIn("phone [red]1", shown)
        self.assertIn("ph\\x1b[2Jone", shown)

    def test_odd_ones(self) -> None:
        """A word in the table that is no status, and a device that is in no table, are shown as such."""
        self.relay.items(
            "/api/v1/devices",
            msgspec.structs.replace(PENDING, word="suspended", code="K7QXM"),
            msgspec.structs.replace(PENDING, saved=False),
        )
        odd, unsaved = self.ok("devices", "list").splitlines()[1:3]
        self.assertIn("pending ('suspended')", odd)
        self.assertIn("K7QXM", odd)
        self.assertIn("pending (not saved)", unsaved)

    def test_codes(self) -> None:
        """What waits is approved by its code, in either case of letters."""
        self.relay.items("/api/v1/devices?code=K7QXM&limit=1000", PENDING)
        self.relay.items("/api/v1/rooms?code=K7QXM&limit=1000", ROOM)
        self.relay.says("POST", "/api/v1/devices/status", {})
        self.relay.says("POST", "/api/v1/rooms/status", {})
        self.assertEqual(self.ok("devices", "approve", "k7qxm"), "bot@phone [red]1 is approved.\n")
        self.assertEqual(self.ok("rooms", "block", "K7QXM"), "100 of bot@phone is blocked.\n")
        self.assertEqual(
            self.relay.asked[-1][2],
            {"bot": "bot", "device": "phone", "room_id": "100", "status": "blocked"},
        )

    def test_unclear_codes(self) -> None:
        """A code that means nothing, or several, changes nothing; the several are named."""
        self.relay.items("/api/v1/devices?code=K7QXM&limit=1000", PENDING, APPROVED)
        complaint = self.fails("devices", "approve", "K7QXM")
        self.assertIn("bot phone [red]1", complaint)
        self.assertIn("봇 ph\\x1b[2Jone", complaint)
        self.relay.items("/api/v1/rooms?code=K7QXM&limit=1000")
        self.assertIn("nothing waits", self.fails("rooms", "approve", "K7QXM"))
        self.fails("rooms", "approve", "K7QX", code=2)
        self.fails("rooms", "approve", "bot", "phone", code=2)
        self.assertEqual({method for method, _, _ in self.relay.asked}, {"GET"})

    def test_reason(self) -> None:
        """Who is turned away can be told why; who is let in cannot."""
        self.relay.says("POST", "/api/v1/devices/status", {})
        self.ok("devices", "block", "bot", "phone", "--reason", "분실 신고")
        self.assertEqual(self.relay.asked[-1][2]["reason"], "분실 신고")
        self.fails("devices", "approve", "bot", "phone", "--reason", "nice", code=2)

    def test_who(self) -> None:
        """The relay is told who is at the keyboard, and lists who did what."""
        self.relay.items(
            "/api/v1/audit", Act(NOW - 5, "admin:ada", "device blocked", "bot", "phone", None, "lost")
        )
        (line,) = self.ok("audit").splitlines()[1:]
        for text in ("5 s ago", "admin:ada", "device blocked", "bot", "phone", "lost"):
            self.assertIn(text, line)
        self.assertEqual(self.relay.headers[0]["X-Relaytw-Actor"], "ada%20%EA%B9%80")
        self.assertEqual(json.loads(self.ok("audit", "--json"))[0]["detail"], "lost")
        self.relay.items("/api/v1/audit")
        self.assertEqual(self.ok("audit"), "Nobody has done anything yet.\n")

    def test_watch(self) -> None:
        """Watching looks again after two seconds, until it is interrupted."""
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 2:
                raise KeyboardInterrupt

        self.sleep = sleep
        self.relay.items("/api/v1/devices", PENDING)
        self.assertEqual(self.ok("devices", "list", "--watch").count("phone [red]1"), 2)
        self.assertEqual(slept, [2.0, 2.0])
        self.fails("devices", "list", "--watch", "--json", code=2)

    def test_device_verbs(self) -> None:
        """Each verb gives a device its status."""
        self.relay.says("POST", "/api/v1/devices/status", {})
        verbs = {
            "approve": "approved", "deny": "denied", "block": "blocked", "pending": "pending",
            "revoke": "revoked",
        }  # fmt: skip
        for verb, status in verbs.items():
            self.assertEqual(self.ok("devices", verb, "봇", "a b"), f"봇@a b is {status}.\n")
            self.assertEqual(self.relay.asked[-1][2], {"bot": "봇", "device": "a b", "status": status})

    def test_names_like_options(self) -> None:
        """A device called like an option can be named behind two dashes."""
        self.relay.says("POST", "/api/v1/devices/status", {})
        self.ok("devices", "approve", "--", "bot", "--help")
        self.assertEqual(self.relay.asked[-1][2]["device"], "--help")

    def test_rooms(self) -> None:
        """Rooms are listed with their ids, and given a status by them."""
        self.relay.items("/api/v1/rooms", ROOM)
        line = self.ok("rooms", "list").splitlines()[1]
        for text in ("100", "가족", "pending", "1 h 1 min ago"):
            self.assertIn(text, line)
        self.relay.says("POST", "/api/v1/rooms/status", {})
        for verb, status in {
            "approve": "approved",
            "deny": "denied",
            "block": "blocked",
            "pending": "pending",
            "revoke": "revoked",
        }.items():
            self.assertEqual(
                self.ok("rooms", verb, "bot", "phone", "100"), f"100 of bot@phone is {status}.\n"
            )
            self.assertEqual(self.relay.asked[-1][2]["room_id"], "100")
            self.assertEqual(self.relay.asked[-1][2]["status"], status)

    def test_refused(self) -> None:
        """The relay's own sentence is what the operator reads."""
        self.relay.refuses("POST", "/api/v1/devices/status", 409, "not_approvable", "it has no id")
        self.assertEqual(self.fails("devices", "approve", "bot", "unknown"), "Error: it has no id\n")


class PenaltyTests(CliTestCase):
    def test_penalties(self) -> None:
        """The box is listed with the time left, and opened by name."""
        self.relay.items("/api/v1/penalties", Penalty("bot", "phone", NOW + 300, "flapping", 2))
        (line,) = self.ok("penalties", "list").splitlines()[1:]
        for text in ("bot", "phone", "5 min 0 s", "flapping"):
            self.assertIn(text, line)
        self.assertEqual(json.loads(self.ok("penalties", "list", "--json"))[0]["times"], 2)
        self.relay.says("POST", "/api/v1/penalties/lift", {})
        self.assertEqual(
            self.ok("penalties", "lift", "bot", "phone"), "bot@phone is out of the penalty box.\n"
        )
        self.relay.items("/api/v1/penalties")
        self.assertEqual(self.ok("penalties", "list"), "Nobody is in the penalty box.\n")
