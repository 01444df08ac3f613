"""`relayctl journal`."""

from __future__ import annotations

import json
from pathlib import Path

from relaytw.admin.journal import DeadLetter, Journal, Segment
from relaytw.store.records import encode_place
from relaytw.store.shelf import Shelf
from tests.unit.cli.fakes import NOW, CliTestCase

JOURNAL = Journal("normal", None, [Segment("00000003.log", 2048, 3)], 2048, 3, 1500, NOW - 60, 1, 2, 4)
LETTER = DeadLetter(7, NOW - 60, "too_old", "bot", "phone", "100", "100:5", "t", "hi\x1b[2J", 1, NOW - 4000)


class JournalTests(CliTestCase):
    def test_show(self) -> None:
        """The journal is readable at a glance, or as JSON; so is having none."""
        self.relay.says("GET", "/api/v1/journal", JOURNAL)
        shown = self.ok("journal", "show")
        for text in ("normal: written, not synced", "3 (1.5 KiB), oldest 1 min 0 s ago", "00000003.log"):
            self.assertIn(text, shown)
        self.assertEqual(json.loads(self.ok("journal", "show", "--json"))["torn_tails"], 2)
        self.relay.says("GET", "/api/v1/journal", Journal("full", "no\nspace", [], 0, 0, 0, None, 0, 0, 0))
        self.assertIn("full: no\\nspace", self.ok("journal", "show"))
        self.relay.says("GET", "/api/v1/journal", Journal("none", None, [], 0, 0, 0, None, 0, 0, 0))
        self.assertIn("none: accepted messages live in memory only", self.ok("journal", "show"))

    def test_dead(self) -> None:
        """Every message that was given up has a line that cannot act on the terminal."""
        self.relay.items("/api/v1/dead-letters", LETTER)
        shown = self.ok("journal", "dead")
        self.assertIn("too_old", shown)
        self.assertIn("hi\\x1b[2J", shown)
        self.assertEqual(json.loads(self.ok("journal", "dead", "--json"))[0]["id"], 7)
        self.relay.items("/api/v1/dead-letters")
        self.assertEqual(self.ok("journal", "dead"), "No message was given up.\n")

    def test_verbs(self) -> None:
        """A message is taken up again or forgotten by its id."""
        for verb, said in (("requeue", "accepted again"), ("drop", "forgotten")):
            self.relay.says("POST", f"/api/v1/dead-letters/{verb}", {"id": 7})
            self.assertEqual(self.ok("journal", verb, "7"), f"Message 7 is {said}.\n")
            self.assertEqual(self.relay.asked[-1][2], {"id": 7})
            self.relay.refuses("POST", f"/api/v1/dead-letters/{verb}", 404, "unknown_dead_letter", "no 7")
            self.assertEqual(self.fails("journal", verb, "7"), "Error: no 7\n")
        self.fails("journal", "drop", "seven", code=2)

    def test_verify(self) -> None:
        """The files are read where the relay keeps them, and damage makes it fail."""
        self.assertIn("there is no journal", self.fails("journal", "verify"))
        folder = Path("relay-state/journal")
        folder.parent.mkdir(exist_ok=True)
        shelf = Shelf(folder, 65_536, lambda: 5, lambda: NOW)
        shelf.open(lambda _: None)
        place = encode_place("bot", "phone", "100")
        shelf.write([(NOW, 1, 2, 3, place, f"100:{number}", "t", b"{}") for number in range(3)])
        shelf.write_others([], [2])
        shown = self.ok("journal", "verify")
        self.assertIn("2 messages and 0 replies are not finished.", shown)
        self.assertIn("whole", shown)
        (segment,) = shelf.segments
        segment.append(b"\x05")
        self.assertIn("torn", self.ok("journal", "verify"))
        data = bytearray(segment.path.read_bytes())
        data[60] ^= 0xFF
        segment.path.write_bytes(bytes(data))
        damaged = self.run_("journal", "verify")
        self.assertEqual(damaged.exit_code, 1)
        self.assertIn("the journal is damaged", damaged.stderr)
        segment.path.write_bytes(b"?" * 50)
        self.assertIn("no header", self.run_("journal", "verify").stdout)
        segment.close()
