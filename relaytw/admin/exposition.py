"""The relay's counts and gauges as Prometheus reads them.

Nothing is kept here: a scrape reads the plain integers of `Metrics` and asks for one overview.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from relaytw.admin.view import Overview, RelayView
from relaytw.messages import CloseReason, ErrorCode, Outcome
from relaytw.metrics import ROW_TABLES, Histogram, Metrics

_LABELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "closes": ("reason", tuple(CloseReason)),
    "errors": ("code", tuple(ErrorCode)),
    "dead_letters": ("reason", ("max_deliveries", "too_old", "unreadable")),
    "outcomes": ("outcome", tuple(one for one in Outcome if one is not Outcome.WAITING)),
    "questions": ("end", ("answered", "timed_out", "replaced", "refused", "ended", "expired")),
    "replies_dropped": ("reason", ()),
    "webhook_failures": (
        "reason",
        ("bad_reply", "broken", "busy", "open", "refused", "server_error", "timeout", "unreachable"),
    ),
    "rows_dropped": ("table", ROW_TABLES),
    "rows_refused": ("table", ROW_TABLES),
    "rows_written": ("table", ROW_TABLES),
}

_COUNTED = {
    "accepted": "Chat messages accepted.",
    "answered": "Messages whose handler gave an answer.",
    "approval_errors": "Times the approvals could not be read from the database, or written to it.",
    "closes": "Connections ended or refused.",
    "connects": "TCP connections accepted.",
    "dead_letters": "Messages that are not run any more, and replies that are not written any more.",
    "decode": "Seconds to decode a line (mean of its read batch).",
    "duplicates": "Messages recognised as sent before, and not run.",
    "errors": "Error packets sent to phones.",
    "failed": "Messages whose handler failed.",
    "finished": "Messages whose handler ended, well or not.",
    "journal_bad_records": "Damaged records found in the journal.",
    "journal_errors": "Failed attempts to write the journal.",
    "late_answers": "Answers that came after their handler was over, and were ignored.",
    "lines": "Lines read from phones.",
    "lookups_unanswered": "Devices and rooms that were looked up and not answered in time.",
    "loops": "Messages of bots that answer each other, taken in and not run.",
    "muted": "Messages of muted rooms, taken in and not run.",
    "outcomes": "Replies that have ended, by what is known of them.",
    "overlong_texts": "Chat texts too long to be handled.",
    "paused": "Messages of paused bots, taken in and not run.",
    "pauses": "Times a connection stopped being read to let its backlog drain.",
    "pings": "Pings sent.",
    "pongs": "Pongs received.",
    "process": "Seconds from the start of a handler to its end.",
    "questions": "Questions that handlers have asked in chats, by what became of them.",
    "redelivered": "Messages given to their handler again after a restart.",
    "replies_again": "Replies written to phones that acknowledge, and those that had been written before.",
    "replies_cut": "Replies cut to the longest text a phone takes.",
    "replies_dropped": "Replies that were given up, by the reason.",
    "replies_renamed": "Texts that went to a new name of their room.",
    "replies_sent": "Replies written to a phone.",
    "restricted": "Messages of devices that are not approved.",
    "room_refused": "Messages of rooms that are not approved.",
    "rows_dropped": "Rows lost because too many waited to be written, or at the stop.",
    "rows_refused": "Rows lost because the database refused them.",
    "rows_written": "Rows written to a table behind everybody's back.",
    "send": "Seconds from a reply's creation to its write.",
    "stalls": "Times a handler held up the reactor for over a second.",
    "state_bad_records": "Damaged records found in what handlers remember.",
    "state_errors": "Failed attempts to write what handlers remember.",
    "takeovers": "Connections that replaced an older one of the same phone.",
    "timed_out": "Messages whose handler ran out of time.",
    "unhandled": "Messages no handler wanted.",
    "unknown_events": "Packets of events the relay does not know.",
    "wait": "Seconds from acceptance to the start of the handler.",
    "webhook_calls": "Requests made to webhooks.",
    "webhook_failures": "Messages that a webhook has not answered.",
    "webhook_retries": "Requests to webhooks that were made again.",
}

_GAUGES = {
    "connections": "TCP connections that hold a slot.",
    "connections_limit": "Slots for TCP connections.",
    "overflow": "Connections waiting in the overflow for a slot.",
    "provisional": "Connections that have yet to prove themselves before they take over.",
    "clients": "Phones connected.",
    "waiting": "Accepted messages that have not started.",
    "waiting_bytes": "Bytes of accepted messages that have not started.",
    "running": "Messages being handled.",
    "consumers": "Consumers that work the queue.",
    "lanes": "Rooms with messages waiting or running.",
    "outbox": "Replies that wait for their phone.",
    "outbox_bytes": "Bytes of replies that wait for their phone.",
    "journal_segments": "Files of the journal.",
    "journal_bytes": "Bytes of all of them.",
    "journal_unfinished": "Messages and replies in the journal that are not finished.",
    "penalties": "Clients in the penalty box.",
    "memory_bytes": "Resident memory of the relay.",
    "rows_waiting": "Rows that wait to be written.",
    "rows_waiting_bytes": "About the memory they take.",
    "database_up": "1 when the database answers.",
}


class RelayCollector(Collector):
    """Reads one relay whenever somebody scrapes it."""

    def __init__(self, view: RelayView, metrics: Metrics) -> None:
        self._view = view
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Every figure of the relay as it is now."""
        yield from _gauges(self._view.overview(), ready=self._view.ready() is None)
        for name in self._metrics.__slots__:
            value = getattr(self._metrics, name)
            if name == "outcomes":
                # Most replies end unsaid; how many is computed.
                value = Counter({**value, Outcome.SENT: self._metrics.sent_unconfirmed})
            yield _counted(name, value)


def exposition(view: RelayView, metrics: Metrics) -> CollectorRegistry:
    """A registry of this relay alone, with the usual figures of its process."""
    registry = CollectorRegistry(auto_describe=False)
    # A collector without `describe` is not asked anything until the first scrape.
    registry.register(RelayCollector(view, metrics))
    ProcessCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """The text of one scrape."""
    return generate_latest(registry)


def _gauges(overview: Overview, *, ready: bool) -> Iterator[Metric]:
    about = GaugeMetricFamily(
        "relaytw_info", "What is running, as labels.", labels=("name", "version", "mode")
    )
    about.add_metric((overview.name, overview.version, overview.mode), 1)
    yield about
    yield GaugeMetricFamily("relaytw_ready", "1 when phones are served.", value=int(ready))
    yield GaugeMetricFamily(
        "relaytw_start_time_seconds", "When the relay started, since the epoch.", value=overview.started_at
    )
    yield CounterMetricFamily(
        "relaytw_database_errors",
        "Transactions that failed because the database was away.",
        value=overview.database_errors,
    )
    circuit = GaugeMetricFamily(
        "relaytw_webhook_closed", "1 when a webhook's circuit is closed: it is asked.", labels=("webhook",)
    )
    for row in overview.webhooks:
        circuit.add_metric((row.name,), int(row.state == "closed"))
    yield circuit
    for name, text in _GAUGES.items():
        yield GaugeMetricFamily(f"relaytw_{name}", text, value=getattr(overview, name))


def _counted(name: str, value: int | Counter[str] | Histogram) -> Metric:
    text = _COUNTED.get(name, f"Count of {name.replace('_', ' ')}.")
    if isinstance(value, Histogram):
        bounds = [*map(str, value.bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(value.counts), strict=True))
        return HistogramMetricFamily(f"relaytw_{name}_seconds", text, buckets=buckets, sum_value=value.total)
    if isinstance(value, Counter):
        label, known = _LABELS.get(name, ("kind", ()))
        family = CounterMetricFamily(f"relaytw_{name}", text, labels=(label,))
        for key, count in {**dict.fromkeys(known, 0), **value}.items():
            family.add_metric((str(key),), count)
        return family
    return CounterMetricFamily(f"relaytw_{name}", text, value=value)
