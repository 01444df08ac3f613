"""Replies that have not ended, as the admin API sees them."""

from __future__ import annotations

from relaytw.admin.outbox import (
    DropReplies,
    Held,
    HeldReply,
    SendRefused,
    SendText,
    Sent,
    Trace,
    TracedMessage,
    TracedReply,
)
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey, Outcome


class FakeOutbox:
    """One reply for one client; what is asked is remembered."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, str]] = []
        self.refusal: SendRefused | None = None

    def holdings(self) -> list[Held]:
        """One client."""
        return [Held("봇/1", "a b/c?d", False, 1, 0, 120, 1, 1000.0)]

    def held_for(self, client: ClientKey) -> list[HeldReply]:
        """One reply, for it alone."""
        if client != ClientKey("봇/1", "a b/c?d"):
            return []
        return [HeldReply("m7/0", "ab-1", "family", "100", "(120 characters)", 120, 1000.0, False)]

    def drop(self, wanted: DropReplies, actor: str) -> int:
        """As many as there are."""
        self.asked.append((wanted, actor))
        return len(self.held_for(ClientKey(wanted.bot, wanted.device)))

    async def trace(self, name: str) -> Trace:
        """One message with a reply, if it is asked for by name."""
        if name == "off":
            raise Unavailable("this relay keeps no traces")
        if name != "m7":
            return Trace([], [])
        who = ("봇/1", "a b/c?d")
        message = TracedMessage("ab-1", "m7", *who, "family", "100", 1.0, 1.1, 1.2, 1.5, 1, False, 300)
        return Trace([message], [TracedReply("ab-1", "m7/0", *who, "confirmed", "", 1.5, 2.0)])

    async def send(self, wanted: SendText, actor: str) -> Sent:
        """It waits."""
        if self.refusal is not None:
            raise self.refusal
        self.asked.append((wanted, actor))
        return Sent("~op-1/0", Outcome.WAITING)
