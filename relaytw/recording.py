"""Builds what is remembered, the rows and who makes them, and those who clear up."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.application.service import Service

from relaytw.config import Config
from relaytw.gate import Room
from relaytw.messages import ClientKey
from relaytw.metrics import Metrics
from relaytw.services.chat_log import ChatLog, PolicyOf
from relaytw.services.forgetting import Forgetting
from relaytw.services.housekeeping import Collector, Housekeeping, MemoryWatch, Sweeps
from relaytw.services.machine import MachineService
from relaytw.services.monitors import Heartbeat, PingLog, Sampler, SystemMonitor
from relaytw.services.retention import Days, Retention
from relaytw.services.writer import RowWriter, WriterSettings
from relaytw.settings import SettingsOf
from relaytw.store.chat_logs import ChatRows
from relaytw.store.database import Transactions
from relaytw.store.pings import PingRows
from relaytw.store.processes import Beat
from relaytw.store.times import WallClock

Part = Service | MachineService


@dataclass(frozen=True, slots=True)
class Records:
    """What keeps rows; `services` are those of it that run, in the order of their start."""

    writer: RowWriter
    chat_log: ChatLog
    ping_log: PingLog
    forgetting: Forgetting
    services: list[Part]


def records(
    config: Config,
    reactor: Any,
    now: Callable[[], float],
    database: Transactions,
    metrics: Metrics,
    *,
    machine: MachineService,
    settings_of: SettingsOf,
    directive_of: Callable[[str, str], str],
    busy: Callable[[], tuple[int, int]],
    forgotten: Callable[[str, str], None],
) -> Records:
    """The rows' writer and all who write by it; `busy` gives the connections and what waits in the queue."""
    keys, monitor, name = config.database, config.monitor, config.relay.name
    settings = WriterSettings(keys.batch_rows, keys.buffer_rows, keys.buffer_bytes)
    writer = RowWriter(database, reactor, metrics, settings)
    sampler = Sampler(reactor, machine)

    def wall() -> WallClock:
        # Each remembers the last second it was asked for.
        return WallClock(config.relay.timezone)

    chat_log = ChatLog(
        writer=writer, rows=ChatRows(wall()), now=now,
        text_chars=config.limits.text_chars,
        policy_of=_policies(keys.chat_log, settings_of), directive_of=directive_of,
    )  # fmt: skip
    system = SystemMonitor(
        reactor, monitor.system_interval,
        writer=writer, machine=machine, relay_name=name, busy=busy, wall=wall(), now=now,
    )  # fmt: skip
    days = Days(
        keys.chat_retention_days,
        monitor.ping_retention_days,
        monitor.system_retention_days,
        monitor.audit_retention_days,
    )
    services: list[Part] = [machine, writer, sampler, system, Retention(reactor, database, days, wall(), now)]
    if "name" in config.relay.model_fields_set:
        beat = Beat(name, socket.gethostname(), _port(config.relay.listen), os.getpid(), "running", 0, 0, "")
        services.append(
            Heartbeat(reactor, database=database, sampler=sampler, beat=beat, wall=wall(), now=now)
        )
    answered_within = config.limits.processing_timeout + config.limits.cancel_grace
    return Records(
        writer,
        chat_log,
        PingLog(writer, PingRows(wall(), name), sampler, now),
        Forgetting(database, writer, wall(), answered_within, forgotten),
        services,
    )


def housekeeping(
    config: Config, reactor: Any, sweeps: Sweeps, memory_percent: Callable[[], float]
) -> list[Service]:
    """Those who clear up."""
    keys = config.monitor
    cleaner = Housekeeping(reactor, sweeps, keys.cleanup_interval)
    collector = Collector(reactor, keys.gc_interval)
    watch = MemoryWatch(
        reactor, keys.memory_interval,
        percent=memory_percent, warn=keys.memory_warn, critical=keys.memory_critical,
        housekeeping=cleaner, collector=collector,
    )  # fmt: skip
    return [cleaner, collector, watch]


def _policies(usual: str, settings_of: SettingsOf) -> PolicyOf:
    """How much of a room's chat is kept: as it says itself, else its bot, else as is `usual`."""

    def policy_of(client: ClientKey, room: Room | None) -> str:
        own = room.settings.chat_log if room is not None else None
        return own or settings_of(client.bot).chat_log or usual

    return policy_of


def _port(endpoints: tuple[str, ...]) -> int:
    """The port of the first endpoint that has one, 0 if none has."""
    for endpoint in endpoints:
        parts = [part.removeprefix("port=") for part in endpoint.split(":")[1:]]
        found = next((int(part) for part in parts if part.isdigit()), None)
        if found is not None:
            return found
    return 0
