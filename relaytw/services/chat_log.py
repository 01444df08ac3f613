"""The chat log: what of every message and every answer is written down.

How much that is, one of the three policies below, is decided once for each message, and holds for what is
answered to it.  Where nothing is to be written nothing is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from relaytw.gate import Room
from relaytw.messages import Chat, ClientKey, Message, Part, Reply
from relaytw.services.writer import RowWriter
from relaytw.store.chat_logs import CHAT_LOGS, ChatRows

NONE, METADATA, FULL = "none", "metadata", "full"


class PolicyOf(Protocol):
    """Says how much is written down of a room's chat; None stands for a room that nobody asked about."""

    def __call__(self, client: ClientKey, room: Room | None) -> str:
        """`none`, `metadata` (everything but the text) or `full`."""


class ChatRecord(Protocol):
    """Whoever keeps what comes in."""

    def question(
        self,
        client: ClientKey,
        chat: Chat,
        trace: str,
        at: float,
        room: Room | None,
        *,
        textless: bool = False,
    ) -> str:
        """Write down a message that came in; the policy that holds for its answers."""

    def policy(self, client: ClientKey, room: Room | None) -> str:
        """How much of the answers in this room is written down."""


class ChatLog:
    """Has the writer write it; `directive_of` gives a text's command word, "" without one."""

    def __init__(
        self,
        *,
        writer: RowWriter,
        rows: ChatRows,
        now: Callable[[], float],
        policy_of: PolicyOf,
        directive_of: Callable[[str, str], str],
        text_chars: int,
    ) -> None:
        self._writer = writer
        self._rows = rows
        self._now = now
        self._policy_of = policy_of
        self._directive_of = directive_of
        self._text_chars = text_chars

    def question(
        self,
        client: ClientKey,
        chat: Chat,
        trace: str,
        at: float,
        room: Room | None,
        *,
        textless: bool = False,
    ) -> str:
        """Write down a message that came in; the policy that holds for its answers.

        A `textless` one is never written with its text: nobody knows whether its room allows that.
        """
        policy = self._policy_of(client, room)
        if policy == NONE:
            return NONE
        if textless:
            policy = METADATA
        directive = self._directive_of(client.bot, chat.text)
        row = self._rows.question(client, chat, trace, at, directive, with_text=policy == FULL)
        self._writer.write(CHAT_LOGS, row)
        return policy

    def policy(self, client: ClientKey, room: Room | None) -> str:
        """How much of the answers in this room is written down."""
        return self._policy_of(client, room)

    def pushed(self, reply: Reply, room: Room | None) -> None:
        """Write down what is said without a question; its text only where the room is known to allow that."""
        policy = self._policy_of(reply.client, room)
        if policy != NONE:
            with_text = policy == FULL and room is not None
            row = self._rows.pushed(reply, self._now(), self._text_chars, with_text=with_text)
            self._writer.write(CHAT_LOGS, row)

    def answer(self, message: Message, parts: Sequence[Part]) -> None:
        """Write down what is answered to a message."""
        policy = message.chat_log
        if policy == NONE:
            return
        now = self._now()
        for part in parts:
            row = self._rows.answer(message, part, now, self._text_chars, with_text=policy == FULL)
            self._writer.write(CHAT_LOGS, row)
