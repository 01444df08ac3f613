"""Looks devices and rooms up in the table: all that wait at once in one transaction after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.messages import ClientKey, Status
from relaytw.metrics import Metrics
from relaytw.services.approval_cache import ApprovalCache
from relaytw.services.approval_effects import ROWLESS_FOR, ApprovalEffects, settle
from relaytw.services.known import KnownDevice, KnownRoom
from relaytw.store.approvals import Answers, Asked, look_up
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.devices import AskedDevice
from relaytw.store.rooms import AskedRoom, RowKey

#: How many devices, and how many rooms, are looked up in one transaction.
BATCH = 500
#: How many of each may wait to be looked up; of more the first get no answer for now.
QUESTIONS = 20_000


class RoomQuestion:
    """A room with what is asked of it."""

    __slots__ = ("asked", "room")

    def __init__(self, room: KnownRoom, asked: AskedRoom) -> None:
        self.room = room
        self.asked = asked


Batch = list[AskedDevice | RoomQuestion]


class Lookups:
    """What waits to be looked up, and what is.

    `at` gives the wall time of the tables, `patience` is how many seconds somebody waits for an answer.
    """

    def __init__(
        self,
        database: Transactions,
        cache: ApprovalCache,
        effects: ApprovalEffects,
        metrics: Metrics,
        clock: IReactorTime,
        at: Callable[[], str],
        *,
        pending_rows: int,
        patience: float,
    ) -> None:
        self._database = database
        self._cache = cache
        self._effects = effects
        self._metrics = metrics
        self._clock = clock
        self._at = at
        self._pending_rows = pending_rows
        self._patience = patience
        self.most = QUESTIONS
        self._devices: dict[ClientKey, AskedDevice] = {}
        self._rooms: dict[tuple[ClientKey, str], RoomQuestion] = {}
        #: Parts of a batch that failed, for the fault may be in one of them alone.
        self._parts: deque[Batch] = deque()
        #: Devices approved unseen, that have not shown a valid signature, with their rows.
        self.unproven: dict[ClientKey, int] = {}
        self._asking = False
        self._log = Logger(namespace="relaytw.approvals")

    def device(self, asked: AskedDevice) -> None:
        """Look a device up soon."""
        earlier = self._devices.get(asked.client)
        if earlier is not None:
            if_new = asked.if_new or earlier.if_new
            asked = (earlier if asked.address is None else asked)._replace(if_new=if_new)
        self._devices[asked.client] = asked
        if len(self._devices) > self.most:
            first = next(iter(self._devices))
            self._give_up([self._devices.pop(first)])
        self._pump()

    def room(self, room: KnownRoom, if_new: Status | None, name: str = "") -> None:
        """Look a room up soon; with a `name` that is written down."""
        key = (room.client, room.table_id)
        earlier = self._rooms.get(key)
        if earlier is not None:
            if_new, name = if_new or earlier.asked.if_new, name or earlier.asked.name
            room = earlier.room if earlier.room.waiters else room
        self._rooms[key] = RoomQuestion(room, AskedRoom(room.client, room.table_id, if_new, name))
        if len(self._rooms) > self.most:
            self._give_up([self._rooms.pop(next(iter(self._rooms)))])
        self._pump()

    def wait(self, one: KnownDevice | KnownRoom) -> Deferred[Any]:
        """Fires with this when it is answered, or when that takes too long; it is updated later then."""

        def give_up(_: Deferred[Any]) -> None:
            self._effects.unanswered(one)
            self._metrics.lookups_unanswered += 1
            settle(one)

        if one.waiters:
            waiter: Deferred[Any] = Deferred()
            one.waiters.append(waiter)
            return waiter
        # The first one's patience is everybody's.
        waiter = Deferred(give_up)
        one.waiters.append(waiter)
        return waiter.addTimeout(self._patience, self._clock)

    def is_asked(self, client: ClientKey) -> bool:
        """Is this device waiting to be looked up?"""
        return client in self._devices

    # -- one transaction after the other

    def _pump(self) -> None:
        while not self._asking and (batch := self._next()):
            self._asking = True
            self._ask(batch)

    def _next(self) -> Batch:
        if self._parts:
            return self._parts.popleft()
        devices = [self._devices.pop(client) for client in list(self._devices)[:BATCH]]
        rooms = [self._rooms.pop(key) for key in list(self._rooms)[:BATCH]]
        return [*devices, *rooms]

    def _ask(self, batch: Batch) -> None:
        stamp = self._cache.stamp()
        devices = [one for one in batch if isinstance(one, AskedDevice)]
        asked = Asked(
            devices,
            [one.asked for one in batch if isinstance(one, RoomQuestion)],
            self._pending_rows,
            self._spared() if any(one.if_new for one in devices) else frozenset(),
            self._surplus(),
        )
        answering = self._database.run(look_up, asked, self._at())
        answering.addCallback(self._answered, batch, asked, stamp)
        answering.addErrback(self._failed, batch)
        answering.addBoth(self._go_on)

    def _spared(self) -> frozenset[ClientKey]:
        """Devices that somebody who has the secret has vouched for, though nobody has approved them."""
        return frozenset(device.client for device in self._cache.devices() if device.proven)

    def _surplus(self) -> list[int]:
        """Rows of devices approved unseen that are too many; they are forgotten here too."""
        surplus: list[int] = []
        for client in list(self.unproven):
            if len(self.unproven) <= self._pending_rows:
                break
            if not self._effects.phones.is_on(client) and not self.is_asked(client):
                surplus.append(self.unproven.pop(client))
                self._cache.forget(client)
        return surplus

    def _answered(self, answers: Answers, batch: Batch, asked: Asked, stamp: int) -> None:
        settled: list[KnownDevice | KnownRoom] = []
        self._drop(answers, stamp)
        for one, found in zip(asked.devices, answers.devices.found, strict=True):
            if (device := self._cache.device(one.client)) is not None:
                self._effects.device_found(device, found, stamp)
                if one.address is not None:
                    self._effects.answered(device)
                settled.append(device)
        for client in answers.devices.created:
            device = self._cache.device(client)
            if device is not None and device.word == Status.APPROVED and device.number is not None:
                self.unproven[client] = device.number
        rooms = [one.room for one in batch if isinstance(one, RoomQuestion)]
        for room, found_room in zip(rooms, answers.rooms.found, strict=True):
            self._effects.room_found(room, found_room, stamp)
            self._effects.answered(room)
            settled.append(room)
        for each in settled:
            settle(each)

    def _drop(self, answers: Answers, stamp: int) -> None:
        for client in answers.devices.dropped:
            self._dropped(self._cache.device(client), stamp)
        for key in answers.rooms.dropped:
            for room in self._rooms_at(key):
                self._dropped(room, stamp)

    def _dropped(self, one: KnownDevice | KnownRoom | None, stamp: int) -> None:
        # Others took its place: a device gets one again when it comes again or shows a valid signature,
        # a room after a while.
        if one is None or stamp < one.stamp:
            return
        one.lose()
        one.stamp = stamp
        if isinstance(one, KnownRoom):
            one.again_at = self._clock.seconds() + ROWLESS_FOR
            self._effects.wants_row(one)

    def _rooms_at(self, row: RowKey) -> list[KnownRoom]:
        return [
            room for room in self._cache.rooms_of(ClientKey(row.bot, row.device or "")) if room.row == row
        ]

    def _failed(self, failure: Failure, batch: Batch) -> None:
        self._metrics.approval_errors += 1
        if failure.check(DatabaseAway) is None and len(batch) > 1:
            half = len(batch) // 2
            self._parts.extend((batch[:half], batch[half:]))
            return
        if failure.check(DatabaseAway) is None:
            self._log.failure("{what} could not be looked up", failure, what=_name(batch[0]))
        self._give_up(batch)

    def _give_up(self, batch: Batch) -> None:
        """These get no answer for now."""
        for one in batch:
            known = one.room if isinstance(one, RoomQuestion) else self._cache.device(one.client)
            if known is not None:
                self._effects.unanswered(known)
                settle(known)

    def _go_on(self, _: object) -> None:
        self._asking = False
        self._pump()


def _name(one: AskedDevice | RoomQuestion) -> str:
    if isinstance(one, RoomQuestion):
        return f"room {one.room.room_id} of {one.room.client}"
    return f"device {one.client}"
