"""Which database and which files a configuration means."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relaytw.config import Config
from relaytw.store.connections import ConnectionSettings
from relaytw.store.times import WallClock
from relaytw.store.urls import DatabaseUrl, parse


class MaintenanceError(Exception):
    """What was asked for was not done; the text says why, and what was done before."""


@dataclass(frozen=True, slots=True)
class Access:
    """A relay's database and state folder; `now` gives seconds since the epoch."""

    url: DatabaseUrl
    settings: ConnectionSettings
    state_dir: Path
    timezone: str
    now: Callable[[], float] = time.time

    @classmethod
    def of(cls, config: Config, now: Callable[[], float] = time.time) -> Access:
        """What this configuration means.  Raises ConfigError."""
        keys, state_dir = config.database, Path(config.relay.state_dir)
        settings = ConnectionSettings(keys.connect_timeout, keys.query_timeout, keys.threads)
        return cls(parse(keys.url, state_dir), settings, state_dir, config.relay.timezone, now)

    @property
    def offset(self) -> str:
        """How far the tables' zone is from UTC: "+09:00"."""
        return WallClock(self.timezone).offset(self.now())
