"""Where `twistd relay` and `relay.tac` come in: the command-line options, and the service they ask for.

What a relay is made of stands in `relaytw.assembly`.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.python import usage

from relaytw import __version__, logs
from relaytw.assembly import assemble
from relaytw.config import Config
from relaytw.config import load as load_config
from relaytw.errors import ConfigError
from relaytw.services.supervisor import supervisor


class Options(usage.Options):
    """`twistd relay [options]`: everything has a default, and a configuration file is optional."""

    synopsis = "[options]"
    longdesc = "Relays KakaoTalk phones to bots.  Needs no file to start; see docs/configuration.md."
    optParameters: ClassVar[list[Any]] = [
        ["config", "c", None, "configuration file (TOML)"],
        ["state-dir", None, None, "folder for the relay's own state (default: ./relay-state)"],
        ["database", None, None, "database URL (default: SQLite in the state folder)"],
        ["name", None, None, "name of this relay in monitor tables and logs"],
    ]
    optFlags: ClassVar[list[list[str | None]]] = [["check", None, "check the configuration and exit"]]

    config: Config

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """Endpoint to accept phones on, such as tcp:1490 (may be given several times)."""
        self["listen"].append(endpoint)

    opt_l = opt_listen

    def opt_version(self) -> None:
        """Show the relay's version and exit."""
        print(f"relaytw {__version__}")  # noqa: T201
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Read and check the configuration; every mistake in it is reported at once."""
        flags = {
            "relay.listen": self["listen"] or None,
            "relay.state_dir": self["state-dir"],
            "relay.name": self["name"],
            "database.url": self["database"],
        }
        overrides = {key: value for key, value in flags.items() if value is not None}
        path = Path(self["config"]) if self["config"] is not None else None
        try:
            self.config = load_config(path, os.environ, overrides)
        except ConfigError as error:
            raise usage.UsageError(str(error)) from error
        if self["check"]:
            print("the configuration is valid")  # noqa: T201
            raise SystemExit(0)
        self._choose_log()

    def _choose_log(self) -> None:
        config, policy = self.config.log, logs.policy()
        policy.format, policy.level, policy.categories = config.format, config.level, dict(config.categories)
        policy.apply()
        twistd = self.parent
        if not isinstance(twistd, usage.Options) or twistd.get("logger") or twistd.get("syslog"):
            return
        if twistd.get("logfile") not in (None, "-"):
            policy.path = twistd["logfile"]
        elif not twistd.get("nodaemon"):
            policy.path = "twistd.log"
        twistd["logger"] = "relaytw.logs.makeObserver"


def makeService(options: Options) -> IService:
    """Build the relay of these options.  What cannot work and only shows now is said, and ends the start."""
    from twisted.internet import reactor  # noqa: PLC0415 (importing it installs one; twistd has chosen by now)

    if str(Path.cwd()) not in sys.path:
        # twistd leaves the working folder out; `[bots] load` names modules in it.
        sys.path.append(str(Path.cwd()))
    try:
        relay = assemble(options.config, reactor)
    except ConfigError as error:
        raise SystemExit(f"relay: {error}") from error
    manager = supervisor(os.environ, reactor, os.getpid())
    if manager is not None:
        manager.setServiceParent(relay)
    _calm_collector()
    return relay


def _calm_collector() -> None:
    # A message leaves no cycles behind, but some dozen values in the gate's windows: at CPython's own
    # thresholds the collector looks through all of them again and again, for a tenth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
