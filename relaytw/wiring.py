"""Builds each stage from its section of the configuration; `relaytw.assembly` joins them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from random import SystemRandom
from secrets import token_bytes
from typing import Any

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from relaytw import __version__
from relaytw.admission import Admission, AdmissionSettings
from relaytw.codes import Codes
from relaytw.config import Config
from relaytw.credentials import Credentials
from relaytw.daemons import DaemonThreads
from relaytw.errors import ConfigError
from relaytw.gate import Gate, GateSettings
from relaytw.intake import IntakeSettings, MemoryIntake
from relaytw.keyring import Keyring
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox, OutboxSettings, PacingSettings
from relaytw.penalty import PenaltyBox, PenaltySettings
from relaytw.permits import Permits
from relaytw.protocols import wire
from relaytw.protocols.conversation import Conversation, SessionLimits
from relaytw.registry import Registry
from relaytw.services.acceptance import Acceptance
from relaytw.services.approvals import Approvals, ApprovalSettings
from relaytw.services.audit import AuditWriter
from relaytw.services.bot_settings import KeeperSettings, SettingsKeeper
from relaytw.services.challenges import Challenges
from relaytw.services.closes import Closes
from relaytw.services.conversations import Conversations, StateSettings
from relaytw.services.journalling import JournalIntake
from relaytw.services.live_settings import LiveSettings
from relaytw.services.lost_replies import LostReplies
from relaytw.services.monitors import PingRecord
from relaytw.services.outcomes import Outcomes
from relaytw.services.pings import Pings
from relaytw.services.room_names import RoomNames
from relaytw.services.secrets import SecretKeeper
from relaytw.services.sessions import HouseSettings, Sessions
from relaytw.services.stages import Stages
from relaytw.services.trace_log import TraceLog
from relaytw.services.welcoming import Welcome
from relaytw.signers import Signers
from relaytw.store.connections import ConnectionSettings, make_pool
from relaytw.store.database import Database, Transactions, Unfit
from relaytw.store.journal import Journal, JournalSettings
from relaytw.store.records import Accepted
from relaytw.store.segments import paths
from relaytw.store.startcheck import StartCheck, first_check
from relaytw.store.state_log import StateLog
from relaytw.store.syncing import InThread
from relaytw.store.times import WallClock
from relaytw.store.trace_files import TraceFiles
from relaytw.store.urls import parse as parse_url

_log_journal = Logger(namespace="relaytw.journal")


def database(config: Config, reactor: Any, now: Callable[[], float]) -> Database:
    """The database, its tables made ready.  Blocks; raises ConfigError."""
    keys = config.database
    url = parse_url(keys.url, Path(config.relay.state_dir))
    wall = WallClock(config.relay.timezone)
    settings = ConnectionSettings(keys.connect_timeout, keys.query_timeout, keys.threads)
    auto_upgrade = url.own if keys.auto_upgrade is None else keys.auto_upgrade
    check = StartCheck(url, settings, auto_upgrade=auto_upgrade, now=now)
    try:
        layout = first_check(check, url)
    except Unfit as error:
        raise ConfigError(str(error)) from error
    pool = make_pool(url, settings, lambda: wall.offset(now()), reactor)
    if layout is None:
        return Database(pool, url.engine, reactor, str(url), check)
    return Database(pool, url.engine, reactor, str(url), layout=layout)


def approvals(
    config: Config,
    reactor: Any,
    database: Transactions,
    audit: AuditWriter,
    token: str,
    metrics: Metrics,
    now: Callable[[], float],
) -> Approvals:
    """Who may talk, as the database says."""
    keys = config.database
    settings = ApprovalSettings(
        config.auth.approve_new_devices,
        config.auth.approve_new_rooms,
        keys.refresh_interval,
        keys.lookup_patience,
        keys.pending_rows,
        keys.cached_devices,
        keys.cached_rooms,
        config.monitor.idle_client_ttl,
    )
    wall = WallClock(config.relay.timezone)
    return Approvals(database, reactor, now, wall, Codes(token), audit, metrics, settings)


def trace_ids() -> Callable[[], str]:
    """Names for messages, one after the other."""
    # Short, unique across restarts, and cheap: a random prefix for this run and a count.
    prefix = f"{SystemRandom().getrandbits(32):08x}"
    numbers = count(1)
    return lambda: f"{prefix}-{next(numbers)}"


def keyring(config: Config, credentials: Credentials) -> Keyring:
    """The secrets of the phones, and who signs with which."""
    return Keyring(credentials, Signers(config.auth.signers))


def gate(config: Config, keys: Keyring, approvals: Approvals, now: Callable[[], float]) -> Gate:
    """What decides whether a packet may enter."""
    settings = GateSettings(
        required=config.auth.required,
        max_clock_skew=config.auth.max_clock_skew,
        reconnect_window=config.auth.reconnect_window,
        ttl=config.dedup.ttl,
        per_client=config.dedup.per_client,
        total=config.dedup.total,
        twin_window=config.dedup.twin_window,
    )
    return Gate(approvals=approvals, keys=keys, settings=settings, now=now)


def secrets(
    config: Config,
    reactor: Any,
    keys: Keyring,
    gate: Gate,
    sessions: Sessions,
    audit: AuditWriter,
    now: Callable[[], float],
) -> SecretKeeper:
    """What rotates and retires secrets while the relay runs."""
    return SecretKeeper(
        keyring=keys,
        gate=gate,
        is_connected=lambda client: sessions.stages.registry.live(client) is not None,
        disconnect=sessions.roster.disconnect,
        close_forgotten=sessions.roster.close_forgotten_seals,
        in_thread=lambda work: deferToThreadPool(reactor, reactor.getThreadPool(), work),
        required=config.auth.required,
        note=lambda actor, act: audit.note(audit.act(actor, act)),
        now=now,
    )


def journal(
    config: Config,
    reactor: Any,
    metrics: Metrics,
    gate: Gate,
    now: Callable[[], float],
    in_thread: InThread | None,
) -> Journal | None:
    """What accepted messages survive in; None where nothing is kept."""
    keys, folder = config.journal, Path(config.relay.state_dir, "journal")
    if keys.sync == "none" or config.relay.mode == "direct":
        if paths(folder):
            _log_journal.warn("the journal in {folder} is neither read nor written", folder=str(folder))
        return None
    pool = None
    if in_thread is None:
        pool = DaemonThreads(0, 1, "journal")
        in_thread = partial(deferToThreadPool, reactor, pool)

    def remember(said: Accepted) -> None:
        gate.remember(
            said.client, said.id, said.received_at,
            serial=said.serial, signature=said.signature, signed_at=said.signed_at,
        )  # fmt: skip

    return Journal(
        folder=folder,
        settings=JournalSettings(
            keys.sync == "full",
            keys.segment_bytes,
            keys.retry_interval,
            max(config.dedup.ttl, 2 * config.auth.max_clock_skew),
        ),
        clock=reactor,
        now=now,
        salt=partial(SystemRandom().getrandbits, 32),
        in_thread=in_thread,
        pool=pool,
        metrics=metrics,
        remember=remember,
    )


def conversations(
    config: Config, reactor: Any, metrics: Metrics, now: Callable[[], float], in_thread: InThread | None
) -> Conversations:
    """What bots remember: in files, but for a relay in direct mode."""
    keys = config.state
    folder = None if config.relay.mode == "direct" else Path(config.relay.state_dir, "state")
    pool = None
    if in_thread is None:
        pool = DaemonThreads(0, 1, "state")
        in_thread = partial(deferToThreadPool, reactor, pool)
    settings = StateSettings(
        keys.ttl,
        keys.conversations,
        keys.conversation_bytes,
        keys.total_bytes,
        config.journal.sync == "full",
        config.journal.retry_interval,
    )
    return Conversations(
        log=StateLog(folder, partial(SystemRandom().getrandbits, 32)),
        settings=settings,
        clock=reactor,
        now=now,
        in_thread=in_thread,
        pool=pool,
        metrics=metrics,
    )


def outbox(
    config: Config,
    reactor: Any,
    metrics: Metrics,
    now: Callable[[], float],
    journal: Journal | None,
    lost: LostReplies,
    outcomes: Outcomes,
    names: RoomNames,
) -> Outbox:
    """What keeps replies until a phone has them."""
    limits, pace = config.limits, config.pacing
    settings = OutboxSettings(
        per_client=limits.outbox_per_client,
        bytes=limits.outbox_bytes,
        ttl=limits.outbox_ttl,
        text_chars=limits.text_chars,
        text_spacing=limits.text_spacing,
        media_wait=limits.media_wait,
    )
    made = Outbox(
        clock=reactor,
        now=now,
        encode=partial(wire.encode_reply, timezone=config.relay.timezone),
        settings=settings,
        metrics=metrics,
        dropped=lost.note,
        settled=outcomes.settled,
        ledger=journal,
        addresses=names,
        pacing=PacingSettings(pace.phone_per_minute, pace.phone_burst, pace.room_per_minute, pace.room_burst),
    )
    names.troubled = made.troubled
    if journal is not None:
        journal.ask(made)
    return made


def trace_log(
    config: Config, reactor: Any, metrics: Metrics, now: Callable[[], float], in_thread: InThread | None
) -> TraceLog | None:
    """What remembers the stages of messages; None where nothing does."""
    keys, pool = config.trace, None
    if not keys.days:
        return None
    if in_thread is None:
        pool = DaemonThreads(0, 1, "trace")
        in_thread = partial(deferToThreadPool, reactor, pool)
    files = TraceFiles(Path(config.relay.state_dir, "trace"), keys.max_bytes, keys.days, now)
    return TraceLog(reactor, files, in_thread, pool, now, metrics)


def intake(config: Config, metrics: Metrics, journal: Journal | None) -> MemoryIntake:
    """What counts as accepted and is not finished."""
    limits = config.limits

    def paused() -> None:
        metrics.pauses += 1

    settings = IntakeSettings(
        limits.queue, limits.queue_bytes, limits.backlog_per_connection, limits.backlog_bytes
    )
    if journal is None:
        return MemoryIntake(settings, paused)
    return JournalIntake(settings, paused, journal)


def keeper(
    config: Config, reactor: Any, database: Transactions, settings: LiveSettings, now: Callable[[], float]
) -> SettingsKeeper:
    """What keeps bots' settings in the database."""
    keys = config.database
    return SettingsKeeper(
        database, settings, reactor, now, KeeperSettings(keys.refresh_interval, keys.bot_rows)
    )


def sessions(
    config: Config,
    reactor: Any,
    approvals: Approvals,
    gate: Gate,
    pings: Pings,
    intake: MemoryIntake,
    acceptance: Acceptance,
    outbox: Outbox,
    metrics: Metrics,
    settings: LiveSettings,
    keeper: SettingsKeeper,
    ping_log: PingRecord,
    keys: Keyring,
    now: Callable[[], float],
) -> Sessions:
    """Everybody's conversations, joined to the stages they ask."""
    limits, penalty = config.limits, config.penalty
    admission = Admission(
        Permits(limits.connections),
        AdmissionSettings(
            limits.overflow, limits.overflow_seconds, limits.displace_after, limits.handshake_timeout
        ),
        reactor,
    )
    box = PenaltySettings(
        penalty.connects_per_minute, penalty.duration, penalty.max_duration, penalty.grace, penalty.clients
    )
    penalties = PenaltyBox(box, reactor.seconds())
    registry: Registry[Conversation] = Registry(limits.provisional_per_client)
    version = f"relaytw {__version__}"
    challenges = Challenges(lambda bot: keys.ring_of(bot).secrets, token_bytes, version, metrics, now)
    stages = Stages(
        admission, penalties, approvals, gate, registry, pings, intake, acceptance, outbox, Closes(), metrics,
        ping_log, challenges, Welcome(approvals, version, limits.text_chars), settings.settings_of,
        keeper.seen,
    )  # fmt: skip
    return Sessions(
        clock=reactor,
        now=now,
        settings=HouseSettings(
            limits.line_bytes, limits.lines_per_turn, limits.write_timeout, config.auth.required
        ),
        limits=SessionLimits(
            limits.handshake_timeout,
            limits.read_timeout,
            limits.read_strikes,
            limits.provisional_timeout,
            limits.held_lines,
            limits.held_bytes,
            limits.bad_packets,
        ),
        stages=stages,
    )
