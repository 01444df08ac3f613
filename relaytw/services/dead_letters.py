"""Writes dead letters behind: what is given up is stored when the database has time for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.metrics import Metrics
from relaytw.store import dead_letters
from relaytw.store.database import Transactions
from relaytw.store.dead_letters import DeadLetter
from relaytw.store.erasing import SaidBy

#: Letters stored in one transaction.
BATCH = 100
#: Letters that may wait to be stored; further ones stay in the journal for the next start.
WAITING = 1000
#: Seconds before the first retry; each further one waits twice as long, up to the second figure.
RETRY, RETRY_MAX = 1.0, 60.0


class DeadLetters(Service):
    """The table of dead letters and what is on its way into it; `keep` is how many it holds."""

    name = "dead letters"

    def __init__(self, database: Transactions, clock: IReactorTime, metrics: Metrics, keep: int) -> None:
        self._database = database
        self._clock = clock
        self._metrics = metrics
        self._keep = keep
        self._waiting: deque[tuple[DeadLetter, Callable[[], None]]] = deque()
        self._writing = False
        self._retry: IDelayedCall | None = None
        self._patience = RETRY
        self._log = Logger(namespace="relaytw.journal")

    @property
    def full(self) -> bool:
        """Do as many wait as may?"""
        return len(self._waiting) >= WAITING

    def add(self, letter: DeadLetter, stored: Callable[[], None]) -> None:
        """Store a letter; `stored` is called once it is safe, unless the relay is stopped before."""
        self._metrics.dead_letters[letter.reason] += 1
        self._log.warn(
            "a message of {client} in room {room} is given up: {reason} (deliveries: {deliveries})",
            client=letter.client, room=letter.room_id, reason=letter.reason,
            deliveries=letter.deliveries, trace=letter.trace,
        )  # fmt: skip
        self._waiting.append((letter, stored))
        self._write()

    def note(self, letter: DeadLetter) -> None:
        """Store a letter if there is room for it; nothing depends on that."""
        self._metrics.dead_letters[letter.reason] += 1
        if self.full:
            self._metrics.rows_dropped["relaytw_dead_letters"] += 1
            return
        self._waiting.append((letter, _nothing))
        self._write()

    def newest(self, count: int) -> Deferred[list[DeadLetter]]:
        """The newest letters that are stored, newest first; fails with DatabaseAway."""
        return self._database.run(dead_letters.newest, count)

    def get(self, number: int) -> Deferred[DeadLetter | None]:
        """One letter; fails with DatabaseAway."""
        return self._database.run(dead_letters.get, number)

    def drop(self, number: int) -> Deferred[bool]:
        """Delete one letter; False if there is none.  Fails with DatabaseAway."""
        return self._database.run(dead_letters.drop, number)

    def forget(self, said_by: SaidBy) -> Deferred[int]:
        """Delete the letters that are somebody's; how many.  Fails with DatabaseAway."""
        return self._database.run(dead_letters.forget, said_by)

    def stopService(self) -> None:
        """Store nothing more; what waits is in the journal still."""
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _write(self) -> None:
        if self._writing or self._retry is not None or not self._waiting:
            return
        self._writing = True
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        writing = self._database.run(dead_letters.insert, [letter for letter, _ in batch], self._keep)
        writing.addCallbacks(self._written, self._not_written, callbackArgs=(batch,), errbackArgs=(batch,))
        writing.addErrback(lambda failure: self._log.failure("a dead letter got lost", failure))

    def _written(self, _: object, batch: list[tuple[DeadLetter, Callable[[], None]]]) -> None:
        self._writing, self._patience = False, RETRY
        for _letter, stored in batch:
            stored()
        self._write()

    def _not_written(self, failure: Failure, batch: list[tuple[DeadLetter, Callable[[], None]]]) -> None:
        self._writing = False
        self._waiting.extendleft(reversed(batch))
        self._log.warn("dead letters cannot be stored yet: {why}", why=failure.getErrorMessage())
        if self.running:
            self._retry = self._clock.callLater(self._patience, self._again)
            self._patience = min(RETRY_MAX, 2 * self._patience)

    def _again(self) -> None:
        self._retry = None
        self._write()


def _nothing() -> None:
    return None
