"""Secrets: those of the phones, and the token of the operator.

What is not configured is made at first start and kept in the state folder, readable by its owner
alone.  Nothing secret is ever logged.
"""

from __future__ import annotations

import os
import secrets as stdlib_secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from relaytw.config.model import AuthConfig, Secrets
from relaytw.errors import ConfigError

SECRET_FILE = "secret"  # noqa: S105 (the file's name)
TOKEN_FILE = "admin-token"  # noqa: S105 (likewise)
_BYTES = 32


class Credentials:
    """The secrets that phones sign with, by bot name."""

    def __init__(
        self,
        common: tuple[bytes, ...],
        salt: str,
        bots: Mapping[str, tuple[tuple[bytes, ...], str]],
        made: Path | None = None,
    ) -> None:
        self._common = (common, salt)
        self._bots = dict(bots)
        self.made = made

    @classmethod
    def load(
        cls, auth: AuthConfig, state_dir: Path, token: Callable[[int], str] = stdlib_secrets.token_urlsafe
    ) -> Credentials:
        """Read the configured secrets; without any, the one in `state_dir`, made at first start.

        `made` is its path if it was made just now.  Raises ConfigError.
        """
        common = _given("auth", auth)
        made = None
        if common is None:
            path = state_dir / SECRET_FILE
            made = path if not path.exists() else None
            common = (_kept(path, token).encode(),)
        bots = {}
        for name, bot in auth.bots.items():
            own = _given(f'auth.bots."{name}"', bot)
            bots[name] = (own or common, auth.salt if bot.salt is None else bot.salt)
        return cls(common, auth.salt, bots, made)

    def secrets_for(self, bot: str) -> tuple[tuple[bytes, ...], str]:
        """The secrets that are valid for this bot, and its salt."""
        return self._bots.get(bot, self._common)


def admin_token(
    token_file: str, state_dir: Path, token: Callable[[int], str] = stdlib_secrets.token_urlsafe
) -> str:
    """The bearer token of the admin API; made at first start if it is in the state folder.

    Raises ConfigError.
    """
    if token_file:
        return _read(Path(token_file), "admin.token_file")
    return _kept(state_dir / TOKEN_FILE, token)


def _given(section: str, keys: Secrets) -> tuple[bytes, ...] | None:
    if keys.secret is not None:
        return (keys.secret.encode(),)
    if keys.secrets is not None:
        return tuple(secret.encode() for secret in keys.secrets)
    if keys.secret_file is not None:
        return (_read(Path(keys.secret_file), f"{section}.secret_file").encode(),)
    return None


def _read(path: Path, key: str) -> str:
    try:
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: {path} cannot be read: {error}") from error
    if not text:
        raise ConfigError(f"{key}: {path} is empty; put the secret into it or remove it")
    return text


def _kept(path: Path, token: Callable[[int], str]) -> str:
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
