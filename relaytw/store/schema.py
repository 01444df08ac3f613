"""Every table: those that existing installations have, and the relay's own.

The names and columns of the `kb_` tables are those of the PHP back office that reads and edits them.
What a column of theirs holds is said where it is written; columns of ours in them are marked.  Wall
times are DATETIME, times of our own tables milliseconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql

from relaytw.messages import Status
from relaytw.store.columns import ONE as _ONE
from relaytw.store.columns import UTF8 as _UTF8
from relaytw.store.columns import ZERO as _ZERO
from relaytw.store.columns import choice as _choice
from relaytw.store.columns import exact as _exact
from relaytw.store.columns import json_text as _json
from relaytw.store.columns import long_text as _long_text
from relaytw.store.columns import metadata
from relaytw.store.columns import number as _id
from relaytw.store.push_tables import broadcasts, pushes, room_tags, tokens

#: The number of the newest migration; `relaytw.store.migrations` brings a database up to it.
VERSION = 2

__all__ = [
    "VERSION", "audit", "bots", "broadcasts", "chat_logs", "dead_letters", "devices", "metadata",
    "migrations", "pings", "processes", "pushes", "room_tags", "rooms", "schedule_logs", "schedules",
    "servers", "systems", "tokens",
]  # fmt: skip


def _status() -> Column[str]:
    return Column("status", _choice(*Status), nullable=False, server_default=Status.PENDING)


devices = Table(
    "kb_bot_devices",
    metadata,
    _id(),
    Column("bot_name", _exact(30), nullable=False),
    Column("device_id", _exact(100), nullable=False),
    Column("ip_address", String(45)),
    Column("client_type", String(50)),
    Column("client_version", String(20)),
    _status(),
    Column("approved_at", DateTime),
    Column("rejection_reason", Text),
    Column("description", Text),
    Column("max_message_size", Integer),
    Column("image_resize_width", Integer, server_default=text("900")),
    Column("image_resize_enabled", Boolean, server_default=_ONE),
    Column("created_at", DateTime),
    Column("updated_at", DateTime),
    Column("device_uuid", _exact(100)),  # ours
    UniqueConstraint("bot_name", "device_id", name="uq_kb_bot_devices_client"),
    Index("ix_kb_bot_devices_status", "status", "created_at"),
    Index("ix_kb_bot_devices_updated_at", "updated_at"),
    **_UTF8,
)

rooms = Table(
    "kb_rooms",
    metadata,
    Column("room_id", _exact(100), primary_key=True),
    Column("bot_name", _exact(30), primary_key=True),
    Column("device_id", _exact(100), primary_key=True),
    Column("room_name", String(255)),
    Column("room_concurrency", Integer),
    Column("room_owners", _json()),
    Column("owner_type", String(20)),
    Column("owner_id", String(100)),
    Column("log_settings", _json()),
    _status(),
    Column("approved_at", DateTime),
    Column("rejection_reason", Text),
    Column("description", Text),
    Column("created_at", DateTime),
    Column("updated_at", DateTime),
    Column("per_room", Integer),  # ours
    Column("ordered", Boolean, nullable=False, server_default=_ZERO),  # ours
    Column("muted", Boolean, nullable=False, server_default=_ZERO),  # ours
    Index("ix_kb_rooms_client", "bot_name", "device_id"),
    Index("ix_kb_rooms_status", "status", "created_at"),
    Index("ix_kb_rooms_updated_at", "updated_at"),
    **_UTF8,
)

chat_logs = Table(
    "kb_chat_logs",
    metadata,
    _id(),
    Column("channel_id", String(50)),
    Column("user_hash", String(100)),
    Column("room_name", String(255)),
    Column("sender", String(100)),
    Column("message", _long_text()),
    Column("directive", String(30)),
    Column("message_type", String(20)),
    Column("is_meaningful", Boolean, server_default=_ZERO),
    Column("bot_name", String(30)),
    Column("is_mention", Boolean, server_default=_ZERO),
    Column("is_group_chat", Boolean, server_default=_ZERO),
    Column("log_id", String(50)),
    Column("client_timestamp", DateTime),
    Column("server_timestamp", DateTime),
    Column("is_bot", Boolean, server_default=_ZERO),
    Column("is_our_bot_response", Boolean, server_default=_ZERO),
    Column("is_scheduled", Boolean, server_default=_ZERO),
    Column("created_at", DateTime),
    Column("device_id", String(100)),  # ours
    Column("trace_id", String(40)),  # ours: the same for a message and what was answered to it
    Column("is_cut", Boolean, nullable=False, server_default=_ZERO),  # ours: the message did not fit
    Index("ix_kb_chat_logs_created_at", "created_at"),
    Index("ix_kb_chat_logs_channel", "channel_id", "created_at"),
    Index("ix_kb_chat_logs_user_hash", "user_hash"),
    **_UTF8,
)

pings = Table(
    "kb_ping_monitor",
    metadata,
    _id(),
    Column("bot_name", String(30)),
    Column("device_id", String(100)),
    Column("client_ip", String(45)),
    Column("ping_time_ms", Integer),
    Column("client_timestamp", DateTime),
    Column("server_timestamp", DateTime),
    Column("total_memory", Float),
    Column("memory_usage", Float),
    Column("memory_percent", Float),
    Column("message_queue_size", Integer),
    Column("active_rooms", Integer),
    Column("process_name", String(100)),
    Column("server_cpu_usage", Float),
    Column("server_cpu_max", Float),
    Column("server_memory_usage", Float),
    Column("server_memory_max", Float),
    Column("created_at", DateTime),
    Index("ix_kb_ping_monitor_client", "bot_name", "device_id"),
    Index("ix_kb_ping_monitor_created_at", "created_at"),
    **_UTF8,
)

systems = Table(
    "kb_system_monitor",
    metadata,
    _id(),
    Column("server_name", String(100)),
    Column("cpu_percent", Float),
    Column("memory_total", BigInteger),
    Column("memory_used", BigInteger),
    Column("memory_percent", Float),
    Column("disk_usage_percent", Float),
    Column("active_connections", Integer),
    Column("message_queue_size", Integer),
    Column("created_at", DateTime),
    Index("ix_kb_system_monitor_created_at", "created_at"),
    **_UTF8,
)

servers = Table(
    "kb_servers",
    metadata,
    Column("server_id", Integer, primary_key=True, autoincrement=True),
    Column("server_name", String(100)),
    Column("server_host", String(255)),
    Column("status", String(20)),
    Column("created_at", DateTime),
    Column("updated_at", DateTime),
    **_UTF8,
)

processes = Table(
    "kb_server_processes",
    metadata,
    _id(),
    Column("server_id", Integer),
    Column("process_name", String(100), nullable=False),
    Column("port", Integer),
    Column("type", _choice("test", "live"), server_default="live"),
    Column("pid", Integer),
    Column(
        "status",
        _choice("stopped", "starting", "running", "stopping", "error", "crashed"),
        server_default="stopped",
    ),
    Column("cpu_usage", Float),
    Column("memory_usage", Float),
    Column("last_heartbeat", DateTime),
    Column("created_at", DateTime),
    Column("updated_at", DateTime),
    UniqueConstraint("process_name", name="uq_kb_server_processes_process_name"),
    **_UTF8,
)

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

schedules = Table(
    "kb_schedule",
    metadata,
    _id(),
    Column("title", String(255)),
    Column("description", Text),
    Column("created_by_type", String(20)),
    Column("created_by_id", Integer),
    Column("created_by_mb_id", String(50)),
    Column("target_bot_name", String(30)),
    Column("target_device_id", String(100)),
    Column("target_room_id", String(100)),
    Column("message_text", _long_text()),
    Column("message_images_1", _json()),
    Column("message_images_2", _json()),
    Column("send_interval_seconds", Integer, server_default=_ONE),
    Column("media_wait_time_1", Integer),
    Column("media_wait_time_2", Integer),
    Column("schedule_type", _choice("once", "daily", "weekly")),
    Column("schedule_date", Date),
    Column("schedule_time", Time),
    Column("schedule_times", _json()),
    Column("schedule_weekdays", String(100).with_variant(mysql.SET(*_WEEKDAYS), "mysql")),
    Column("valid_from", DateTime),
    Column("valid_until", DateTime),
    Column("status", _choice("active", "inactive", "completed", "error"), server_default="active"),
    Column("last_sent_at", DateTime),
    Column("next_send_at", DateTime),
    Column("send_count", Integer, server_default=_ZERO),
    Column("created_at", DateTime),
    Column("updated_at", DateTime),
    Column("image_storage_mode", _choice("file", "base64"), server_default="file"),
    Column("last_error", Text),  # ours: why the status is error
    Index("ix_kb_schedule_next_send_at", "status", "next_send_at"),
    **_UTF8,
)

schedule_logs = Table(
    "kb_schedule_logs",
    metadata,
    _id(),
    Column("schedule_id", BigInteger),
    Column("target_room_id", String(100)),
    Column("sent_message_text", _long_text()),
    Column("sent_images_1", _json()),
    Column("sent_images_2", _json()),
    Column("send_components", String(100)),
    Column("status", _choice("success", "failed", "partial")),
    Column("error_message", Text),
    Column("scheduled_at", DateTime),
    Column("started_at", DateTime),
    Column("completed_at", DateTime),
    Column("duration_ms", Integer),
    Column("outcome", String(20)),  # ours: what has become of it, exactly
    Column("run_id", _exact(60)),  # ours
    Index("ix_kb_schedule_logs_run_id", "run_id"),
    Index("ix_kb_schedule_logs_schedule_id", "schedule_id", "scheduled_at"),
    **_UTF8,
)

migrations = Table(
    "relaytw_migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(100), nullable=False),
    Column("applied_at_ms", BigInteger, nullable=False),
    Column("relay_version", String(50), nullable=False),
    **_UTF8,
)

audit = Table(
    "relaytw_audit",
    metadata,
    _id(),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("act", String(50), nullable=False),
    Column("bot_name", String(30)),
    Column("device_id", String(100)),
    Column("room_id", String(100)),
    Column("detail", Text),
    Index("ix_relaytw_audit_at_ms", "at_ms"),
    **_UTF8,
)

dead_letters = Table(
    "relaytw_dead_letters",
    metadata,
    _id(),
    Column("at_ms", BigInteger, nullable=False),
    Column("reason", String(30), nullable=False),
    Column("bot_name", String(30), nullable=False),
    Column("device_id", String(100), nullable=False),
    Column("room_id", String(100), nullable=False),
    Column("message_id", String(100), nullable=False),
    Column("trace_id", String(40), nullable=False),
    Column("text", _long_text()),
    Column("deliveries", Integer, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("line", _long_text(), nullable=False),  # the phone's own packet, to take the message up again
    Index("ix_relaytw_dead_letters_at_ms", "at_ms"),
    **_UTF8,
)

bots = Table(
    "relaytw_bots",
    metadata,
    Column("bot_name", _exact(30), primary_key=True),
    Column("prefix", String(20), nullable=False, server_default="#"),
    Column("admins", _json()),
    Column("per_bot", Integer),
    Column("per_room", Integer),
    Column("chat_log", String(10)),
    Column("max_message_size", Integer),
    Column("image_width", Integer, nullable=False, server_default=text("900")),
    Column("paused", Boolean, nullable=False, server_default=_ZERO),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
    **_UTF8,
)
