"""The operator's look into the journal and at what was given up."""

from __future__ import annotations

from collections.abc import Sequence

from relaytw.admin.view import DeadLetterRow, JournalRow, SegmentRow
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey
from relaytw.services.dead_letters import DeadLetters
from relaytw.services.redelivery import Redelivery
from relaytw.store.database import DatabaseAway
from relaytw.store.journal import Journal

_NONE = JournalRow("none", None, (), 0, 0, 0, None, 0, 0, 0)


class Books:
    """What is accepted and not finished, and what never will be; without a journal only the latter."""

    def __init__(
        self, journal: Journal | None, redelivery: Redelivery | None, dead_letters: DeadLetters
    ) -> None:
        self._journal = journal
        self._redelivery = redelivery
        self._dead_letters = dead_letters

    @property
    def problem(self) -> str | None:
        """None while messages can be accepted, else a sentence on why not."""
        return self._journal.problem if self._journal is not None else None

    @property
    def segments(self) -> int:
        """How many files the journal has."""
        return self._journal.segments if self._journal is not None else 0

    @property
    def size(self) -> int:
        """Their bytes."""
        return self._journal.size if self._journal is not None else 0

    @property
    def unfinished(self) -> int:
        """How much in them is not finished."""
        return self._journal.unfinished if self._journal is not None else 0

    def journal(self) -> JournalRow:
        """The figures of the journal."""
        if self._journal is None:
            return _NONE
        row = self._journal.row()
        return JournalRow(
            sync=row.sync,
            problem=row.problem,
            segments=tuple(SegmentRow(*segment) for segment in row.segments),
            bytes=row.bytes,
            unfinished=row.unfinished,
            unfinished_bytes=row.unfinished_bytes,
            oldest=row.oldest,
            bad_records=row.bad_records,
            torn_tails=row.torn_tails,
            loading=self._redelivery.left if self._redelivery is not None else 0,
        )

    async def dead_letters(self, count: int) -> Sequence[DeadLetterRow]:
        """The newest dead letters, newest first.  Raises Unavailable."""
        try:
            letters = await self._dead_letters.newest(count)
        except DatabaseAway as error:
            raise Unavailable(str(error)) from error
        return [DeadLetterRow(*letter[:-1]) for letter in letters]

    async def requeue(self, number: int) -> ClientKey | None:
        """Accept a dead letter again; whose it was, None if there is none.  Raises Unavailable."""
        if self._redelivery is None:
            raise Unavailable("this relay keeps no journal; see [journal] sync and [relay] mode")
        try:
            letter = await self._dead_letters.get(number)
            if letter is None:
                return None
            if not self._redelivery.requeue(letter):
                raise Unavailable(self.problem or "the journal cannot be written")
            await self._dead_letters.drop(number)
        except (DatabaseAway, ValueError) as error:
            raise Unavailable(str(error)) from error
        return letter.client

    async def drop(self, number: int) -> bool:
        """Delete a dead letter; False if there is none.  Raises Unavailable."""
        try:
            return await self._dead_letters.drop(number)
        except DatabaseAway as error:
            raise Unavailable(str(error)) from error
