"""`relayctl secret`: showing, rotating and retiring the secret."""

from __future__ import annotations

import json
from pathlib import Path

from relaytw.admin.secrets import SecretRetired, SecretRotated, SecretSet, SecretsStatus, SecretUser
from tests.unit.cli.fakes import NOW, CliTestCase

OLD = SecretUser("봇", "ph\x1bone", 1, NOW - 90, connected=True)
COMMON = SecretSet("relay-state/secret", True, [], 2, NOW - 3725, 3, [OLD])
OWN = SecretSet('auth.bots."Weather".secret', False, ["Weather"], 1, None, 4, [])


class ShowTests(CliTestCase):
    def test_made_by_the_relay(self) -> None:
        """The secret alone goes to standard output, what to do with it beside."""
        self.write("relay-state/secret", "s3cret\n")
        result = self.run_("secret", "show")
        self.assertEqual((result.exit_code, result.stdout), (0, "s3cret\n"))
        self.assertIn("bridge script", result.stderr)

    def test_configured(self) -> None:
        """A configured secret is not shown; where it is configured is."""
        self.write("relay-state/secret", "old\n")
        self.write("relay.toml", '[auth]\nsecret = "hidden"\n')
        result = self.run_("secret", "show")
        self.assertEqual((result.exit_code, result.stdout), (0, ""))
        self.assertIn("auth.secret in relay.toml", result.stderr)
        self.assertNotIn("hidden", result.stderr)
        self.write("relay.toml", '[auth]\nsecret_file = "key"\n')
        self.assertIn("auth.secret_file (key) in relay.toml", self.run_("secret", "show").stderr)
        self.environ = {"RELAYTW_AUTH__SECRET": "hidden"}
        self.assertIn("RELAYTW_AUTH__SECRET", self.run_("secret", "show").stderr)

    def test_none_yet(self) -> None:
        """Before the first start the operator is told that there is none yet."""
        self.assertIn("twistd -n relay", self.fails("secret", "show"))
        Path("relay-state/secret").mkdir()
        self.assertIn("cannot be read", self.fails("secret", "show"))


class RotateTests(CliTestCase):
    def test_rotate(self) -> None:
        """The operator is told where the secrets are and what to do next; neither is printed."""
        self.relay.says("POST", "/api/v1/secrets/rotate", SecretRotated("/s/secret", "/s/secret.old", NOW))
        shown = self.ok("secret", "rotate")
        self.assertIn("A new secret is valid: /s/secret\n", shown)
        self.assertIn("until it is retired: /s/secret.old\n", shown)
        for command in ("show", "status", "retire"):
            self.assertIn(f"relayctl secret {command} ", shown)
        self.assertEqual(self.relay.asked, [("POST", "/api/v1/secrets/rotate", None)])

    def test_refused(self) -> None:
        """Why not is the relay's own sentence."""
        self.relay.refuses("POST", "/api/v1/secrets/rotate", 409, "secret_configured", "it is configured")
        self.assertEqual(self.fails("secret", "rotate"), "Error: it is configured\n")

    def test_show_afterwards(self) -> None:
        """What is shown is the new secret."""
        self.write("relay-state/secret", "new\n")
        self.write("relay-state/secret.old", "old\n")
        self.assertEqual(self.ok("secret", "show"), "new\n")


class StatusTests(CliTestCase):
    def status(self, *sets: SecretSet, required: bool = True, forgotten: int = 0) -> None:
        """The relay answers with these sets."""
        status = SecretsStatus(required, NOW - 7200, forgotten, list(sets))
        self.relay.says("GET", "/api/v1/secrets", status)

    def test_status(self) -> None:
        """Each set has its line and whoever signs with an old secret another; nobody moves the cursor."""
        self.status(COMMON, OWN)
        shown = self.ok("secret", "status")
        self.assertIn(
            "every bot without one of its own: 2 secrets are valid (relay-state/secret), rotated 1 h 2 min",
            shown,
        )
        self.assertIn("3 clients sign with the newest, 1 with an older one", shown)
        (line,) = [line for line in shown.splitlines() if "봇" in line]
        for text in ("ph\\x1bone", "1 min 30 s", "yes"):
            self.assertIn(text, line)
        self.assertIn('Weather: 1 secret is valid (auth.bots."Weather".secret)\n', shown)
        self.assertIn("4 clients sign with it", shown)
        self.assertIn("Seen since the relay started, 2 h 0 min ago", shown)

    def test_exceptions(self) -> None:
        """What limits the answer is said: signatures that are not looked at, clients that were forgotten."""
        self.status(COMMON)
        plain = self.ok("secret", "status")
        self.status(COMMON, required=False, forgotten=7)
        shown = self.ok("secret", "status")
        for text in ("Signatures are not required", "7 clients are not remembered"):
            self.assertNotIn(text, plain)
            self.assertIn(text, shown)

    def test_json(self) -> None:
        """With --json everything is there for a program."""
        self.status(COMMON)
        shown = json.loads(self.ok("secret", "status", "--json"))
        self.assertEqual(shown["sets"][0]["old"][0]["secret"], 1)


class RetireTests(CliTestCase):
    def test_nobody(self) -> None:
        """Where nobody is locked out nothing more is said; nothing is forced."""
        self.relay.says("POST", "/api/v1/secrets/retire", SecretRetired([]))
        self.assertEqual(self.ok("secret", "retire"), "The old secret is not valid any more.\n")
        self.assertEqual(self.relay.asked[-1][2], {"force": False})

    def test_in_use(self) -> None:
        """Who would be locked out is said, and how to go on all the same."""
        self.relay.refuses("POST", "/api/v1/secrets/retire", 409, "secret_in_use", "bot@phone would be")
        complaint = self.fails("secret", "retire")
        self.assertIn("bot@phone would be\n", complaint)
        self.assertIn("relayctl secret retire --yes", complaint)
        self.relay.refuses("POST", "/api/v1/secrets/retire", 409, "no_old_secret", "there is none")
        self.assertEqual(self.fails("secret", "retire"), "Error: there is none\n")

    def test_yes(self) -> None:
        """With --yes it is forced, and who is locked out is listed."""
        self.relay.says("POST", "/api/v1/secrets/retire", SecretRetired([OLD]))
        shown = self.ok("secret", "retire", "--yes")
        self.assertIn("not heard until they have the new one", shown)
        self.assertIn("ph\\x1bone", shown)
        self.assertEqual(self.relay.asked[-1][2], {"force": True})
