"""Accepted messages that outlive the process: an intake on the journal.

A batch is written down before it is dispatched.  While the disk takes nothing, what was read waits
here undispatched and unlost, and whoever sends more is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from relaytw.gate import signature_name
from relaytw.intake import DRAINED, Account, IntakeSettings, Job, MemoryIntake, Reader
from relaytw.messages import Auth
from relaytw.store.journal import Journal
from relaytw.store.records import Accepted, encode_accepted

Dispatch = Callable[[Sequence[Job]], None]


class JournalIntake(MemoryIntake):
    """Accepted is what the journal holds.

    While messages of an earlier run are on their way, `screen` takes out those that must not overtake
    them.
    """

    def __init__(self, settings: IntakeSettings, paused: Callable[[], None], journal: Journal) -> None:
        super().__init__(settings, paused)
        self.screen: Callable[[Sequence[Job], Dispatch], Sequence[Job]] | None = None
        self._journal = journal
        self._held: list[tuple[Sequence[Job], Dispatch]] = []
        self._stopped: dict[Account, None] = {}
        journal.recovered = self.resume

    # -- new messages

    def account(self, reader: Reader) -> Account:
        """An account for a new connection; nothing is read of it while nothing can be accepted."""
        account = super().account(reader)
        if self._journal.problem is not None:
            account.paused = True
            self._stopped[account] = None
            reader.stop_reading()
        return account

    def charge(self, job: Job) -> None:
        """Put a message on its connection's account; stops the reader when the account is full."""
        super().charge(job)
        if self._journal.problem is not None and job.account.paused:
            self._stopped[job.account] = None

    def accept(self, jobs: Sequence[Job], dispatch: Dispatch) -> None:
        """Write a batch down and dispatch it; what cannot be written waits until it can."""
        if self._journal.problem is not None or not self._write(jobs):
            self._hold(jobs, dispatch)
        else:
            self._when_safe(jobs, dispatch)

    def resume(self) -> None:
        """The journal can be written again: accept what had to wait, and read everybody."""
        held, self._held = self._held, []
        for number, (jobs, dispatch) in enumerate(held):
            if not self._write(jobs):
                self._held = held[number:]
                return
            self._when_safe(jobs, dispatch)
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
        payload = partial(_renumbered, accepted)
        return self._journal.write(lambda first: [payload(first)], accepted.received_at)

    def dispose(self, number: int, size: int) -> None:
        """An expected message will not come."""
        self.expect(-1, -size)
        self._journal.finish(number, None)

    # -- what becomes of them

    def started(self, job: Job) -> None:
        """A message that an earlier run may have started is given to its handler."""
        if job.number:
            self._journal.started(job.number)

    def finish(self, job: Job) -> None:
        """A message is finished: it leaves its account, and soon the journal."""
        if job.number:
            self._journal.finish(job.number, job.message.client)
        self.leave(job)

    def leave(self, job: Job) -> None:
        """A message is given up: it leaves its account, but the journal keeps it for another run."""
        super().finish(job)
        if job.account.paused and self._journal.problem is not None:
            self._stopped[job.account] = None

    # -- inside

    def _over(self, account: Account, part: float) -> bool:
        return self._journal.problem is not None or super()._over(account, part)

    def _write(self, jobs: Sequence[Job]) -> bool:
        at = jobs[-1].message.received_at
        first = self._journal.write(partial(_payloads, jobs), at)
        if first is None:
            return False
        for number, job in enumerate(jobs, first):
            job.number = number
        return True

    def _when_safe(self, jobs: Sequence[Job], dispatch: Dispatch) -> None:
        self._journal.when_synced(
            partial(self._dispatch, jobs, dispatch), partial(self._write_anew, jobs, dispatch)
        )

    def _dispatch(self, jobs: Sequence[Job], dispatch: Dispatch) -> None:
        for job in jobs:
            job.line, job.auth = b"", None
        if self.screen is not None:
            jobs = self.screen(jobs, dispatch)
        if jobs:
            dispatch(jobs)

    def _write_anew(self, jobs: Sequence[Job], dispatch: Dispatch) -> None:
        for job in jobs:
            self._journal.finish(job.number, None)
        self._hold(jobs, dispatch)

    def _hold(self, jobs: Sequence[Job], dispatch: Dispatch) -> None:
        self._held.append((jobs, dispatch))
        for job in jobs:
            account = job.account
            if not account.paused:
                account.paused = True
                account.reader.stop_reading()
            self._stopped[account] = None


def _payloads(jobs: Sequence[Job], first: int) -> list[bytes]:
    return [_payload(job, number) for number, job in enumerate(jobs, first)]


def _payload(job: Job, number: int) -> bytes:
    message, auth = job.message, job.auth
    signature = _signature(auth) if auth is not None else 0
    return encode_accepted(
        Accepted(
            number, 1, message.received_at, job.serial, signature,
            auth.timestamp if signature and auth is not None else 0,
            message.client, job.lane.room, message.id, message.trace, job.line,
        )
    )  # fmt: skip


def _signature(auth: Auth) -> int:
    try:
        return max(0, signature_name(auth))
    except ValueError:
        return 0  # where none is required it may be anything


def _renumbered(accepted: Accepted, number: int) -> bytes:
    return encode_accepted(accepted._replace(number=number))
