"""What the columns of every table are made of, and the list of all tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Enum, Integer, MetaData, String, Text, text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

metadata = MetaData()

UTF8: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_unicode_ci",
    "mysql_engine": "InnoDB",
}
ZERO, ONE = text("0"), text("1")


def exact(length: int) -> TypeEngine[str]:
    """Text that is compared letter by letter: names that phones choose, on which trust depends."""
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql"
    )


def long_text() -> TypeEngine[str]:
    """Text of any length, up to 16 MB."""
    return Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


def json_text() -> TypeEngine[str]:
    """JSON, as text where the engine has no type for it."""
    return Text().with_variant(mysql.JSON(), "mysql")


def choice(*words: str) -> TypeEngine[str]:
    """One of these words; the database is not asked to check."""
    return Enum(*words, create_constraint=False, native_enum=True)


def number() -> Column[int]:
    """A key that counts up by itself."""
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Column("id", kind, primary_key=True, autoincrement=True)
