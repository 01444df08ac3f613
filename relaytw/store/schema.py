"""Every table: those that existing installations have, and the relay's own.

The names and columns of the `kb_` tables are those of the PHP back office that reads and edits them.
What a column of theirs holds is said where it is written; columns of ours in them are marked.  Wall
times are DATETIME, times of our own tables milliseconds since the epoch.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    Time,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

from relaytw.messages import Status

#: The number of the newest migration; `relaytw.store.migrations` brings a database up to it.
VERSION = 2

metadata = MetaData()

_UTF8: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_unicode_ci",
    "mysql_engine": "InnoDB",
}
_ZERO, _ONE = text("0"), text("1")


def _exact(length: int) -> TypeEngine[str]:
    """Text that is compared letter by letter: names that phones choose, on which trust depends."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql"
    )


def _long_text() -> TypeEngine[str]:
    return Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


def _json() -> TypeEngine[str]:
    return Text().with_variant(mysql.JSON(), "mysql")


def _choice(*words: str) -> TypeEngine[str]:
    return Enum(*words, create_constraint=False, native_enum=True)


def _id() -> Column[int]:
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Column("id", kind, primary_key=True, autoincrement=True)


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
