"""State as handlers see it: a mapping of JSON values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

from relaytw.messages import Message, State
from relaytw.services.conversations import Conversations, cleared
from relaytw.store.state_log import Conversation, Place, Value

_ANY = "surrogatepass"
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def state_of(conversations: Conversations, message: Message, *, of_room: bool) -> State:
    """What is remembered of a message's sender in its room, or of the room."""
    client, room = message.client, message.channel_id or message.room
    user = ""
    if not of_room:
        # A name is not a hash: nobody gets at another's by calling himself like it.
        user = f"@{message.sender}" if message.user_hash is None else f"#{message.user_hash}"
    return _View(conversations, Place(client.bot, client.device, room, user))


class _View(State):
    """One place's state as a handler sees it."""

    __slots__ = ("_conversations", "_place")

    def __init__(self, conversations: Conversations, place: Place) -> None:
        self._conversations = conversations
        self._place = place

    def __repr__(self) -> str:
        return f"State({dict(self)!r})"

    def __getitem__(self, key: str) -> Any:
        return json.loads(self._conversations.read(self._place).values[key].json.decode("utf-8", _ANY))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._conversations.read(self._place).values))

    def __len__(self) -> int:
        return len(self._conversations.read(self._place).values)

    def __setitem__(self, key: str, value: Any) -> None:
        self._set(key, value, None)

    def __delitem__(self, key: str) -> None:
        def without(before: Conversation, _now: float) -> Conversation:
            values = dict(before.values)
            del values[key]
            return Conversation(values, before.deadline if values else None)

        self._conversations.change(self._place, without)

    def clear(self) -> None:
        """Forget all of it."""
        if self:
            self._conversations.change(self._place, cleared)

    def set(self, key: str, value: Any, seconds: float) -> None:
        """Remember a value for so many seconds."""
        self._set(key, value, _checked(seconds))

    def expire(self, seconds: float) -> None:
        """Forget all that is in it, and what is set in it until then, in so many seconds."""
        _checked(seconds)

        def expiring(before: Conversation, now: float) -> Conversation:
            at = now + seconds
            values = {key: Value(value.json, at) for key, value in before.values.items()}
            return Conversation(values, at) if values else before

        self._conversations.change(self._place, expiring)

    def _set(self, key: str, value: Any, seconds: float | None) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a name must be a str, not {type(key).__name__}")
        data, ttl = _encode(value).encode("utf-8", _ANY), self._conversations.settings.ttl

        def with_it(before: Conversation, now: float) -> Conversation:
            at = before.deadline if seconds is None and before.deadline is not None else None
            kept = Value(data, at if at is not None else now + (ttl if seconds is None else seconds))
            return Conversation({**before.values, key: kept}, before.deadline)

        self._conversations.change(self._place, with_it)


def _checked(seconds: float) -> float:
    if not (seconds > 0 and isfinite(seconds)):
        raise ValueError(f"seconds must be more than 0, not {seconds!r}")
    return seconds
