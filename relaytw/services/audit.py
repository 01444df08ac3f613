"""Writes down what operators do: behind their backs, so that nobody waits, and again until it is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaytw.messages import ClientKey
from relaytw.store import audit
from relaytw.store.audit import Act
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.statements import Transaction

#: Who acts by the admin API without giving a name.
OPERATOR = "operator"
#: Seconds before what could not be written is tried again.
RETRY = 2.0
_BATCH = 200


class AuditWriter(Service):
    """Notes acts and writes them soon; of more than `most` that wait the oldest is given up, with a log line.

    `now` gives seconds since the epoch.
    """

    name = "audit"

    def __init__(
        self, database: Transactions, clock: IReactorTime, now: Callable[[], float], most: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._now = now
        self._most = most
        self._waiting: deque[Act] = deque()
        self._writing: Deferred[None] | None = None
        self._retry: Any = None
        self._log = Logger(namespace="relaytw.audit")

    def act(
        self,
        actor: str,
        act: str,
        client: ClientKey | None = None,
        room_id: str | None = None,
        detail: str | None = None,
    ) -> Act:
        """An act of this moment, for whoever writes it down in a transaction of his own."""
        bot, device = client if client is not None else (None, None)
        return Act(int(self._now() * 1000), actor, act, bot, device, room_id, detail)

    def note(self, act: Act) -> None:
        """Have this written down."""
        self._waiting.append(act)
        if len(self._waiting) > self._most:
            lost = self._waiting.popleft()
            self._log.error(
                "an act is not written down, for too many wait: {act} by {actor} of {bot} {device}",
                act=lost.act, actor=lost.actor, bot=lost.bot, device=lost.device,
            )  # fmt: skip
        if self._retry is None:
            self._write()

    def stopService(self) -> Deferred[None] | None:
        """Try once more to write what waits; fires when that has ended."""
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
            self._write()
        return self._writing

    def _write(self) -> None:
        if self._writing is None and self._waiting:
            self._writing = Deferred()
            Deferred.fromCoroutine(self._write_all()).addErrback(
                lambda failure: self._log.failure("acts could not be written down", failure)
            )

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting[at] for at in range(min(_BATCH, len(self._waiting)))]
                await self._database.run(_write, batch)
                for act in batch:
                    # Meanwhile the oldest may have been given up.
                    if self._waiting and self._waiting[0] is act:
                        self._waiting.popleft()
        except DatabaseAway:
            if self.running:
                self._retry = self._clock.callLater(RETRY, self._try_again)
            elif self._waiting:
                self._log.error("{count} acts could not be written down", count=len(self._waiting))
        except Exception:
            self._waiting.clear()
            raise
        finally:
            done, self._writing = self._writing, None
            if done is not None:
                done.callback(None)

    def _try_again(self) -> None:
        self._retry = None
        self._write()


def _write(transaction: Transaction, acts: list[Act]) -> None:
    audit.write(transaction, acts)
