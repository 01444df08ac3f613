"""What became of each message, stage by stage, for whoever asks for it later: times and names, no text.

The hot path appends one tuple for a message, when it has ended, and one for a reply that was not simply
written; once a second a thread puts them into files.  If it cannot, they are lost, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.daemons import DaemonThreads
from relaytw.intake import Job
from relaytw.messages import Reply
from relaytw.metrics import Metrics
from relaytw.services.loops import Regularly
from relaytw.store.syncing import InThread
from relaytw.store.trace_files import Found, MessageTrace, ReplyTrace, Traced, TraceFiles

#: Records that may wait to be written.
WAITING = 100_000
#: Seconds between two writes, and between two log lines about what was lost.
EVERY = 1.0
COMPLAIN_EVERY = 60.0


class TraceLog(Regularly):
    """Notes what becomes of messages and replies.  `now` gives seconds since the epoch."""

    name = "trace"
    namespace = "relaytw.trace"

    def __init__(
        self,
        clock: IReactorTime,
        files: TraceFiles,
        in_thread: InThread,
        pool: DaemonThreads | None,
        now: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        super().__init__(clock, EVERY)
        self._files = files
        self._in_thread = in_thread
        self._pool = pool
        self._now = now
        self._metrics = metrics
        self._waiting: list[Traced] = []
        self._writing: Deferred[None] | None = None
        self._complained = -COMPLAIN_EVERY
        self._trace_log = Logger(namespace=self.namespace)

    # -- the hot path

    def message(self, job: Job) -> None:
        """A message has ended, or was given up."""
        message, waiting = job.message, self._waiting
        if len(waiting) >= WAITING:
            self._metrics.rows_dropped["trace"] += 1
            return
        waiting.append((
            message.trace, message.id, message.client, message.room, message.channel_id,
            message.received_at, job.accepted_at, job.started_at, self.clock.seconds(), message.said,
            message.redelivered, job.size,
        ))  # fmt: skip

    def reply(self, reply: Reply, stage: str, why: str, written_at: float | None) -> None:
        """A reply has to wait, or has ended; `written_at` on the relay's clock."""
        if len(self._waiting) >= WAITING:
            self._metrics.rows_dropped["trace"] += 1
            return
        self._waiting.append(
            (reply.trace, reply.id, reply.client, stage, why, written_at, self.clock.seconds())
        )

    # -- Service

    def startService(self) -> None:
        """Begin to write."""
        if self._pool is not None:
            self._pool.start()
        super().startService()

    def stopService(self) -> Deferred[None] | None:
        """Write the rest; fires when that is done."""
        super().stopService()
        last = self._writing if self._writing is not None else succeed(None)
        last.addCallback(lambda _: self.work())
        return last.addBoth(self._stopped)

    def work(self) -> Deferred[None]:
        """Write what waits.  If that fails it is lost."""
        if not self._waiting or self._writing is not None:
            return succeed(None)
        batch, self._waiting = self._waiting, []
        offset = self._now() - self.clock.seconds()
        writing = self._in_thread(lambda: self._files.write(batch, offset))
        writing.addErrback(self._not_written, len(batch))
        writing.addBoth(self._written)
        done: Deferred[None] = Deferred()
        self._writing = done if not writing.called else None
        writing.addCallback(done.callback)
        return done

    # -- the operator

    def find(self, name: str) -> Deferred[Found]:
        """What is known of the message, or the replies, of this id or trace; fails with OSError."""
        return self.work().addCallback(lambda _: self._in_thread(lambda: self._files.find(name)))

    # -- inside

    def _written(self, _: object) -> None:
        self._writing = None

    def _not_written(self, failure: Failure, count: int) -> None:
        self._metrics.rows_dropped["trace"] += count
        now = self.clock.seconds()
        if now - self._complained >= COMPLAIN_EVERY:
            self._complained = now
            self._trace_log.warn(
                "what became of {count} messages and replies cannot be written down: {why}",
                count=count, why=failure.getErrorMessage(),
            )  # fmt: skip

    def _stopped(self, _: object) -> None:
        if self._pool is not None:
            self._pool.stop()


__all__ = ["Found", "MessageTrace", "ReplyTrace", "TraceLog"]
