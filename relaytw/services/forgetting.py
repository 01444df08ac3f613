"""Forgets a person: what they said, and what was answered to it, wherever it is kept."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from relaytw.admin.view import Forgotten
from relaytw.services.writer import RowWriter
from relaytw.store.chat_logs import forget_person
from relaytw.store.database import Transactions
from relaytw.store.times import WallClock

#: Messages forgotten in one transaction, and transactions before whoever asked is told how far it is.
CHUNK = 100
CHUNKS = 10
#: Letters of a hash that may be written down.
SHOWN = 6

#: Somebody else who keeps what people say: forgets a person's, and tells how many messages that were.
Forgetter = Callable[[str], Deferred[int]]


class Forgetting:
    """Deletes the chat of one person; answers come at most `answered_within` seconds after the message.

    `note` writes down who had how much forgotten.
    """

    def __init__(
        self, database: Transactions, writer: RowWriter, wall: WallClock, answered_within: float,
        note: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        self.others: list[Forgetter] = []
        #: Nobody waits any more for what this person says.
        self.left_alone: Callable[[str], None] = lambda _user_hash: None
        self._database = database
        self._writer = writer
        self._wall = wall
        self._answered_within = answered_within
        self._note = note

    async def forget(self, user_hash: str, actor: str) -> Forgotten:
        """Forget some of what this person said; fails with `DatabaseAway`.

        To be asked again while there is more.
        """
        self.left_alone(user_hash)
        # What is to be deleted from the tables must be in them.
        await self._writer.flushed()
        questions, answers, more = 0, 0, True
        for _ in range(CHUNKS):
            said, told = await self._database.run(
                forget_person, user_hash, CHUNK, self._wall, self._answered_within
            )
            questions, answers, more = questions + said, answers + told, said == CHUNK
            if not more:
                break
        if not more:
            for forgetter in self.others:
                questions += await forgetter(user_hash)
        self._note(actor, f"{user_hash[:SHOWN]}…: {questions} messages and {answers} answers to them")
        return Forgotten(questions, answers, more)
