"""The database: what becomes of a transaction, and when the database counts as away."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pymysql
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from relaytw.store.connections import Unreachable
from relaytw.store.database import RECHECK, STOP_PATIENCE, Database, DatabaseAway, Unfit
from relaytw.store.layout import FRESH, Layout
from relaytw.store.statements import Transaction
from relaytw.store.urls import Engine

LOST = pymysql.err.OperationalError(2013, "Lost connection")
REFUSED = pymysql.err.OperationalError(2003, "Can't connect")


class FakeReactor(Clock):
    """Time that stands still, and threads that are this one."""

    def callFromThread(self, function: Callable[..., object], *args: Any) -> None:
        function(*args)

    def removeSystemEventTrigger(self, trigger: object) -> None:
        pass


class FakeThreads:
    """Runs work at once, or keeps it until `work`."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] | None = None
        self.state = "new"

    def start(self) -> None:
        self.state = "started"

    def stop(self) -> None:
        self.state = "stopped"

    def callInThreadWithCallback(
        self, done: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any
    ) -> None:
        def work() -> None:
            try:
                result = function(*args)
            except Exception:
                done(False, Failure())
            else:
                done(True, result)

        if self.waiting is None:
            work()
        else:
            self.waiting.append(work)

    def work(self) -> None:
        """Do what was kept."""
        waiting, self.waiting = self.waiting or [], None
        for work in waiting:
            work()


class FakeConnection:
    """A connection that notes what is done with it, and fails where it shall."""

    def __init__(self, fails: dict[str, Exception]) -> None:
        self.fails = fails
        self.did: list[str] = []
        self.rowcount = 0

    def cursor(self) -> FakeConnection:
        return self

    def execute(self, text: str, values: tuple[Any, ...] = ()) -> None:
        self._do(text)

    def commit(self) -> None:
        self._do("commit")

    def rollback(self) -> None:
        self._do("rollback")

    def close(self) -> None:
        pass

    def _do(self, what: str) -> None:
        self.did.append(what)
        if what in self.fails:
            raise self.fails[what]


class FakePool:
    """Gives out connections of a list, one until it is disconnected."""

    def __init__(self, *connections: FakeConnection | Exception) -> None:
        self.startID = None
        self.threadpool = FakeThreads()
        self.connections: dict[int, FakeConnection] = {}
        self.left = list(connections)
        self.closed: list[FakeConnection] = []

    def connect(self) -> FakeConnection:
        if not self.connections:
            fresh = self.left.pop(0)
            if isinstance(fresh, Exception):
                raise fresh
            self.connections[0] = fresh
        return self.connections[0]

    def disconnect(self, connection: FakeConnection) -> None:
        self._close(self.connections.pop(0))

    def _close(self, connection: FakeConnection) -> None:
        self.closed.append(connection)


def connection(**fails: Exception) -> FakeConnection:
    """A connection; "x" is the statement that transactions of these tests run."""
    return FakeConnection(dict(fails))


def change(transaction: Transaction, *results: Any) -> Any:
    """A transaction function of one statement."""
    transaction.execute("x")
    return results[0] if results else None


class DatabaseTestCase(SynchronousTestCase):
    def database(
        self,
        *connections: FakeConnection | Exception,
        check: Callable[[], Layout] | None = None,
        engine: Engine = Engine.MYSQL,
    ) -> Database:
        """A started database whose pool makes these connections, one after the other."""
        self.clock, self.pool = FakeReactor(), FakePool(*connections)
        pool: Any = self.pool
        database = Database(pool, engine, self.clock, "mysql://here", check)
        database.startService()
        self.logged: list[str] = []
        observer: Any = self._observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return database

    def _observe(self, event: LogEvent) -> None:
        if event["log_namespace"] == "relaytw.database":
            self.logged.append(f"{event['log_level'].name}: {event['log_format'].format(**event)}")

    def away(self, working: Deferred[Any]) -> str:
        """What is said about a database that was away."""
        return str(self.failureResultOf(working, DatabaseAway).value)


class TransactionTests(DatabaseTestCase):
    def test_done(self) -> None:
        """What a function does is committed, and its result handed back."""
        only = connection()
        database = self.database(only)
        self.assertEqual(self.successResultOf(database.run(change, 7)), 7)
        self.assertEqual((only.did, database.away, database.errors), (["x", "commit"], None, 0))

    def test_sqlite(self) -> None:
        """On SQLite the right to write is taken first, so that nothing read becomes stale."""
        only = connection()
        self.successResultOf(self.database(only, engine=Engine.SQLITE).run(change))
        self.assertEqual(only.did, ["BEGIN IMMEDIATE", "x", "commit"])

    def test_wrong(self) -> None:
        """An error of the function's own undoes what it did and fails the Deferred; nothing is away."""
        only = connection()
        database = self.database(only)

        def wrong(transaction: Transaction) -> None:
            change(transaction)
            raise LookupError("mine")

        self.failureResultOf(database.run(wrong), LookupError)
        self.assertEqual((only.did, database.away, database.errors), (["x", "rollback"], None, 0))
        self.assertEqual(self.pool.closed, [])

    def test_refused_statement(self) -> None:
        """A statement that the database refuses is a fault of ours, and undone."""
        error = pymysql.err.ProgrammingError(1064, "You have an error in your SQL syntax")
        only = connection(x=error)
        database = self.database(only)
        self.assertIs(self.failureResultOf(database.run(change)).value, error)
        self.assertEqual((only.did, database.away), (["x", "rollback"], None))

    def test_cannot_be_undone(self) -> None:
        """A connection on which nothing can be undone is given up, and the first error is the one told."""
        first = connection(rollback=LOST)
        database = self.database(first, connection())

        def wrong(transaction: Transaction) -> None:
            raise LookupError("mine")

        failure = self.failureResultOf(database.run(wrong), LookupError)
        self.assertIn("could not be rolled back", failure.value.__notes__[0])
        self.assertEqual(self.pool.closed, [first])
        self.successResultOf(database.run(change))


class AwayTests(DatabaseTestCase):
    def test_idle_connection(self) -> None:
        """A connection that died while it was idle is replaced, and nobody hears of it."""
        dead, alive = connection(x=LOST), connection()
        database = self.database(dead, alive)
        self.assertEqual(self.successResultOf(database.run(change, 1)), 1)
        self.assertEqual((dead.did, alive.did), (["x"], ["x", "commit"]))
        self.assertEqual((self.pool.closed, database.errors, self.logged), ([dead], 0, []))

    def test_twice(self) -> None:
        """It is tried again once, not for ever."""
        database = self.database(connection(x=LOST), connection(x=LOST), connection())
        self.assertIn("Lost connection (2013)", self.away(database.run(change)))
        self.assertEqual(len(self.pool.left), 1)

    def test_lost_in_commit(self) -> None:
        """What may have been committed is not done again: whoever asked decides."""
        database = self.database(connection(commit=LOST), connection())
        error = self.failureResultOf(database.run(change), DatabaseAway).value
        self.assertIn("Lost connection", str(error))
        self.assertIn("it may have been changed or not", error.outcome)
        self.assertEqual(len(self.pool.left), 1)

    def test_not_reached(self) -> None:
        """Without a connection nothing is tried twice, and that is an error that is counted."""
        database = self.database(REFUSED, connection())
        error = self.failureResultOf(database.run(change), DatabaseAway).value
        self.assertEqual(str(error), "Can't connect (2003)")
        self.assertIn("nothing was changed", error.outcome)
        self.assertEqual((database.errors, len(self.pool.left)), (1, 1))

    def test_said_once(self) -> None:
        """That the database is away is logged once, and once that it is back, after how long."""
        database = self.database(REFUSED, REFUSED, connection())
        for seconds in (0, 5):
            self.clock.advance(seconds)
            self.away(database.run(change))
            self.assertEqual(database.away, "Can't connect (2003)")
        self.clock.advance(7)
        self.successResultOf(database.run(change))
        self.assertIsNone(database.away)
        went, back = self.logged
        self.assertIn("error: the database mysql://here does not work: Can't connect (2003)", went)
        self.assertEqual(back, "info: the database is back after 12 s")

    def test_sqlite_locked(self) -> None:
        """A file that somebody else keeps locked is a database that is away."""
        locked = FakeConnection({"BEGIN IMMEDIATE": sqlite3.OperationalError("database is locked")})
        self.assertEqual(
            self.away(self.database(locked, engine=Engine.SQLITE).run(change)), "database is locked"
        )


class CheckTests(DatabaseTestCase):
    def setUp(self) -> None:
        self.answers: list[Layout | Exception] = []
        self.checks = 0

    def check(self) -> Layout:
        """The next of the answers."""
        self.checks += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def test_once(self) -> None:
        """The tables are looked at before the first transaction, which learns how they are laid out."""
        found = Layout(rooms_per_device=False)
        self.answers = [found]
        database = self.database(connection(), check=self.check)
        self.assertIs(database.layout, FRESH)
        self.assertIs(self.successResultOf(database.run(lambda transaction: transaction.layout)), found)
        self.successResultOf(database.run(change))
        self.assertEqual((self.checks, database.layout), (1, found))

    def test_not_reached(self) -> None:
        """A database that does not answer is looked at again, and nothing is run before that succeeds."""
        only = connection()
        self.answers = [Unreachable("no route"), FRESH]
        database = self.database(only, check=self.check)
        self.assertEqual(self.away(database.run(change)), "no route")
        self.assertEqual(only.did, [])
        self.successResultOf(database.run(change))

    def test_unfit(self) -> None:
        """Tables that cannot be used count as a database that is away, and are looked at now and then."""
        self.answers = [Unfit("run relayctl db upgrade"), FRESH]
        database = self.database(connection(), check=self.check)
        for _ in range(3):
            self.assertEqual(self.away(database.run(change)), "run relayctl db upgrade")
        self.assertEqual(self.checks, 1)
        self.clock.advance(RECHECK)
        self.successResultOf(database.run(change))
        self.assertEqual(self.checks, 2)

    def test_becomes_unfit(self) -> None:
        """A database that is back and needs its operator is logged, though it was away all the time."""
        self.answers = [Unreachable("no route"), Unreachable("timed out"), Unfit("upgrade it"), FRESH]
        database = self.database(connection(), check=self.check)
        for _ in range(4):
            self.away(database.run(change))
        self.assertEqual(len(self.logged), 2)
        self.assertIn("upgrade it", self.logged[1])


class StopTests(DatabaseTestCase):
    def test_idle(self) -> None:
        """With nothing under way it stops at once, its connections closed and its threads ended."""
        only = connection()
        database = self.database(only)
        self.successResultOf(database.run(change))
        self.successResultOf(database.stopService())
        self.assertEqual((self.pool.closed, self.pool.threadpool.state), ([only], "stopped"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waits(self) -> None:
        """What is under way is let finish first."""
        database = self.database(connection())
        self.pool.threadpool.waiting = []
        working, stopping = database.run(change, 1), database.stopService()
        self.assertNoResult(stopping)
        self.pool.threadpool.work()
        self.assertEqual(self.successResultOf(working), 1)
        self.successResultOf(stopping)
        self.assertEqual((len(self.pool.closed), self.clock.getDelayedCalls()), (1, []))

    def test_gives_up(self) -> None:
        """What does not end is left behind, and still says how it ended if it does."""
        database = self.database(connection())
        self.pool.threadpool.waiting = []
        working, stopping = database.run(change, 1), database.stopService()
        self.clock.advance(STOP_PATIENCE)
        self.successResultOf(stopping)
        self.assertEqual(self.logged, ["warn: 1 transactions did not end; leaving them"])
        self.pool.threadpool.work()
        self.assertEqual(self.successResultOf(working), 1)

    def test_refused(self) -> None:
        """Nothing new is begun while it stops."""
        only = connection()
        database = self.database(only)
        self.successResultOf(database.stopService())
        self.assertEqual(self.away(database.run(change)), "the relay is stopping")
        self.assertEqual(only.did, [])
