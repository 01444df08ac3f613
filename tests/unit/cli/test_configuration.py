"""`relayctl config`: checking and showing a configuration."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.cli.fakes import CliTestCase


class CheckTests(CliTestCase):
    def test_valid(self) -> None:
        """A valid configuration is ok, and so is none at all."""
        self.assertEqual(self.ok("config", "check"), "ok\n")
        self.write("relay.toml", "[limits]\nper_room = 2\n")
        self.assertEqual(self.ok("config", "check"), "ok\n")

    def test_mistakes(self) -> None:
        """Every mistake is listed, those of the environment too."""
        self.write("bad.toml", "[limits]\nper_rom = 2\nconsumers = 0\n")
        self.environ = {"RELAYTW_RELAY__MODE": "slow"}
        complaint = self.fails("--config", "bad.toml", "config", "check")
        for key in ("limits.per_rom", "limits.consumers", "relay.mode"):
            self.assertIn(key, complaint)


class ShowTests(CliTestCase):
    def shown(self, *arguments: str) -> dict[str, tuple[Any, str]]:
        """Every key that is shown, with its value and where it comes from."""
        keys = json.loads(self.ok(*arguments, "config", "show", "--json"))
        return {key["key"]: (key["value"], key["origin"]) for key in keys}

    def test_origins(self) -> None:
        """Each key says where its value comes from, and the last place that gives it wins."""
        self.write("relay.toml", "[limits]\nper_room = 2\nper_bot = 20\n")
        self.environ = {"RELAYTW_LIMITS__PER_BOT": "9"}
        shown = self.shown("--state-dir", "there")
        self.assertEqual(shown["limits.per_room"], (2, "file relay.toml"))
        self.assertEqual(shown["limits.per_bot"], (9, "environment RELAYTW_LIMITS__PER_BOT"))
        self.assertEqual(shown["limits.queue"], (10_000, "default"))
        self.assertEqual(shown["relay.state_dir"], ("there", "flag"))
        self.assertEqual(shown["relay.listen"], (["tcp:1490"], "default"))

    def test_tables(self) -> None:
        """A table that is given as a whole replaces the one of the file, and so do its origins."""
        self.write(
            "relay.toml", '[log.categories]\nping = "info"\n[auth.bots."A.b"]\nsecret = "x"\nsalt = "s"\n'
        )
        shown = self.shown()
        self.assertEqual(shown["log.categories"], ({"ping": "info"}, "file relay.toml"))
        self.assertEqual(shown["auth.bots.A.b.salt"], ("s", "file relay.toml"))
        self.assertEqual(shown["auth.bots.A.b.secrets"], (None, "default"))
        self.environ = {"RELAYTW_AUTH__BOTS": '{"A.b": {"secret": "y"}}', "RELAYTW_LIMITS": '{"queue": 5}'}
        shown = self.shown()
        self.assertEqual(shown["auth.bots.A.b.secret"], ("********", "environment RELAYTW_AUTH__BOTS"))
        self.assertEqual(shown["auth.bots.A.b.salt"], (None, "default"))
        self.assertEqual(shown["limits.queue"], (5, "environment RELAYTW_LIMITS"))
        self.assertEqual(shown["limits.per_bot"], (30, "default"))

    def test_secrets(self) -> None:
        """No secret is shown, wherever it is given, nor the password in a database URL."""
        self.write(
            "relay.toml",
            '[auth]\nsecrets = ["hidden1", "hidden2"]\n[auth.bots.W]\nsecret = "hidden3"\n'
            '[database]\nurl = "mysql://user:hidden4@host/name"\n',
        )
        for arguments in ((), ("--json",), ("--changed",)):
            shown = self.ok("config", "show", *arguments)
            self.assertNotIn("hidden", shown)
            self.assertIn("********", shown)

    def test_changed(self) -> None:
        """With --changed only what is given somewhere is shown."""
        self.assertEqual(self.ok("config", "show", "--changed"), "Everything has its default.\n")
        self.assertEqual(self.ok("config", "show", "--changed", "--json"), "[]\n")
        self.write("relay.toml", "[limits]\nper_room = 2\n")
        (line,) = self.ok("config", "show", "--changed").splitlines()[1:]
        self.assertEqual(line.split(), ["limits.per_room", "2", "file", "relay.toml"])

    def test_everything(self) -> None:
        """Every key has a line, one that is not given a dash."""
        lines = self.ok("config", "show").splitlines()[1:]
        self.assertEqual(len(lines), len(self.shown()))
        found = {line.split()[0]: line.split()[1] for line in lines}
        self.assertEqual((found["auth.secret"], found["auth.required"]), ("-", "true"))

    def test_mistakes(self) -> None:
        """A configuration that cannot be used is not shown but complained of."""
        self.write("relay.toml", "[limits]\nper_rom = 2\n")
        self.assertIn("limits.per_rom", self.fails("config", "show"))
