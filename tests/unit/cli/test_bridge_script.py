"""`relayctl bridge-script`: the phone's script, filled in."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.cli.bridge_script import fill, read_script
from tests.unit.cli.fakes import CliTestCase

PIN = "0123456789abcdef" * 4


def setting(script: str, name: str) -> Any:
    """The value of a setting, which must be a JSON literal on a line of its own."""
    (line,) = re.findall(rf"^    {name}: (.*?),?$", script.partition("\n};\n")[0], re.MULTILINE)
    return json.loads(line)


class BridgeScriptTests(CliTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("relay-state/secret", "s3cret\n")

    def test_filled_in(self) -> None:
        """The script alone goes to standard output, with addresses and secret in it, a warning beside."""
        result = self.run_(
            "bridge-script", "--bot", "봇", "--server", "relay.example:1491", "--server", "[::1]"
        )
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(setting(result.stdout, "bot"), "봇")
        self.assertEqual(setting(result.stdout, "secret"), "s3cret")
        self.assertEqual(
            setting(result.stdout, "servers"),
            [
                {"host": "relay.example", "port": 1491, "tls": False, "fingerprint": None},
                {"host": "::1", "port": 1490, "tls": False, "fingerprint": None},
            ],
        )
        self.assertIs(setting(result.stdout, "fallback"), True)
        self.assertTrue(result.stdout.endswith("RelayBridge.start();\n"))
        self.assertIn("holds the secret", result.stderr)
        self.assertNotIn("s3cret", result.stderr)

    def test_this_machine(self) -> None:
        """Without an address it is this machine's, with the port on which the relay listens."""
        self.write("relay.toml", '[relay]\nlisten = ["tcp:1500", "tcp:1501"]\n')
        result = self.run_("bridge-script", "--bot", "bot")
        (server,) = setting(result.stdout, "servers")
        self.assertEqual((server["host"], server["port"]), ("192.0.2.77", 1500))
        self.assertIn("192.0.2.77:1500, this machine", result.stderr)
        self.environ = {"RELAYTW_RELAY__LISTEN": "tcp:port=1600"}
        self.assertEqual(setting(self.ok("bridge-script", "--bot", "bot"), "servers")[0]["port"], 1600)

    def test_own_secret(self) -> None:
        """A bot with a secret of its own gets that, and its salt."""
        self.write(
            "relay.toml", '[auth]\nsalt = "s"\n[auth.bots.Weather]\nsecret = "its own"\nsalt = "pepper"\n'
        )
        script = self.ok("bridge-script", "--bot", "Weather", "--server", "h")
        self.assertEqual((setting(script, "secret"), setting(script, "salt")), ("its own", "pepper"))
        script = self.ok("bridge-script", "--bot", "other", "--server", "h")
        self.assertEqual((setting(script, "secret"), setting(script, "salt")), ("s3cret", "s"))

    def test_tls(self) -> None:
        """A fingerprint is understood as openssl prints it, and means TLS."""
        printed = "sha256 Fingerprint=" + ":".join(PIN.upper()[at : at + 2] for at in range(0, 64, 2))
        script = self.ok(
            "bridge-script", "--bot", "b", "--server", "h", "--fingerprint", printed, "--no-fallback"
        )
        self.assertEqual(
            setting(script, "servers"), [{"host": "h", "port": 1490, "tls": True, "fingerprint": PIN}]
        )
        self.assertIs(setting(script, "fallback"), False)
        script = self.ok("bridge-script", "--bot", "b", "--server", "h", "--tls")
        self.assertEqual(
            setting(script, "servers")[0] | {"host": ""},
            {"host": "", "port": 1490, "tls": True, "fingerprint": None},
        )

    def test_not_understood(self) -> None:
        """What makes no sense exits with 2 and says what would."""
        for server in ("", "h:0", "h:65536", "h:x", "a b", "::1", "http://h", "[h]"):
            self.assertIn("HOST:PORT", self.fails("bridge-script", "--bot", "b", "--server", server, code=2))
        self.assertIn(
            "64 hex",
            self.fails("bridge-script", "--bot", "b", "--server", "h", "--fingerprint", "ab", code=2),
        )
        self.assertIn("1 to 30", self.fails("bridge-script", "--bot", "b" * 31, "--server", "h", code=2))
        self.assertIn("1 to 30", self.fails("bridge-script", "--bot", "", "--server", "h", code=2))
        self.fails("bridge-script", code=2)

    def test_no_secret(self) -> None:
        """Without a secret there is no script."""
        self.assertIn(
            "no use", self.fails("--state-dir", "elsewhere", "bridge-script", "--bot", "b", "--server", "h")
        )


class FillTests(SynchronousTestCase):
    @given(st.text(max_size=40))
    def test_no_injection(self, value: str) -> None:
        """Whatever a value is, it stays one literal on one line, and nothing else of the script changes."""
        script = read_script()
        filled = fill(script, {"secret": value})
        self.assertEqual(setting(filled, "secret"), value)
        before, after = script.split("\n"), filled.split("\n")
        self.assertEqual(len(before), len(after))
        changed = [line for line, old in zip(after, before, strict=True) if line != old]
        self.assertLessEqual(len(changed), 1)
        for line in changed:
            self.assertTrue(line.isascii())

    def test_unknown(self) -> None:
        """A setting that the script does not have is an error, not silence."""
        with self.assertRaises(KeyError):
            fill(read_script(), {"colour": "red"})
