"""Assembles a relay: the command-line options, and every object there is.

`twistd relay` and `relay.tac` come here.  Start order is also the order of dependence; stopping goes
the other way, one service at a time: the admin API and the listeners first, then running handlers
are let finish, then the connections are closed.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, ClassVar, TypeVar

from twisted.application.service import IService
from twisted.application.strports import service as listening_service
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python import usage
from twisted.web.server import Site

from relaytw import __version__, logs, wiring
from relaytw.admin.site import make_site
from relaytw.bots.loading import load as load_bots
from relaytw.bots.router import Router
from relaytw.config import Config
from relaytw.config import load as load_config
from relaytw.credentials import Credentials, admin_token
from relaytw.errors import ConfigError, Unavailable
from relaytw.messages import Answer, ClientKey, Message, PhoneInfo, SettingChange
from relaytw.metrics import Metrics
from relaytw.protocols.bridge import BridgeFactory
from relaytw.records import housekeeping, records
from relaytw.services.acceptance import Acceptance
from relaytw.services.admin import Operator
from relaytw.services.approval_desk import ApprovalDesk
from relaytw.services.approvals import Approvals
from relaytw.services.audit import AuditWriter
from relaytw.services.bot_settings import SettingsKeeper
from relaytw.services.dispatcher import Dispatcher, DispatchSettings
from relaytw.services.housekeeping import Sweeps
from relaytw.services.listener import Listener
from relaytw.services.live_settings import Applier, LiveSettings
from relaytw.services.machine import MachineService, ThisMachine
from relaytw.services.ordered import OrderedServices
from relaytw.services.pings import Pings
from relaytw.services.sessions import Sessions
from relaytw.store.database import TransactionService
from relaytw.store.times import WallClock

_log = Logger(namespace="relaytw.config")
S = TypeVar("S", bound=IService)


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


class Relay(OrderedServices):
    """A whole relay: its services as children, and those that others may want to speak to."""

    def __init__(
        self,
        config: Config,
        sessions: Sessions,
        dispatcher: Dispatcher,
        operator: Operator,
        settings: LiveSettings,
        applier: Applier,
        factory: BridgeFactory,
        site: Site,
    ) -> None:
        super().__init__()
        self.setName("relaytw")
        self.config = config
        self.sessions = sessions
        self.dispatcher = dispatcher
        self.operator = operator
        self.settings = settings
        self.applier = applier
        self.factory = factory
        self.site = site

    def privilegedStartService(self) -> None:
        """Take every address; one that cannot be had is said in one line, and ends the start."""
        try:
            super().privilegedStartService()
        except CannotListenError as error:
            raise SystemExit(
                f"relay: {error}  Is another relay running?  "
                "Choose other addresses with --listen (relay.listen) and admin.listen."
            ) from error


class _Reach:
    """What a message may ask of the relay while it is handled."""

    def __init__(self) -> None:
        self.dispatcher: Dispatcher
        self.sessions: Sessions
        self.keeper: SettingsKeeper

    def reply(self, message: Message, answer: Answer) -> None:
        self.dispatcher.reply(message, answer)

    def busy(self) -> tuple[int, int]:
        return self.sessions.connections, self.dispatcher.lanes.waiting

    def phone(self, client: ClientKey) -> PhoneInfo | None:
        return self.sessions.roster.phone(client)

    async def reload_settings(self, message: Message) -> Sequence[SettingChange] | None:
        try:
            return await self.keeper.reload(message.user_hash or message.sender)
        except Unavailable as error:
            _log.warn("{error}", error=error, trace=message.trace)
            return None


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
    _calm_collector()
    return relay


def _calm_collector() -> None:
    # A message leaves no cycles behind, but some dozen values in the gate's windows: at CPython's own
    # thresholds the collector looks through all of them again and again, for a tenth of the time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def assemble(
    config: Config,
    reactor: Any,
    now: Callable[[], float] = time.time,
    random: Random | None = None,
    database: TransactionService | None = None,
    machine: MachineService | None = None,
) -> Relay:
    """Build every object of a relay and join them.  Raises `ConfigError`.

    `now` gives seconds since the epoch; the reactor keeps the time of everything that waits.  Without a
    `database` the configured one is made ready, which blocks.
    """
    state_dir = Path(config.relay.state_dir)
    credentials = Credentials.load(config.auth, state_dir)
    if credentials.made is not None:
        _log.info(
            "made the secret that phones sign with, {path}; to put it on a phone: relayctl secret show",
            path=str(credentials.made),
        )
    token = admin_token(config.admin.token_file, state_dir)
    if database is None:
        database = wiring.database(config, reactor, now)
    machine = machine or ThisMachine(state_dir, reactor)
    settings = LiveSettings()
    keeper = wiring.keeper(config, reactor, database, settings, now)
    router = Router(load_bots(config.bots.load), settings.settings_of)
    metrics, reach, limits = Metrics(), _Reach(), config.limits

    audit = AuditWriter(database, reactor, now, config.database.audit_waiting)
    approvals = wiring.approvals(config, reactor, database, audit, token, metrics, now)
    keys = wiring.keyring(config, credentials)
    gate = wiring.gate(config, keys, approvals, now)
    outbox = wiring.outbox(config, reactor, metrics, now)
    intake = wiring.intake(config, metrics)
    threads = wiring.threads(config, reactor)
    kept = records(
        config, reactor, now, database, metrics, machine=machine, busy=reach.busy,

        forgotten=lambda actor, detail: audit.note(audit.act(actor, "forget", detail=detail)),
        settings_of=settings.settings_of, directive_of=router.directive_of,
    )  # fmt: skip
    dispatcher = Dispatcher(
        clock=reactor,
        lanes=wiring.lanes(config, settings),
        intake=intake,
        outbox=outbox,
        find=router.find,
        threads=threads,
        metrics=metrics,
        settings=DispatchSettings(
            limits.processing_timeout, limits.cancel_grace, limits.drain_timeout, limits.consumers_max
        ),
        note_answer=kept.chat_log.answer,
    )
    acceptance = Acceptance(
        gate=gate,
        approvals=approvals,
        intake=intake,
        dispatcher=dispatcher,
        context=reach,
        metrics=metrics,
        chat_log=kept.chat_log,
        text_chars=limits.text_chars,
        admins=config.auth.admins,
        direct=config.relay.mode == "direct",
        now=now,
        new_id=wiring.trace_ids(),
        settings_of=settings.settings_of,
    )
    pings = Pings(reactor, random or SystemRandom(), interval=config.ping.interval, jitter=config.ping.jitter)
    sessions = wiring.sessions(
        config,
        reactor,
        approvals,
        gate,
        pings,
        intake,
        acceptance,
        outbox,
        metrics,
        settings,
        keeper,
        kept.ping_log,
        now,
    )
    applier = Applier(settings, router=router, dispatcher=dispatcher, roster=sessions.roster, metrics=metrics)
    settings.changed = applier.bot_changed
    approvals.effects.phones, approvals.effects.room_changed = sessions.roster, applier.room_changed
    reach.dispatcher, reach.sessions, reach.keeper = dispatcher, sessions, keeper
    operator = Operator(
        relay_name=config.relay.name,
        mode=config.relay.mode,
        listening=config.relay.listen,
        sessions=sessions,
        dispatcher=dispatcher,
        approvals=ApprovalDesk(approvals, database, audit, WallClock(config.relay.timezone), now),
        audit=audit,
        database=database,
        writer=kept.writer,
        forgetting=kept.forgetting,
        settings=settings,
        keeper=keeper,
        secrets=wiring.secrets(config, reactor, keys, gate, sessions, audit, now),
        now=now,
    )
    factory = BridgeFactory(sessions)
    site = make_site(operator, metrics, token)
    relay = Relay(config, sessions, dispatcher, operator, settings, applier, factory, site)
    children = [
        database,
        audit,
        approvals,
        *kept.services,
        keeper,
        threads,
        *housekeeping(config, reactor, _sweeps(config, sessions, router, approvals), machine.memory_percent),
        pings,
        sessions,
        dispatcher,
        _usable("relay.listen", lambda: Listener(config.relay.listen, factory, reactor)),
        operator,
        _usable("admin.listen", lambda: listening_service(config.admin.listen, site, reactor)),
    ]
    for child in children:
        child.setServiceParent(relay)
    return relay


def _sweeps(config: Config, sessions: Sessions, router: Router, approvals: Approvals) -> Sweeps:
    """What can be forgotten; an emergency also takes what is not idle yet, and can be had again."""
    stages, clock, idle = sessions.stages, sessions.clock, config.monitor.idle_client_ttl
    usual = {
        "ids and signatures": stages.gate.sweep,
        "idle clients in the penalty box's count": lambda: stages.penalties.sweep(clock.seconds(), idle),
        "idle devices and their rooms": approvals.forget_idle,
        "idle clients' take-overs": lambda: stages.registry.sweep(clock.seconds(), idle),
    }
    emergency = {
        "bots' commands": router.forget_all,
        "closes": stages.closes.clear,
        "absent devices and their rooms": approvals.forget_absent,
    }
    return Sweeps(usual, emergency)


def _usable(key: str, make: Callable[[], S]) -> S:
    # What parses an endpoint reads certificates too and raises whatever it likes.
    try:
        return make()
    except Exception as error:
        raise ConfigError(f"{key} cannot be used ({type(error).__name__}: {error})") from error
