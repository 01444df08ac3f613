"""Rows of the chat log: every column as the back office reads it, whatever a phone has sent."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import Chat, ClientKey, Media, Message, Part, Text
from relaytw.store.chat_logs import (
    _NAMES,
    CHAT_LOGS,
    COLUMNS,
    MOST_BYTES,
    ChatRows,
    forget_person,
    is_meaningful,
)
from relaytw.store.rows import Row, write_rows
from relaytw.store.schema import chat_logs
from relaytw.store.times import WallClock
from relaytw.testing import MemoryDatabase

CLIENT = ClientKey("bot", "phone")
AT = 1_752_548_400.0  # 12:00 in Seoul
NOON = "2025-07-15 12:00:00"
WALL = WallClock("Asia/Seoul")
_WIDTHS = {column.name: getattr(column.type, "length", None) for column in chat_logs.columns}


def chat(**about: Any) -> Chat:
    """A chat message of a phone."""
    usual: dict[str, Any] = {
        "room": "방", "text": "# echo 안녕", "sender": "Ada", "channel_id": "100", "log_id": "7",
        "user_hash": "hash", "is_group_chat": True, "is_mention": False, "timestamp": "2025-07-15T11:59:58",
        "auth": None,
    }  # fmt: skip
    return Chat(**{**usual, **about})


def question(given: Chat, *, trace: str = "t-1", at: float = AT, with_text: bool = True) -> Row:
    """The row of a message."""
    return ChatRows(WALL).question(CLIENT, given, trace, at, "# echo", with_text=with_text)


def answer(
    part: Part, *, trace: str = "t-1", at: float = AT, chars: int = 65_000, with_text: bool = True
) -> Row:
    """The row of an answer."""
    context: Any = None
    message = Message(
        "id", trace, CLIENT, "방", "100", "text", "Ada", "hash", True, False, False, AT, False, context
    )  # fmt: skip
    return ChatRows(WALL).answer(message, part, at, chars, with_text=with_text)


def named(row: Row) -> dict[str, Any]:
    """A row by its columns."""
    return dict(zip(COLUMNS, row, strict=True))


class QuestionTests(SynchronousTestCase):
    def test_columns(self) -> None:
        """Everything that is known of a message is in its row, times as wall time."""
        row = named(question(chat()))
        expected = {
            "channel_id": "100", "user_hash": "hash", "room_name": "방", "sender": "Ada",
            "message": "# echo 안녕", "directive": "# echo", "message_type": "command", "is_meaningful": 1,
            "bot_name": "bot", "is_mention": 0, "is_group_chat": 1, "log_id": "7",
            "client_timestamp": "2025-07-15 11:59:58", "server_timestamp": NOON, "is_bot": 0,
            "is_our_bot_response": 0, "is_scheduled": 0, "created_at": NOON, "device_id": "phone",
            "trace_id": "t-1", "is_cut": 0,
        }  # fmt: skip
        self.assertEqual(row, expected)

    def test_metadata(self) -> None:
        """Without its text all the rest is there."""
        whole, without = named(question(chat())), named(question(chat(), with_text=False))
        self.assertEqual(without, {**whole, "message": ""})

    def test_what_is_missing(self) -> None:
        """What a phone does not say is empty text, for old tables refuse NULL."""
        row = named(question(chat(channel_id=None, log_id=None, user_hash=None)))
        self.assertEqual((row["channel_id"], row["log_id"], row["user_hash"]), ("", "", ""))

    def test_phones_times(self) -> None:
        """A phone's time is kept as it gave it, in the tables' zone if it named another; nonsense is NULL."""
        for given_time, stored in (
            ("2025-07-15 11:59:58.123", "2025-07-15 11:59:58"),
            ("2025-07-15T02:59:58+00:00", "2025-07-15 11:59:58"),
            ("0001-01-01 00:00:00", None),
            ("gestern", None),
            ("", None),
            ("9999-12-31T23:59:59-23:59", None),
        ):
            self.assertEqual(
                named(question(chat(timestamp=given_time)))["client_timestamp"], stored, given_time
            )

    def test_cut(self) -> None:
        """A text that its column cannot hold is cut between characters, and marked."""
        row = named(question(chat(text="가" * MOST_BYTES)))
        self.assertEqual((row["message"], row["is_cut"]), ("가" * (MOST_BYTES // 3), 1))
        row = named(question(chat(text="👍" * 65_000)))
        self.assertEqual((len(row["message"]), row["is_cut"]), (65_000, 0))
        row = named(question(chat(text="x" * (MOST_BYTES + 1))))
        self.assertEqual((len(row["message"]), row["is_cut"]), (MOST_BYTES, 1))

    def test_names_are_kept_within_bounds(self) -> None:
        """However many rooms and people there are, little is kept of them, and each has its own name."""
        rows = ChatRows(WALL)
        for number in range(3 * _NAMES):
            given_chat = chat(room=f"room {number}", sender="x" * 200, channel_id=None)
            row = named(rows.question(CLIENT, given_chat, "t", AT, "", with_text=True))
            self.assertEqual((row["room_name"], row["channel_id"]), (f"room {number}", ""))
            self.assertEqual(row["sender"], "x" * 100)
        self.assertLessEqual(len(rows._rooms), _NAMES)
        self.assertNotIn("x" * 200, rows._people)

    @given(st.text(st.characters(), max_size=300), st.text(max_size=30))
    def test_anything(self, text: str, at: str) -> None:
        """Whatever a phone says, the row fits the columns and can be stored."""
        given_chat = chat(
            room=text, sender=text, text=text, channel_id=text, user_hash=text, log_id=text, timestamp=at
        )
        row = question(given_chat)
        for name, value in named(row).items():
            if isinstance(value, str):
                value.encode()
                self.assertLessEqual(len(value), _WIDTHS[name] or len(value))
        database = MemoryDatabase()
        self.assertEqual(database.now(write_rows, [(CHAT_LOGS, [row])]), [])


class MeaningTests(SynchronousTestCase):
    def test_meaningful(self) -> None:
        """Letters and digits of any script mean something; signs, emoji and the app's placeholders do not."""
        for text in ("안녕", "ok", "1", "👍 yes", "사진 봤어?"):
            self.assertEqual(is_meaningful(text), 1, text)
        for text in ("", "?!", "👍👍", "___", "사진", "동영상", "이모티콘"):
            self.assertEqual(is_meaningful(text), 0, text)


class AnswerTests(SynchronousTestCase):
    def test_columns(self) -> None:
        """An answer is the bot's, in the room of its message and with its trace."""
        row = named(answer(Text("에코: 안녕")))
        self.assertEqual(
            [row[name] for name in ("channel_id", "room_name", "sender", "message", "trace_id", "bot_name")],
            ["100", "방", "bot", "에코: 안녕", "t-1", "bot"],
        )
        self.assertEqual((row["is_bot"], row["is_our_bot_response"], row["is_scheduled"]), (1, 1, 0))
        self.assertEqual((row["user_hash"], row["client_timestamp"], row["created_at"]), ("", None, NOON))

    def test_media(self) -> None:
        """Media are kept as their addresses, or as what they were."""
        for part, words in (
            (Media(("https://a/1.jpg", "https://a/2.jpg")), "https://a/1.jpg\nhttps://a/2.jpg"),
            (Media((b"1", b"2")), "[image x2]"),
            (Media((b"1",), kind="audio"), "[audio]"),
        ):
            self.assertEqual(named(answer(part))["message"], words)

    def test_cut(self) -> None:
        """What the phone does not get is not kept either, and marked."""
        row = named(answer(Text("x" * 12), chars=10))
        self.assertEqual((row["message"], row["is_cut"]), ("x" * 10, 1))

    def test_metadata(self) -> None:
        """Without its text all the rest is there."""
        self.assertEqual(
            named(answer(Text("hi"), with_text=False)), {**named(answer(Text("hi"))), "message": ""}
        )


class ForgetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = MemoryDatabase()

    def put(self, *rows: Row) -> None:
        """Have rows in the table."""
        self.assertEqual(self.database.now(write_rows, [(CHAT_LOGS, list(rows))]), [])

    def left(self) -> list[str]:
        """The messages that are there."""
        return [row[0] for row in self.database.rows("SELECT message FROM kb_chat_logs ORDER BY id")]

    def test_person(self) -> None:
        """A person's messages go, and the answers to them; nobody else's do."""
        self.put(
            question(chat(text="mine")),
            answer(Text("to me"), at=AT + 200),
            question(chat(text="yours", user_hash="other"), trace="t-2"),
            answer(Text("to you"), trace="t-2"),
            answer(Text("much later"), at=AT + 4000),
        )
        self.assertEqual(self.database.now(forget_person, "hash", 10, WALL, 305.0), (1, 1))
        self.assertEqual(self.left(), ["yours", "to you", "much later"])

    def test_few_at_a_time(self) -> None:
        """No more messages than asked for go at once."""
        self.put(*(question(chat(text=str(number)), trace=str(number)) for number in range(5)))
        self.assertEqual(self.database.now(forget_person, "hash", 3, WALL, 305.0), (3, 0))
        self.assertEqual(self.database.now(forget_person, "hash", 3, WALL, 305.0), (2, 0))
        self.assertEqual(self.left(), [])

    def test_plans(self) -> None:
        """Neither a person's messages nor their answers are looked for without an index."""
        plans = []
        for text in statements_run(
            self.database, lambda: self.database.now(forget_person, "hash", 3, WALL, 5.0), self
        ):
            if text.startswith("SELECT"):
                plans += [row[3] for row in self.database.rows("EXPLAIN QUERY PLAN " + text)]
        self.assertEqual(
            [plan.split(" (")[0] for plan in plans],
            ["SEARCH kb_chat_logs USING INDEX ix_kb_chat_logs_user_hash",
             "SEARCH kb_chat_logs USING INDEX ix_kb_chat_logs_channel"],
        )  # fmt: skip


def statements_run(database: MemoryDatabase, work: Any, test: ForgetTests) -> list[str]:
    """The statements that a piece of work runs, with their values in them."""
    test.put(question(chat()))
    texts: list[str] = []
    database.connection.set_trace_callback(texts.append)
    work()
    database.connection.set_trace_callback(None)
    return [" ".join(text.split()) for text in texts]
