"""Who may talk: answered from memory, looked up in the database where memory does not know.

The table has the last word.  What it said last holds while it cannot be asked; who was never found in
it as approved is not approved, whatever fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaytw.codes import Codes
from relaytw.gate import Device, Room
from relaytw.messages import ClientKey, Handshake, Status
from relaytw.metrics import Metrics
from relaytw.services.approval_cache import ApprovalCache
from relaytw.services.approval_effects import ApprovalEffects, Pin
from relaytw.services.approval_refresh import Refresher, RefreshSettings
from relaytw.services.audit import AuditWriter
from relaytw.services.known import KnownDevice, KnownRoom, approvable
from relaytw.services.lookups import BATCH, Lookups
from relaytw.store import devices
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.devices import AskedDevice
from relaytw.store.rooms import table_id
from relaytw.store.times import WallClock

#: How many devices are learnt in one go.
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class ApprovalSettings:
    """Who is approved unseen, times in seconds, and how many rows and entries there may be."""

    approve_new_devices: bool = False
    approve_new_rooms: bool = False
    refresh_interval: float = 2.0
    lookup_patience: float = 3.0
    pending_rows: int = 1_000
    cached_devices: int = 20_000
    cached_rooms: int = 100_000
    idle_ttl: float = 3_600.0
    refresh_page: int = 2_000
    refresh_keys: int = 4_000


class Approvals(Service):
    """Implements `relaytw.gate.Approvals`.  `now` gives seconds since the epoch."""

    name = "approvals"

    def __init__(
        self,
        database: Transactions,
        clock: IReactorTime,
        now: Callable[[], float],
        wall: WallClock,
        codes: Codes,
        audit: AuditWriter,
        metrics: Metrics,
        settings: ApprovalSettings,
    ) -> None:
        self.codes = codes
        self.settings = settings
        self.cache = ApprovalCache(settings.cached_devices, settings.cached_rooms, self._is_needed)
        self.effects = ApprovalEffects(self.cache, audit, wall, clock)
        #: Held by whoever changes rows that exist, so that changes are made in the order in which they came.
        self.writing = DeferredLock()
        self._database = database
        self._clock = clock
        self._now = now
        self._lookups = Lookups(
            database, self.cache, self.effects, metrics, clock, lambda: wall.text(now()),
            pending_rows=settings.pending_rows, patience=settings.lookup_patience,
        )  # fmt: skip
        self._refresher = Refresher(
            database, self.cache, self.effects, metrics, clock, now, wall.text, self._register,
            RefreshSettings(settings.refresh_interval, settings.refresh_page, settings.refresh_keys),
        )  # fmt: skip
        self._asking: dict[tuple[ClientKey, str], KnownRoom] = {}
        self._pinning = False
        self._metrics = metrics
        self._log = Logger(namespace="relaytw.approvals")

    def startService(self) -> None:
        """Learn who is approved, and look for changes from now on."""
        super().startService()
        self._refresher.start()
        Deferred.fromCoroutine(self._learn()).addErrback(
            lambda failure: self._log.failure("the approved devices could not be read", failure)
        )

    def stopService(self) -> Deferred[None]:
        """Look no more, and write down what devices are bound to; fires when that is done or has failed."""
        super().stopService()
        self._refresher.stop()
        return Deferred.fromCoroutine(self._write_pins())

    # -- the gate's side

    def device(self, handshake: Handshake, address: str) -> Device | Deferred[Device]:
        """The device of this handshake, registered as pending if nobody knows it.

        One that is known is answered at once, and looked up again all the same.
        """
        client, now = handshake.key, self._clock.seconds()
        device = self.cache.device(client) or self._new_device(client)
        self.cache.touch(device, now)
        if address:
            device.address, device.version = address, handshake.version
        if now < device.again_at:
            return device
        asked = AskedDevice(
            client, self._if_new(device), address or None, handshake.client_type, handshake.version
        )
        self._lookups.device(asked)
        if device.saved:
            self._look_at_rooms(client)
            return device
        if now < device.again_at:
            return device
        if self._database.away is not None:
            self.effects.unanswered(device)
            return device
        return self._lookups.wait(device)

    def known_device(self, client: ClientKey) -> Device | None:
        """The device if it is known by now, without asking anybody and without registering it."""
        return self.cache.device(client)

    def may_register(self) -> bool:
        """Is a device never seen before approved when it introduces itself?"""
        return self.settings.approve_new_devices

    def pin(self, device: Device, uuid: str) -> None:
        """Bind an approved device to the deviceUUID it showed, at once, and soon in the table."""
        device.uuid, device.proven = uuid, True
        self._lookups.unproven.pop(device.client, None)
        self.effects.pins[device.client] = Pin(uuid)
        self._write_soon()

    def may_hear(self, client: ClientKey, room_id: str) -> bool:
        """May anything be said in this room?  Not once its approval, or its device's, was taken back."""
        device = self.cache.device(client)
        if device is None or device.status is not Status.APPROVED:
            return False
        room = self.cache.room(client, room_id)
        return room is None or room.status is Status.APPROVED

    def proved(self, device: Device) -> None:
        """Note that a device that is not approved has shown a valid signature: its row is worth keeping."""
        device.proven = True
        if isinstance(device, KnownDevice) and not device.saved:
            device.again_at = 0.0
            self.effects.wants_row(device)

    def code_of(self, client: ClientKey, room_id: str | None = None) -> str:
        """The short code by which an operator may name a device, or a room, that waits."""
        return self.codes.device(client) if room_id is None else self.codes.room(client, table_id(room_id))

    def room(self, client: ClientKey, room_id: str, name: str) -> Room | Deferred[Room]:
        """The room, registered as pending if nobody knows it."""
        rooms = self.cache.rooms.get(client)
        room = rooms.get(room_id) if rooms is not None else None
        if room is not None:
            if room.name != name:
                room.name = name
                self.effects.room_named(client, room_id, name)
                self._lookups.room(room, None, name)
            return room
        return self._unknown_room(client, room_id, name)

    # -- the operator's side

    def look_again(self, client: ClientKey) -> None:
        """Look a device up that somebody has decided about: what others do to it counts after that."""
        self._lookups.unproven.pop(client, None)
        if self.cache.device(client) is not None:
            self._lookups.device(AskedDevice(client))

    def look_at_room(self, room: KnownRoom) -> None:
        """The same for a room."""
        self._lookups.room(room, None)

    # -- housekeeping

    def forget_idle(self) -> int:
        """Forget devices that nobody has named for long, and their rooms; how many entries.

        While the database is away what it said last is all there is, and is kept.
        """
        if self._database.away is not None:
            return 0
        return self.cache.forget_idle(self._clock.seconds() - self.settings.idle_ttl)

    def forget_absent(self) -> int:
        """Forget every device that is not on, and its rooms; how many entries.

        While the database is away those that are approved are kept: nobody else knows it then.
        """
        return self.cache.forget_absent(approved=self._database.away is None)

    # -- inside

    def _is_needed(self, client: ClientKey) -> bool:
        device = self.cache.device(client)
        return (
            client in self.effects.pins
            or self.effects.phones.is_on(client)
            or (device is not None and bool(device.waiters))
        )

    async def _learn(self) -> None:
        """Know the approved devices before they come: some say something before they introduce themselves."""
        after, most = 0, self.settings.cached_devices // 2
        try:
            while self.running and self.cache.counts[0] < most:
                stamp = self.cache.stamp()
                rows = await self._database.run(devices.page, Status.APPROVED, after, _PAGE)
                for row in rows:
                    if self.cache.device(row.client) is None:
                        self.effects.device_found(self.know(row.client), row, stamp)
                if len(rows) < _PAGE:
                    return
                after = rows[-1].number
        except DatabaseAway:
            self._metrics.approval_errors += 1  # each is looked up when it comes

    def know(self, client: ClientKey) -> KnownDevice:
        """The device of this client, kept from now on."""
        device = self.cache.device(client)
        if device is None:
            device = self._new_device(client)
            self.cache.touch(device, self._clock.seconds())
        return device

    def _new_device(self, client: ClientKey) -> KnownDevice:
        now = self._now()
        return KnownDevice(client, Status.PENDING, None, "", "", now, now, saved=False, looked_up=False)

    def _if_new(self, device: KnownDevice) -> Status:
        unseen = device.fresh and self.settings.approve_new_devices and approvable(device.client)
        return Status.APPROVED if unseen else Status.PENDING

    def _if_new_room(self, room: KnownRoom) -> Status:
        return Status.APPROVED if room.fresh and self.settings.approve_new_rooms else Status.PENDING

    def _unknown_room(self, client: ClientKey, room_id: str, name: str) -> Room | Deferred[Room]:
        key = (client, room_id)
        room = self._asking.get(key)
        if room is None:
            now = self._now()
            room = KnownRoom(
                client,
                room_id,
                name,
                Status.PENDING,
                now,
                now,
                saved=False,
                looked_up=False,
                table_id=table_id(room_id),
            )
            self._asking[key] = room
            self.effects.room_named(client, room_id, name)
            self._lookups.room(room, self._if_new_room(room), name)
            if not room.again_at and self._database.away is not None:
                self.effects.unanswered(room)
        if room.again_at:
            return self._keep_room(room)
        return self._lookups.wait(room).addCallback(self._keep_room)

    def _keep_room(self, room: KnownRoom) -> Room:
        if self._asking.pop((room.client, room.room_id), None) is not None:
            self.cache.add_room(room)
        return room

    def _look_at_rooms(self, client: ClientKey) -> None:
        # What was changed while the phone was away shall hold before it has said much.
        if not self.effects.phones.is_on(client):
            for room in self.cache.rooms_of(client):
                self._lookups.room(room, None)

    def _register(self) -> None:
        """The table answers: look up what had no row, and write down what devices are bound to."""
        now = self._clock.seconds()
        due: list[KnownDevice | KnownRoom] = []
        for one in list(self.effects.rowless):
            if not self._is_kept(one):
                del self.effects.rowless[one]
            elif one.again_at <= now and len(due) < BATCH:
                due.append(one)
        for one in due:
            if isinstance(one, KnownRoom):
                self._lookups.room(one, self._if_new_room(one), one.name)
            else:
                self._lookups.device(AskedDevice(one.client, self._if_new(one), one.address, "", one.version))
        self._write_soon()

    def _is_kept(self, one: KnownDevice | KnownRoom) -> bool:
        if isinstance(one, KnownDevice):
            return self.cache.device(one.client) is one
        return self.cache.room(one.client, one.room_id) is one

    def _write_soon(self) -> None:
        if self.effects.pins and not self._pinning:
            self._pinning = True
            Deferred.fromCoroutine(self._write_pins()).addErrback(
                lambda failure: self._log.failure("pins could not be written", failure)
            )

    async def _write_pins(self) -> None:
        await self.writing.acquire()
        try:
            await self._write_each()
        except DatabaseAway:
            self._metrics.approval_errors += 1  # they are written after the next look that is answered
        finally:
            self._pinning = False
            self.writing.release()

    async def _write_each(self) -> None:
        waiting = {client: pin for client, pin in self.effects.pins.items() if pin.written is None}
        while some := dict(list(waiting.items())[:BATCH]):
            await self._database.run(devices.pin, {client: pin.uuid for client, pin in some.items()})
            written = self.cache.stamp()
            for client, pin in some.items():
                del waiting[client]
                # Another relay may have bound it to something else before: what stands there holds.
                pin.written = written
                self._lookups.device(AskedDevice(client))
