"""What an answer of the table changes: what is kept in memory, and whom that concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from relaytw.gate import Room
from relaytw.messages import ClientKey, Status
from relaytw.pins import follows
from relaytw.services.approval_cache import ApprovalCache
from relaytw.services.audit import AuditWriter
from relaytw.services.known import KnownDevice, KnownRoom
from relaytw.settings import USUAL_ROOM
from relaytw.store.devices import Conflict, StoredDevice
from relaytw.store.devices import Found as FoundDevice
from relaytw.store.rooms import Found as FoundRoom
from relaytw.store.rooms import StoredRoom
from relaytw.store.times import WallClock

#: Seconds for which an answer is good enough for whoever comes next, for which nobody asks again after
#: there was none, and after there can be no row.
GOOD_FOR, UNANSWERED_FOR, ROWLESS_FOR = 1.0, 5.0, 60.0
#: How many devices and rooms without a row are remembered to be registered.
ROWLESS = 10_000
#: Who it was that changed the table, as far as the relay can tell.
ELSEWHERE = "database"


class Phones(Protocol):
    """The phones that are on."""

    def clients(self) -> Iterable[ClientKey]:
        """Every client that has a connection."""

    def is_on(self, client: ClientKey) -> bool:
        """Has this client a connection, proven or not?"""

    def status_changed(self, client: ClientKey, status: Status) -> None:
        """Let the connections of a client follow what its device has become."""


@dataclass(slots=True)
class Pin:
    """What a device was bound to, and since which question to the table that stands there."""

    uuid: str
    written: int | None = None


class _Nobody:
    def clients(self) -> Iterable[ClientKey]:
        return ()

    def is_on(self, client: ClientKey) -> bool:  # noqa: ARG002 (nobody is)
        return False

    def status_changed(self, client: ClientKey, status: Status) -> None: ...


class ApprovalEffects:
    """Applies rows to what is kept, at once for whoever is on; older answers than the last count nothing.

    `phones`, `room_changed` and `room_named` are to be set by whoever knows them.
    """

    def __init__(
        self, cache: ApprovalCache, audit: AuditWriter, wall: WallClock, clock: IReactorTime
    ) -> None:
        self.phones: Phones = _Nobody()
        self.room_changed: Callable[[Room], None] = lambda _room: None
        #: Is told what a phone calls a room that nobody knew, or that it called otherwise before.
        self.room_named: Callable[[ClientKey, str, str], None] = lambda _client, _room, _name: None
        #: Is told whose approval was taken back: a client's, or that of one room of it.
        self.withdrawn: Callable[[ClientKey, str | None], None] = lambda _client, _room: None
        #: Devices bound to a deviceUUID that was not seen in the table yet.
        self.pins: dict[ClientKey, Pin] = {}
        #: What has no row, and ought to be registered.
        self.rowless: dict[KnownDevice | KnownRoom, None] = {}
        self.most_rowless = ROWLESS
        self._cache = cache
        self._audit = audit
        self._wall = wall
        self._clock = clock
        self._log = Logger(namespace="relaytw.approvals")

    def device_found(
        self, device: KnownDevice, found: FoundDevice, stamp: int, actor: str = ELSEWHERE
    ) -> None:
        """Apply what the table says of a device."""
        if stamp < device.stamp:
            return
        device.stamp = stamp
        before, word, saved, uuid = self._state(device), device.word, device.saved, device.uuid
        if isinstance(found, StoredDevice):
            pin = self.pins.get(device.client)
            pinning = pin is not None and (pin.written is None or stamp < pin.written)
            device.take(found, self._wall, pinning=pinning)
            device.fresh = False
            self.rowless.pop(device, None)
            if pin is None or not (pinning and follows(pin.uuid, found.uuid)):
                self.pins.pop(device.client, None)
            if found.uuid is not None and uuid not in (None, found.uuid) and device.uuid != uuid:
                self._log.warn("{client} is bound to another deviceUUID now", client=device.client)
        else:
            device.lose()
            self._no_row(device, found)
            self.pins.pop(device.client, None)
        if saved and device.word != word and actor is ELSEWHERE:
            self._note(device, word)
        if before[0] is Status.APPROVED and device.status is not Status.APPROVED:
            self.withdrawn(device.client, None)
        if self._state(device) != before:
            self.phones.status_changed(device.client, device.status)

    def room_found(self, room: KnownRoom, found: FoundRoom, stamp: int, actor: str = ELSEWHERE) -> None:
        """Apply what the table says of a room."""
        if stamp < room.stamp:
            return
        room.stamp = stamp
        status, settings, word, saved = room.status, room.settings, room.word, room.saved
        if isinstance(found, StoredRoom):
            room.take(found, self._wall)
            room.fresh = False
            self.rowless.pop(room, None)
        else:
            room.lose()
            self._no_row(room, found)
        if room.status is not status:
            room.reported = False
            if status is Status.APPROVED:
                self.withdrawn(room.client, room.room_id)
        if saved and room.word != word and actor is ELSEWHERE:
            self._note(room, word)
        if room.settings != settings or (not saved and room.settings != USUAL_ROOM):
            self.room_changed(room)

    def unanswered(self, one: KnownDevice | KnownRoom) -> None:
        """Nothing could be learnt of this: what is known holds, and it is asked for later."""
        one.again_at = self._clock.seconds() + UNANSWERED_FOR
        if not one.saved:
            self.wants_row(one)

    def answered(self, one: KnownDevice | KnownRoom) -> None:
        """Whoever asks next is given what is known by now, without another look at the table."""
        one.again_at = max(one.again_at, self._clock.seconds() + GOOD_FOR)

    def _no_row(self, one: KnownDevice | KnownRoom, found: Conflict | None) -> None:
        # It waits for approval anew, and may not be approved as one never seen.
        if isinstance(found, Conflict):
            one.again_at = self._clock.seconds() + ROWLESS_FOR
            if one.conflict != found.why:
                one.conflict = found.why
                self._log.warn(
                    "{what} cannot be saved, and so not be approved: {why}", what=_named(one), why=found.why
                )
        self.wants_row(one)

    def wants_row(self, one: KnownDevice | KnownRoom) -> None:
        """Have this registered when the table answers; of too many the first wait until they come again."""
        self.rowless[one] = None
        if len(self.rowless) > self.most_rowless:
            del self.rowless[next(iter(self.rowless))]

    def _note(self, one: KnownDevice | KnownRoom, before: str | None) -> None:
        after = one.word if one.saved else "deleted"
        self._log.info(
            "{what} was changed in the database from {before} to {after}",
            what=_named(one), before=before, after=after,
        )  # fmt: skip
        kind, room_id = ("room", one.table_id) if isinstance(one, KnownRoom) else ("device", None)
        self._audit.note(
            self._audit.act(ELSEWHERE, f"{kind} {after}", one.client, room_id, f"before: {before}")
        )

    def _state(self, device: KnownDevice) -> tuple[Status, int | None]:
        return device.status, device.line_bytes


def settle(one: KnownDevice | KnownRoom) -> None:
    """Answer whoever waits for this."""
    waiters, one.waiters = one.waiters, []
    for waiter in waiters:
        _fire(waiter, one)


def _fire(waiter: Deferred[Any], one: KnownDevice | KnownRoom) -> None:
    if not waiter.called:
        waiter.callback(one)


def _named(one: KnownDevice | KnownRoom) -> str:
    return f"room {one.room_id} of {one.client}" if isinstance(one, KnownRoom) else f"device {one.client}"
