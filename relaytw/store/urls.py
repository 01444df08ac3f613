"""Which database is meant: `[database] url` as what each driver wants of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from relaytw.errors import ConfigError

#: The file of the embedded database in the state folder.
SQLITE_FILE = "relay.db"
_PORT = 3306


class Engine(StrEnum):
    """The two kinds of database; MariaDB is MySQL here."""

    SQLITE = "sqlite"
    MYSQL = "mysql"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """Where a database is.  `own` says that it is the relay's own file, which nobody else keeps."""

    engine: Engine
    path: Path = Path()
    own: bool = False
    host: str = ""
    port: int = _PORT
    socket: str | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = ""

    def __str__(self) -> str:
        """As it may be shown: without the password."""
        if self.engine is Engine.SQLITE:
            return f"sqlite:{self.path}"
        return f"mysql://{self.user}@{self.socket or f'{self.host}:{self.port}'}/{self.name}"


def parse(url: str, state_dir: Path) -> DatabaseUrl:
    """Read `[database] url`; "" is the relay's own SQLite file in `state_dir`.  Raises ConfigError."""
    if not url:
        return DatabaseUrl(Engine.SQLITE, path=state_dir / SQLITE_FILE, own=True)
    if url.startswith("sqlite:"):
        path = unquote(url.removeprefix("sqlite:").removeprefix("//"))
        if not path or path == ":memory:":
            raise ConfigError("database.url names no file; write sqlite:PATH")
        return DatabaseUrl(Engine.SQLITE, path=Path(path))
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError as error:
        raise ConfigError(f"database.url cannot be read: {error}") from error
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme != "mysql" or not parts.hostname or not name or "/" in name:
        raise ConfigError("database.url must look like mysql://user:password@host:3306/name")
    return DatabaseUrl(
        Engine.MYSQL,
        host=parts.hostname,
        port=port,
        socket=next(iter(parse_qs(parts.query).get("unix_socket", ())), None),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        name=name,
    )
