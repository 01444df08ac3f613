"""What the relay counts: plain integers on the hot path, read only when somebody scrapes them.

Each stage is handed the one `Metrics` of its relay and adds to it.  How the figures look outside
(`/metrics`, status page) is the admin package's business.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

#: Upper bounds in seconds; from 50 µs (a bare command) to the processing time-out of 5 minutes.
STAGE_BOUNDS = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip

#: The tables that rows are written to behind everybody's back.
ROW_TABLES = ("kb_chat_logs", "kb_ping_monitor", "kb_system_monitor")


class Histogram:
    """Counts of observations up to each bound, and their sum.  Seconds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = STAGE_BOUNDS) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        # Most of what a relay does ends up in the first bucket.
        self.counts[0 if seconds <= self.bounds[0] else bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class Metrics:
    """Every count of one relay since it started.

    `decode` is observed once a read batch (its mean per line), `wait` from acceptance to the
    handler's start, `process` from there to its end, `send` from a reply's creation to its write.
    `replies_again` counts those of `replies_sent` that did not end with being written: phones that
    acknowledge were given them, or they had ended before.
    """

    __slots__ = (
        "accepted", "answered", "approval_errors", "closes", "connects", "dead_letters", "decode",
        "duplicates", "errors", "failed", "finished", "journal_bad_records", "journal_errors",
        "late_answers", "lines", "lookups_unanswered", "loops", "muted", "outcomes", "overlong_texts",
        "paused", "pauses", "pings", "pongs", "process", "questions", "redelivered", "replies_again",
        "replies_cut",
        "replies_dropped", "replies_renamed", "replies_sent", "restricted", "room_refused", "rows_dropped",
        "rows_refused", "rows_written", "send", "stalls", "state_bad_records", "state_errors", "takeovers",
        "timed_out", "unhandled", "unknown_events", "wait", "webhook_calls", "webhook_failures",
        "webhook_retries",
    )  # fmt: skip

    def __init__(self) -> None:
        self.connects = 0
        self.closes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.takeovers = 0
        self.lines = 0
        self.approval_errors = 0
        self.lookups_unanswered = 0
        self.unknown_events = 0
        self.pings = 0
        self.pongs = 0
        self.accepted = 0
        self.duplicates = 0
        self.loops = 0
        self.restricted = 0
        self.room_refused = 0
        self.paused = 0
        self.muted = 0
        self.overlong_texts = 0
        self.redelivered = 0
        self.dead_letters: Counter[str] = Counter()
        self.journal_errors = 0
        self.journal_bad_records = 0
        self.state_errors = 0
        self.state_bad_records = 0
        self.unhandled = 0
        self.finished = 0
        self.failed = 0
        self.timed_out = 0
        self.late_answers = 0
        self.answered = 0
        self.stalls = 0
        self.pauses = 0
        self.questions: Counter[str] = Counter()
        self.replies_sent = 0
        self.replies_again = 0
        self.replies_cut = 0
        self.replies_renamed = 0
        self.replies_dropped: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.rows_written: Counter[str] = Counter()
        self.rows_dropped: Counter[str] = Counter()
        self.rows_refused: Counter[str] = Counter()
        self.webhook_calls = 0
        self.webhook_failures: Counter[str] = Counter()
        self.webhook_retries = 0
        self.decode = Histogram()
        self.wait = Histogram()
        self.process = Histogram()
        self.send = Histogram()

    @property
    def sent_unconfirmed(self) -> int:
        """How many replies ended with being written, and nobody can say whether they have arrived."""
        return self.replies_sent - self.replies_again + self.outcomes["sent-unconfirmed"]
