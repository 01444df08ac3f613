"""The operator's hand in the outbox: looks, drops, and sends a text of his own."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

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
from relaytw.boxes import Entry
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey, Outcome, Reply, ReplyKind, Text
from relaytw.outbox import Outbox
from relaytw.services.approvals import Approvals
from relaytw.services.audit import AuditWriter
from relaytw.services.lost_replies import describe
from relaytw.services.outcomes import Outcomes
from relaytw.services.trace_log import TraceLog


class Post:
    """Implements `relaytw.admin.outbox.OutboxView`.  `new_id` names what is sent, `now` as usual."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        outcomes: Outcomes,
        approvals: Approvals,
        audit: AuditWriter,
        clock: IReactorTime,
        now: Callable[[], float],
        new_id: Callable[[], str],
        trace: TraceLog | None,
    ) -> None:
        self._outbox = outbox
        self._approvals = approvals
        self._audit = audit
        self._clock = clock
        self._now = now
        self._new_id = new_id
        self._trace = trace
        self._asked: dict[str, Deferred[tuple[Outcome, str]]] = {}
        outcomes.watch(self._ended)

    def holdings(self) -> Sequence[Held]:
        """Everybody for whom something is held."""
        return [
            Held(
                *one.client, one.here, one.waiting, one.unacknowledged, one.bytes, one.rooms,
                self._since(one.oldest),
            )
            for one in self._outbox.holdings()
        ]  # fmt: skip

    def held_for(self, client: ClientKey) -> Sequence[HeldReply]:
        """What is held for one client, what was written first."""
        return [self._shown(entry) for entry in self._outbox.entries(client)]

    def drop(self, wanted: DropReplies, actor: str) -> int:
        """Drop replies; how many.  Each ends, and becomes a dead letter."""
        client = ClientKey(wanted.bot, wanted.device)

        def meant(entry: Entry) -> bool:
            return wanted.room in (None, entry.name) and wanted.id in (None, entry.reply.id)

        dropped = self._outbox.drop(client, meant, "dropped")
        if dropped:
            detail = f"{dropped} replies" + (f", id {wanted.id}" if wanted.id is not None else "")
            self._note(actor, "drop replies", client, wanted.room, detail)
        return dropped

    async def send(self, wanted: SendText, actor: str) -> Sent:
        """Send a text, and say what is known of it in time.  Raises SendRefused."""
        client = ClientKey(wanted.bot, wanted.device)
        room, channel = self._room(client, wanted.room)
        if not self._approvals.may_hear(client, channel or room):
            raise SendRefused("not_approved", f"{client} or its room {wanted.room} is not approved")
        trace = self._new_id()
        name = f"~op-{trace}/0"
        ended = self._asked[name] = Deferred(lambda _: None)
        timer = self._clock.callLater(wanted.wait, self._ended_for_now, name)
        try:
            self._note(actor, "send", client, channel or room, f"{len(wanted.text)} characters, id {name}")
            kind = ReplyKind.BROADCAST
            self._outbox.send([Reply(client, room, channel, Text(wanted.text), trace, kind, name)])
            outcome, why = await ended
        finally:
            self._asked.pop(name, None)
            if timer.active():
                timer.cancel()
        return Sent(name, outcome, why)

    async def trace(self, name: str) -> Trace:
        """What is known of the message of this id or trace id.  Raises Unavailable if nothing is kept."""
        if self._trace is None:
            raise Unavailable("this relay keeps no traces; see [trace] days")
        try:
            found = await self._trace.find(name)
        except OSError as error:
            raise Unavailable(f"the traces cannot be read: {error.strerror}") from error
        messages = [TracedMessage(*msgspec.structs.astuple(one)) for one in found.messages]
        replies = [TracedReply(*msgspec.structs.astuple(one)) for one in found.replies]
        clients = {ClientKey(one.bot, one.device) for one in messages}
        traces = {one.trace for one in messages}
        return Trace(messages, [*replies, *self._unacknowledged(clients, traces)])

    def _unacknowledged(self, clients: Iterable[ClientKey], traces: Container[str]) -> Iterator[TracedReply]:
        """What was written of this and has not ended: nothing is noted of it yet."""
        for client in clients:
            for entry in self._outbox.entries(client):
                if entry.written and not entry.told and entry.reply.trace in traces:
                    name, at = entry.reply.id, self._since(entry.at)
                    yield TracedReply(entry.reply.trace, name, *client, "not acknowledged", "", at, at)

    def _room(self, client: ClientKey, wanted: str) -> tuple[str, str | None]:
        """The name and the channel id of a room; what nobody has heard of is taken for a name."""
        known = self._approvals.cache.room(client, wanted)
        if known is None:
            found = [one for one in self._approvals.cache.rooms_of(client) if one.name == wanted]
            if len(found) > 1:
                ids = ", ".join(sorted(one.room_id for one in found))
                raise SendRefused("ambiguous_room", f"{client} has several rooms {wanted}: {ids}")
            if not found:
                return wanted, None
            known = found[0]
        return known.name, known.room_id if known.room_id != known.name else None

    def _ended(self, reply: Reply, outcome: Outcome, why: str) -> None:
        waits = self._asked.get(reply.id)
        if waits is not None and not waits.called:
            waits.callback((outcome, why))

    def _ended_for_now(self, name: str) -> None:
        waits = self._asked.get(name)
        if waits is not None and not waits.called:
            waits.callback((Outcome.WAITING, ""))

    def _shown(self, entry: Entry) -> HeldReply:
        reply = entry.reply
        return HeldReply(
            reply.id, reply.trace, reply.room, reply.channel_id, describe(reply), entry.size,
            self._since(entry.at), entry.written,
        )  # fmt: skip

    def _since(self, at: float) -> float:
        return self._now() - (self._clock.seconds() - at)

    def _note(self, actor: str, act: str, client: ClientKey, room: str | None, detail: str) -> None:
        self._audit.note(self._audit.act(actor, act, client, room, detail=detail))
