"""What a running relay must know of the tables it really has, which others may have made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Enum, String, Text

from relaytw.store.schema import metadata

#: What a MEDIUMTEXT holds, in bytes; SQLite has no limit and is given this one.
MEDIUM = 16_777_215
MESSAGE = "kb_chat_logs.message"
_MARK = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class TextColumn:
    """How much a column of text holds, and in which character set ("utf8mb4", "utf8mb3", "latin1", …)."""

    chars: int
    bytes: int
    charset: str = "utf8mb4"

    def fit(self, text: str) -> tuple[str, bool]:
        """The text as this column can store it, and whether it had to be cut."""
        if self.charset != "utf8mb4":
            text = self._narrow(text)
        cut = len(text) > self.chars
        if cut:
            text = text[: self.chars]
        # Four bytes are the most that a character takes: nearly every text ends here.
        if 4 * len(text) <= self.bytes:
            return text, cut
        stored = text.encode("utf-8", "replace")
        if len(stored) <= self.bytes:
            return text, cut
        return stored[: self.bytes].decode("utf-8", "ignore"), True

    def _narrow(self, text: str) -> str:
        if text.isascii():
            return text
        if self.charset in ("utf8mb3", "utf8"):
            return "".join(_MARK if character > "\uffff" else character for character in text)
        try:
            return text.encode(self.charset, "replace").decode(self.charset)
        except LookupError:
            return text.encode("ascii", "replace").decode("ascii")


def _fresh_texts() -> dict[str, TextColumn]:
    texts = {}
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, String) and not isinstance(column.type, (Enum, Text)):
                chars = column.type.length or MEDIUM
                texts[f"{table.name}.{column.name}"] = TextColumn(chars, 4 * chars)
    return {**texts, MESSAGE: TextColumn(MEDIUM, MEDIUM)}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the tables of one database are laid out; without arguments as a relay makes them itself.

    `texts` are the limited columns of text by "table.column".  `nulls` holds, by table and column, what
    stands for NULL where none may stand; `owed` those of them that every new row must give, since they
    have no default.
    """

    texts: Mapping[str, TextColumn] = field(default_factory=_fresh_texts)
    nulls: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    owed: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    #: Is a room's device part of its key?  If not, one row is the room of every device of its bot.
    rooms_per_device: bool = True
    #: The columns that make a room's row unique.
    room_key: tuple[str, ...] = ("room_id", "bot_name", "device_id")
    #: May one device id have rows for several bots?
    bots_per_device: bool = True
    #: The column by which `kb_server_processes` is keyed.
    process_key: str = "id"

    @property
    def message_bytes(self) -> int:
        """How many bytes of a chat message are stored."""
        return self.texts[MESSAGE].bytes

    def holds(self, column: str, text: str) -> bool:
        """Can "table.column" store this text, and compare it, as it is?"""
        limit = self.texts.get(column)
        return limit is None or limit.fit(text) == (text, False)

    def fit(self, column: str, text: str) -> tuple[str, bool]:
        """The text as "table.column" can store it, and whether it had to be cut."""
        limit = self.texts.get(column)
        return (text, False) if limit is None else limit.fit(text)


FRESH = Layout()
