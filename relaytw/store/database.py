"""The database: one transaction in a thread at a time for whoever asks, and whether it is there.

A transaction function gets a `Transaction` and plain values and may be run twice: when a connection
turns out to have died while it was idle, the function is run again on a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from twisted.application.service import Service
from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.store.connections import Unreachable, in_words, means_away, means_lost
from relaytw.store.layout import FRESH, Layout
from relaytw.store.statements import Transaction
from relaytw.store.urls import Engine

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds that a stop waits for transactions that are under way.
STOP_PATIENCE = 10.0
#: Seconds after which tables that could not be used are looked at again.
RECHECK = 5.0


class DatabaseAway(Exception):
    """The database cannot be reached or does not answer in time; the text says how that showed.

    It is `uncertain` when the connection broke while a change was being committed: nobody knows whether
    it was made.
    """

    uncertain = False

    @property
    def outcome(self) -> str:
        """What an operator whose change failed like this is told."""
        if self.uncertain:
            return f"it may have been changed or not, look again: the connection broke meanwhile ({self})"
        return f"nothing was changed: the database is away ({self})"


class Unfit(Exception):
    """The database's tables are not those the relay works with; the text says what to do."""


class Transactions(Protocol):
    """Whoever runs transaction functions: the database, or its double in tests.

    `errors` counts the transactions that failed because the database was away.  `layout` says how its
    tables are laid out; until the database has first answered, as the relay makes them itself.
    """

    engine: Engine
    errors: int
    layout: Layout

    @property
    def away(self) -> str | None:
        """None while the database answers, else a sentence on why it does not."""

    def run(
        self, function: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a function as one transaction; fires with its result, or fails with `DatabaseAway`."""


class TransactionService(Transactions, Protocol):
    """The same as a part of a relay."""

    def setServiceParent(self, parent: Any) -> None:
        """Become a child of a service."""


class Database(Service):
    """A pool of connections with an opinion on whether the database is there.

    `check` gives the layout of the tables.  It is run in a thread before anything else and until it has
    succeeded; it raises `Unfit` when they cannot be used, which is treated like a database that is away.
    """

    name = "database"

    def __init__(
        self,
        pool: adbapi.ConnectionPool,
        engine: Engine,
        reactor: Any,
        shown: str,
        check: Callable[[], Layout] | None = None,
        layout: Layout = FRESH,
    ) -> None:
        self.engine = engine
        self.layout = layout
        self.errors = 0
        self._pool = pool
        self._reactor: Any = reactor
        self._clock: IReactorTime = reactor
        self._shown = shown
        self._check = check
        self._checking = Lock()
        self._unfit: tuple[float, Unfit] | None = None
        self._away: str | None = None
        self._away_since = 0.0
        self._under_way = 0
        self._idle: Deferred[None] | None = None
        self._log = Logger(namespace="relaytw.database")

    @property
    def away(self) -> str | None:
        """None while the database answers, else a sentence on why it does not."""
        return self._away

    def startService(self) -> None:
        """Make threads ready; connections are made when they are needed."""
        super().startService()
        if self._pool.startID is not None:
            self._reactor.removeSystemEventTrigger(self._pool.startID)
            self._pool.startID = None
        self._pool.threadpool.start()

    def stopService(self) -> Deferred[None]:
        """Take no more work; fires when what is under way is done, or has taken too long."""
        super().stopService()
        if not self._under_way:
            self._close()
            return succeed(None)
        idle = self._idle = Deferred()
        idle.addTimeout(STOP_PATIENCE, self._clock)
        idle.addErrback(self._leave_threads)
        idle.addCallback(lambda _: self._close())
        return idle

    def run(
        self, function: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Deferred[T]:
        """Run a function as one transaction; fires with its result, or fails with `DatabaseAway`.

        Whatever else the function raises fails the Deferred too, with nothing changed.
        """
        if not self.running:
            done: Deferred[T] = Deferred()
            done.errback(DatabaseAway("the relay is stopping"))
            return done
        self._under_way += 1
        working: Deferred[T] = deferToThreadPool(
            self._reactor, self._pool.threadpool, self._work, function, args, kwargs
        )
        working.addBoth(self._note)
        return working

    # -- in a thread

    def _work(self, function: Callable[..., T], args: Any, kwargs: Any) -> T:
        try:
            try:
                return self._try(function, args, kwargs)
            except Exception as error:
                if not means_lost(error):
                    raise
            return self._try(function, args, kwargs)
        except Unfit as error:
            raise _UnfitAway(str(error)) from error
        except Unreachable as error:
            raise DatabaseAway(str(error)) from error
        except Exception as error:
            if not means_away(error):
                raise
            raise DatabaseAway(in_words(error)) from error

    def _checked(self) -> None:
        if self._check is None:
            return
        with self._checking:
            if self._check is None:
                return
            if self._unfit is not None and self._clock.seconds() < self._unfit[0] + RECHECK:
                raise self._unfit[1]
            try:
                self.layout = self._check()
            except Unfit as error:
                self._unfit = (self._clock.seconds(), error)
                raise
            self._check = None

    def _try(self, function: Callable[..., T], args: Any, kwargs: Any) -> T:
        self._checked()
        connection = self._pool.connect()
        committing = False
        try:
            cursor = connection.cursor()
            if self.engine is Engine.SQLITE:
                cursor.execute("BEGIN IMMEDIATE")
            result = function(Transaction(cursor, self.engine, self.layout), *args, **kwargs)
            cursor.close()
            committing = True
            connection.commit()
        except BaseException as error:
            self._undo(connection, error)
            if committing and means_lost(error):
                # It may have been committed: who asked decides whether to do it again.
                lost = DatabaseAway(in_words(error))
                lost.uncertain = True
                raise lost from error
            raise
        return result

    def _undo(self, connection: Any, error: BaseException) -> None:
        if not means_away(error):
            try:
                connection.rollback()
            except Exception as worse:
                error.add_note(f"and could not be rolled back: {worse}")
            else:
                return
        self._pool.disconnect(connection)

    # -- in the reactor's thread

    def _note(self, result: T | Failure) -> T | Failure:
        self._under_way -= 1
        failed = isinstance(result, Failure) and result.check(DatabaseAway)
        if failed and isinstance(result, Failure):
            self.errors += 1
            self._went(str(result.value), unfit=isinstance(result.value, _UnfitAway))
        elif self._away is not None:
            seconds = self._clock.seconds() - self._away_since
            self._log.info("the database is back after {seconds:.0f} s", seconds=seconds)
            self._away = None
        if self._idle is not None and not self._under_way and not self._idle.called:
            self._idle.callback(None)
        return result

    def _went(self, why: str, *, unfit: bool) -> None:
        if self._away is None:
            self._away_since = self._clock.seconds()
        # That it has become another reason to wait for is news only where somebody has to act on it.
        if self._away is None or (unfit and self._away != why):
            self._log.error(
                "the database {database} does not work: {why}.  Known approvals go on, "
                "nobody else is approved, and rows wait",
                database=self._shown, why=why,
            )  # fmt: skip
        self._away = why

    def _leave_threads(self, _: Failure) -> None:
        self._log.warn("{count} transactions did not end; leaving them", count=self._under_way)

    def _close(self) -> None:
        # A thread that hangs in a driver must not keep the process: it ends with it.
        if self._under_way:
            return
        self._pool.threadpool.stop()
        for connection in list(self._pool.connections.values()):
            self._pool._close(connection)  # noqa: SLF001 (adbapi's own closing adds a trigger to the reactor)
        self._pool.connections.clear()


class _UnfitAway(DatabaseAway):
    """The database is there, and waits for somebody to do something about its tables."""
