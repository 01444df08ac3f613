"""Which relay is meant, where its admin API listens, and what is known about its token.

`relayctl` finds out by itself: from options before environment before configuration file before
defaults.  The file is read leniently, for a relay is worth asking even when its file has mistakes.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    # http.client takes longer to import than everything else here together.
    from http.client import HTTPConnection

CONFIG = Path("relay.toml")
STATE_DIR = "relay-state"
LISTEN = "tcp:8490:interface=127.0.0.1"
SECRET_FILE = "secret"  # noqa: S105 (the file's name)
TOKEN_FILE = "admin-token"  # noqa: S105 (likewise)

_SCHEMES = {"tcp": "http", "tcp6": "http", "ssl": "https"}
#: Any address that is not of this machine, for documentation only: it is asked how that would be reached.
_ELSEWHERE = ("192.0.2.1", 9)
_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (what to call it, not to bind)


Connect = Callable[[str], "HTTPConnection"]


def _user_name() -> str:
    """Who runs this, as the system knows him; a number where it has no name for him."""
    try:
        import pwd  # noqa: PLC0415 (there is none on Windows)

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return str(getattr(os, "getuid", str)())


def _own_address() -> str:
    """The address of this machine as others in its network see it; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@dataclass(frozen=True, slots=True)
class Outside:
    """The world as `relayctl` sees it; `connect` makes a connection to a URL (None: HTTP)."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    connect: Connect | None = None
    user: Callable[[], str] = _user_name
    address: Callable[[], str] = _own_address


@dataclass(frozen=True, slots=True)
class Options:
    """The global options of `relayctl`, as given; every command finds them in its context's `obj`."""

    config: Path | None = None
    state_dir: Path | None = None
    url: str | None = None
    token_file: Path | None = None
    outside: Outside = Outside()


@dataclass(frozen=True, slots=True)
class Target:
    """The relay to talk to; `token` is None where `token_file` cannot be read."""

    state_dir: Path
    admin_url: str
    token: str | None
    token_file: Path | None = None


class Settings:
    """The keys of a configuration, by section and name, from environment or file."""

    def __init__(self, path: Path | None, table: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        self.path = path
        self._table = table
        self._environ = environ

    def get(self, section: str, key: str) -> Any:
        """The value of a key, or None where it is not given."""
        name = _variable(section, key)
        if name in self._environ:
            return _value(self._environ[name])
        table = self._table.get(section)
        return table.get(key) if isinstance(table, dict) else None

    def origin(self, section: str, key: str) -> str:
        """Where a key that is given is given."""
        name = _variable(section, key)
        return f"the environment ({name})" if name in self._environ else str(self.path)

    def text(self, section: str, key: str, default: str) -> str:
        """The value of a key that is text and not empty, or the default."""
        value = self.get(section, key)
        return value if isinstance(value, str) and value else default


def _value(text: str) -> Any:
    # As the relay reads its environment: lists and tables come as JSON.
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _variable(section: str, key: str) -> str:
    return f"RELAYTW_{section}__{key}".upper()


def config_path(options: Options) -> Path | None:
    """The configuration file: `--config`, else ./relay.toml if it exists."""
    if options.config is not None:
        return options.config
    return CONFIG if CONFIG.is_file() else None


def read_settings(options: Options) -> Settings:
    """What the configuration file and the environment say, whether or not it is all valid."""
    path, environ = config_path(options), options.outside.environ
    if path is None:
        return Settings(None, {}, environ)
    try:
        return Settings(path, tomllib.loads(path.read_text(encoding="utf-8")), environ)
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error


def find_target(options: Options) -> Target:
    """The relay that is meant; a missing token is no error before somebody asks for it."""
    settings = read_settings(options)
    state_dir = state_dir_of(options, settings)
    url = options.url or admin_url(settings.text("admin", "listen", LISTEN))
    token_file = options.token_file or Path(settings.text("admin", "token_file", str(state_dir / TOKEN_FILE)))
    return Target(state_dir, url.rstrip("/"), _read_token(token_file), token_file)


def state_dir_of(options: Options, settings: Settings) -> Path:
    """The folder of the relay's own state."""
    return options.state_dir or Path(settings.text("relay", "state_dir", STATE_DIR))


def admin_url(endpoint: str) -> str:
    """Where to ask a relay that listens on this Twisted endpoint string: a URL, or `unix:PATH`."""
    kind, *arguments = [part.replace("\\:", ":") for part in re.split(r"(?<!\\):", endpoint)]
    named = dict(part.split("=", 1) for part in arguments if "=" in part)
    plain = [part for part in arguments if "=" not in part]
    first = next(iter(plain), "")
    if kind == "unix" and (path := named.get("address", first)):
        return f"unix:{path}"
    port = named.get("port", first)
    if kind not in _SCHEMES or not port.isdigit():
        raise click.ClickException(f"admin.listen is {endpoint}; say with --url where that is reached")
    host = named.get("interface", "::" if kind == "tcp6" else "")
    host = _ANYWHERE.get(host, host)
    return f"{_SCHEMES[kind]}://{f'[{host}]' if ':' in host else host}:{port}"


def _read_token(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
