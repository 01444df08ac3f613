"""What was accepted and is not finished, in files that survive the process.

The reactor appends, once for each batch of messages, before they are run; that survives a kill.  With
`sync = "full"` a thread also syncs, and whoever waits for that is told.  What has ended is written
two turns of the reactor later, when the kernel has the replies to it, so that no message counts as
finished whose reply could still die with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.daemons import DaemonThreads
from relaytw.errors import ConfigError
from relaytw.messages import ClientKey, Reply
from relaytw.metrics import Metrics
from relaytw.store.endings import Ending, Endings, Witness
from relaytw.store.erasing import SaidBy, erase
from relaytw.store.records import (
    ASKED,
    HEAD_SIZE,
    Accepted,
    Kind,
    Message,
    decode,
    encode_started,
    encode_waits,
)
from relaytw.store.records import Record as StoredRecord
from relaytw.store.segments import Place, Segment
from relaytw.store.shelf import Found, JournalRow, Shelf
from relaytw.store.syncing import InThread, Syncs

#: Seconds between two looks at a phone that does not take what it was told.
LOOK_AGAIN = 0.1


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Bytes of a segment, seconds between two tries, and for how long what is finished is remembered."""

    full: bool = False
    segment_bytes: int = 32 * 1024 * 1024
    retry_interval: float = 1.0
    remembered: float = 600.0


class Journal(Service):
    """One folder's journal.  `now` gives seconds since the epoch, `salt` a number that nobody can guess.

    Before it is opened, `remember` is told of every message that it knows.  `problem` says why nothing
    can be written; `blocked` and `recovered` are called when that changes.
    """

    name = "journal"

    def __init__(
        self,
        *,
        folder: Path,
        settings: JournalSettings,
        clock: IReactorTime,
        now: Callable[[], float],
        salt: Callable[[], int],
        in_thread: InThread,
        pool: DaemonThreads | None,
        metrics: Metrics,
        remember: Callable[[Accepted], None],
    ) -> None:
        self.problem: str | None = None
        #: Since when it knows what was accepted, in seconds since the epoch; 0 for ever.
        self.remembers_since = now()
        self.found = Found((), ())
        self.blocked: Callable[[], None] = _nothing
        self.recovered: Callable[[], None] = _nothing
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._now = now
        self._in_thread = in_thread
        self._pool = pool
        self._metrics = metrics
        self._remember = remember
        self._shelf = Shelf(folder, settings.segment_bytes, salt, now)
        self._opened = False
        self._waits: list[tuple[int, bytes]] = []
        self._endings = Endings()
        self._fresh: list[Ending] = []
        self._ripe: list[int] = []
        self._turn: IDelayedCall | None = None
        self._leisurely = False
        self._retry: IDelayedCall | None = None
        self._carrying = False
        self._syncs = Syncs(folder, in_thread, self._not_synced)
        self._log = Logger(namespace="relaytw.journal")

    # -- Service

    def privilegedStartService(self) -> None:
        """Read what an earlier run has left, before anybody listens.  Raises ConfigError if it cannot."""
        super().privilegedStartService()
        self._open()

    def startService(self) -> None:
        """Make the thread ready."""
        self._open()
        super().startService()
        if self._pool is not None:
            self._pool.start()

    def stopService(self) -> Deferred[None]:
        """Write what has ended; fires when the files are closed."""
        super().stopService()
        for call in (self._turn, self._retry):
            if call is not None and call.active():
                call.cancel()
        self._turn = self._retry = None
        self._ripe.extend([*self._endings.rest(), *(number for number, _ in self._fresh)])
        self._fresh = []
        self._write_others()
        closing = self._in_thread(self._close)
        closing.addErrback(lambda failure: self._log.failure("the journal did not close cleanly", failure))
        closing.addBoth(lambda _: self._closed())
        return closing

    def _open(self) -> None:
        if self._opened:
            return
        try:
            self.found = self._shelf.open(self._know)
        except OSError as error:
            raise ConfigError(
                f"the journal in {self._folder} cannot be used: {error.strerror} ({error.filename})"
            ) from error
        self._opened = True
        if self._shelf.complete:
            self.remembers_since = 0.0
        shelf, found = self._shelf, self.found
        # Nobody knows whether an earlier run, or the kernel after it, has brought these to the disk.
        self._syncs.doubt(shelf.segments)
        self._metrics.journal_bad_records += shelf.bad
        if shelf.bad:
            self._log.error("{bad} records of the journal are damaged and were skipped", bad=shelf.bad)
        if found.unfinished or found.waiting:
            self._log.info(
                "{messages} messages of an earlier run are not finished, and {replies} replies wait",
                messages=len(found.unfinished), replies=len(found.waiting),
            )  # fmt: skip

    def _know(self, said: Accepted) -> None:
        self.remembers_since = min(self.remembers_since, said.received_at)
        self._remember(said)

    def _close(self) -> None:
        for segment in self._shelf.segments:
            if self._settings.full:
                segment.sync()
            segment.close()

    def _closed(self) -> None:
        self._opened = False
        if self._pool is not None:
            self._pool.stop()

    # -- messages

    def write(self, messages: Iterable[Message]) -> int | None:
        """Append accepted messages: the number of the first, or None when the disk does not take them."""
        try:
            return self._shelf.write(messages)
        except OSError as error:
            self._failed(error)
            return None

    def ask(self, witness: Witness) -> None:
        """Have this witness asked whether replies have left the process."""
        self._endings.witness = witness

    def when_synced(self, done: Callable[[], None], failed: Callable[[], None]) -> None:
        """Call `done` once everything written so far is safe, at once if a crash is all it is safe from."""
        if self._settings.full:
            self.when_durable(done, failed)
        else:
            done()

    @property
    def syncs_first(self) -> bool:
        """Does nothing run before the disk has it?"""
        return self._settings.full

    def when_durable(self, done: Callable[[], None], failed: Callable[[], None]) -> None:
        """Call `done` once everything written so far survives a loss of power, or `failed`."""
        self._syncs.wait(self._shelf.segments[-1], done, failed)

    def started(self, number: int) -> None:
        """A message that an earlier run may have started is given to its handler again."""
        self._note(number, min(ASKED - 1, self._shelf.deliveries.get(number, 1) + 1))

    def asked(self, number: int) -> None:
        """A message's handler asks something: whatever happens, it is not to be run again."""
        self._note(number, ASKED)

    def _note(self, number: int, count: int) -> None:
        shelf = self._shelf
        shelf.deliveries[number] = count
        try:
            shelf.write_record(Kind.STARTED, encode_started(number, count))
        except OSError as error:
            self._failed(error)

    def finish(self, number: int, client: ClientKey | None) -> None:
        """A message has ended, or a reply has left; `client` is the phone that was told something."""
        self._fresh.append((number, client))
        if self._turn is None:
            if not self.running:
                return  # it came after the stop, and will be taken up again
            self._turn = self._clock.callLater(0, self._take_turn)
        elif self._leisurely:
            self._leisurely = False
            self._turn.reset(0)

    def read(self, numbers: Sequence[int]) -> Deferred[list[Accepted]]:
        """These messages, without those that have ended; fails with OSError or BadRecord."""
        live = self._shelf.live
        places = [live[number] for number in numbers if number in live]
        return self._in_thread(lambda: [_read(place) for place in places])

    def forget(self, said_by: SaidBy) -> Deferred[int]:
        """Blank what somebody said; how many lines.  What is being run ends all the same.

        Fails with OSError.
        """
        return self._in_thread(partial(erase, [one.path for one in self._shelf.segments], said_by))

    # -- replies; this is the outbox's ledger

    def waits(
        self, reply: Reply, age: float, *, spaced: bool, written: bool = False, told: bool = False
    ) -> int:
        """A reply has to wait: the number it is known by."""
        number, at = self._shelf.next_number, self._now() - age
        payload = encode_waits(number, at, reply, spaced=spaced, written=written, told=told)
        self._shelf.next_number = number + 1
        self._waits.append((number, payload))
        if self._turn is None and self.running:
            self._turn = self._clock.callLater(0, self._take_turn)
        return number

    def left(self, number: int, client: ClientKey | None) -> None:
        """A reply waits no more; `client` is the phone that was given it, None if nobody was."""
        self.finish(number, client)

    # -- the operator

    def row(self) -> JournalRow:
        """The figures of the journal."""
        return self._shelf.row("full" if self._settings.full else "normal", self.problem)

    @property
    def segments(self) -> int:
        """How many files there are."""
        return len(self._shelf.segments)

    @property
    def size(self) -> int:
        """What they take."""
        return self._shelf.size

    @property
    def unfinished(self) -> int:
        """How many messages and replies in them are not finished."""
        return len(self._shelf.live)

    def age_out(self) -> int:
        """Delete files of what is finished and too old to be recognised if it came again; how many."""
        before = self._now() - self._settings.remembered
        if not self._opened or self.problem is not None:
            return 0
        try:
            if self._shelf.stale(before):
                self._shelf.rotate()
        except OSError as error:
            self._failed(error)
            return 0
        old = self._shelf.take_finished(before)
        self._remove(old)
        return len(old)

    # -- what has ended

    def _take_turn(self) -> None:
        self._turn, endings = None, self._endings
        self._ripe.extend(endings.turn(self._fresh))
        self._fresh = []
        if self._waits or self._ripe:
            self._write_others()
        self._leisurely = not endings.hurried
        if endings.hurried or endings.kept_back:
            self._turn = self._clock.callLater(LOOK_AGAIN if self._leisurely else 0, self._take_turn)

    def _write_others(self) -> bool:
        if self.problem is not None and self._retry is not None:
            return False
        try:
            self._shelf.write_others(self._waits, self._ripe)
        except OSError as error:
            self._failed(error)
            ended = set(self._ripe)
            self._waits = [(number, payload) for number, payload in self._waits if number not in ended]
            return False
        self._waits, self._ripe = [], []
        self._tidy()
        return True

    # -- a disk that takes nothing

    def _failed(self, error: OSError) -> None:
        self._metrics.journal_errors += 1
        if self.problem is None:
            self._log.error(
                "the journal cannot be written: {why}.  Nothing new is accepted until it can; "
                "what was accepted goes on",
                why=error.strerror,
            )
            self.blocked()
        self.problem = f"the journal cannot be written: {error.strerror}"
        if self._retry is None and self.running:
            self._retry = self._clock.callLater(self._settings.retry_interval, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        if self._write_others():
            self._works_again()

    def _works_again(self) -> None:
        self.problem = None
        self._log.info("the journal can be written again")
        self.recovered()

    # -- the thread

    def _not_synced(self, error: OSError) -> None:
        # What the kernel could not write it may have forgotten: all of it is written anew, to a new file.
        self._failed(error)
        try:
            self._shelf.rotate()
        except OSError as worse:
            self._failed(worse)

    def _tidy(self) -> None:
        if self._carrying or self.segments <= 1:
            return
        self._remove(self._shelf.take_finished())
        oldest = self._shelf.worth_carrying()
        if oldest is not None and self.running:
            self._carrying = True
            self._carry(oldest)

    def _carry(self, oldest: Segment) -> None:
        items = self._shelf.alive_in(oldest)
        reading = self._in_thread(lambda: [oldest.read(offset, size) for _, (_s, offset, size, _a) in items])
        reading.addCallback(lambda records: self._shelf.carry(items, records))
        reading.addCallbacks(lambda _: self._carried(oldest), self._not_carried)
        reading.addErrback(lambda failure: self._log.failure("the journal could not be tidied", failure))

    def _carried(self, oldest: Segment) -> None:
        if oldest.live and self.running:
            self._carry(oldest)
            return
        self._carrying = False
        if self.running:
            self._tidy()

    def _not_carried(self, failure: Failure) -> None:
        self._carrying = False
        if isinstance(failure.value, OSError):
            self._failed(failure.value)
        else:
            self._log.failure("the journal could not be tidied", failure)

    def _remove(self, segments: Sequence[Segment]) -> None:
        if not segments:
            return
        left = list(self._shelf.segments)

        def remove() -> None:
            for segment in left:
                segment.sync()  # what was carried forward must be as safe as it was, for it was acknowledged
            for segment in segments:
                segment.remove()

        self._in_thread(remove).addErrback(
            lambda failure: self._log.failure("old segments of the journal could not be deleted", failure)
        )


def _read(place: Place) -> Accepted:
    segment, offset, size, _ = place
    data = segment.read(offset, size)
    said = decode(StoredRecord(data[4], offset, size, data[HEAD_SIZE:]))
    assert isinstance(said, Accepted)  # noqa: S101 (what is asked for is messages)
    return said


def _nothing() -> None:
    return None
