"""Every configuration key: its default, its unit, what it may be."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from relaytw.config.bots import BotsConfig, WebhookConfig
from relaytw.config.values import Count, CountOrNone, Percent, Seconds, SecondsOrNone, Section, number

Level = Literal["debug", "info", "warn", "error", "critical"]

_ENDPOINTS = ("tcp:", "tcp6:", "ssl:", "unix:", "systemd:", "haproxy:")


def _timezone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("must be a time zone such as Asia/Seoul or UTC")
    ZoneInfo(name)
    return name


def _endpoint(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if not colon or not rest or f"{kind}:" not in _ENDPOINTS:
        raise ValueError(f"must be an endpoint such as tcp:1490 (known: {' '.join(_ENDPOINTS)})")
    if kind == "tcp" and not rest.split(":")[0].removeprefix("port=").isdigit():
        raise ValueError("must name a port, such as tcp:1490 or tcp:1490:interface=127.0.0.1")
    return text


def _database(url: str) -> str:
    if url and not url.startswith(("mysql://", "sqlite:")):
        raise ValueError(
            'must be "" (SQLite in the state folder), sqlite:PATH or mysql://user:password@host/name'
        )
    return url


def _not_empty(endpoints: tuple[str, ...]) -> tuple[str, ...]:
    if not endpoints:
        raise ValueError('at least one endpoint is needed, such as ["tcp:1490"]')
    return endpoints


Endpoint = Annotated[str, AfterValidator(_endpoint)]


class RelayConfig(Section):
    """`[relay]`."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = "relay-01"
    listen: Annotated[tuple[Endpoint, ...], AfterValidator(_not_empty)] = ("tcp:1490",)
    state_dir: Annotated[str, Field(min_length=1)] = "relay-state"
    mode: Literal["queued", "direct"] = "queued"
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Seoul"


class Secrets(Section):
    """One of three ways to give the shared secret of the phones."""

    secret: str | None = None
    secret_file: str | None = None
    secrets: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Secrets:
        ways = [self.secret, self.secret_file, self.secrets]
        if sum(way is not None for way in ways) > 1:
            raise ValueError("give one of secret, secret_file and secrets, not several")
        if "" in (self.secret, self.secret_file) or self.secrets == () or "" in (self.secrets or ()):
            raise ValueError("a secret is empty; remove the key to have one made, or give one")
        return self


class BotSecrets(Secrets):
    """`[auth.bots."NAME"]`: a bot with a secret of its own."""

    salt: str | None = None


class AuthConfig(Secrets):
    """`[auth]`.  Times in seconds."""

    salt: str = ""
    required: bool = True
    max_clock_skew: Seconds = 300.0
    reconnect_window: SecondsOrNone = 60.0
    signers: Count = 10_000
    approve_new_devices: bool = False
    approve_new_rooms: bool = False
    admins: tuple[str, ...] = ()
    bots: dict[str, BotSecrets] = Field(default_factory=dict)


class LimitsConfig(Section):
    """`[limits]`.  Times in seconds, sizes in bytes."""

    connections: Count = 100
    overflow: CountOrNone = 20
    overflow_seconds: Seconds = 1.0
    displace_after: Seconds = 1.0
    handshake_timeout: Seconds = 10.0
    read_timeout: Seconds = 30.0
    read_strikes: Count = 3
    write_timeout: Seconds = 90.0
    provisional_timeout: Seconds = 30.0
    provisional_per_client: Count = 2
    held_lines: Count = 64
    held_bytes: Count = 2_097_152
    bad_packets: Count = 20
    line_bytes: Annotated[int, Field(ge=1024), BeforeValidator(number)] = 1_048_576
    lines_per_turn: Count = 200
    text_chars: Count = 65_000
    text_spacing: SecondsOrNone = 1.0
    media_wait: SecondsOrNone = 15.0
    queue: Count = 10_000
    queue_bytes: Count = 67_108_864
    backlog_per_connection: Count = 1000
    backlog_bytes: Count = 2_097_152
    consumers: Count = 31
    consumers_max: Count = 31
    reserved_consumers: CountOrNone = 4
    per_bot: Count = 30
    reserved_per_bot: CountOrNone = 3
    per_room: Count = 3
    blocking_threads: Count = 16
    blocking_per_bot: Count = 4
    processing_timeout: Seconds = 300.0
    cancel_grace: Seconds = 5.0
    replies_per_message: Count = 100
    outbox_per_client: Count = 1000
    outbox_bytes: Count = 1_048_576
    outbox_ttl: Seconds = 300.0
    room_names: Count = 100_000
    loop_depth: CountOrNone = 3
    loop_window: Seconds = 60.0
    loop_answers: Count = 20_000
    drain_timeout: SecondsOrNone = 30.0

    @model_validator(mode="after")
    def _consumers_grow(self) -> LimitsConfig:
        if self.consumers_max < self.consumers:
            raise ValueError(f"consumers_max must be at least consumers ({self.consumers})")
        return self


class MediaConfig(Section):
    """`[media]`.  Sizes in bytes."""

    file_bytes: Count = 10_485_760
    pixels: Count = 40_000_000
    threads: Count = 2
    waiting: Count = 100


class PacingConfig(Section):
    """`[pacing]`.  Replies a minute, 0 for any number, and replies at once."""

    phone_per_minute: SecondsOrNone = 0.0
    phone_burst: Count = 5
    room_per_minute: SecondsOrNone = 0.0
    room_burst: Count = 3


class PenaltyConfig(Section):
    """`[penalty]`.  Times in seconds."""

    connects_per_minute: Count = 30
    duration: Seconds = 300.0
    max_duration: Seconds = 3600.0
    grace: SecondsOrNone = 60.0
    clients: Count = 10_000


class PingConfig(Section):
    """`[ping]`.  Seconds."""

    interval: Seconds = 30.0
    jitter: SecondsOrNone = 5.0


class DedupConfig(Section):
    """`[dedup]`.  Times in seconds, counts of message ids."""

    ttl: Seconds = 300.0
    per_client: Count = 10_000
    total: Count = 1_000_000
    twin_window: SecondsOrNone = 1.0


class JournalConfig(Section):
    """`[journal]`.  Times in seconds, sizes in bytes."""

    sync: Literal["normal", "full", "none"] = "normal"
    max_deliveries: Annotated[int, Field(ge=1, le=200), BeforeValidator(number)] = 3
    max_age: Seconds = 3600.0
    segment_bytes: Annotated[int, Field(ge=65_536), BeforeValidator(number)] = 33_554_432
    retry_interval: Seconds = 1.0
    dead_letters: Count = 10_000


class StateConfig(Section):
    """`[state]`.  Times in seconds, sizes in bytes."""

    ttl: Seconds = 86_400.0
    conversations: Count = 100_000
    conversation_bytes: Annotated[int, Field(ge=1024, le=1_048_576), BeforeValidator(number)] = 16_384
    total_bytes: Count = 67_108_864


class DatabaseConfig(Section):
    """`[database]`.  Times in seconds unless named otherwise, sizes in bytes."""

    url: Annotated[str, AfterValidator(_database)] = ""
    auto_upgrade: bool | None = None
    connect_timeout: Seconds = 3.0
    query_timeout: Seconds = 10.0
    threads: Count = 4
    refresh_interval: Seconds = 2.0
    lookup_patience: Seconds = 3.0
    pending_rows: Count = 1000
    bot_rows: Count = 1000
    cached_devices: Count = 20_000
    cached_rooms: Count = 100_000
    audit_waiting: Count = 1000
    chat_log: Literal["none", "metadata", "full"] = "full"
    chat_retention_days: Count = 30
    batch_rows: Count = 500
    buffer_rows: Count = 100_000
    buffer_bytes: Count = 67_108_864


class TraceConfig(Section):
    """`[trace]`.  0 days: nothing is traced."""

    days: SecondsOrNone = 7.0
    max_bytes: Count = 268_435_456


class MonitorConfig(Section):
    """`[monitor]`.  Times in seconds, memory in percent."""

    system_interval: Seconds = 300.0
    gc_interval: Seconds = 600.0
    memory_interval: Seconds = 300.0
    memory_warn: Percent = 80.0
    memory_critical: Percent = 90.0
    cleanup_interval: Seconds = 1800.0
    idle_client_ttl: Seconds = 3600.0
    ping_retention_days: Count = 7
    system_retention_days: Count = 30
    audit_retention_days: Count = 365

    @model_validator(mode="after")
    def _warn_first(self) -> MonitorConfig:
        if self.memory_warn >= self.memory_critical:
            raise ValueError(f"memory_warn must be below memory_critical ({self.memory_critical:g})")
        return self


class AdminConfig(Section):
    """`[admin]`."""

    listen: Endpoint = "tcp:8490:interface=127.0.0.1"
    token_file: str = ""


class PushConfig(Section):
    """`[push]`.  Times in seconds unless named otherwise, sizes in bytes."""

    media_bytes: Count = 1_048_576
    broadcast_per_minute: Annotated[float, Field(gt=0, le=6000), BeforeValidator(number)] = 20.0
    broadcast_rooms: Count = 10_000
    kept_days: Count = 30
    ends_waiting: Count = 10_000
    tokens: Count = 1000
    token_grace: Seconds = 300.0


class SchedulesConfig(Section):
    """`[schedules]`.  Times in seconds."""

    enabled: bool = True
    refresh_interval: Seconds = 5.0
    catch_up: SecondsOrNone = 300.0
    media_root: str = ""
    most: Count = 10_000


def _usual_levels() -> dict[str, Level]:
    return {"ping": "warn"}


class LogConfig(Section):
    """`[log]`."""

    format: Literal["text", "json"] = "text"
    level: Level = "info"
    categories: dict[str, Level] = Field(default_factory=_usual_levels)


class Config(Section):
    """The whole configuration, checked."""

    relay: RelayConfig = RelayConfig()
    auth: AuthConfig = AuthConfig()
    limits: LimitsConfig = LimitsConfig()
    media: MediaConfig = MediaConfig()
    pacing: PacingConfig = PacingConfig()
    penalty: PenaltyConfig = PenaltyConfig()
    ping: PingConfig = PingConfig()
    dedup: DedupConfig = DedupConfig()
    journal: JournalConfig = JournalConfig()
    state: StateConfig = StateConfig()
    database: DatabaseConfig = DatabaseConfig()
    monitor: MonitorConfig = MonitorConfig()
    trace: TraceConfig = TraceConfig()
    admin: AdminConfig = AdminConfig()
    push: PushConfig = PushConfig()
    schedules: SchedulesConfig = SchedulesConfig()
    bots: BotsConfig = BotsConfig()
    webhook: WebhookConfig = WebhookConfig()
    log: LogConfig = LogConfig()


#: Keys whose values are never shown.
SECRET_KEYS = frozenset({"secret", "secrets", "url", "webhook_secret"})
