"""The numbers that an outbox keeps to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Seconds, counts and bytes, each per client."""

    per_client: int = 1000
    bytes: int = 1024 * 1024
    ttl: float = 300.0
    text_chars: int = 65_000
    text_spacing: float = 1.0
    media_wait: float = 15.0
