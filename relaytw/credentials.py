"""Secrets: those of the phones, and the token of the operator.

What is not configured is made at first start and kept in the state folder, readable by its owner
alone.  Such a secret can be rotated: until the one before it is retired both are kept.  Nothing
secret is ever logged.
"""

from __future__ import annotations

import os
import secrets as stdlib_secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from relaytw.config.model import AuthConfig, Secrets
from relaytw.errors import ConfigError

SECRET_FILE = "secret"  # noqa: S105 (the file's name)
OLD_SECRET_FILE = "secret.old"  # noqa: S105 (likewise)
TOKEN_FILE = "admin-token"  # noqa: S105 (likewise)
_BYTES = 32

MakeToken = Callable[[int], str]


class Ring:
    """Secrets that are valid together, newest first; compared by identity.

    `source` says where they come from: a key of the configuration, or a path.
    """

    __slots__ = ("secrets", "source")

    def __init__(self, secrets: tuple[bytes, ...], source: str) -> None:
        self.secrets = secrets
        self.source = source


class KeptSecret:
    """The secret in the state folder, and the one before it while both are valid.

    Its methods wait for the disk.  Whenever the process is killed, the folder holds every secret that
    is valid: the old one is written before the new one, and each file is replaced as a whole.
    """

    def __init__(self, state_dir: Path, token: MakeToken = stdlib_secrets.token_urlsafe) -> None:
        self.path = state_dir / SECRET_FILE
        self.old_path = state_dir / OLD_SECRET_FILE
        self._token = token

    def read(self) -> tuple[bytes, ...]:
        """The valid secrets, newest first; one is made if there is none.  Raises ConfigError."""
        secrets = [_kept(self.path, self._token)]
        if self.old_path.exists():
            secrets.append(_read(self.old_path, OLD_SECRET_FILE))
        # They are the same where a rotation was cut short: nothing was rotated then.
        return tuple(secret.encode() for secret in dict.fromkeys(secrets))

    def written_at(self) -> float:
        """When the newest secret was written, in seconds since the epoch.  Raises OSError."""
        return self.path.stat().st_mtime

    def rotate(self, present: bytes) -> tuple[bytes, ...]:
        """Make a new secret and keep the present one as the old; both, newest first.  Raises OSError."""
        new = self._token(_BYTES)
        _write(self.old_path, present.decode())
        _write(self.path, new)
        return new.encode(), present

    def retire(self) -> None:
        """Keep the old secret no more.  Raises OSError."""
        self.old_path.unlink(missing_ok=True)
        _sync(self.old_path.parent)


class Credentials:
    """The secrets that phones sign with, by bot name.

    `kept` holds those of the state folder, None if `[auth]` gives others; `made` is the path of one
    that was made just now.
    """

    def __init__(
        self,
        common: Ring,
        salt: str,
        bots: Mapping[str, tuple[Ring, str]],
        kept: KeptSecret | None = None,
        made: Path | None = None,
    ) -> None:
        self.common = common
        self.bots = dict(bots)
        self.kept = kept
        self.made = made
        self._salt = salt

    @classmethod
    def load(
        cls, auth: AuthConfig, state_dir: Path, token: MakeToken = stdlib_secrets.token_urlsafe
    ) -> Credentials:
        """Read the configured secrets; without any, those in `state_dir`, the first made at first start.

        Raises ConfigError.
        """
        common, kept, made = _given("auth", auth), None, None
        if common is None:
            kept = KeptSecret(state_dir, token)
            made = kept.path if not kept.path.exists() else None
            common = Ring(kept.read(), str(kept.path))
        bots = {}
        for name, bot in auth.bots.items():
            own = _given(f'auth.bots."{name}"', bot)
            bots[name] = (own or common, auth.salt if bot.salt is None else bot.salt)
        return cls(common, auth.salt, bots, kept, made)

    def ring_for(self, bot: str) -> tuple[Ring, str]:
        """The secrets that are valid for this bot, and its salt."""
        return self.bots.get(bot) or (self.common, self._salt)


def admin_token(token_file: str, state_dir: Path, token: MakeToken = stdlib_secrets.token_urlsafe) -> str:
    """The bearer token of the admin API; made at first start if it is in the state folder.

    Raises ConfigError.
    """
    if token_file:
        return _read(Path(token_file), "admin.token_file")
    return _kept(state_dir / TOKEN_FILE, token)


def _given(section: str, keys: Secrets) -> Ring | None:
    if keys.secret is not None:
        return Ring((keys.secret.encode(),), f"{section}.secret")
    if keys.secrets is not None:
        return Ring(tuple(secret.encode() for secret in keys.secrets), f"{section}.secrets")
    if keys.secret_file is not None:
        source = f"{section}.secret_file"
        return Ring((_read(Path(keys.secret_file), source).encode(),), source)
    return None


def _read(path: Path, key: str) -> str:
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: {path} cannot be read: {error}") from error
    if not text:
        raise ConfigError(f"{key}: {path} is empty; put the secret into it or remove it")
    return text


def _kept(path: Path, token: MakeToken) -> str:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _create(path) as file:
            file.write(token(_BYTES) + "\n")
    except FileExistsError as error:
        if not path.parent.is_dir():
            raise _unwritable(path.parent, error) from error
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    return _read(path, str(path.name))


def _unwritable(state_dir: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"the state folder {state_dir} cannot be written ({error.strerror}); "
        "choose another one with --state-dir"
    )


def _create(path: Path) -> TextIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, or not at all."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        with _create(temporary) as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    # A name is on the disk only once its folder is.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
