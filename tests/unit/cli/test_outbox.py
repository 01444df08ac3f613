"""`relayctl outbox`, `relayctl send` and `relayctl trace`."""

from __future__ import annotations

import json

from relaytw.admin.outbox import Held, HeldReply, Sent, Trace, TracedMessage, TracedReply
from relaytw.messages import Outcome
from tests.unit.cli.fakes import NOW, CliTestCase

HELD = Held("bot", "phone\x1b[2J", False, 2, 1, 120, 1, NOW - 60)
REPLY = HeldReply("m7/0", "ab-1", "family", "100", "(120 characters)", 120, NOW - 60, True)


class OutboxTests(CliTestCase):
    def test_list(self) -> None:
        """Whom something is held for, how much, and since when; nothing in it can act on the terminal."""
        self.relay.items("/api/v1/outbox", HELD)
        shown = self.ok("outbox", "list")
        self.assertIn("phone\\x1b[2J", shown)
        self.assertIn("1 min 0 s ago", shown)
        self.assertEqual(json.loads(self.ok("outbox", "list", "--json"))[0]["unacknowledged"], 1)
        self.relay.items("/api/v1/outbox")
        self.assertEqual(self.ok("outbox", "list"), "No reply waits.\n")

    def test_show(self) -> None:
        """What is held for one phone."""
        path = "/api/v1/outbox/replies?bot=bot&device=a%20b"
        self.relay.items(path, REPLY)
        shown = self.ok("outbox", "show", "bot", "a b")
        for text in ("m7/0", "family", "(120 characters)", "yes"):
            self.assertIn(text, shown)
        self.assertEqual(json.loads(self.ok("outbox", "show", "bot", "a b", "--json"))[0]["trace"], "ab-1")
        self.relay.items(path)
        self.assertEqual(self.ok("outbox", "show", "bot", "a b"), "No reply waits for bot@a b.\n")

    def test_drop(self) -> None:
        """By room or id at once, everything only when that is meant."""
        self.relay.says("POST", "/api/v1/outbox/drop", {"replies": 3})
        self.assertEqual(
            self.ok("outbox", "drop", "bot", "phone", "--room", "100"),
            "3 replies for bot@phone are dropped.\n",
        )
        self.assertEqual(self.relay.asked[-1][2], {"bot": "bot", "device": "phone", "room": "100"})
        asked = len(self.relay.asked)
        self.fails("outbox", "drop", "bot", "phone")
        self.assertEqual(len(self.relay.asked), asked)
        self.ok("outbox", "drop", "bot", "phone", "--yes")
        self.assertEqual(self.relay.asked[-1][2], {"bot": "bot", "device": "phone"})


class SendTests(CliTestCase):
    def test_outcomes(self) -> None:
        """What is known is said in words; only what cannot arrive is a failure."""
        for outcome, said, fails in (
            (Outcome.CONFIRMED, "the phone has typed it", False),
            (Outcome.SENT, "nobody can tell more", False),
            (Outcome.WAITING, "has not got it yet", False),
            (Outcome.EXPIRED, "expired", True),
            (Outcome.FAILED, "(no_room: never heard of it)", True),
        ):
            why = "no_room: never heard of it" if outcome is Outcome.FAILED else ""
            self.relay.says("POST", "/api/v1/send", Sent("~op-1/0", outcome, why))
            run = self.fails if fails else self.ok
            told = run("send", "bot", "phone", "family", "hello", "--wait", "2")
            self.assertIn(said, told)
            self.assertIn("~op-1/0", told)
        self.assertEqual(self.relay.asked[-1][2]["wait"], 2.0)


class TraceTests(CliTestCase):
    def trace(self, *messages: TracedMessage, replies: tuple[TracedReply, ...] = ()) -> None:
        self.relay.says("GET", "/api/v1/trace?id=m%2F7", Trace([*messages], [*replies]))

    def test_life(self) -> None:
        """Stage by stage, in order; a reply nothing was noted of was written at once."""
        who = ("bot", "phone")
        message = TracedMessage(
            "t", "m/7", *who, "family", "1", NOW, NOW + 0.001, NOW + 0.002, NOW + 1, 2, False, 9
        )
        self.trace(message, replies=(TracedReply("t", "m/7/1", *who, "confirmed", "", NOW + 2, NOW + 3),))
        shown = self.ok("trace", "message", "m/7")
        stages = (
            "received",
            "accepted",
            "started",
            "finished",
            "m/7/0 sent",
            "m/7/1 written",
            "m/7/1 confirmed",
        )
        places = [shown.index(stage) for stage in stages]
        self.assertEqual(places, sorted(places))
        self.assertIn("3000.0 ms", shown)
        self.assertEqual(
            json.loads(self.ok("trace", "message", "m/7", "--json"))["messages"][0]["replies"], 2
        )

    def test_others(self) -> None:
        """What no handler was given, and what nobody knows."""
        self.trace(TracedMessage("t", "m/7", "b", "d", "r", None, NOW, NOW, None, NOW, 0, True, 9))
        shown = self.ok("trace", "message", "m/7")
        self.assertIn("no handler was given it", shown)
        self.assertIn("it came again after a restart", shown)
        self.trace()
        self.assertIn("nothing is known of m/7", self.fails("trace", "message", "m/7"))
