"""Builds what is said without a question: pushes, broadcasts, schedules, and the tokens that ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any

from twisted.application.service import Service
from twisted.internet.threads import deferToThreadPool

from relaytw.config import Config
from relaytw.outbox import Outbox
from relaytw.services.audit import AuditWriter
from relaytw.services.broadcasts import BroadcastDesk
from relaytw.services.outcomes import Outcomes
from relaytw.services.push_desk import DeskSettings, PushDesk
from relaytw.services.pushes import Note, Pump, PumpSettings
from relaytw.services.schedule_desk import ScheduleDesk
from relaytw.services.schedule_runs import Composer
from relaytw.services.schedules import Schedules, ScheduleSettings
from relaytw.services.tokens import TokenKeeper, TokenSettings
from relaytw.store.database import Transactions
from relaytw.store.syncing import InThread
from relaytw.store.times import WallClock

#: Seconds beyond the life of a reply after which nobody will tell any more what became of it.
_GRACE = 30.0


@dataclass(frozen=True, slots=True)
class Pushing:
    """Implements `relaytw.admin.view.PushingView`; `services` run, in the order of their start."""

    tokens: TokenKeeper
    pushes: PushDesk
    broadcasts: BroadcastDesk
    schedules: ScheduleDesk
    services: list[Service]


def pushing(
    config: Config,
    reactor: Any,
    now: Callable[[], float],
    database: Transactions,
    audit: AuditWriter,
    outbox: Outbox,
    outcomes: Outcomes,
    in_thread: InThread | None,
    note: Note,
) -> Pushing:
    """All that speaks without being asked.  `in_thread` reads files (None: the reactor does)."""
    keys, limits, zone = config.push, config.limits, config.relay.timezone
    pump = Pump(
        database=database, clock=reactor, now=now, outbox=outbox, outcomes=outcomes, wall=WallClock(zone),
        run=token_hex(8), note=note,
        settings=PumpSettings(limits.outbox_ttl + _GRACE, keys.kept_days, keys.ends_waiting),
    )  # fmt: skip
    desk = PushDesk(
        database, audit, now, lambda: f"p{token_hex(8)}", pump.nudge,
        DeskSettings(limits.text_chars, keys.media_bytes, zone),
    )  # fmt: skip
    broadcasts = BroadcastDesk(
        desk, audit, now, lambda: f"b{token_hex(8)}", pump.nudge,
        per_minute=keys.broadcast_per_minute, most=keys.broadcast_rooms,
    )  # fmt: skip
    root = config.schedules.media_root
    composer = Composer(
        database=database, now=now, nudge=pump.nudge, wall=WallClock(zone),
        in_thread=in_thread or partial(deferToThreadPool, reactor, reactor.getThreadPool()),
        media_root=Path(root) if root else None, media_bytes=keys.media_bytes, text_chars=limits.text_chars,
    )  # fmt: skip
    watch = Schedules(
        database=database, clock=reactor, now=now, composer=composer,
        settings=ScheduleSettings(
            config.schedules.refresh_interval, config.schedules.catch_up, config.schedules.most, zone
        ),
    )  # fmt: skip
    tokens = TokenKeeper(
        database, reactor, now, audit, lambda: token_urlsafe(32),
        TokenSettings(config.database.refresh_interval, keys.token_grace, keys.tokens),
    )  # fmt: skip
    schedules = ScheduleDesk(desk, composer, audit, now, lambda: token_hex(6), watch.look, zone)
    services: list[Service] = [tokens, pump, *([watch] if config.schedules.enabled else [])]
    return Pushing(tokens, desk, broadcasts, schedules, services)
