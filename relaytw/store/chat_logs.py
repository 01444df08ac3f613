"""`kb_chat_logs`: what was said, and what the relay answered.

Text that is not there is "", since old tables take no NULL in it.  A message and what was answered to
it have one `trace_id`.
"""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import bindparam, select

from relaytw.messages import Chat, ClientKey, Media, Message, Part, Reply, Text
from relaytw.store.expiry import delete_by_id, run_by_id
from relaytw.store.rows import Row, RowKind, storable
from relaytw.store.schema import chat_logs as table
from relaytw.store.statements import Insert, Statement, Transaction
from relaytw.store.times import WallClock

COLUMNS = (
    "channel_id", "user_hash", "room_name", "sender", "message", "directive", "message_type",
    "is_meaningful", "bot_name", "is_mention", "is_group_chat", "log_id", "client_timestamp",
    "server_timestamp", "is_bot", "is_our_bot_response", "is_scheduled", "created_at", "device_id",
    "trace_id", "is_cut",
)  # fmt: skip
USER_HASH, MESSAGE, TRACE = (COLUMNS.index(name) for name in ("user_hash", "message", "trace_id"))
CHAT_LOGS = RowKind(table.name, Insert(table, COLUMNS), MESSAGE, COLUMNS.index("is_cut"))

#: Bytes of a message in UTF-8 that fit into a statement whatever the server's `max_allowed_packet` is.
MOST_BYTES = 500_000
#: What the app shows in place of what it cannot show, and what says nothing by itself.
PLACEHOLDERS = frozenset(
    {"사진", "동영상", "이모티콘", "음성메시지", "(사진)", "(동영상)", "(이모티콘)", "삭제된 메시지입니다.",
     "사진을 보냈습니다.", "동영상을 보냈습니다.", "이모티콘을 보냈습니다.", "Photo", "Video", "Emoticon"}
)  # fmt: skip
#: How many names of a kind are kept.
_NAMES = 2_000
#: A letter or a digit of any script; looked for in the beginning of a text alone.
_WORD = re.compile(r"[^\W_]")
_LOOKED_AT = 1000
#: What phones give as a time before this is nonsense.
_EARLIEST = datetime(1970, 1, 1)  # noqa: DTZ001 (phones give wall time)


class _Names(dict[str | None, str]):
    """Names as their column stores them, kept for the next row: rooms and people say more than one thing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width

    def __missing__(self, name: str | None) -> str:
        stored = storable(name or "", self._width)
        if len(self) >= _NAMES:
            self.clear()
        if name is None or len(name) <= self._width:
            self[name] = stored
        return stored


class ChatRows:
    """Makes rows; times are of the zone of `wall`, messages are cut to `MOST_BYTES` in UTF-8.

    What an old column cannot hold of them is cut when they are written.
    """

    def __init__(self, wall: WallClock) -> None:
        self._wall = wall
        self._channels, self._people = _Names(50), _Names(100)
        self._rooms, self._directives = _Names(255), _Names(30)
        self._phone_time = ""
        self._phone_time_stored: str | None = None

    def question(
        self, client: ClientKey, chat: Chat, trace: str, at: float, directive: str, *, with_text: bool
    ) -> Row:
        """The row of a chat message that came in `at` so many seconds since the epoch."""
        text, now = chat.text, self._wall.text(at)
        message, is_cut = _fitting(text) if with_text else ("", 0)
        if chat.timestamp != self._phone_time:
            self._note_phone_time(chat.timestamp)
        return (
            self._channels[chat.channel_id],
            self._people[chat.user_hash],
            self._rooms[chat.room],
            self._people[chat.sender],
            message,
            self._directives[directive],
            "command" if directive else "text",
            1 if directive else is_meaningful(text),
            client.bot,
            1 if chat.is_mention else 0,
            1 if chat.is_group_chat else 0,
            storable(chat.log_id or "", 50),
            self._phone_time_stored,
            now,
            0,
            0,
            0,
            now,
            client.device,
            trace,
            is_cut,
        )

    def answer(self, message: Message, part: Part, at: float, chars: int, *, with_text: bool) -> Row:
        """The row of one part of an answer, of which the phone gets at most `chars` characters."""
        text, now, client = in_words(part), self._wall.text(at), message.client
        shown, is_cut = _fitting(text[:chars]) if with_text else ("", 0)
        return (
            self._channels[message.channel_id],
            "",
            self._rooms[message.room],
            client.bot,
            shown,
            "",
            "text",
            is_meaningful(text),
            client.bot,
            0,
            1 if message.is_group_chat else 0,
            "",
            None,
            now,
            1,
            1,
            0,
            now,
            client.device,
            message.trace,
            1 if with_text and len(text) > chars else is_cut,
        )

    def pushed(self, reply: Reply, at: float, chars: int, *, with_text: bool) -> Row:
        """The row of what nobody had asked for; `is_scheduled`, whoever wanted it said."""
        text, now, client = in_words(reply.part), self._wall.text(at), reply.client
        shown, is_cut = _fitting(text[:chars]) if with_text else ("", 0)
        return (
            self._channels[reply.channel_id], "", self._rooms[reply.room], client.bot, shown, "", "text",
            is_meaningful(text), client.bot, 0, 0, "", None, now, 1, 1, 1, now, client.device, reply.trace,
            1 if with_text and len(text) > chars else is_cut,
        )  # fmt: skip

    def _note_phone_time(self, given: str) -> None:
        # Phones say the same second again and again.
        self._phone_time, self._phone_time_stored = given, None
        try:
            at = datetime.fromisoformat(given)
            if at.tzinfo is None:
                self._phone_time_stored = at.isoformat(" ", "seconds") if at >= _EARLIEST else None
            elif at.timestamp() >= 0:
                self._phone_time_stored = self._wall.text(at.timestamp())
        except (ValueError, OverflowError):
            return


def _fitting(text: str) -> tuple[str, int]:
    if not text.isprintable():
        text = storable(text, len(text))
    if len(text) * 4 <= MOST_BYTES:
        return text, 0
    data = text.encode()
    if len(data) <= MOST_BYTES:
        return text, 0
    return data[:MOST_BYTES].decode("utf-8", "ignore"), 1


def is_meaningful(text: str) -> int:
    """1 if the text has a letter or a digit and is not what the app shows in place of a medium."""
    return 1 if _WORD.search(text, 0, _LOOKED_AT) is not None and text not in PLACEHOLDERS else 0


def in_words(part: Part) -> str:
    """A part of an answer as text: media by their addresses, or by their kind and number."""
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Media) and isinstance(part.sources[0], str):
        return "\n".join(map(str, part.sources))
    count = len(part.sources)
    return f"[{part.kind} x{count}]" if count > 1 else f"[{part.kind}]"


# -- what was said by one person


_OF_PERSON = Statement(
    select(table.c.id, table.c.channel_id, table.c.created_at, table.c.trace_id)
    .where(table.c.user_hash == bindparam("user_hash"))
    .limit(bindparam("limit"))
)
_ANSWERS = Statement(
    select(table.c.id)
    .where(table.c.channel_id == bindparam("channel_id"))
    .where(table.c.created_at >= bindparam("since"))
    .where(table.c.created_at <= bindparam("until"))
    .where(table.c.trace_id == bindparam("trace_id"))
    .where(table.c.is_our_bot_response == bindparam("ours"))
)
_DELETE = delete_by_id(table)


def forget_person(
    transaction: Transaction, user_hash: str, limit: int, wall: WallClock, answered_within: float
) -> tuple[int, int]:
    """Delete up to `limit` messages of one person and what was answered to them; how many of each.

    Answers are looked for in the room's rows of the `answered_within` seconds after the message.
    """
    found = transaction.all(_OF_PERSON, user_hash=user_hash, limit=limit)
    answers: list[int] = []
    for _, channel_id, created_at, trace in found:
        if trace:
            at = wall.seconds(created_at)
            rows = transaction.all(
                _ANSWERS, channel_id=channel_id, trace_id=trace,
                since=wall.text(at), until=wall.text(at + answered_within), ours=1,
            )  # fmt: skip
            answers += [row[0] for row in rows]
    questions = {row[0] for row in found}
    run_by_id(transaction, _DELETE, sorted(questions))
    return len(questions), run_by_id(transaction, _DELETE, sorted(set(answers) - questions))
