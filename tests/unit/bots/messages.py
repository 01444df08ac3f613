"""Messages as a chat would send them, and a room that remembers what was said."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from relaytw.messages import Answer, ClientKey, Message, PhoneInfo, SettingChange, State

PHONE = ClientKey("bot", "phone")


class Room:
    """Remembers what was said while a handler worked; its phone is the one given."""

    def __init__(self, phone: PhoneInfo | None = None) -> None:
        self.said: list[Answer] = []
        self.reloads = 0
        self.changes: Sequence[SettingChange] | None = ()
        self._phone = phone

    def reply(self, message: Message, answer: Answer) -> None:
        self.said.append(answer)

    def ask(self, message: Message, question: Answer, timeout: float) -> Awaitable[Message]:
        raise NotImplementedError

    def phone(self, client: ClientKey) -> PhoneInfo | None:
        return self._phone if client == PHONE else None

    async def reload_settings(self, message: Message) -> Sequence[SettingChange] | None:
        self.reloads += 1
        return self.changes

    def state(self, message: Message, *, of_room: bool) -> State:
        raise NotImplementedError


def said(text: str, *, bot: str = "bot", **fields: Any) -> Message:
    """A message with this text; `fields` are whatever matters to the test."""
    whole: dict[str, Any] = {
        "id": "1",
        "trace": "t",
        "client": ClientKey(bot, "phone"),
        "room": "room",
        "channel_id": "7",
        "text": text,
        "sender": "Ada",
        "user_hash": None,
        "is_group_chat": False,
        "is_mention": False,
        "is_admin": False,
        "received_at": 0.0,
        "redelivered": False,
        "context": Room(),
    }
    return Message(**(whole | fields))
