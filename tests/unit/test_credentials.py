"""Secrets: which of them count, and those that are made."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from relaytw.config import AuthConfig
from relaytw.credentials import Credentials, KeptSecret, admin_token
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

    def secrets(self, found: Credentials, bot: str = "bot") -> tuple[tuple[bytes, ...], str]:
        """What is valid for this bot, and its salt."""
        ring, salt = found.ring_for(bot)
        return ring.secrets, salt

    def fails(self, **auth: Any) -> str:
        """What is said about this `[auth]`."""
        return str(self.assertRaises(ConfigError, self.load, **auth))


class GivenTests(CredentialsTestCase):
    def test_each_way(self) -> None:
        """A secret comes from the configuration or from the file it names; then none is made."""
        (self.folder / "key").write_text("of the file\r\n", encoding="utf-8")
        self.assertEqual(self.secrets(self.load(secret="plain", salt="x")), ((b"plain",), "x"))
        self.assertEqual(self.secrets(self.load(secrets=["비밀", "old"]))[0], ("비밀".encode(), b"old"))
        self.assertEqual(self.secrets(self.load(secret_file="key"))[0], (b"of the file",))
        self.assertFalse(self.state.exists())

    def test_bots(self) -> None:
        """A bot may have a secret, a salt, or both of its own; the rest is everybody's."""
        bots = {"a": {"secret": "own"}, "b": {"salt": "own"}, "c": {"secret": "own", "salt": ""}}
        found = self.load(secret="common", salt="common", bots=bots)
        self.assertEqual(self.secrets(found, "a"), ((b"own",), "common"))
        self.assertEqual(self.secrets(found, "b"), ((b"common",), "own"))
        self.assertEqual(self.secrets(found, "c"), ((b"own",), ""))
        self.assertEqual(self.secrets(found, "d"), ((b"common",), "common"))

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
        self.assertEqual(self.secrets(found), ((b"made-1-32",), ""))
        self.assertEqual(path.read_text(encoding="utf-8"), "made-1-32\n")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.state.stat().st_mode), 0o700)

    def test_later_start(self) -> None:
        """A secret that is there already is used and left alone."""
        first = self.load()
        second = self.load()
        self.assertIsNone(second.made)
        self.assertEqual(self.secrets(second), self.secrets(first))

    def test_real_secrets(self) -> None:
        """What is made without being told how is long, and different each time."""
        one = self.secrets(Credentials.load(AuthConfig(), self.folder / "one"))[0][0]
        other = self.secrets(Credentials.load(AuthConfig(), self.folder / "other"))[0][0]
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


class KeptSecretTests(CredentialsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.load()
        self.kept = KeptSecret(self.state, self.token)

    def on_disk(self) -> dict[str, str]:
        """What the state folder holds."""
        return {path.name: path.read_text(encoding="utf-8") for path in self.state.iterdir()}

    def test_rotate(self) -> None:
        """A rotation keeps the old secret beside the new one, each for its owner alone."""
        self.assertEqual(self.kept.rotate(b"made-1-32"), (b"made-2-32", b"made-1-32"))
        self.assertEqual(self.on_disk(), {"secret": "made-2-32\n", "secret.old": "made-1-32\n"})
        for path in self.state.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)

    def test_survives(self) -> None:
        """After a restart both are valid, the new one first; after a retirement the new one alone."""
        self.kept.rotate(b"made-1-32")
        self.assertEqual(self.secrets(self.load())[0], (b"made-2-32", b"made-1-32"))
        self.kept.retire()
        self.assertEqual(self.secrets(self.load())[0], (b"made-2-32",))
        self.kept.retire()

    def test_killed(self) -> None:
        """Wherever a rotation is cut short, the secret that phones have is valid at the next start."""
        moments: list[dict[str, str]] = []
        replace = Path.replace

        def watched(path: Path, target: Path) -> Path:
            moments.append(self.on_disk())
            return replace(path, target)

        self.patch(Path, "replace", watched)
        self.kept.rotate(b"made-1-32")
        self.assertEqual(len(moments), 2)
        for moment in moments[:2]:
            for path in self.state.iterdir():
                path.unlink()
            for name, text in moment.items():
                (self.state / name).write_text(text, encoding="utf-8")
            self.assertEqual(self.secrets(self.load())[0], (b"made-1-32",))
            self.assertIn(b"made-1-32", KeptSecret(self.state, self.token).rotate(b"made-1-32"))

    def test_refused_by_the_disk(self) -> None:
        """What the disk does not take changes nothing, and leaves nothing behind."""
        (self.state / "secret.old").mkdir()
        self.assertRaises(OSError, self.kept.rotate, b"made-1-32")
        (self.state / "secret.old").rmdir()
        self.assertEqual(self.on_disk(), {"secret": "made-1-32\n"})

    def test_left_over(self) -> None:
        """A half-written file of an interrupted rotation is in nobody's way."""
        (self.state / "secret.new").write_text("half", encoding="utf-8")
        self.kept.rotate(b"made-1-32")
        self.assertEqual(sorted(self.on_disk()), ["secret", "secret.old"])

    def test_configured(self) -> None:
        """A secret that is configured is alone valid, whatever the state folder holds."""
        self.kept.rotate(b"made-1-32")
        found = self.load(secret="given")
        self.assertEqual((self.secrets(found)[0], found.kept), ((b"given",), None))

    def test_emptied(self) -> None:
        """An old secret that is empty is never signed with."""
        (self.state / "secret.old").touch()
        self.assertIn("secret.old is empty", self.fails())


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
