"""The operator's side of the approvals: decides in the table first, lists what stands there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from relaytw.admin.view import AuditRow, DeviceRow, Page, RoomRow
from relaytw.codes import read_code
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey, Status
from relaytw.services.approvals import Approvals
from relaytw.services.audit import AuditWriter
from relaytw.services.known import (
    KnownDevice,
    KnownRoom,
    approvable,
    settings_of,
    status_of,
    status_of_device,
)
from relaytw.settings import USUAL_ROOM
from relaytw.store import audit, devices, rooms
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.decisions import Decision, RoomChange, change_room, decide_device, decide_room
from relaytw.store.devices import AskedDevice, Conflict, StoredDevice
from relaytw.store.rooms import AskedRoom, RowKey, StoredRoom, id_given
from relaytw.store.times import WallClock

#: The longest reason, in characters.
REASON_CHARS = 500
#: How many that have no row are added to the first page of a list.
_ROWLESS = 1_000
#: How many of those that wait are looked at in one go for a code, and how many of one code are told.
_LOOK, _SAME = 1_000, 10

T = TypeVar("T")


class ApprovalDesk:
    """What an operator asks of the approvals.  `now` gives seconds since the epoch."""

    def __init__(
        self,
        approvals: Approvals,
        database: Transactions,
        auditor: AuditWriter,
        wall: WallClock,
        now: Callable[[], float],
    ) -> None:
        self._approvals = approvals
        self._database = database
        self._audit = auditor
        self._wall = wall
        self._now = now

    async def set_device(
        self, client: ClientKey, status: Status, actor: str, *, register: bool, reason: str | None
    ) -> bool:
        """Change a device's status, in the table and then for its connections; False if it is unknown.

        Its next valid signature pins it anew.  Raises ValueError if it can never be approved or has no
        place in the table, and Unavailable, with nothing changed, if the table cannot be written.
        """
        if status is Status.APPROVED and not approvable(client):
            raise ValueError(f"{client} has no device id of its own and cannot be approved")
        cache, effects = self._approvals.cache, self._approvals.effects
        device = cache.device(client)
        decision = self._decision(status, reason, register or device is not None, actor, client, None)
        about = AskedDevice(client)
        if device is not None:
            about = about._replace(address=device.address, version=device.version)
        found = await self._change(decide_device, about, decision)
        if not isinstance(found, StoredDevice):
            return False
        effects.pins.pop(client, None)
        effects.device_found(self._approvals.know(client), found, cache.stamp(), actor)
        self._approvals.look_again(client)
        return True

    async def set_room(
        self,
        client: ClientKey,
        room_id: str,
        status: Status,
        actor: str,
        *,
        register: bool,
        reason: str | None,
    ) -> bool:
        """The same for a room, by its id or by what a list shows for it."""
        about, known = self._room_given(client, room_id)
        decision = self._decision(status, reason, register or known, actor, client, about.room_id)
        return self._room_changed(about, await self._change(decide_room, about, decision), actor)

    async def set_room_settings(
        self, client: ClientKey, room_id: str, values: Mapping[str, object], actor: str, *, register: bool
    ) -> bool:
        """Change some of a room's settings, at once for whoever is on; False if nobody knows the room.

        Raises ValueError with a sentence on every value that is not allowed, and Unavailable.
        """
        faults = replace(USUAL_ROOM, **values).faults()  # type: ignore[arg-type]
        if faults:
            raise ValueError("; ".join(f"{name} {fault}" for name, fault in faults.items()))
        about, known = self._room_given(client, room_id)
        detail = ", ".join(f"{name}={value}" for name, value in values.items())
        act = self._audit.act(actor, "set room", client, about.room_id, detail)
        change = RoomChange(values, register or known, act)
        return self._room_changed(about, await self._change(change_room, about, change), actor)

    def _room_given(self, client: ClientKey, room_id: str) -> tuple[AskedRoom, bool]:
        """The room that an operator names, and whether anybody has spoken in it."""
        given = id_given(room_id)
        named = [room for room in self._approvals.cache.rooms_of(client) if room.table_id == given]
        return AskedRoom(client, given, name=named[0].name if named else room_id), bool(named)

    def _room_changed(self, about: AskedRoom, found: object, actor: str) -> bool:
        """Let everybody know what a room has become; False if there is none."""
        cache, effects = self._approvals.cache, self._approvals.effects
        if not isinstance(found, StoredRoom):
            return False
        stamp, client, given = cache.stamp(), about.client, about.room_id
        for room in list(cache.every_room()):
            if room.row == found.key or (room.client == client and room.table_id == given):
                effects.room_found(room, found, stamp, actor)
                self._approvals.look_at_room(room)
        return True

    async def devices(
        self, status: Status | None, code: str | None, after: str | None, limit: int
    ) -> Page[DeviceRow]:
        """A page of devices; with a code those that wait under it.  Raises ValueError and Unavailable."""
        if code is not None:
            return Page(await self._devices_of(_code(code)), None)
        try:
            number = int(after) if after is not None else 0
        except ValueError:
            raise ValueError("`after` is not what a page before has given") from None
        found = await self._run(devices.page, status, number, limit)
        rows = [self._device_row(row) for row in found]
        if after is None:
            rows = [*self._rowless_devices(status), *rows]
        return Page(rows, str(found[-1].number) if len(found) == limit else None)

    async def rooms(
        self, status: Status | None, code: str | None, after: str | None, limit: int
    ) -> Page[RoomRow]:
        """A page of rooms likewise."""
        if code is not None:
            return Page(await self._rooms_of(_code(code)), None)
        found = await self._run(rooms.page, status, _row_key(after), limit)
        rows = [self._room_row(row) for row in found]
        if after is None:
            rows = [*self._rowless_rooms(status), *rows]
        more = msgspec.json.encode(found[-1].key).decode() if len(found) == limit else None
        return Page(rows, more)

    async def audit(self, before: str | None, limit: int) -> Page[AuditRow]:
        """A page of acts, newest first.  Raises ValueError and Unavailable."""
        try:
            number = int(before) if before is not None else None
        except ValueError:
            raise ValueError("`after` is not what a page before has given") from None
        found = await self._run(audit.page, number, limit)
        rows = [
            AuditRow(act.at_ms / 1000, act.actor, act.act, act.bot, act.device, act.room_id, act.detail)
            for _, act in found
        ]
        return Page(rows, str(found[-1].number) if len(found) == limit else None)

    # -- inside

    def _decision(
        self,
        status: Status,
        reason: str | None,
        register: bool,
        actor: str,
        client: ClientKey,
        room: str | None,
    ) -> Decision:
        if reason is not None and not status.refused:
            raise ValueError("a reason is given to those who are turned away")
        if reason is not None and len(reason) > REASON_CHARS:
            raise ValueError(f"a reason may have {REASON_CHARS} characters")
        kind = "device" if room is None else "room"
        act = self._audit.act(actor, f"{kind} {status}", client, room, reason)
        return Decision(status, reason, register, act)

    async def _change(self, function: Callable[..., T], about: Any, decision: Any) -> T:
        lock = self._approvals.writing
        await lock.acquire()
        try:
            changing: Awaitable[T] = self._database.run(
                function, about, decision, self._wall.text(self._now())
            )
            found = await changing
        except DatabaseAway as error:
            raise Unavailable(error.outcome) from error
        finally:
            lock.release()
        if isinstance(found, Conflict):
            raise ValueError(f"it has no place in the table: {found.why}")  # noqa: TRY004 (it is the names' fault)
        return found

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        running: Awaitable[T] = self._database.run(function, *arguments)
        try:
            return await running
        except DatabaseAway as error:
            raise Unavailable(f"the database is away ({error})") from error

    async def _devices_of(self, code: str) -> list[DeviceRow]:
        codes = self._approvals.codes
        rows: dict[ClientKey, DeviceRow] = {}
        for device in self._approvals.cache.devices():
            if device.status is Status.PENDING and codes.device(device.client) == code:
                rows[device.client] = self._known_device(device)
        after = 0
        while len(rows) < _SAME and (found := await self._run(devices.page, Status.PENDING, after, _LOOK)):
            for stored in found:
                if codes.device(stored.client) == code:
                    rows[stored.client] = self._device_row(stored)
            after = found[-1].number
        return list(rows.values())

    async def _rooms_of(self, code: str) -> list[RoomRow]:
        codes = self._approvals.codes
        rows: dict[tuple[ClientKey, str], RoomRow] = {}
        for room in self._approvals.cache.every_room():
            if room.status is Status.PENDING and codes.room(room.client, room.table_id) == code:
                rows[room.client, room.table_id] = self._known_room(room)
        after: RowKey | None = None
        while len(rows) < _SAME and (found := await self._run(rooms.page, Status.PENDING, after, _LOOK)):
            for stored in found:
                row = self._room_row(stored)
                if row.code == code:
                    rows[row.client, row.room_id] = row
            after = found[-1].key
        return list(rows.values())

    def _rowless_devices(self, status: Status | None) -> Iterator[DeviceRow]:
        if status in (None, Status.PENDING):
            rowless = [device for device in self._approvals.cache.devices() if not device.saved]
            yield from map(self._known_device, rowless[:_ROWLESS])

    def _rowless_rooms(self, status: Status | None) -> Iterator[RoomRow]:
        if status in (None, Status.PENDING):
            rowless = [room for room in self._approvals.cache.every_room() if not room.saved]
            yield from map(self._known_room, rowless[:_ROWLESS])

    def _known_device(self, device: KnownDevice) -> DeviceRow:
        return DeviceRow(
            device.client, device.status, device.address, device.version, device.uuid, device.created_at,
            device.updated_at, device.word, device.reason, device.saved,
            self._code(device.status, device.client),
        )  # fmt: skip

    def _device_row(self, row: StoredDevice) -> DeviceRow:
        status = status_of_device(row.client, row.word)
        created, updated = self._wall.seconds(row.created_at), self._wall.seconds(row.updated_at)
        return DeviceRow(
            row.client, status, row.address or "", row.version or "", row.uuid, created, updated or created,
            row.word, row.reason or "", True, self._code(status, row.client),
        )  # fmt: skip

    def _known_room(self, room: KnownRoom) -> RoomRow:
        return RoomRow(
            room.client, room.table_id, room.name, room.status, room.created_at, room.updated_at, room.word,
            room.saved, self._code(room.status, room.client, room.table_id), room.settings,
        )  # fmt: skip

    def _room_row(self, row: StoredRoom) -> RoomRow:
        client, status = ClientKey(row.key.bot, row.key.device or ""), status_of(row.word)
        created, updated = self._wall.seconds(row.created_at), self._wall.seconds(row.updated_at)
        return RoomRow(
            client, row.key.room_id, row.name or "", status, created, updated or created, row.word, True,
            self._code(status, client, row.key.room_id), settings_of(row),
        )  # fmt: skip

    def _code(self, status: Status, client: ClientKey, room: str | None = None) -> str | None:
        if status is not Status.PENDING:
            return None
        codes = self._approvals.codes
        return codes.device(client) if room is None else codes.room(client, room)


def _code(text: str) -> str:
    code = read_code(text)
    if code is None:
        raise ValueError(f"{text} is no code")
    return code


def _row_key(text: str | None) -> RowKey | None:
    if text is None:
        return None
    try:
        return RowKey._make(msgspec.json.decode(text, type=tuple[str, str, str | None]))
    except msgspec.DecodeError:
        raise ValueError("`after` is not what a page before has given") from None
