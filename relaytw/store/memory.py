"""Approvals held in memory: what a relay knows until it is stopped."""

from __future__ import annotations

from collections.abc import Callable

from relaytw.gate import NAMELESS, Device, Room
from relaytw.messages import ClientKey, Handshake, Status

#: How many rows are kept that an unsigned handshake or message made and nobody has decided about or
#: proven; the oldest goes first.
PENDING_ROWS = 1_000


class MemoryApprovals:
    """Who may talk; `now` gives seconds since the epoch."""

    def __init__(
        self,
        *,
        approve_new_devices: bool,
        approve_new_rooms: bool,
        now: Callable[[], float],
        pending_rows: int = PENDING_ROWS,
    ) -> None:
        self._approve_new_devices = approve_new_devices
        self._approve_new_rooms = approve_new_rooms
        self._now = now
        self._pending_rows = pending_rows
        self._devices: dict[ClientKey, Device] = {}
        self._rooms: dict[tuple[ClientKey, str], Room] = {}
        self._unproven_devices: dict[ClientKey, None] = {}
        self._pending_rooms: dict[tuple[ClientKey, str], None] = {}

    def device(self, handshake: Handshake, address: str) -> Device:
        """The device of this handshake, registered if nobody knows it."""
        device = self._devices.get(handshake.key)
        if device is None:
            status = Status.PENDING
            if self._approve_new_devices and approvable(handshake.key):
                status = Status.APPROVED
            device = self._add_device(handshake.key, status)
            self._keep_few(handshake.key)
        device.address = address
        device.version = handshake.version
        return device

    def known_device(self, client: ClientKey) -> Device | None:
        """The device if it is known, without registering it."""
        return self._devices.get(client)

    def may_register(self) -> bool:
        """Is a device never seen before approved when it introduces itself?"""
        return self._approve_new_devices

    def pin(self, device: Device, uuid: str) -> None:
        """Bind an approved device to the deviceUUID it showed."""
        self._unproven_devices.pop(device.client, None)
        self.keep(device)
        device.uuid = uuid
        device.updated_at = self._now()

    def set_device(self, client: ClientKey, status: Status, *, register: bool = False) -> Device | None:
        """Change a device's status; None if it is unknown and shall not be registered.

        Its next valid signature pins it anew.  Raises ValueError if it has no identity that could be
        approved.
        """
        if status is Status.APPROVED and not approvable(client):
            raise ValueError(f"{client} has no device id of its own and cannot be approved")
        device = self._devices.get(client)
        if device is None:
            if not register:
                return None
            device = self._add_device(client, status)
        device.uuid = None
        device.status = status
        device.updated_at = self._now()
        self._unproven_devices.pop(client, None)
        if status is Status.PENDING:
            self._unproven_devices[client] = None
        return device

    def keep(self, device: Device) -> None:
        """Know this device again if it was forgotten among too many; its phone is connected."""
        self._devices.setdefault(device.client, device)

    def devices(self) -> list[Device]:
        """Every known device."""
        return list(self._devices.values())

    def room(self, client: ClientKey, room_id: str, name: str) -> Room:
        """The room, registered if nobody knows it; follows a change of its name."""
        room = self._rooms.get((client, room_id))
        if room is None:
            room = self._add_room(
                client, room_id, name, Status.APPROVED if self._approve_new_rooms else Status.PENDING
            )
        elif room.name != name:
            room.name = name
        return room

    def set_room(
        self, client: ClientKey, room_id: str, status: Status, *, register: bool = False
    ) -> Room | None:
        """Change a room's status; None if it is unknown and shall not be registered."""
        key = (client, room_id)
        room = self._rooms.get(key)
        if room is None:
            if not register:
                return None
            room = self._add_room(client, room_id, room_id, status)
        room.status = status
        room.updated_at = self._now()
        self._pending_rooms.pop(key, None)
        if status is Status.PENDING:
            self._pending_rooms[key] = None
        return room

    def rooms(self) -> list[Room]:
        """Every known room."""
        return list(self._rooms.values())

    def _add_device(self, client: ClientKey, status: Status) -> Device:
        now = self._now()
        device = self._devices[client] = Device(client, status, None, "", "", now, now)
        return device

    def _keep_few(self, client: ClientKey) -> None:
        """Note a device that nobody has vouched for; of too many the oldest is forgotten."""
        self._unproven_devices[client] = None
        if len(self._unproven_devices) > self._pending_rows:
            oldest = next(iter(self._unproven_devices))
            del self._unproven_devices[oldest], self._devices[oldest]

    def _add_room(self, client: ClientKey, room_id: str, name: str, status: Status) -> Room:
        now = self._now()
        key = (client, room_id)
        room = self._rooms[key] = Room(client, room_id, name, status, now, now)
        if status is Status.PENDING:
            self._pending_rooms[key] = None
            if len(self._pending_rooms) > self._pending_rows:
                oldest = next(iter(self._pending_rooms))
                del self._pending_rooms[oldest], self._rooms[oldest]
        return room


def approvable(client: ClientKey) -> bool:
    """Can this client be approved at all?  A device that calls itself nothing cannot."""
    return client.device.strip().lower() not in NAMELESS
