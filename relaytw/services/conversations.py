"""What handlers remember of people and rooms, within bounds and on the disk.

A change is written before whoever made it goes on, so before any reply that follows it; with
`sync = "full"` a thread also syncs soon after.  While the disk takes nothing, changes hold in memory
and are written when it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from threading import RLock, get_ident
from typing import cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger

from relaytw.daemons import DaemonThreads
from relaytw.errors import ConfigError, StateFull
from relaytw.metrics import Metrics
from relaytw.store.state_log import Conversation, Place, StateLog, encode_conversation
from relaytw.store.syncing import InThread, Syncs

#: Conversations written in one turn of the reactor when the files are written anew.
SLICE = 200
#: What is remembered of those of whom nothing is.
NOTHING = Conversation()


@dataclass(frozen=True, slots=True)
class StateSettings:
    """How long a value is remembered, and how much in all; seconds and bytes."""

    ttl: float = 86_400.0
    conversations: int = 100_000
    conversation_bytes: int = 16_384
    total_bytes: int = 64 * 1024 * 1024
    full: bool = False
    retry_interval: float = 1.0


class Conversations(Service):
    """Everybody's conversations.  Made in the reactor's thread; others may use `read` and `change` too.

    `now` gives seconds since the epoch.  `problem` says why nothing can be written.
    """

    name = "state"

    def __init__(
        self,
        *,
        log: StateLog,
        settings: StateSettings,
        clock: IReactorTime,
        now: Callable[[], float],
        in_thread: InThread,
        pool: DaemonThreads | None,
        metrics: Metrics,
    ) -> None:
        self.problem: str | None = None
        self.settings = settings
        self.now = now
        self._kept = log
        self._clock = clock
        self._in_thread = in_thread
        self._pool = pool
        self._metrics = metrics
        self._lock = RLock()
        self._thread = get_ident()
        self._opened = False
        self._earliest = inf
        self._asked = False
        self._turn: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._rewriting = False
        self._removing = 0
        self._rewritten: list[Deferred[None]] = []
        self._syncs = None if log.folder is None else Syncs(log.folder, in_thread, self._not_synced)
        self._log = Logger(namespace="relaytw.state")

    # -- Service

    def privilegedStartService(self) -> None:
        """Read what an earlier run has left.  Raises ConfigError if it cannot."""
        super().privilegedStartService()
        self._open()

    def startService(self) -> None:
        """Make the thread ready."""
        self._open()
        super().startService()
        if self._pool is not None:
            self._pool.start()
        self._changed()

    def stopService(self) -> Deferred[None]:
        """Write what could not be written before; fires when the files are closed."""
        super().stopService()
        for call in (self._turn, self._retry):
            if call is not None and call.active():
                call.cancel()
        self._turn = self._retry = None
        self._write_rest(self._kept.unwritten)
        self._let_down(OSError(0, "the relay stops"))
        closing = self._in_thread(self._close)
        closing.addErrback(lambda failure: self._log.failure("the state did not close cleanly", failure))
        closing.addBoth(lambda _: self._closed())
        return closing

    def _open(self) -> None:
        if self._opened:
            return
        try:
            self._kept.open(self.now())
        except OSError as error:
            raise ConfigError(
                f"what bots remember, in {self._kept.folder}, cannot be read: {error.strerror}"
            ) from error
        self._opened, self._earliest = True, -inf
        self._metrics.state_bad_records += self._kept.bad
        if self._kept.bad:
            self._log.error("{bad} records of what bots remember are damaged and were skipped",
                            bad=self._kept.bad)  # fmt: skip

    def _close(self) -> None:
        with self._lock:
            if self.settings.full:
                for segment in self._kept.segments:
                    segment.sync()
            self._kept.close()

    def _closed(self) -> None:
        self._opened = False
        if self._pool is not None:
            self._pool.stop()

    # -- handlers

    def read(self, place: Place) -> Conversation:
        """What is remembered of a place at this moment."""
        kept = self._kept.get(place)
        return NOTHING if kept is None else kept.fresh(self.now())

    def change(self, place: Place, changed: Callable[[Conversation, float], Conversation]) -> None:
        """Remember of a place what `changed` makes of it at this moment.  Raises StateFull."""
        with self._lock:
            now = self.now()
            before = self._kept.get(place) or NOTHING
            after = changed(before.fresh(now), now)
            if after is before:
                return
            payload = encode_conversation(place, after)
            if after.values:
                self._check_room(place, payload, now)
                self._earliest = min(self._earliest, after.ends)
            try:
                self._kept.put(place, after, payload)
            except OSError as error:
                self._failed(error)
        if not self._asked and (self.settings.full or self.problem is not None or self._kept.wasteful):
            self._asked = True
            self._in_reactor(self._changed)

    def _check_room(self, place: Place, payload: bytes, now: float) -> None:
        settings, kept = self.settings, self._kept
        if len(payload) > settings.conversation_bytes:
            raise StateFull(
                f"one conversation may take {settings.conversation_bytes} bytes (state.conversation_bytes)"
            )
        if self._is_full(place, payload) and self._earliest <= now:
            self.forget_expired()
        if not self._is_full(place, payload):
            return
        if kept.bytes_with(place, payload) > settings.total_bytes:
            raise StateFull(f"all conversations may take {settings.total_bytes} bytes (state.total_bytes)")
        raise StateFull(f"there may be {settings.conversations} conversations (state.conversations)")

    def _is_full(self, place: Place, payload: bytes) -> bool:
        settings, kept = self.settings, self._kept
        return kept.bytes_with(place, payload) > settings.total_bytes or (
            kept.get(place) is None and len(kept) >= settings.conversations
        )

    # -- the operator

    def __len__(self) -> int:
        """How many conversations are remembered."""
        return len(self._kept)

    def forget_expired(self) -> int:
        """Forget the conversations whose time is over; how many."""
        with self._lock:
            count = self._kept.forget_expired(self.now())
            self._earliest = self._kept.earliest
        if self.running:
            self._in_reactor(self._changed)
        return count

    def forget(self, user_hash: str) -> Deferred[int]:
        """Forget what is remembered of a person, in the files too; how many conversations that were.

        Fails with OSError.
        """
        count = self.clear(lambda place: place.user == f"#{user_hash}")
        if not self._kept.segments:
            return succeed(count)
        done: Deferred[None] = Deferred()
        self._rewritten.append(done)
        self._rewrite()
        return done.addCallback(lambda _: count)

    def clear(self, which: Callable[[Place], bool]) -> int:
        """Forget the conversations of some places; how many."""
        with self._lock:
            places = [place for place, _, _ in self._kept.items() if which(place)]
            for place in places:
                self.change(place, cleared)
        return len(places)

    def rows(self) -> list[tuple[Place, Conversation, int]]:
        """Every conversation that is remembered at this moment, and the bytes of its record."""
        now = self.now()
        with self._lock:
            fresh = [(place, one.fresh(now), size) for place, one, size in self._kept.items()]
        return [row for row in fresh if row[1].values]

    # -- the disk

    def _in_reactor(self, function: Callable[[], None]) -> None:
        if get_ident() == self._thread:
            function()
        else:
            cast("IReactorFromThreads", self._clock).callFromThread(function)

    def _changed(self) -> None:
        self._asked = False
        if not self.running or not self._kept.segments:
            self._plan_retry()
            return
        if self.settings.full and self._syncs is not None and self.problem is None:
            self._syncs.wait(self._kept.segments[-1], _nothing, _nothing)
        self._plan_retry()
        if self._kept.wasteful and not self._rewriting and self.problem is None:
            self._rewrite()

    def _failed(self, error: OSError) -> None:
        self._metrics.state_errors += 1
        if self.problem is None:
            self._log.error(
                "what bots remember cannot be written: {why}.  It is kept in memory until it can",
                why=error.strerror,
            )
        self.problem = f"what bots remember cannot be written: {error.strerror}"

    def _plan_retry(self) -> None:
        if self.problem is not None and self._retry is None and self.running:
            self._retry = self._clock.callLater(self.settings.retry_interval, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        if not self._write_rest(SLICE):
            self._plan_retry()
        elif self._kept.unwritten:
            self._retry = self._clock.callLater(0, self._try_again)
        else:
            self.problem = None
            self._log.info("what bots remember can be written again")
            self._changed()

    def _write_rest(self, count: int) -> bool:
        try:
            with self._lock:
                self._kept.write_rest(count)
        except OSError as error:
            self._failed(error)
            return False
        return True

    def _not_synced(self, error: OSError) -> None:
        # What the kernel could not write it may have forgotten: all of it is written anew.
        self._failed(error)
        self._plan_retry()
        self._rewrite()

    # -- writing the files anew, a slice in each turn

    def _rewrite(self) -> None:
        self._rewriting = True
        try:
            with self._lock:
                self._kept.rewrite()
        except OSError as error:
            self._give_up_rewriting(error)
            return
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._carry)

    def _carry(self) -> None:
        self._turn = None
        try:
            with self._lock:
                more = self._kept.carry(SLICE)
                old = [] if more else self._kept.take_old()
        except OSError as error:
            self._give_up_rewriting(error)
            return
        if more:
            self._turn = self._clock.callLater(0, self._carry)
            return
        newest, full = self._kept.segments[-1], self.settings.full

        def remove() -> None:
            if full:
                newest.sync()  # what was carried must be safe first
            for segment in old:
                segment.remove()

        self._removing += 1
        removing = self._in_thread(remove)
        removing.addErrback(
            lambda failure: self._log.failure("old files of what bots remember could not be deleted", failure)
        )
        removing.addCallback(lambda _: self._carried())

    def _carried(self) -> None:
        self._removing -= 1
        if self._removing or self._turn is not None:
            return  # it was begun once more meanwhile
        self._rewriting = False
        waiting, self._rewritten = self._rewritten, []
        for one in waiting:
            one.callback(None)

    def _give_up_rewriting(self, error: OSError) -> None:
        self._rewriting = False
        self._failed(error)
        self._plan_retry()
        self._let_down(error)

    def _let_down(self, error: OSError) -> None:
        waiting, self._rewritten = self._rewritten, []
        for one in waiting:
            one.errback(error)


def cleared(_before: Conversation, _now: float) -> Conversation:
    """Nothing is remembered any more."""
    return NOTHING


def _nothing() -> None:
    return None
