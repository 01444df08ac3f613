"""What simulated phones sign with, and how they are approved."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import click

from relaytw.cli.signing import Key, approve, signing_key
from relaytw.cli.target import Options, Outside
from tests.unit.cli.fakes import NOW, CliTestCase


class SigningTestCase(CliTestCase):
    def options(self) -> Options:
        """The options of a relayctl that was given none."""
        return Options(outside=Outside(self.environ, lambda: NOW, self.sleep, self.relay.connect))

    def key(self, bot: str = "bot", secret_file: str | None = None, *, unsigned: bool = False) -> Key:
        """What this bot's phones sign with."""
        path = Path(secret_file) if secret_file is not None else None
        return signing_key(self.options(), bot, path, unsigned=unsigned)


class KeyTests(SigningTestCase):
    def test_made_by_the_relay(self) -> None:
        """Without a configuration the secret that the relay made is used."""
        self.write("relay-state/secret", "made\n")
        self.assertEqual(self.key(), Key(b"made", ""))

    def test_configured(self) -> None:
        """The configured secret is used, in each of its forms, with the salt."""
        self.write("relay-state/secret", "made\n")
        self.write("key", "of the file\n")
        for line, secret in (
            ('secret = "plain"', b"plain"),
            ('secrets = ["new", "old"]', b"new"),
            ('secret_file = "key"', b"of the file"),
        ):
            self.write("relay.toml", f'[auth]\n{line}\nsalt = "salt"\n')
            self.assertEqual(self.key(), Key(secret, "salt"))

    def test_bot(self) -> None:
        """A bot's own secret and salt are used for its phones, and for no others."""
        self.write(
            "relay.toml",
            '[auth]\nsecret = "all"\nsalt = "all"\n[auth.bots.a]\nsecret = "own"\n[auth.bots.b]\nsalt = ""\n',
        )
        self.assertEqual(self.key("a"), Key(b"own", "all"))
        self.assertEqual(self.key("b"), Key(b"all", ""))
        self.assertEqual(self.key("c"), Key(b"all", "all"))

    def test_environment(self) -> None:
        """The environment is read as the relay reads it: before the file, lists and tables as JSON."""
        self.write("relay.toml", '[auth]\nsecrets = ["file"]\n')
        self.environ = {"RELAYTW_AUTH__SECRETS": '["new", "old"]'}
        self.assertEqual(self.key(), Key(b"new", ""))
        self.environ["RELAYTW_AUTH__BOTS"] = '{"a": {"secret": "own", "salt": "x"}}'
        self.assertEqual(self.key("a"), Key(b"own", "x"))
        self.environ = {"RELAYTW_AUTH__SECRET": "[plain"}
        self.assertEqual(self.key(), Key(b"[plain", ""))

    def test_secret_file(self) -> None:
        """--secret-file wins over everything; one that cannot be read is an error."""
        self.write("relay.toml", '[auth]\nsecret = "all"\nsalt = "salt"\n')
        self.write("given", "given\r\n")
        self.assertEqual(self.key(secret_file="given"), Key(b"given", "salt"))
        Path("bytes").write_bytes(b"\xff")
        self.assertRaises(click.ClickException, self.key, secret_file="bytes")

    def test_unsigned(self) -> None:
        """Nothing is signed when that is asked for, and with a warning where there is no secret."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            self.assertEqual(self.key(), Key(None, ""))
        self.assertIn(f"no secret at {Path('relay-state/secret')}", said.getvalue())
        self.write("relay-state/secret", "made\n")
        self.assertEqual(self.key(unsigned=True), Key(None, ""))


class ApproveTests(SigningTestCase):
    def approve(self) -> str:
        """Approve a phone with two rooms; what is complained of."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            approve(self.options(), "bot", "phone", ["one", "two"])
        return said.getvalue()

    def test_approved(self) -> None:
        """The device and each of its rooms are approved, whether or not the relay knows them."""
        self.relay.says("POST", "/api/v1/devices/status", {})
        self.relay.says("POST", "/api/v1/rooms/status", {})
        self.assertEqual(self.approve(), "")
        device, one, two = [asked[2] for asked in self.relay.asked]
        common = {"bot": "bot", "device": "phone", "status": "approved", "register": True}
        self.assertEqual(device, common)
        self.assertEqual((one, two), ({**common, "room_id": "one"}, {**common, "room_id": "two"}))

    def test_refused(self) -> None:
        """What the relay says against it is passed on, and is not the end."""
        self.relay.refuses("POST", "/api/v1/devices/status", 409, "not_approvable", "it has no id")
        self.assertEqual(self.approve(), "relayctl: the phone is not approved: it has no id\n")
        self.assertEqual(len(self.relay.asked), 1)

    def test_no_token(self) -> None:
        """Without the admin token nobody is asked."""
        Path("relay-state/admin-token").unlink()
        self.assertEqual(self.approve(), "")
        self.assertEqual(self.relay.asked, [])
