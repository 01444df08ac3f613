"""The tables of what is said without a question, and of who may have it said."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from relaytw.store.columns import UTF8, exact, long_text, metadata

pushes = Table(
    "relaytw_pushes",
    metadata,
    Column("id", exact(60), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("origin", exact(60)),  # the broadcast, or the run of a schedule, that it is a piece of
    Column("bot_name", exact(30), nullable=False),
    Column("device_id", exact(100), nullable=False),
    Column("room_id", exact(100), nullable=False),
    Column("room_name", String(255), nullable=False),
    Column("channel_id", exact(100)),
    Column("body", long_text()),  # NULL: that of the broadcast
    Column("parts", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("settled", Text),
    Column("why", Text),
    Column("actor", String(100), nullable=False),
    Column("run", String(20)),  # which run of the relay has given it to the outbox
    Column("request_key", String(64)),
    Column("request_hash", String(64)),
    Column("due_ms", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("handed_ms", BigInteger),
    Column("done_ms", BigInteger),
    UniqueConstraint("request_key", name="uq_relaytw_pushes_request_key"),
    Index("ix_relaytw_pushes_due", "state", "due_ms"),
    Index("ix_relaytw_pushes_origin", "origin", "state"),
    Index("ix_relaytw_pushes_created", "created_ms"),
    **UTF8,
)

broadcasts = Table(
    "relaytw_broadcasts",
    metadata,
    Column("id", exact(60), primary_key=True),
    Column("target", Text, nullable=False),
    Column("body", long_text(), nullable=False),
    Column("parts", Integer, nullable=False),
    Column("rooms", Integer, nullable=False),
    Column("per_minute", Float, nullable=False),
    Column("state", String(20), nullable=False),
    Column("actor", String(100), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Index("ix_relaytw_broadcasts_created", "created_ms"),
    **UTF8,
)

room_tags = Table(
    "relaytw_room_tags",
    metadata,
    Column("tag", exact(50), primary_key=True),
    Column("bot_name", exact(30), primary_key=True),
    Column("device_id", exact(100), primary_key=True),
    Column("room_id", exact(100), primary_key=True),
    **UTF8,
)

tokens = Table(
    "relaytw_tokens",
    metadata,
    Column("name", exact(50), primary_key=True),
    Column("hash", String(64), nullable=False),
    Column("scopes", String(200), nullable=False),
    Column("bots", Text),  # NULL: every bot
    Column("created_ms", BigInteger, nullable=False),
    Column("created_by", String(100), nullable=False),
    Column("expires_ms", BigInteger),
    Column("revoked_ms", BigInteger),
    Column("used_ms", BigInteger),
    UniqueConstraint("hash", name="uq_relaytw_tokens_hash"),
    **UTF8,
)
