"""The relay as its operator sees it: gathers the stages' figures, passes on the operator's acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil
from twisted.application.service import Service
from twisted.logger import Logger

from relaytw import __version__
from relaytw.admin.modules import ModulesView
from relaytw.admin.outbox import OutboxView
from relaytw.admin.secrets import SecretsView
from relaytw.admin.state import StateView
from relaytw.admin.view import (
    AuditRow,
    CloseRow,
    DeadLetterRow,
    DeviceRow,
    Forgotten,
    JournalRow,
    Overview,
    Page,
    PenaltyRow,
    PushingView,
    RoomRow,
    WebhookRow,
)
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey, PhoneInfo, Status
from relaytw.services.approval_desk import ApprovalDesk
from relaytw.services.audit import OPERATOR, AuditWriter
from relaytw.services.books import Books
from relaytw.services.bot_settings import SettingsKeeper
from relaytw.services.dispatcher import Dispatcher
from relaytw.services.forgetting import Forgetting
from relaytw.services.live_settings import LiveSettings
from relaytw.services.sessions import Sessions
from relaytw.services.writer import RowWriter
from relaytw.settings import BotSettings, public_name
from relaytw.store.database import DatabaseAway, Transactions


class Operator(Service):
    """Implements `relaytw.admin.view.RelayView`.  `now` gives seconds since the epoch."""

    name = "operator"

    def __init__(
        self,
        *,
        relay_name: str,
        mode: str,
        listening: Sequence[str],
        sessions: Sessions,
        dispatcher: Dispatcher,
        approvals: ApprovalDesk,
        audit: AuditWriter,
        database: Transactions,
        writer: RowWriter,
        forgetting: Forgetting,
        settings: LiveSettings,
        keeper: SettingsKeeper,
        secrets: SecretsView,
        outbox: OutboxView,
        state: StateView,
        modules: ModulesView,
        books: Books,
        pushing: PushingView,
        now: Callable[[], float],
        webhooks: Callable[[], Sequence[WebhookRow]] = tuple,
    ) -> None:
        self._relay_name = relay_name
        self._mode = mode
        self._listening = tuple(listening)
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._approvals = approvals
        self._audit = audit
        self._database = database
        self._writer = writer
        self._forgetting = forgetting
        self._settings = settings
        self._keeper = keeper
        self._books = books
        self._webhooks = webhooks
        self._now = now
        self.secrets = secrets
        self.pushing = pushing
        self.outbox, self.state, self.modules = outbox, state, modules
        self._started_at = now()
        self._process = psutil.Process()
        self._log = Logger(namespace="relaytw.audit")

    def ready(self) -> str | None:
        """None when phones are served, else a sentence on why not."""
        return self._books.problem if self.running else "the relay is starting or stopping"

    def overview(self) -> Overview:
        """The figures of the status page."""
        stages, lanes = self._sessions.stages, self._dispatcher.lanes
        metrics, slots = stages.metrics, stages.admission.slots
        return Overview(
            name=self._relay_name,
            version=__version__,
            mode=self._mode,
            started_at=self._started_at,
            listening=self._listening,
            connections=self._sessions.connections,
            connections_limit=slots.limit,
            overflow=stages.admission.overflow,
            provisional=stages.registry.provisional,
            clients=len(stages.registry),
            waiting=lanes.waiting,
            waiting_bytes=stages.intake.unfinished_bytes,
            running=lanes.running,
            consumers=lanes.consumers.limit,
            lanes=len(lanes),
            outbox=stages.outbox.waiting,
            outbox_bytes=stages.outbox.waiting_bytes,
            penalties=len(self.penalties()),
            memory_bytes=self._process.memory_info().rss,
            accepted=metrics.accepted,
            finished=metrics.finished,
            failed=metrics.failed,
            replies_sent=metrics.replies_sent,
            rows_waiting=self._writer.waiting,
            rows_waiting_bytes=self._writer.waiting_bytes,
            database_up=self._database.away is None,
            database_errors=self._database.errors,
            journal_segments=self._books.segments,
            journal_bytes=self._books.size,
            journal_unfinished=self._books.unfinished,
            webhooks=self._webhooks(),
        )

    def phones(self) -> Sequence[PhoneInfo]:
        """Every connected phone that has introduced itself."""
        return self._sessions.roster.phones()

    async def devices(
        self,
        status: Status | None = None,
        code: str | None = None,
        after: str | None = None,
        limit: int = 200,
    ) -> Page[DeviceRow]:
        """A page of the devices."""
        return await self._approvals.devices(status, code, after, limit)

    async def set_device(
        self,
        client: ClientKey,
        status: Status,
        actor: str = OPERATOR,
        *,
        register: bool = False,
        reason: str | None = None,
    ) -> bool:
        """Change a device's status, at once on its live connection; False if it is unknown."""
        known = await self._approvals.set_device(client, status, actor, register=register, reason=reason)
        if known:
            self._act(actor, "device {client} is now {status}", client=client, status=status)
        return known

    async def rooms(
        self,
        status: Status | None = None,
        code: str | None = None,
        after: str | None = None,
        limit: int = 200,
    ) -> Page[RoomRow]:
        """A page of the rooms."""
        return await self._approvals.rooms(status, code, after, limit)

    async def set_room(
        self,
        client: ClientKey,
        room_id: str,
        status: Status,
        actor: str = OPERATOR,
        *,
        register: bool = False,
        reason: str | None = None,
    ) -> bool:
        """Change a room's status; False if it is unknown."""
        known = await self._approvals.set_room(
            client, room_id, status, actor, register=register, reason=reason
        )
        if known:
            text = "room {room_id} of {client} is now {status}"
            self._act(actor, text, room_id=room_id, client=client, status=status)
        return known

    async def set_room_settings(
        self,
        client: ClientKey,
        room_id: str,
        values: Mapping[str, object],
        actor: str = OPERATOR,
        *,
        register: bool = False,
    ) -> bool:
        """Change these of a room's settings, at once; False if it is unknown."""
        known = await self._approvals.set_room_settings(client, room_id, values, actor, register=register)
        if known:
            text = "settings of room {room_id} of {client} are changed: {names}"
            self._act(actor, text, room_id=room_id, client=client, names=", ".join(values))
        return known

    async def audit(self, before: str | None = None, limit: int = 200) -> Page[AuditRow]:
        """A page of what operators did, newest first."""
        return await self._approvals.audit(before, limit)

    def bots(self) -> Sequence[BotSettings]:
        """Every bot that has settings of its own, by name."""
        return self._settings.everyone()

    async def set_bot(
        self, bot: str, values: Mapping[str, object], actor: str = OPERATOR, *, register: bool = False
    ) -> BotSettings | None:
        """Change these of a bot's settings, at once for live connections; None if it is unknown."""
        settings = await self._keeper.set_bot(bot, values, actor, register=register)
        if settings is not None:
            names = ", ".join(map(public_name, values))
            self._act(actor, "settings of {bot} are changed: {names}", bot=bot, names=names)
        return settings

    def closes(self) -> Sequence[CloseRow]:
        """The last connections that ended or were refused, newest last."""
        return self._sessions.stages.closes.rows()

    def penalties(self) -> Sequence[PenaltyRow]:
        """Who is in the penalty box."""
        clock = self._sessions.clock.seconds()
        behind = self._now() - clock
        return [
            PenaltyRow(p.client, p.until + behind, f"too many connects from {p.host}", p.times)
            for p in self._sessions.stages.penalties.boxed(clock)
        ]

    def lift_penalty(self, client: ClientKey, actor: str = OPERATOR) -> bool:
        """Let a client out of the penalty box; False if it is not in it."""
        lifted = self._sessions.stages.penalties.lift(client, self._sessions.clock.seconds())
        if lifted:
            self._act(actor, "penalty of {client} is lifted", client=client)
            self._audit.note(self._audit.act(actor, "lift penalty", client))
        return lifted

    def disconnect(self, client: ClientKey, actor: str = OPERATOR) -> bool:
        """Close a client's connection; False if it is not connected."""
        closed = self._sessions.roster.disconnect(client)
        if closed:
            self._act(actor, "{client} is disconnected", client=client)
            self._audit.note(self._audit.act(actor, "disconnect", client))
        return closed

    def journal(self) -> JournalRow:
        """The figures of the journal."""
        return self._books.journal()

    async def dead_letters(self, count: int) -> Sequence[DeadLetterRow]:
        """The newest dead letters.  Raises Unavailable."""
        return await self._books.dead_letters(count)

    async def requeue(self, number: int, actor: str = OPERATOR) -> bool:
        """Accept a dead letter again; False if there is none.  Raises Unavailable."""
        client = await self._books.requeue(number)
        if client is not None:
            self._act(
                actor, "dead letter {number} of {client} is accepted again", number=number, client=client
            )
            self._audit.note(self._audit.act(actor, "requeue", client, detail=str(number)))
        return client is not None

    async def drop_dead_letter(self, number: int, actor: str = OPERATOR) -> bool:
        """Delete a dead letter; False if there is none.  Raises Unavailable."""
        dropped = await self._books.drop(number)
        if dropped:
            self._act(actor, "dead letter {number} is deleted", number=number)
            self._audit.note(self._audit.act(actor, "drop dead letter", detail=str(number)))
        return dropped

    async def forget(self, user_hash: str, actor: str = OPERATOR) -> Forgotten:
        """Delete some of what a person said and was answered; to be asked again while there is more."""
        try:
            forgotten = await self._forgetting.forget(user_hash, actor)
        except DatabaseAway as away:
            raise Unavailable(f"nothing can be deleted while the database is away: {away}") from away
        except OSError as error:
            raise Unavailable(
                f"the journal cannot be written ({error.strerror}); what was said is still in it"
            ) from error
        return forgotten

    def _act(self, actor: str, format: str, **fields: Any) -> None:  # noqa: A002 (the logger's own word)
        self._log.info("{actor}: " + format, actor=actor, **fields)
