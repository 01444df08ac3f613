"""The approvals with everything around them: a database in memory, fake time, and an operator."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.admin.view import DeviceRow, RoomRow
from relaytw.codes import Codes
from relaytw.gate import Device, Room
from relaytw.messages import ClientKey, Dialect, Handshake, Status
from relaytw.metrics import Metrics
from relaytw.services.approval_desk import ApprovalDesk
from relaytw.services.approvals import Approvals, ApprovalSettings
from relaytw.services.audit import AuditWriter
from relaytw.store.times import WallClock
from relaytw.testing import MemoryDatabase

PHONE = ClientKey("bot", "phone")
T = TypeVar("T")


def handshake(client: ClientKey = PHONE, version: str = "3.3.0") -> Handshake:
    """What a phone introduces itself with."""
    return Handshake(Dialect.V33, client.bot, client.device, version, "MessengerBotR")


class On:
    """The phones that are on, and what their connections were told."""

    def __init__(self) -> None:
        self.here: set[ClientKey] = set()
        self.told: list[tuple[ClientKey, Status]] = []

    def clients(self) -> list[ClientKey]:
        """Every client that is on."""
        return sorted(self.here)

    def is_on(self, client: ClientKey) -> bool:
        """Is this one?"""
        return client in self.here

    def status_changed(self, client: ClientKey, status: Status) -> None:
        """Note it."""
        self.told.append((client, status))


class Books:
    """Approvals that are not started: nothing is refreshed before a test says so."""

    def __init__(self, clock: Clock, database: MemoryDatabase | None = None, **settings: Any) -> None:
        self.clock = clock
        self.database = database or MemoryDatabase()
        self.metrics = Metrics()
        self.on = On()
        self.rooms_changed: list[Room] = []
        self.codes = Codes("token")
        wall = WallClock("Asia/Seoul")
        self.audit = AuditWriter(self.database, clock, clock.seconds, 100)
        self.real = Approvals(
            self.database, clock, clock.seconds, wall, self.codes, self.audit, self.metrics,
            ApprovalSettings(**settings),
        )  # fmt: skip
        self.real.effects.phones, self.real.effects.room_changed = self.on, self.rooms_changed.append
        self.desk = ApprovalDesk(self.real, self.database, self.audit, wall, clock.seconds)

    def device(self, client: ClientKey = PHONE, address: str = "10.0.0.2:1", **about: Any) -> Device:
        """The device of a phone that introduces itself; the answer must be there at once."""
        device = self.real.device(handshake(client, **about), address)
        assert not isinstance(device, Deferred)
        return device

    def room(self, room_id: str = "7", name: str = "family", client: ClientKey = PHONE) -> Room:
        """A room of a phone; the answer must be there at once."""
        room = self.real.room(client, room_id, name)
        assert not isinstance(room, Deferred)
        return room

    def set_device(
        self, client: ClientKey, status: Status, *, register: bool = False, reason: str | None = None
    ) -> bool:
        """The operator decides about a device."""
        return done(self.desk.set_device(client, status, "admin", register=register, reason=reason))

    def set_room(
        self,
        room_id: str,
        status: Status,
        client: ClientKey = PHONE,
        *,
        register: bool = False,
        reason: str | None = None,
    ) -> bool:
        """The operator decides about a room."""
        return done(self.desk.set_room(client, room_id, status, "admin", register=register, reason=reason))

    def devices(self, status: Status | None = None) -> list[DeviceRow]:
        """The list of devices, as far as it fits on a page."""
        return list(done(self.desk.devices(status, None, None, 1000)).rows)

    def rooms(self, status: Status | None = None) -> list[RoomRow]:
        """The list of rooms likewise."""
        return list(done(self.desk.rooms(status, None, None, 1000)).rows)

    def pass_time(self, seconds: float = 2.0) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)


def done(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that must be done at once; raises what it raises."""
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    assert results, "it is not done yet"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]  # type: ignore[no-any-return]


class BooksCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.books = self.make()

    def make(self, books: Books | None = None, **settings: Any) -> Books:
        """Approvals with these settings, over the same tables as others if they are given."""
        made = Books(self.clock, books.database if books else None, **settings)
        made.real.startService()
        made.audit.startService()
        self.addCleanup(made.real.stopService)
        return made

    def refresh(self, seconds: float = 2.0) -> None:
        """Let the approvals look at the tables."""
        self.books.pass_time(seconds)

    def stored(self, books: Books | None = None) -> list[tuple[str, str]]:
        """The devices in the table, with their status."""
        rows = (books or self.books).database.rows("SELECT device_id, status FROM kb_bot_devices ORDER BY id")
        return [(device, status) for device, status in rows]

    def asked(self, client: ClientKey = PHONE) -> list[Device]:
        """What a handshake of this client is answered with, as soon as it is."""
        answers: list[Device] = []
        found = self.books.real.device(handshake(client), "10.0.0.2:1")
        if isinstance(found, Deferred):
            found.addCallback(answers.append)
        else:
            answers.append(found)
        return answers

    def asked_room(self, room_id: str = "7") -> list[Room]:
        """The same for a message of a room."""
        answers: list[Room] = []
        found = self.books.real.room(PHONE, room_id, "family")
        if isinstance(found, Deferred):
            found.addCallback(answers.append)
        else:
            answers.append(found)
        return answers
