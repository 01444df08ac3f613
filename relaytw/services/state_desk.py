"""What an operator may see of what bots remember, and do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import islice

from relaytw.admin.state import Remembered, StateFilter
from relaytw.messages import ClientKey
from relaytw.services.audit import AuditWriter
from relaytw.services.conversations import Conversations
from relaytw.store.state_log import Place

#: Conversations that are shown at once.
SHOWN = 1_000
#: Letters of a hash that may be written down.
_LETTERS = 6


class StateDesk:
    """Implements `relaytw.admin.state.StateView`."""

    def __init__(self, conversations: Conversations, audit: AuditWriter) -> None:
        self._conversations = conversations
        self._audit = audit

    def conversations(self, which: StateFilter) -> Sequence[Remembered]:
        """Conversations, without their values."""
        return self._rows(which, values=False)

    def with_values(self, which: StateFilter, actor: str) -> Sequence[Remembered]:
        """The same with their values."""
        self._note(actor, "read state", which)
        return self._rows(which, values=True)

    def clear(self, which: StateFilter, actor: str) -> int:
        """Forget these conversations; how many."""
        count = self._conversations.clear(_chooses(which))
        if count:
            self._note(actor, "clear state", which, f"{count} conversations")
        return count

    def _rows(self, which: StateFilter, *, values: bool) -> list[Remembered]:
        chosen = _chooses(which)
        rows = islice((row for row in self._conversations.rows() if chosen(row[0])), SHOWN)
        return [
            Remembered(
                *place,
                len(conversation.values),
                size,
                conversation.ends,
                {key: json.loads(value.json.decode("utf-8", "replace"))
                 for key, value in conversation.values.items()} if values else None,
            )
            for place, conversation, size in rows
        ]  # fmt: skip

    def _note(self, actor: str, act: str, which: StateFilter, detail: str = "") -> None:
        client = None if which.bot is None or which.device is None else ClientKey(which.bot, which.device)
        person = "" if which.user is None else f"of {which.user[:_LETTERS]}…"
        told = ", ".join(part for part in (detail, person) if part)
        self._audit.note(self._audit.act(actor, act, client, which.room, told or None))


def _chooses(which: StateFilter) -> Callable[[Place], bool]:
    wanted = (which.bot, which.device, which.room, None if which.user is None else f"#{which.user}")

    def chosen(place: Place) -> bool:
        return all(want in (None, is_) for want, is_ in zip(wanted, place, strict=True))

    return chosen
