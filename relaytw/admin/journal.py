"""The journal and the messages that were given up, as typed JSON."""

from __future__ import annotations

import msgspec

from relaytw.admin.view import DeadLetterRow, JournalRow


class Segment(msgspec.Struct, frozen=True):
    """A file of the journal."""

    name: str
    bytes: int
    unfinished: int


class Journal(msgspec.Struct, frozen=True):
    """The journal; `loading` counts messages of an earlier run that are not in their lanes yet."""

    sync: str
    problem: str | None
    segments: list[Segment]
    bytes: int
    unfinished: int
    unfinished_bytes: int
    oldest: float | None
    bad_records: int
    torn_tails: int
    loading: int

    @classmethod
    def of(cls, row: JournalRow) -> Journal:
        """The shape of a row."""
        return msgspec.convert(
            {**row._asdict(), "segments": [segment._asdict() for segment in row.segments]}, cls
        )


class DeadLetter(msgspec.Struct, frozen=True):
    """A message that is not run any more, and why."""

    id: int
    at: float
    reason: str
    bot: str
    device: str
    room_id: str
    message_id: str
    trace: str
    text: str
    deliveries: int
    received_at: float

    @classmethod
    def of(cls, row: DeadLetterRow) -> DeadLetter:
        """The shape of a row."""
        return cls(
            row.id, row.at, row.reason, *row.client, row.room_id, row.message_id, row.trace, row.text,
            row.deliveries, row.received_at,
        )  # fmt: skip


class DeadLetterId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letter."""

    id: int
