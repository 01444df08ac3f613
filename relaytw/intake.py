"""When a message counts as accepted, and how much of a phone's chat may be unfinished.

`Intake` is the door to what is accepted and not finished.  The one here holds it in memory; one
that writes a journal has the same face: a batch is accepted first, and dispatched once `accept`
says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from relaytw.lanes import LaneKey
from relaytw.messages import Message

#: However full the queue is, a connection may have this many messages unfinished.
LEAST_BACKLOG = 10
#: A paused connection is read again once its backlog has drained to this part of its limit.
DRAINED = 0.8


class Reader(Protocol):
    """Whoever reads a connection."""

    def stop_reading(self) -> None:
        """Leave what comes next in the kernel."""

    def start_reading(self) -> None:
        """Go on reading."""


class Account:
    """What one connection has sent that is not finished: messages, and bytes of their lines.

    `ended` is told the id of each message that has ended, if anybody wants to know.
    """

    __slots__ = ("bytes", "ended", "messages", "paused", "reader")

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.messages = 0
        self.bytes = 0
        self.paused = False
        self.ended: Callable[[str], None] | None = None


class Job:
    """One accepted message on its way: the message, its lane, and whose account it is on.

    For a journal there are the phone's `line`, and what the gate remembers of its signature: the `serial`
    of its connection, `signature` (0 without one) and when it was made, in ms.  `number` is what a journal
    knows it by, 0 if it does not; `started_at` is when its handler was given it.  An `owed` one is not kept
    by its phone any more, once it is durable.
    """

    __slots__ = (
        "accepted_at", "account", "lane", "line", "message", "number", "owed", "serial", "signature",
        "signed_at", "size", "started_at",
    )  # fmt: skip

    def __init__(
        self,
        message: Message,
        lane: LaneKey,
        account: Account,
        size: int,
        at: float,
        line: bytes = b"",
        serial: int = 0,
        signature: int = 0,
        signed_at: int = 0,
    ) -> None:
        self.line = line
        self.serial = serial
        self.signature = signature
        self.signed_at = signed_at
        self.number = 0
        self.owed = False
        self.message = message
        self.lane = lane
        self.account = account
        self.size = size
        self.accepted_at = at
        self.started_at: float | None = None


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """Counts of messages, and bytes of their lines."""

    queue: int = 10_000
    queue_bytes: int = 64 * 1024 * 1024
    backlog_per_connection: int = 1000
    backlog_bytes: int = 2 * 1024 * 1024


class Intake(Protocol):
    """What is accepted and not finished."""

    def account(self, reader: Reader) -> Account:
        """An account for a new connection."""

    def charge(self, job: Job) -> None:
        """Put a message on its connection's account; stops the reader when the account is full."""

    def accept(
        self,
        jobs: Sequence[Job],
        dispatch: Callable[[Sequence[Job]], None],
        durable: Callable[[], None] | None = None,
    ) -> None:
        """Accept a batch and then dispatch it; in between a journal writes it down.

        `durable` is called once the batch, and all that was accepted before, is as safe as it will be.
        """

    def started(self, job: Job) -> None:
        """A message that an earlier run may have started is given to its handler."""

    def asks(self, job: Job) -> None:
        """A message waits for somebody's answer: it leaves its account until it is charged again.

        A journal remembers that it is not to be run again.
        """

    def finish(self, job: Job) -> None:
        """A message is finished: it leaves its account."""

    def leave(self, job: Job) -> None:
        """A message is given up: it leaves its account, but a journal keeps it for another run."""

    @property
    def unfinished(self) -> int:
        """How many accepted messages are not finished."""

    @property
    def unfinished_bytes(self) -> int:
        """The bytes of their lines."""


class MemoryIntake:
    """Accepted messages live as long as the process."""

    #: Is told of every message that leaves its account, if anybody wants to know.
    trace: Callable[[Job], None] | None = None

    def __init__(self, settings: IntakeSettings, paused: Callable[[], None]) -> None:
        self._settings = settings
        self._paused = paused
        self._messages = 0
        self._bytes = 0
        # While no more than this is unfinished in all, a connection's own limits alone count.
        self._roomy = max(0, settings.queue - settings.backlog_per_connection)
        self._roomy_bytes = max(0, settings.queue_bytes - settings.backlog_bytes)

    @property
    def unfinished(self) -> int:
        """How many accepted messages are not finished."""
        return self._messages

    @property
    def unfinished_bytes(self) -> int:
        """The bytes of their lines."""
        return self._bytes

    def account(self, reader: Reader) -> Account:
        """An account for a new connection."""
        return Account(reader)

    def charge(self, job: Job) -> None:
        """Put a message on its connection's account; stops the reader when the account is full."""
        account = job.account
        account.messages += 1
        account.bytes += job.size
        self._messages += 1
        self._bytes += job.size
        if not account.paused and self._over(account, 1.0):
            account.paused = True
            self._paused()
            account.reader.stop_reading()

    def accept(
        self,
        jobs: Sequence[Job],
        dispatch: Callable[[Sequence[Job]], None],
        durable: Callable[[], None] | None = None,
    ) -> None:
        """Accepted is what is in memory: dispatch it."""
        dispatch(jobs)
        if durable is not None:
            durable()

    def started(self, job: Job) -> None:
        """Nobody counts deliveries in memory."""

    def finish(self, job: Job) -> None:
        """A message is finished: it leaves its account, whose reader may go on."""
        account = job.account
        if account.ended is not None:
            account.ended(job.message.id)
        MemoryIntake.leave(self, job)  # the quicker way, and never that of a journal

    def leave(self, job: Job) -> None:
        """A message is given up: it leaves its account, and is lost."""
        if self.trace is not None:
            self.trace(job)
        account = job.account
        account.messages -= 1
        account.bytes -= job.size
        self._messages -= 1
        self._bytes -= job.size
        if account.paused and not self._over(account, DRAINED):
            account.paused = False
            account.reader.start_reading()

    def asks(self, job: Job) -> None:
        """A message waits for somebody's answer: what follows it on its connection must get in."""
        trace, self.trace = self.trace, None  # it has not ended
        MemoryIntake.finish(self, job)
        self.trace = trace

    def _blocks(self, account: Account) -> bool:  # noqa: ARG002 (for an intake that can be stopped)
        """Can nothing be accepted at all?  Asked while nothing is roomy."""
        return False

    def _over(self, account: Account, part: float) -> bool:
        # The account's own share is part of what fills the queue: without it, an account alone in
        # a small queue could never go on.
        settings = self._settings
        if (
            self._messages <= self._roomy
            and self._bytes <= self._roomy_bytes
            and account.messages < settings.backlog_per_connection * part
            and account.bytes < settings.backlog_bytes * part
        ):
            return False
        if self._blocks(account):
            return True
        free = settings.queue - self._messages + account.messages
        limit = max(LEAST_BACKLOG, min(settings.backlog_per_connection, free))
        if account.messages >= limit * part:
            return True
        if account.messages <= 1:
            return False  # however long it is, one message must get through
        free_bytes = settings.queue_bytes - self._bytes + account.bytes
        return account.bytes >= max(0, min(settings.backlog_bytes, free_bytes)) * part
