"""What was given up, for somebody to look at: messages, and replies without what they say.

Here are the table's transactions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, func, select

from relaytw.messages import ClientKey
from relaytw.store.erasing import SaidBy
from relaytw.store.records import Accepted
from relaytw.store.schema import dead_letters as table
from relaytw.store.statements import Insert, Statement, Transaction

#: Why a message is not run: it never finished, it is too old, or its line cannot be read any more.
REASONS = ("max_deliveries", "too_old", "unreadable")


class DeadLetter(NamedTuple):
    """A message or a reply that was given up.  Times in seconds since the epoch.

    `id` is 0 before it is stored.  A reply has its own id for a `message_id` and no `line`.
    """

    id: int
    at: float
    reason: str
    client: ClientKey
    room_id: str
    message_id: str
    trace: str
    text: str
    deliveries: int
    received_at: float
    line: bytes

    def accepted(self) -> Accepted:
        """The message as it would be written into the journal now."""
        return Accepted(
            0, 1, self.received_at, 0, 0, 0, self.client, self.room_id, self.message_id, self.trace, self.line
        )


_COLUMNS = (
    "at_ms", "reason", "bot_name", "device_id", "room_id", "message_id", "trace_id", "text", "deliveries",
    "received_at_ms", "line",
)  # fmt: skip
_shown = [table.c[name] for name in ("id", *_COLUMNS)]
_INSERT = Insert(table, _COLUMNS)
_NEWEST = Statement(select(func.max(table.c.id)))
_TRIM = Statement(delete(table).where(table.c.id <= bindparam("id")))
_LIST = Statement(select(*_shown).order_by(table.c.id.desc()).limit(bindparam("count")))
_EVERY = Statement(select(*_shown))
_GET = Statement(select(*_shown).where(table.c.id == bindparam("id")))
_DELETE = Statement(delete(table).where(table.c.id == bindparam("id")))


def insert(transaction: Transaction, letters: Sequence[DeadLetter], keep: int) -> None:
    """Store these letters, and of all no more than about `keep`."""
    _INSERT.run(transaction, [_row(letter) for letter in letters])
    newest = transaction.one(_NEWEST)
    if newest is not None and newest[0] is not None:
        transaction.run(_TRIM, id=newest[0] - keep)


def newest(transaction: Transaction, count: int) -> list[DeadLetter]:
    """The newest letters, newest first."""
    return [_letter(row) for row in transaction.all(_LIST, count=count)]


def get(transaction: Transaction, id: int) -> DeadLetter | None:  # noqa: A002 (the column's name)
    """One letter."""
    row = transaction.one(_GET, id=id)
    return None if row is None else _letter(row)


def drop(transaction: Transaction, id: int) -> bool:  # noqa: A002 (the column's name)
    """Delete one letter; False if there is none."""
    return transaction.run(_DELETE, id=id) > 0


def forget(transaction: Transaction, said_by: SaidBy) -> int:
    """Delete the letters that are somebody's; how many."""
    numbers = [
        letter.id for letter in map(_letter, transaction.all(_EVERY)) if letter.line and said_by(letter.line)
    ]
    for number in numbers:
        drop(transaction, number)
    return len(numbers)


def _row(letter: DeadLetter) -> tuple[object, ...]:
    return (
        int(letter.at * 1000),
        letter.reason,
        _fit(letter.client.bot, 30),
        _fit(letter.client.device, 100),
        _fit(letter.room_id, 100),
        _fit(letter.message_id, 100),
        _fit(letter.trace, 40),
        _fit(letter.text, 1_000_000),
        letter.deliveries,
        int(letter.received_at * 1000),
        letter.line.decode("utf-8", "replace"),
    )


def _letter(row: tuple[object, ...]) -> DeadLetter:
    number, at, reason, bot, device, room, name, trace, text, deliveries, received, line = row
    return DeadLetter(
        _int(number), _int(at) / 1000, str(reason), ClientKey(str(bot), str(device)), str(room), str(name),
        str(trace), str(text), _int(deliveries), _int(received) / 1000,
        str(line).encode(),
    )  # fmt: skip


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _fit(text: str, length: int) -> str:
    # Half of a surrogate pair is nothing that a database takes.
    return text.encode("utf-8", "replace").decode()[:length]
