"""What the operator can ask a relay: every route of the admin API, over snapshots and verbs.

Ids of devices and rooms hold any characters, slashes too: they travel in bodies, never in paths.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from relaytw import __version__
from relaytw.admin.callers import Scope
from relaytw.admin.exposition import exposition, render
from relaytw.admin.journal import DeadLetter, DeadLetterId, Journal
from relaytw.admin.module_routes import ModulesApi
from relaytw.admin.openapi import document
from relaytw.admin.outbox_routes import OutboxApi
from relaytw.admin.problems import Problem
from relaytw.admin.push_routes import BroadcastApi, PushApi
from relaytw.admin.routes import Reply, Route
from relaytw.admin.schedule_routes import SchedulesApi
from relaytw.admin.secret_routes import SecretsApi
from relaytw.admin.shapes import (
    Act,
    ApprovalQuery,
    Bot,
    BotChange,
    Client,
    Close,
    Device,
    DeviceStatus,
    Forgotten,
    Listing,
    PageQuery,
    Penalty,
    Person,
    Phone,
    RelayStatus,
    Room,
    RoomChange,
    RoomStatus,
)
from relaytw.admin.state_routes import StateApi
from relaytw.admin.token_routes import TokensApi
from relaytw.admin.view import RelayView
from relaytw.errors import Unavailable
from relaytw.metrics import Metrics

#: How many dead letters are listed.
DEAD_LETTERS = 1000
#: For whoever only looks.
READ = Scope.READ


class AdminApi:
    """The handlers of one relay's admin API, and the table that says when each is called."""

    def __init__(self, view: RelayView, metrics: Metrics) -> None:
        self._view = view
        self._registry = exposition(view, metrics)

    def routes(self) -> list[Route]:
        """Everything that can be asked."""
        pushing = self._view.pushing
        return [
            Route("GET", "/healthz", self.healthz, open=True),
            Route("GET", "/readyz", self.readyz, open=True),
            Route("GET", "/metrics", self.metrics, open=True, scope=READ),
            Route("GET", "/api/v1/openapi.json", self.openapi, returns=dict[str, Any], scope=READ),
            Route("GET", "/api/v1/status", self.status, returns=RelayStatus, scope=READ),
            Route("GET", "/api/v1/phones", self.phones, returns=Listing[Phone], scope=READ),
            Route("POST", "/api/v1/phones/disconnect", self.disconnect, Client, Client, act=True),
            Route(
                "GET",
                "/api/v1/devices",
                self.devices,
                returns=Listing[Device],
                query=ApprovalQuery,
                scope=Scope.READ,
            ),
            Route("POST", "/api/v1/devices/status", self.set_device, DeviceStatus, DeviceStatus, act=True),
            Route(
                "GET",
                "/api/v1/rooms",
                self.rooms,
                returns=Listing[Room],
                query=ApprovalQuery,
                scope=Scope.READ,
            ),
            Route("POST", "/api/v1/rooms/status", self.set_room, RoomStatus, RoomStatus, act=True),
            Route("POST", "/api/v1/rooms/settings", self.set_room_settings, RoomChange, RoomChange, act=True),
            Route("GET", "/api/v1/audit", self.audit, returns=Listing[Act], query=PageQuery),
            Route("GET", "/api/v1/bots", self.bots, returns=Listing[Bot], scope=READ),
            Route("POST", "/api/v1/bots/settings", self.set_bot, BotChange, Bot, act=True),
            Route("GET", "/api/v1/closes", self.closes, returns=Listing[Close], scope=READ),
            Route("GET", "/api/v1/penalties", self.penalties, returns=Listing[Penalty], scope=READ),
            Route("POST", "/api/v1/penalties/lift", self.lift_penalty, Client, Client, act=True),
            Route("POST", "/api/v1/forget", self.forget, Person, Forgotten, act=True),
            *SecretsApi(self._view.secrets).routes(),
            *OutboxApi(self._view.outbox).routes(),
            *TokensApi(pushing.tokens).routes(),
            *PushApi(pushing.pushes).routes(),
            *BroadcastApi(pushing.broadcasts).routes(),
            *SchedulesApi(pushing.schedules).routes(),
            *StateApi(self._view.state).routes(),
            *ModulesApi(self._view.modules).routes(),
            Route("GET", "/api/v1/journal", self.journal, returns=Journal, scope=READ),
            Route("GET", "/api/v1/dead-letters", self.dead_letters, returns=Listing[DeadLetter]),
            Route("POST", "/api/v1/dead-letters/requeue", self.requeue, DeadLetterId, DeadLetterId, act=True),
            Route(
                "POST",
                "/api/v1/dead-letters/drop",
                self.drop_dead_letter,
                DeadLetterId,
                DeadLetterId,
                act=True,
            ),
        ]

    def healthz(self) -> Reply:
        """Does the process answer at all?"""
        return _text(200, "ok")

    def readyz(self) -> Reply:
        """Are phones served?  503 with the reason when not."""
        why_not = self._view.ready()
        return _text(200, "ready") if why_not is None else _text(503, why_not)

    def metrics(self) -> Reply:
        """Every figure in Prometheus' text format."""
        return Reply(200, CONTENT_TYPE_PLAIN_0_0_4, render(self._registry))

    def openapi(self) -> dict[str, Any]:
        """All of the API, as an OpenAPI document."""
        return document(self.routes(), title="relaytw admin API", version=__version__)

    def status(self) -> RelayStatus:
        """The relay in one glance."""
        return RelayStatus.of(self._view.overview(), self._view.ready())

    def phones(self) -> Listing[Phone]:
        """Every connected phone that has introduced itself."""
        return Listing([Phone.of(phone) for phone in self._view.phones()])

    def disconnect(self, client: Client, actor: str) -> Client:
        """Close a phone's connection; it may come back."""
        if not self._view.disconnect(client.key, actor):
            raise Problem(404, "not_connected", f"{client.key} is not connected")
        return client

    async def devices(self, query: ApprovalQuery) -> Listing[Device]:
        """A page of the devices the relay knows; those that have no row come with the first."""
        with _problems("bad_request", 400):
            page = await self._view.devices(query.status, query.code, query.after, query.limit)
        return Listing([Device.of(row) for row in page.rows], page.next)

    async def set_device(self, wanted: DeviceStatus, actor: str) -> DeviceStatus:
        """Change a device's status, at once on its live connection."""
        with _problems("not_approvable", 409):
            known = await self._view.set_device(
                wanted.key, wanted.status, actor, register=wanted.register, reason=wanted.reason
            )
        if not known:
            raise Problem(404, "unknown_device", f"no device {wanted.key} has introduced itself yet")
        return wanted

    async def rooms(self, query: ApprovalQuery) -> Listing[Room]:
        """A page of the rooms the relay knows; those that have no row come with the first."""
        with _problems("bad_request", 400):
            page = await self._view.rooms(query.status, query.code, query.after, query.limit)
        return Listing([Room.of(row) for row in page.rows], page.next)

    async def set_room(self, wanted: RoomStatus, actor: str) -> RoomStatus:
        """Change a room's status."""
        with _problems("not_approvable", 409):
            known = await self._view.set_room(
                wanted.key,
                wanted.room_id,
                wanted.status,
                actor,
                register=wanted.register,
                reason=wanted.reason,
            )
        if not known:
            raise Problem(404, "unknown_room", f"no room {wanted.room_id} of {wanted.key} was heard of yet")
        return wanted

    async def audit(self, query: PageQuery) -> Listing[Act]:
        """A page of what operators did, newest first."""
        with _problems("bad_request", 400):
            page = await self._view.audit(query.after, query.limit)
        return Listing([Act.of(row) for row in page.rows], page.next)

    def bots(self) -> Listing[Bot]:
        """Every bot that has settings of its own."""
        return Listing([Bot.of(settings) for settings in self._view.bots()])

    async def set_room_settings(self, wanted: RoomChange, actor: str) -> RoomChange:
        """Change some of a room's settings, at once for live connections."""
        values = wanted.values()
        if not values:
            raise Problem(400, "nothing_to_change", "name at least one setting")
        with _problems("bad_setting", 400):
            known = await self._view.set_room_settings(
                wanted.key, wanted.room_id, values, actor, register=wanted.register
            )
        if not known:
            raise Problem(404, "unknown_room", f"no room {wanted.room_id} of {wanted.key} was heard of yet")
        return wanted

    async def set_bot(self, wanted: BotChange, actor: str) -> Bot:
        """Change some of a bot's settings, at once for live connections."""
        values = wanted.values()
        if not values:
            raise Problem(400, "nothing_to_change", "name at least one setting")
        with _problems("bad_setting", 400):
            settings = await self._view.set_bot(wanted.bot, values, actor, register=wanted.register)
        if settings is None:
            raise Problem(404, "unknown_bot", f"no bot {wanted.bot} was seen yet")
        return Bot.of(settings)

    def closes(self) -> Listing[Close]:
        """The last connections that ended or were refused, newest last."""
        return Listing([Close.of(row) for row in self._view.closes()])

    def penalties(self) -> Listing[Penalty]:
        """Who is in the penalty box."""
        return Listing([Penalty.of(row) for row in self._view.penalties()])

    def lift_penalty(self, client: Client, actor: str) -> Client:
        """Let a client out of the penalty box."""
        if not self._view.lift_penalty(client.key, actor):
            raise Problem(404, "no_penalty", f"{client.key} is not in the penalty box")
        return client

    async def forget(self, person: Person, actor: str) -> Forgotten:
        """Delete some of what a person said and was answered; ask again while there is more."""
        if not person.user_hash.strip():
            raise Problem(400, "bad_request", "an empty user_hash names nobody")
        with _problems("bad_request", 400):
            return Forgotten.of(await self._view.forget(person.user_hash, actor))

    def journal(self) -> Journal:
        """The journal: its files, and what in them is not finished."""
        return Journal.of(self._view.journal())

    async def dead_letters(self) -> Listing[DeadLetter]:
        """The last 1,000 messages that are not run any more, newest first."""
        with _unavailable():
            return Listing([DeadLetter.of(row) for row in await self._view.dead_letters(DEAD_LETTERS)])

    async def requeue(self, wanted: DeadLetterId, actor: str) -> DeadLetterId:
        """Accept a dead letter as if it had just come."""
        with _unavailable():
            if not await self._view.requeue(wanted.id, actor):
                raise _no_letter(wanted)
        return wanted

    async def drop_dead_letter(self, wanted: DeadLetterId, actor: str) -> DeadLetterId:
        """Delete a dead letter."""
        with _unavailable():
            if not await self._view.drop_dead_letter(wanted.id, actor):
                raise _no_letter(wanted)
        return wanted


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except Unavailable as error:
        raise Problem(503, "unavailable", str(error)) from error


def _no_letter(wanted: DeadLetterId) -> Problem:
    return Problem(404, "unknown_dead_letter", f"there is no dead letter {wanted.id}")


@contextmanager
def _problems(code: str, status: int) -> Iterator[None]:
    """Answer what was asked wrongly with this code, and what needs the database while it is away."""
    try:
        yield
    except ValueError as error:
        raise Problem(status, code, str(error)) from error
    except Unavailable as error:
        raise Problem(503, "database_away", str(error)) from error


def _text(status: int, text: str) -> Reply:
    return Reply(status, "text/plain; charset=utf-8", f"{text}\n".encode())
