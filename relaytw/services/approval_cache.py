"""The devices and rooms that are kept in memory, and which of them may be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice

from relaytw.messages import ClientKey, Status
from relaytw.services.known import KnownDevice, KnownRoom

#: What share of a client's rooms is forgotten when it alone has too many.
_SHARE = 8


class ApprovalCache:
    """At most so many devices and rooms; those of phones that are on go last, or not at all.

    `is_needed` tells of which clients nothing may be forgotten.
    """

    def __init__(self, most_devices: int, most_rooms: int, is_needed: Callable[[ClientKey], bool]) -> None:
        self._most_devices = most_devices
        self._most_rooms = most_rooms
        self._is_needed = is_needed
        self._devices: dict[ClientKey, KnownDevice] = {}
        self._room_count = 0
        #: The rooms whose answer is known, by client; read for every message.
        self.rooms: dict[ClientKey, dict[str, KnownRoom]] = {}
        self._stamps = 0

    def stamp(self) -> int:
        """A number for a question to the table: answers to later ones have higher ones."""
        self._stamps += 1
        return self._stamps

    @property
    def counts(self) -> tuple[int, int]:
        """How many devices and how many rooms are kept."""
        return len(self._devices), self._room_count

    def device(self, client: ClientKey) -> KnownDevice | None:
        """The device of this client, if it is kept."""
        return self._devices.get(client)

    def devices(self) -> list[KnownDevice]:
        """Every device that is kept."""
        return list(self._devices.values())

    def touch(self, device: KnownDevice, now: float) -> None:
        """Keep a device that a phone has just named; of too many the longest unnamed one is forgotten."""
        device.used_at = now
        self._devices.pop(device.client, None)
        self._devices[device.client] = device
        if len(self._devices) > self._most_devices:
            self._forget_first(device)

    def room(self, client: ClientKey, room_id: str) -> KnownRoom | None:
        """A room, if it is kept."""
        rooms = self.rooms.get(client)
        return rooms.get(room_id) if rooms is not None else None

    def rooms_of(self, client: ClientKey) -> list[KnownRoom]:
        """Every room of a client that is kept."""
        return list(self.rooms.get(client, {}).values())

    def every_room(self) -> Iterator[KnownRoom]:
        """Every room that is kept."""
        for rooms in list(self.rooms.values()):
            yield from list(rooms.values())

    def add_room(self, room: KnownRoom) -> None:
        """Keep a room; of too many those of phones that are away are forgotten, else the first ones."""
        rooms = self.rooms.setdefault(room.client, {})
        if room.room_id in rooms:
            return
        rooms[room.room_id] = room
        self._room_count += 1
        if self._room_count > self._most_rooms:
            self._forget_rooms(room.client)

    def forget(self, client: ClientKey) -> int:
        """Forget a client and its rooms; how many entries that were."""
        rooms = self.rooms.pop(client, {})
        self._room_count -= len(rooms)
        return len(rooms) + (self._devices.pop(client, None) is not None)

    def forget_absent(self, *, approved: bool) -> int:
        """Forget whatever is of no phone that is on, `approved` devices too or not; how many entries."""
        absent = [
            client
            for client, device in self._devices.items()
            if (approved or device.status is not Status.APPROVED) and not self._is_needed(client)
        ]
        return sum(map(self.forget, absent))

    def forget_idle(self, unused_since: float) -> int:
        """Forget devices that nobody has named since then; how many entries.

        Of approved ones the rooms alone: such a phone may come back while the table cannot be asked.
        """
        idle = [
            device
            for client, device in self._devices.items()
            if device.used_at <= unused_since and not self._is_needed(client)
        ]
        forgotten = 0
        for device in idle:
            forgotten += self.forget(device.client)
            if device.status is Status.APPROVED:
                self._devices[device.client] = device
                forgotten -= 1
        return forgotten

    def _forget_first(self, new: KnownDevice) -> None:
        # Anybody can invent devices; those that are approved may be missed while the table cannot be asked.
        others = (client for client, device in self._devices.items() if device is not new)
        strangers = (
            client
            for client, device in self._devices.items()
            if device is not new and device.status is not Status.APPROVED
        )
        for client in chain(strangers, others):
            if not self._is_needed(client):
                self.forget(client)
                return

    def _forget_rooms(self, new: ClientKey) -> None:
        for client in list(self.rooms):
            if client != new and not self._is_needed(client):
                self._room_count -= len(self.rooms.pop(client))
                return
        most = max(self.rooms.values(), key=len)
        for room_id in list(islice(most, max(1, len(most) // _SHARE))):
            del most[room_id]
            self._room_count -= 1
