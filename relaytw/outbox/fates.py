"""What becomes of replies: each ends once, and whoever wants to know is told.

A reply to a phone that acknowledges ends when the phone says so.  One to any other phone ends when it
is written first, for nobody will ever know more; written again, it does not end again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from relaytw.boxes import Entry, Ledger, is_unasked
from relaytw.messages import ClientKey, Outcome, Reply
from relaytw.metrics import Metrics

#: Is told of a reply that has ended, how, and why.
Settled = Callable[[Reply, Outcome, str], None]
#: Is told of a reply that will not be written (again), and why.
Dropped = Callable[[Reply, str], None]

#: Is told what happened to a reply, why, and when it was written before.
Noted = Callable[[Reply, str, str, float | None], None]

#: What a reply that was never written has come to; anything else has failed.
_NEVER_WRITTEN: Mapping[str, Outcome] = {"expired": Outcome.EXPIRED, "outbox_full": Outcome.EXPIRED}


class Fates:
    """Ends replies, and has the ledger keep those that have not ended."""

    #: Is told of what happens to replies that were not simply written, if anybody wants to know.
    noted: Noted | None = None

    def __init__(self, metrics: Metrics, dropped: Dropped, settled: Settled, ledger: Ledger | None) -> None:
        self._metrics = metrics
        self._dropped = dropped
        self._settled = settled
        self._ledger = ledger

    def kept(self, entry: Entry, age: float) -> Entry:
        """The entry as the ledger knows it from now on; it has waited for `age` seconds."""
        if self.noted is not None and not entry.written and not entry.number:
            self.noted(entry.reply, Outcome.WAITING, "", None)
        ledger = self._ledger
        if ledger is None:
            return entry
        before = entry.number
        number = ledger.waits(entry.reply, age, spaced=entry.spaced, written=entry.written, told=entry.told)
        if before:
            ledger.left(before, None)
        return entry._replace(number=number)

    def sent(self, entry: Entry) -> Entry:
        """It is on its way to a phone that acknowledges nothing: the ledger need not know it any more."""
        if entry.number and self._ledger is not None:
            self._ledger.left(entry.number, entry.reply.client)
            entry = entry._replace(number=0)
        if entry.told:
            self._metrics.replies_again += 1
            return entry
        if is_unasked(entry.reply):
            self._settled(entry.reply, Outcome.SENT, "")
        if self.noted is not None:
            self.noted(entry.reply, Outcome.SENT, "", None)
        return entry._replace(written=True, told=True)

    def confirmed(self, entry: Entry) -> None:
        """The phone has typed it."""
        self._leave(entry, None)
        self._end(entry, Outcome.CONFIRMED, "")

    def failed(self, entry: Entry, code: str, why: str) -> None:
        """The phone cannot type it."""
        self._metrics.replies_dropped[code] += 1
        self._leave(entry, None)
        self._dropped(entry.reply, code)
        self._end(entry, Outcome.FAILED, f"{code}: {why}" if why else code)

    def drop(self, entry: Entry, why: str) -> None:
        """It is not written any more; if it was, nobody can say whether it has arrived."""
        if entry.written and not entry.told and why == "expired":
            why = "unconfirmed"
        self._metrics.replies_dropped[why] += 1
        self._leave(entry, None)
        self._dropped(entry.reply, why)
        outcome = Outcome.SENT if entry.written else _NEVER_WRITTEN.get(why, Outcome.FAILED)
        self._end(entry, outcome, why)

    def _leave(self, entry: Entry, client: ClientKey | None) -> None:
        if entry.number and self._ledger is not None:
            self._ledger.left(entry.number, client)

    def _end(self, entry: Entry, outcome: Outcome, why: str) -> None:
        if not entry.told:
            self._metrics.outcomes[outcome] += 1
            self._settled(entry.reply, outcome, why)
            if self.noted is not None:
                self.noted(entry.reply, outcome, why, entry.at if entry.written else None)
