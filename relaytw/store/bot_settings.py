"""Bots' settings in their table: read whole, made with the usual values, changed one by one.

Every function here is one transaction.  What somebody has written into the table by hand may be
anything: a value that cannot be used counts as not set, or, where that would allow more than was
meant, as the least.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects import mysql, sqlite

from relaytw.settings import BotSettings, ChatLogPolicy
from relaytw.store.schema import audit, bots
from relaytw.store.statements import Insert, Statement, Transaction
from relaytw.store.urls import Engine

#: The longest name of a bot that the table holds.
NAME_CHARS = 30
#: A bot's row as it was read: comparing two is cheaper than understanding one.
Row = tuple[Any, ...]

_COLUMNS = {
    "prefix": bots.c.prefix,
    "admins": bots.c.admins,
    "per_bot": bots.c.per_bot,
    "per_room": bots.c.per_room,
    "chat_log": bots.c.chat_log,
    "line_bytes": bots.c.max_message_size,
    "image_width": bots.c.image_width,
    "paused": bots.c.paused,
}
_ROW = select(bots.c.bot_name, *_COLUMNS.values())
_EVERYONE = Statement(_ROW.order_by(bots.c.bot_name).limit(bindparam("most")))
_ONE = Statement(_ROW.where(bots.c.bot_name == bindparam("bot")))
_COUNT = Statement(select(func.count()).select_from(bots))
_NEW: dict[str, Any] = {
    "bot_name": bindparam("bot"),
    "created_at_ms": bindparam("at_ms"),
    "updated_at_ms": bindparam("at_ms"),
}
_CREATE = Statement(
    sqlite.insert(bots).values(_NEW).on_conflict_do_nothing(),
    {Engine.MYSQL: mysql.insert(bots).values(_NEW).on_duplicate_key_update(bot_name=bots.c.bot_name)},
)
_SET = {
    name: Statement(
        update(bots)
        .where(bots.c.bot_name == bindparam("bot"))
        .values({column: bindparam("value"), bots.c.updated_at_ms: bindparam("at_ms")})
    )
    for name, column in _COLUMNS.items()
}
_AUDIT = Insert(audit, ("at_ms", "actor", "act", "bot_name", "detail"))


class TooManyBots(Exception):
    """The table holds as many bots as it may."""


class Read(NamedTuple):
    """A row as it was understood; `faults` says of each value that cannot be used what is allowed."""

    settings: BotSettings
    faults: dict[str, str]


def storable(bot: str) -> bool:
    """Can the table hold this name, and tell it from every other?"""
    # To MySQL a name with a space behind it is the same name.
    try:
        bot.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(bot) <= NAME_CHARS and bot == bot.strip()


def read_all(transaction: Transaction, new: Sequence[str], most: int, at_ms: int) -> list[Row]:
    """Every row, at most so many, those of `new` bots made first; of more than fit the last are left out."""
    if new:
        _create(transaction, new, most, at_ms)
    return transaction.all(_EVERYONE, most=most)


def change(
    transaction: Transaction, bot: str, values: Mapping[str, object], actor: str, most: int, at_ms: int
) -> Row:
    """Change these of a bot's settings, and its row as it is then.

    Nothing else in the row is touched, and the act is written down.  Raises TooManyBots.
    """
    _create(transaction, [bot], most, at_ms)
    for name, value in values.items():
        transaction.run(_SET[name], bot=bot, value=_stored(value), at_ms=at_ms)
    row = transaction.one(_ONE, bot=bot)
    if row is None:
        raise TooManyBots
    detail = json.dumps({name: _told(value) for name, value in values.items()}, ensure_ascii=False)
    note(transaction, actor, "set bot", bot, detail, at_ms)
    return row


def note(
    transaction: Transaction, actor: str, act: str, bot: str | None, detail: str | None, at_ms: int
) -> None:
    """Write down what somebody did."""
    _AUDIT.run(transaction, [(at_ms, actor[:100], act, bot, detail)])


def understand(row: Row) -> Read:
    """What a row says, and what in it cannot be used."""
    bot, *stored = row
    values, faults = {}, {}
    for name, value in zip(_COLUMNS, stored, strict=True):
        try:
            values[name] = _READERS[name](value)
        except ValueError as error:
            values[name] = _INSTEAD.get(name)
            faults[name] = str(error)
    usual = BotSettings(bot)
    known = {name: getattr(usual, name) if value is None else value for name, value in values.items()}
    settings = BotSettings(bot, **known)
    for name, fault in settings.faults().items():
        faults[name], known[name] = fault, _INSTEAD.get(name, getattr(usual, name))
    return Read(BotSettings(bot, **known) if faults else settings, faults)


def _create(transaction: Transaction, names: Sequence[str], most: int, at_ms: int) -> None:
    count = transaction.one(_COUNT)
    room = most - int(count[0]) if count is not None else 0
    for name in names[: max(0, room)]:
        transaction.run(_CREATE, bot=name, at_ms=at_ms)


def _stored(value: object) -> object:
    if isinstance(value, frozenset):
        return json.dumps(sorted(value), ensure_ascii=False)
    return int(value) if isinstance(value, bool) else value


def _told(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else value


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    if value is None or isinstance(value, int):
        return value
    raise ValueError("must be a whole number")


def _yes(value: object) -> bool:
    return bool(_number(value))


def _names(value: object) -> frozenset[str]:
    if value is None or value == "":
        return frozenset()
    try:
        names = json.loads(str(value))
    except (ValueError, RecursionError):
        names = None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        return frozenset(names)
    raise ValueError('must be a list of user hashes in JSON, such as ["a1b2"]')


def _policy(value: object) -> ChatLogPolicy | None:
    word = str(value or "").strip().lower()
    if not word:
        return None
    try:
        return ChatLogPolicy(word)
    except ValueError:
        raise ValueError(f"must be one of {', '.join(ChatLogPolicy)}") from None


_READERS: Mapping[str, Any] = {
    "prefix": _text,
    "admins": _names,
    "per_bot": _number,
    "per_room": _number,
    "chat_log": _policy,
    "line_bytes": _number,
    "image_width": _number,
    "paused": _yes,
}
#: Who cannot say what is to be kept of a chat has nothing kept.
_INSTEAD: Mapping[str, Any] = {"chat_log": ChatLogPolicy.NONE}
