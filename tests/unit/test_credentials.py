"""Secrets: which of them count, and those that are made."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from relaytw.config import AuthConfig
from relaytw.credentials import Credentials, admin_token
from relaytw.errors import ConfigError
from tests.unit.folders import OwnFolder


class CredentialsTestCase(OwnFolder):
    def setUp(self) -> None:
        self.folder = self.enter_folder()
        self.state = self.folder / "state"
        self.made = 0

    def token(self, length: int) -> str:
        """A different secret each time, and as predictable as a secret must not be."""
        self.made += 1
        return f"made-{self.made}-{length}"

    def load(self, **auth: Any) -> Credentials:
        """The credentials of this `[auth]`."""
        return Credentials.load(AuthConfig.model_validate(auth), self.state, self.token)

    def fails(self, **auth: Any) -> str:
        """What is said about this `[auth]`."""
        return str(self.assertRaises(ConfigError, self.load, **auth))


class GivenTests(CredentialsTestCase):
    def test_each_way(self) -> None:
        """A secret comes from the configuration or from the file it names; then none is made."""
        (self.folder / "key").write_text("of the file\r\n", encoding="utf-8")
        self.assertEqual(self.load(secret="plain", salt="x").secrets_for("bot"), ((b"plain",), "x"))
        self.assertEqual(self.load(secrets=["비밀", "old"]).secrets_for("bot")[0], ("비밀".encode(), b"old"))
        self.assertEqual(self.load(secret_file="key").secrets_for("bot")[0], (b"of the file",))
        self.assertFalse(self.state.exists())

    def test_bots(self) -> None:
        """A bot may have a secret, a salt, or both of its own; the rest is everybody's."""
        bots = {"a": {"secret": "own"}, "b": {"salt": "own"}, "c": {"secret": "own", "salt": ""}}
        found = self.load(secret="common", salt="common", bots=bots)
        self.assertEqual(found.secrets_for("a"), ((b"own",), "common"))
        self.assertEqual(found.secrets_for("b"), ((b"common",), "own"))
        self.assertEqual(found.secrets_for("c"), ((b"own",), ""))
        self.assertEqual(found.secrets_for("d"), ((b"common",), "common"))

    def test_bad_file(self) -> None:
        """A secret file that is missing, empty or no text is named with its key."""
        self.assertIn("auth.secret_file: missing cannot be read", self.fails(secret_file="missing"))
        (self.folder / "empty").write_text("\n", encoding="utf-8")
        self.assertIn("auth.secret_file: empty is empty", self.fails(secret_file="empty"))
        (self.folder / "bytes").write_bytes(b"\xff")
        bots = {"Weather": {"secret_file": "bytes"}}
        self.assertIn(
            'auth.bots."Weather".secret_file: bytes cannot be read', self.fails(bots=bots, secret="s")
        )


class MadeTests(CredentialsTestCase):
    def test_first_start(self) -> None:
        """Without a secret one is made, long, in the state folder, for its owner alone."""
        found = self.load()
        path = self.state / "secret"
        self.assertEqual(found.made, path)
        self.assertEqual(found.secrets_for("bot"), ((b"made-1-32",), ""))
        self.assertEqual(path.read_text(encoding="utf-8"), "made-1-32\n")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.state.stat().st_mode), 0o700)

    def test_later_start(self) -> None:
        """A secret that is there already is used and left alone."""
        first = self.load()
        second = self.load()
        self.assertIsNone(second.made)
        self.assertEqual(second.secrets_for("bot"), first.secrets_for("bot"))

    def test_real_secrets(self) -> None:
        """What is made without being told how is long, and different each time."""
        one = Credentials.load(AuthConfig(), self.folder / "one").secrets_for("bot")[0][0]
        other = Credentials.load(AuthConfig(), self.folder / "other").secrets_for("bot")[0][0]
        self.assertNotEqual(one, other)
        self.assertGreaterEqual(len(one), 32)

    def test_emptied(self) -> None:
        """An empty secret is never signed with."""
        self.state.mkdir()
        (self.state / "secret").touch()
        self.assertIn(f"{self.state / 'secret'} is empty", self.fails())

    def test_not_writable(self) -> None:
        """A state folder that cannot be one is named, with what to do."""
        (self.folder / "file").touch()
        for state in (self.folder / "file", self.folder / "file" / "below"):
            self.state = state
            told = self.fails()
            self.assertIn(f"the state folder {state} cannot be written", told)
            self.assertIn("--state-dir", told)


class AdminTokenTests(CredentialsTestCase):
    def test_made(self) -> None:
        """The operator's token is made once, and is not the phones' secret."""
        self.load()
        self.assertEqual(admin_token("", self.state, self.token), "made-2-32")
        self.assertEqual(admin_token("", self.state, self.token), "made-2-32")
        self.assertEqual(stat.S_IMODE((self.state / "admin-token").stat().st_mode), 0o600)

    def test_given(self) -> None:
        """A token file that is named is read, never made."""
        path = self.folder / "token"
        error = self.assertRaises(ConfigError, admin_token, str(path), self.state)
        self.assertIn("admin.token_file", str(error))
        self.assertFalse(path.exists())
        Path(path).write_text("open-sesame\n", encoding="utf-8")
        self.assertEqual(admin_token(str(path), self.state), "open-sesame")
        self.assertFalse(self.state.exists())
