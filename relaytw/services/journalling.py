"""Accepted messages that outlive the process: an intake on the journal.

A batch is written down before it is dispatched.  While the disk takes nothing, what was read waits
here undispatched and unlost, and whoever sends more is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from relaytw.intake import DRAINED, Account, IntakeSettings, Job, MemoryIntake, Reader
from relaytw.lanes import LaneKey
from relaytw.store.journal import Journal
from relaytw.store.records import Accepted, encode_place

#: Rooms whose names are kept as bytes.
PLACES = 10_000
Dispatch = Callable[[Sequence[Job]], None]
Durable = Callable[[], None] | None


class JournalIntake(MemoryIntake):
    """Accepted is what the journal holds.

    While messages of an earlier run are on their way, `screen` takes out those that must not overtake
    them.
    """

    def __init__(self, settings: IntakeSettings, paused: Callable[[], None], journal: Journal) -> None:
        super().__init__(settings, paused)
        self.screen: Callable[[Sequence[Job], Dispatch], Sequence[Job]] | None = None
        self._journal = journal
        self._held: list[tuple[Sequence[Job], Dispatch, Durable]] = []
        self._stopped: dict[Account, None] = {}
        self._roomy_before = self._roomy
        self._places: dict[LaneKey, bytes] = {}
        self._end = journal.finish
        journal.blocked, journal.recovered = self.block, self.resume

    # -- new messages

    def account(self, reader: Reader) -> Account:
        """An account for a new connection; nothing is read of it while nothing can be accepted."""
        account = super().account(reader)
        if self._journal.problem is not None:
            account.paused = True
            self._stopped[account] = None
            reader.stop_reading()
        return account

    def accept(self, jobs: Sequence[Job], dispatch: Dispatch, durable: Durable = None) -> None:
        """Write a batch down and dispatch it; what cannot be written waits until it can.

        `durable` is called once the disk has it, however early it is dispatched.
        """
        if self._journal.problem is not None or not self._write(jobs):
            self._hold(jobs, dispatch, durable)
        else:
            self._when_safe(jobs, dispatch, durable)

    def block(self) -> None:
        """The journal cannot be written: whoever sends something is not read any more."""
        self._roomy = -1

    def resume(self) -> None:
        """The journal can be written again: accept what had to wait, and read everybody."""
        self._roomy = self._roomy_before
        held, self._held = self._held, []
        for number, (jobs, dispatch, durable) in enumerate(held):
            # Of what was dispatched before the disk lost it, some may have ended meanwhile.
            jobs = [job for job in jobs if not job.message.over]  # noqa: PLW2901
            if not self._write(jobs):
                self._held = held[number:]
                return
            self._when_safe(jobs, dispatch, durable)
        stopped, self._stopped = self._stopped, {}
        for account in stopped:
            if account.paused and not self._over(account, DRAINED):
                account.paused = False
                account.reader.start_reading()

    # -- messages of an earlier run

    def expect(self, messages: int, size: int) -> None:
        """So many messages, with lines of so many bytes, are accepted but not in memory yet."""
        self._messages += messages
        self._bytes += size

    def take_back(self, accepted: Accepted) -> int | None:
        """Write a message down as if it had come just now: its number, None if the disk does not take it."""
        place = encode_place(*accepted.client, accepted.room)
        message = (accepted.received_at, 0, 0, 0, place, accepted.id, accepted.trace, accepted.line)
        return self._journal.write([message])

    def dispose(self, number: int, size: int) -> None:
        """An expected message will not come."""
        self.expect(-1, -size)
        self._journal.finish(number, None)

    # -- what becomes of them

    def started(self, job: Job) -> None:
        """A message that an earlier run may have started is given to its handler."""
        if job.number:
            self._journal.started(job.number)

    def asks(self, job: Job) -> None:
        """A message waits for somebody's answer, and is not to be run again in another run."""
        if job.number:
            self._journal.asked(job.number)
        super().asks(job)

    def finish(self, job: Job) -> None:
        """A message is finished: it leaves its account, and soon the journal."""
        if job.number:
            self._end(job.number, job.message.client)
        MemoryIntake.finish(self, job)  # the quicker way to say super()

    def leave(self, job: Job) -> None:
        """A message is given up: it leaves its account, but the journal keeps it for another run."""
        super().leave(job)

    # -- inside

    def _blocks(self, account: Account) -> bool:
        if self._journal.problem is None:
            return False
        self._stopped[account] = None
        return True

    def _write(self, jobs: Sequence[Job]) -> bool:
        if not jobs:
            return True
        places = self._places
        first = self._journal.write([
            (
                job.message.received_at, job.serial, job.signature, job.signed_at,
                places.get(job.lane) or self._place(job.lane), job.message.id, job.message.trace, job.line,
            )
            for job in jobs
        ])  # fmt: skip
        if first is None:
            return False
        for number, job in enumerate(jobs, first):
            job.number = number
        return True

    def _place(self, lane: LaneKey) -> bytes:
        places = self._places
        if len(places) >= PLACES:
            places.clear()
        place = places[lane] = encode_place(*lane)
        return place

    def _when_safe(self, jobs: Sequence[Job], dispatch: Dispatch, durable: Durable) -> None:
        journal = self._journal
        if durable is None:
            journal.when_synced(
                partial(self._dispatch, jobs, dispatch), partial(self._write_anew, jobs, dispatch, None)
            )
        elif journal.syncs_first:
            journal.when_durable(
                partial(self._dispatch, jobs, dispatch, durable),
                partial(self._write_anew, jobs, dispatch, durable),
            )
        else:
            self._run(jobs, dispatch)
            journal.when_durable(
                partial(self._dispatch, jobs, _nothing, durable),
                partial(self._write_anew, jobs, _nothing, durable),
            )

    def _dispatch(self, jobs: Sequence[Job], dispatch: Dispatch, durable: Durable = None) -> None:
        for job in jobs:
            job.line = b""
        self._run(jobs, dispatch)
        if durable is not None:
            durable()

    def _run(self, jobs: Sequence[Job], dispatch: Dispatch) -> None:
        if dispatch is _nothing:
            return
        if self.screen is not None:
            jobs = self.screen(jobs, dispatch)
        if jobs:
            dispatch(jobs)

    def _write_anew(self, jobs: Sequence[Job], dispatch: Dispatch, durable: Durable) -> None:
        jobs = [job for job in jobs if not job.message.over]
        for job in jobs:
            self._journal.finish(job.number, None)
        self._hold(jobs, dispatch, durable)

    def _hold(self, jobs: Sequence[Job], dispatch: Dispatch, durable: Durable) -> None:
        if not jobs and durable is not None and self._held and not self._held[-1][0]:
            # One entry for all that waits for the disk and has nothing to write.
            before = self._held.pop()[2]
            durable = before.also(durable) if isinstance(before, _All) else _All(before, durable)
        self._held.append((jobs, dispatch, durable))
        for job in jobs:
            account = job.account
            if not account.paused:
                account.paused = True
                account.reader.stop_reading()
            self._stopped[account] = None


class _All:
    """Calls several, in order."""

    def __init__(self, *durables: Durable) -> None:
        self._durables = list(durables)

    def also(self, durable: Durable) -> _All:
        """Call another one too."""
        self._durables.append(durable)
        return self

    def __call__(self) -> None:
        for durable in self._durables:
            if durable is not None:
                durable()


def _nothing(jobs: Sequence[Job]) -> None:
    """They were dispatched before."""
