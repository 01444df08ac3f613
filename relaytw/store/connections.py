"""How each driver is connected to, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql
from twisted.enterprise import adbapi

from relaytw.daemons import DaemonThreads
from relaytw.store.urls import DatabaseUrl, Engine

#: MySQL's numbers for: too many connections, no rights, no such database, shutting down, a lock that was
#: not granted or a deadlock, and every way in which a connection is lost or cannot be made.
_AWAY = frozenset(
    {1040, 1042, 1043, 1044, 1045, 1047, 1049, 1053, 1077, 1078, 1079, 1080, 1129, 1130}
    | {1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1205, 1213, 1290, 1836}
    | {2002, 2003, 2005, 2006, 2013, 2014, 2055, 4031, 1021, 1041, 1114, 3024, 1969, 1927}
    # A limit of the user, a table that is being exchanged or repaired, a disk that fails, a server that is
    # set to read only: all of it passes, or is the administrator's to mend, and no row's fault.
    | {1203, 1226, 1142, 1146, 1194, 1030, 1036, 1037, 1206, 1223, 1317, 1412, 1698}
)
#: What a driver raises for a row whose key is taken.
COLLISIONS = (sqlite3.IntegrityError, pymysql.err.IntegrityError)
_LOST = frozenset({2006, 2013, 2014, 2055, 4031, 1927})
_SQLITE_OURS = ("no such", "syntax error", "has no column", "ambiguous", "too many", "wrong number")


class Unreachable(Exception):
    """The database does not answer; the text says how that showed."""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Seconds to wait for a connection and for an answer, and how many threads (and so connections)."""

    connect_timeout: float = 3.0
    query_timeout: float = 10.0
    threads: int = 4


class _Pool(adbapi.ConnectionPool):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.threadpool = DaemonThreads(self.min, self.max, "database")

    def _close(self, conn: Any) -> None:
        # A connection that broke cannot be closed in good order, and nobody needs to read of that.
        with suppress(Exception):
            conn.close()


def make_pool(
    url: DatabaseUrl, settings: ConnectionSettings, offset: Callable[[], str], reactor: Any
) -> adbapi.ConnectionPool:
    """A pool of connections, none made yet; `offset` is that of the tables' zone from UTC, "+09:00"."""
    if url.engine is Engine.SQLITE:
        return _Pool(
            "sqlite3", str(url.path), cp_min=0, cp_max=1, cp_openfun=tune_sqlite, cp_reactor=reactor,
            check_same_thread=False, isolation_level=None, timeout=settings.query_timeout / 2,
        )  # fmt: skip
    return _Pool(
        "pymysql", cp_min=0, cp_max=settings.threads, cp_reactor=reactor, cp_openfun=_in_zone(offset),
        **mysql_arguments(url, settings),
    )  # fmt: skip


def mysql_arguments(url: DatabaseUrl, settings: ConnectionSettings) -> dict[str, Any]:
    """What pymysql is connected with."""
    return {
        "host": url.host, "port": url.port, "unix_socket": url.socket, "user": url.user,
        "password": url.password, "database": url.name, "charset": "utf8mb4",
        "connect_timeout": max(1, round(settings.connect_timeout)),
        "read_timeout": max(1, round(settings.query_timeout)),
        "write_timeout": max(1, round(settings.query_timeout)),
        # Not strict: old tables have columns of their own that must not be NULL, and what fits nowhere
        # is cut before it comes here.
        "init_command": "SET sql_mode='NO_ENGINE_SUBSTITUTION'",
    }  # fmt: skip


def _in_zone(offset: Callable[[], str]) -> Callable[[Any], None]:
    def openfun(connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = %s", (offset(),))

    return openfun


def tune_sqlite(connection: sqlite3.Connection) -> None:
    """Let readers and the one writer not wait for each other, and a crash lose no transaction."""
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def means_away(error: BaseException) -> bool:
    """Does this say that the database cannot do its work now, rather than that the work is wrong?"""
    if isinstance(error, pymysql.err.InterfaceError):
        return True
    if isinstance(error, pymysql.err.MySQLError):
        return _number(error) in _AWAY
    if isinstance(error, sqlite3.OperationalError):
        return not any(words in str(error) for words in _SQLITE_OURS)
    if isinstance(error, (sqlite3.InternalError, sqlite3.NotSupportedError)):
        return False
    if isinstance(error, sqlite3.DatabaseError) and type(error) is sqlite3.DatabaseError:
        return True  # the file is damaged, or is none
    return isinstance(error, OSError)


def means_lost(error: BaseException) -> bool:
    """Does this say that the connection had died before: would a new one do?"""
    if isinstance(error, pymysql.err.InterfaceError):
        return True
    return isinstance(error, pymysql.err.MySQLError) and _number(error) in _LOST


def in_words(error: BaseException) -> str:
    """The error as an operator reads it."""
    if isinstance(error, pymysql.err.MySQLError) and len(error.args) > 1:
        return f"{error.args[1]} ({error.args[0]})"
    return str(error) or type(error).__name__


def _number(error: pymysql.err.MySQLError) -> int:
    number = error.args[0] if error.args else 0
    return number if isinstance(number, int) else 0
