"""What a phone has not got yet, when it gets it, and what becomes of it."""

from relaytw.outbox.pacing import PacingSettings
from relaytw.outbox.sending import Outbox
from relaytw.outbox.settings import OutboxSettings

__all__ = ["Outbox", "OutboxSettings", "PacingSettings"]
