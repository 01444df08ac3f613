"""What can become of a question that a handler asks in a chat, other than an answer."""

from __future__ import annotations

from typing import ClassVar

from relaytw import texts


class AskError(Exception):
    """A question that has got no answer, or could not be asked.

    `told` is what the chat is told if the handler does not catch it; None: nothing.
    """

    told: ClassVar[str | None] = None


class AskTimeout(AskError):
    """Nobody has answered in time."""

    told = texts.ASK_TIMED_OUT


class AskReplaced(AskError):
    """Another handler has asked the same person something since: the next message is the answer to that."""


class AskRefused(AskError):
    """As many questions are open as may be (`[bots] conversations`); it was not asked."""

    told = texts.ASK_REFUSED


class AskEnded(AskError):
    """There will be no answer: the relay stops, or the room, the bot or the handler may not go on.

    Whatever the handler says after this is ignored.
    """
