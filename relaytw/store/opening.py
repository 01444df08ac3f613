"""Blocking connections for work on a whole database: looking at it, changing its tables, copying it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pymysql
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from relaytw.store.connections import (
    ConnectionSettings,
    Unreachable,
    in_words,
    means_away,
    mysql_arguments,
)
from relaytw.store.urls import DatabaseUrl, Engine

#: Seconds that one change of a table waits for those who are using it; others wait behind it.
_TABLE_PATIENCE = 15
#: Longest name that MySQL gives a lock.
_LOCK_NAME = 64


class Busy(Exception):
    """Somebody else is changing this database now."""


def knock(url: DatabaseUrl, settings: ConnectionSettings) -> None:
    """Find out whether the database answers, within `connect_timeout`.  Raises Unreachable."""
    if url.engine is Engine.SQLITE:
        return
    brief = ConnectionSettings(settings.connect_timeout, settings.connect_timeout)
    try:
        connection = pymysql.connect(**mysql_arguments(url, brief))
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.close()
    except Exception as error:
        if means_away(error):
            raise Unreachable(in_words(error)) from error
        raise


@contextmanager
def opened(
    url: DatabaseUrl, settings: ConnectionSettings, *, query_timeout: float | None = None
) -> Iterator[Connection]:
    """A connection that is closed, and whatever it began undone, at the end.

    An answer may take `query_timeout` seconds, without it as long as it likes.  Raises Unreachable when
    the database is away or goes away meanwhile.
    """
    engine = create_engine(
        "sqlite://" if url.engine is Engine.SQLITE else "mysql+pymysql://",
        creator=lambda: connect(url, settings, query_timeout),
        poolclass=NullPool,
    )
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        original = error.orig or error
        if means_away(original):
            raise Unreachable(in_words(original)) from error
        raise
    except Exception as error:
        if means_away(error) and not isinstance(error, OSError):
            raise Unreachable(in_words(error)) from error
        raise


def connect(url: DatabaseUrl, settings: ConnectionSettings, query_timeout: float | None) -> Any:
    """One connection of the driver's; the file of an SQLite database must be there."""
    if url.engine is Engine.SQLITE:
        name = f"{url.path.absolute().as_uri()}?mode=rw"
        return sqlite3.connect(
            name, uri=True, isolation_level=None, check_same_thread=False, timeout=settings.query_timeout / 2
        )
    arguments = mysql_arguments(url, settings)
    timeout = None if query_timeout is None else max(1, round(query_timeout))
    # Strict: what does not fit into a table must not be cut where nobody looks.
    strict = "SET sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"
    return pymysql.connect(
        **{**arguments, "read_timeout": timeout, "write_timeout": timeout, "init_command": strict}
    )


def make_file(url: DatabaseUrl) -> None:
    """Make the file of an SQLite database, empty and for its owner alone, where there is none.

    Raises OSError.
    """
    url.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(url.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


@contextmanager
def locked(connection: Connection, url: DatabaseUrl, patience: float) -> Iterator[None]:
    """Hold the lock of everybody who changes a MySQL database.  Raises Busy after `patience` seconds."""
    name = f"relaytw.{url.name}"
    if len(name) > _LOCK_NAME:
        name = f"relaytw.{hashlib.sha256(name.encode()).hexdigest()[:40]}"
    got = connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, int(patience))).scalar()
    if got != 1:
        raise Busy(f"somebody else has been changing this database for {patience:g} s")
    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_TABLE_PATIENCE}")
    try:
        yield
    finally:
        with suppress(Exception):
            connection.exec_driver_sql("SELECT RELEASE_LOCK(%s)", (name,))


@contextmanager
def alone(connection: Connection, url: DatabaseUrl, patience: float) -> Iterator[None]:
    """Be the only one to change the tables meanwhile.  Raises Busy after `patience` seconds.

    SQLite does it all in one transaction, which is undone by an error.
    """
    if url.engine is Engine.SQLITE:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield
        connection.commit()
        return
    with locked(connection, url, patience):
        yield
        connection.commit()
