"""The stages that conversations are joined to, in one hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from relaytw.admission import Admission
from relaytw.gate import Approvals, Gate
from relaytw.intake import Intake
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox
from relaytw.penalty import PenaltyBox
from relaytw.protocols.conversation import Conversation
from relaytw.registry import Registry
from relaytw.services.acceptance import Acceptance
from relaytw.services.challenges import Challenges
from relaytw.services.closes import Closes
from relaytw.services.monitors import PingRecord
from relaytw.services.pings import Pings
from relaytw.services.welcoming import Welcome
from relaytw.settings import BotSettings, SettingsOf


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages that sessions are joined to."""

    admission: Admission
    penalties: PenaltyBox
    approvals: Approvals
    gate: Gate
    registry: Registry[Conversation]
    pings: Pings
    intake: Intake
    acceptance: Acceptance
    outbox: Outbox
    closes: Closes
    metrics: Metrics
    ping_log: PingRecord
    challenges: Challenges
    welcome: Welcome
    settings_of: SettingsOf = BotSettings
    bot_seen: Callable[[str], None] = lambda _bot: None
