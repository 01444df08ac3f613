"""The routes of the admin API that are about replies."""

from __future__ import annotations

from relaytw.admin.outbox import (
    Dropped,
    DropReplies,
    Held,
    HeldFor,
    HeldReply,
    OutboxView,
    SendRefused,
    SendText,
    Sent,
    Trace,
    TraceQuery,
)
from relaytw.admin.problems import Problem
from relaytw.admin.routes import Route
from relaytw.admin.shapes import Listing
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey


class OutboxApi:
    """Handlers over the outbox of one relay."""

    def __init__(self, view: OutboxView) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """Everything that can be asked of replies."""
        return [
            Route("GET", "/api/v1/outbox", self.holdings, returns=Listing[Held]),
            Route("GET", "/api/v1/outbox/replies", self.held, returns=Listing[HeldReply], query=HeldFor),
            Route("POST", "/api/v1/outbox/drop", self.drop, DropReplies, Dropped, act=True),
            Route("GET", "/api/v1/trace", self.trace, returns=Trace, query=TraceQuery),
            Route("POST", "/api/v1/send", self.send, SendText, Sent, act=True),
        ]

    def holdings(self) -> Listing[Held]:
        """Everybody for whom replies wait, or who has not acknowledged some."""
        return Listing(list(self._view.holdings()))

    def held(self, wanted: HeldFor) -> Listing[HeldReply]:
        """What is held for one client, without what it says; what was written comes first."""
        return Listing(list(self._view.held_for(ClientKey(wanted.bot, wanted.device))))

    def drop(self, wanted: DropReplies, actor: str) -> Dropped:
        """Write these replies no more; each becomes a dead letter."""
        dropped = self._view.drop(wanted, actor)
        if not dropped:
            raise Problem(404, "nothing_held", "no such reply is held for this client")
        return Dropped(dropped)

    async def trace(self, wanted: TraceQuery) -> Trace:
        """The life of a message, stage by stage, by its id or its trace id."""
        try:
            return await self._view.trace(wanted.id)
        except Unavailable as error:
            raise Problem(503, "unavailable", str(error)) from error

    async def send(self, wanted: SendText, actor: str) -> Sent:
        """Send a text to a room, and say what has become of it within `wait` seconds."""
        try:
            return await self._view.send(wanted, actor)
        except SendRefused as error:
            raise Problem(409, error.code, str(error)) from error
