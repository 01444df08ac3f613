"""What may be set for one bot and for one room, and what a value of it may be.

Frozen values that everybody may ask for while a message is on its way; where they are kept, and how
they change, is the business of others.  None means: what the configuration says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

#: What a phone's longest line may be set to, in bytes.
LEAST_LINE_BYTES = 1024
MOST_LINE_BYTES = 64 * 1024 * 1024
#: How many messages may be set to run at a time.
MOST_AT_A_TIME = 10_000
#: How wide pictures may be asked for, in pixels.
MOST_IMAGE_WIDTH = 10_000
#: Characters of a prefix and of an admin's hash, and how many admins a bot may have.
PREFIX_CHARS = 10
ADMIN_CHARS = 100
MOST_ADMINS = 100
#: How many days the chat of one room may be kept.
MOST_RETENTION_DAYS = 36_500
#: What a setting is called where people meet it, if not by its name here.
_PUBLIC_NAMES = {"line_bytes": "max_message_size"}
#: What commands are declared with; a bot's own prefix takes its place.
USUAL_PREFIX = "#"


class ChatLogPolicy(StrEnum):
    """How much of a chat is written down: nothing, who spoke and when, or the text too."""

    NONE = "none"
    METADATA = "metadata"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class BotSettings:
    """The settings of one bot: sizes in bytes, widths in pixels, limits in messages at a time."""

    bot: str
    prefix: str = USUAL_PREFIX
    admins: frozenset[str] = frozenset()
    per_bot: int | None = None
    per_room: int | None = None
    chat_log: ChatLogPolicy | None = None
    line_bytes: int | None = None
    image_width: int = 900
    paused: bool = False

    def faults(self) -> dict[str, str]:
        """What cannot be used, by the name of its field, as a sentence on what is allowed."""
        found = {
            "prefix": _prefix_fault(self.prefix),
            "admins": _admins_fault(self.admins),
            "per_bot": _fault(self.per_bot, 1, MOST_AT_A_TIME),
            "per_room": _fault(self.per_room, 1, MOST_AT_A_TIME),
            "line_bytes": _fault(self.line_bytes, LEAST_LINE_BYTES, MOST_LINE_BYTES),
            "image_width": _fault(self.image_width, 1, MOST_IMAGE_WIDTH),
        }
        return {name: fault for name, fault in found.items() if fault}


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """The settings of one room; an `ordered` one runs one message at a time, a `muted` one none."""

    per_room: int | None = None
    ordered: bool = False
    muted: bool = False
    chat_log: ChatLogPolicy | None = None
    retention_days: int | None = None

    def faults(self) -> dict[str, str]:
        """What cannot be used, by the name of its field, as a sentence on what is allowed."""
        found = {
            "per_room": _fault(self.per_room, 1, MOST_AT_A_TIME),
            "retention_days": _fault(self.retention_days, 1, MOST_RETENTION_DAYS),
        }
        return {name: fault for name, fault in found.items() if fault}

    def width(self, bot: BotSettings) -> int | None:
        """How many of its messages run at a time; None if neither it nor its bot has a number."""
        if self.ordered:
            return 1
        return bot.per_room if self.per_room is None else self.per_room


#: The room that nobody has set anything for.
USUAL_ROOM = RoomSettings()


class SettingsOf(Protocol):
    """Gives a bot's settings, always at once and from memory; those of an unknown bot are the usual."""

    def __call__(self, bot: str) -> BotSettings:
        """The settings of the bot of this name."""


def public_name(field: str) -> str:
    """What people call this field of a bot's settings: in the table, the API and in chats."""
    return _PUBLIC_NAMES.get(field, field)


def line_limit(device: int | None, bot: BotSettings, usual: int, *, trusted: bool) -> int:
    """The longest line of a phone, in bytes: its device's number, else its bot's, else the `usual` one.

    A phone that is not `trusted` gets no more than the usual, whatever its name would give it.
    """
    wanted = bot.line_bytes if device is None else device
    if wanted is None:
        return usual
    limit = min(max(wanted, LEAST_LINE_BYTES), MOST_LINE_BYTES)
    return limit if trusted else min(limit, usual)


def _fault(number: int | None, least: int, most: int) -> str:
    return "" if number is None or least <= number <= most else f"must be from {least} to {most}"


def _prefix_fault(prefix: str) -> str:
    plain = prefix.isprintable() and not any(character.isspace() for character in prefix)
    if plain and 0 < len(prefix) <= PREFIX_CHARS:
        return ""
    return f"must be 1 to {PREFIX_CHARS} characters without white space"


def _admins_fault(admins: frozenset[str]) -> str:
    if len(admins) > MOST_ADMINS:
        return f"may name at most {MOST_ADMINS} people"
    if all(0 < len(admin) <= ADMIN_CHARS and admin == admin.strip() for admin in admins):
        return ""
    return f"must be user hashes of 1 to {ADMIN_CHARS} characters"
