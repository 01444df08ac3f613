"""Sees what others change in the tables: by the times of changes, and by looking at who is here."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from relaytw.messages import ClientKey
from relaytw.metrics import Metrics
from relaytw.services.approval_cache import ApprovalCache
from relaytw.services.approval_effects import ApprovalEffects
from relaytw.services.known import KnownRoom
from relaytw.services.lookups import BATCH
from relaytw.store import devices, rooms
from relaytw.store.approvals import Answers, Asked, Changes, Since, changes, look_up
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.devices import AskedDevice
from relaytw.store.rooms import AskedRoom

#: Seconds that a round looks back before the one before it: others' clocks and transactions may be late.
OVERLAP = 5.0


@dataclass(frozen=True, slots=True)
class RefreshSettings:
    """Seconds between two looks, and what one takes at most.

    That is so many changed rows of each table, and so many devices and rooms of phones that are on,
    whether or not they have changed.
    """

    interval: float = 2.0
    page: int = 2_000
    keys: int = 4_000


class Refresher:
    """Looks at the tables, one round after the other.

    `wall` turns seconds since the epoch, which `now` gives, into the tables' time; `register` is called
    after each look that was answered, for what has waited for that.
    """

    def __init__(
        self,
        database: Transactions,
        cache: ApprovalCache,
        effects: ApprovalEffects,
        metrics: Metrics,
        clock: IReactorTime,
        now: Callable[[], float],
        wall: Callable[[float], str],
        register: Callable[[], None],
        settings: RefreshSettings,
    ) -> None:
        self._database = database
        self._cache = cache
        self._effects = effects
        self._metrics = metrics
        self._now = now
        self._wall = wall
        self._register = register
        self._settings = settings
        self._since: Since | None = None
        self._version: tuple[int, int] | None = None
        self._left: deque[KnownRoom] = deque()
        self._again = False
        self._loop = LoopingCall(self._round)
        self._loop.clock = clock
        self._log = Logger(namespace="relaytw.approvals")

    def start(self) -> None:
        """Begin, the first time after one interval."""
        self._since = self._from(self._now())
        self._loop.start(self._settings.interval, now=False).addErrback(
            lambda failure: self._log.failure("the approvals are not refreshed any more", failure)
        )

    def stop(self) -> None:
        """Leave no timer behind."""
        if self._loop.running:
            self._loop.stop()

    async def _round(self) -> None:
        try:
            await self._look()
        except DatabaseAway:
            self._metrics.approval_errors += 1  # it is the database's to say; what is known holds
        except Exception:
            self._metrics.approval_errors += 1
            self._log.failure("the approvals could not be refreshed")

    async def _look(self) -> None:
        begun = self._now()
        since = self._since or self._from(begun)
        found = await self._database.run(changes, since, self._settings.page)
        clients, looked_at = self._concerned(found)
        here, their_rooms = self._next_ones(found.version)
        clients |= dict.fromkeys(here)
        looked_at |= dict.fromkeys(their_rooms)
        try:
            await self._read(list(clients), list(looked_at))
        except Exception:
            self._left.extendleft(reversed(their_rooms))
            raise
        # Only now, so that what a round that failed has not seen is seen by the next.
        again = self._from(begun)
        self._since = Since(found.more_devices or again.devices, found.more_rooms or again.rooms)
        self._version = found.version
        self._register()

    async def _read(self, clients: list[ClientKey], looked_at: list[KnownRoom]) -> None:
        while clients or looked_at:
            some, clients = clients[:BATCH], clients[BATCH:]
            several, looked_at = looked_at[:BATCH], looked_at[BATCH:]
            stamp = self._cache.stamp()
            asked = Asked(
                [AskedDevice(client) for client in some],
                [AskedRoom(room.client, room.table_id) for room in several],
            )
            self._apply(some, several, await self._database.run(look_up, asked, ""), stamp)

    def _apply(
        self, clients: list[ClientKey], looked_at: list[KnownRoom], answers: Answers, stamp: int
    ) -> None:
        for client, found in zip(clients, answers.devices.found, strict=True):
            device = self._cache.device(client)
            # One that has no row yet is looked up by whoever registers it.
            if device is not None and (device.saved or found is not None):
                self._effects.device_found(device, found, stamp)
        for room, found_room in zip(looked_at, answers.rooms.found, strict=True):
            if room.saved or found_room is not None:
                self._effects.room_found(room, found_room, stamp)

    def _concerned(self, found: Changes) -> tuple[dict[ClientKey, None], dict[KnownRoom, None]]:
        """What we keep of that which was changed."""
        clients = dict.fromkeys(client for client in found.devices if self._cache.device(client) is not None)
        looked_at: dict[KnownRoom, None] = {}
        common: set[tuple[str, str]] = set()
        by_id: dict[ClientKey, dict[str, list[KnownRoom]]] = {}
        for key in found.rooms:
            if key.device is None:
                common.add((key.bot, key.room_id))
            else:
                client = ClientKey(key.bot, key.device)
                if client not in by_id:
                    by_id[client] = self._rooms_by_id(client)
                looked_at |= dict.fromkeys(by_id[client].get(key.room_id, ()))
        if common:
            bots = {bot for bot, _ in common}
            for room in self._cache.every_room():
                if room.client.bot in bots and any((room.client.bot, one) in common for one in _ids(room)):
                    looked_at[room] = None
        return clients, looked_at

    def _rooms_by_id(self, client: ClientKey) -> dict[str, list[KnownRoom]]:
        found: dict[str, list[KnownRoom]] = {}
        for room in self._cache.rooms_of(client):
            for one in _ids(room):
                found.setdefault(one, []).append(room)
        return found

    def _next_ones(self, version: tuple[int, int] | None) -> tuple[list[ClientKey], list[KnownRoom]]:
        """All clients that are here, and the next of their rooms; none where nobody else has written.

        A walk over the rooms goes on to its end, whoever writes meanwhile, and is then begun anew.
        """
        changed = version is None or version != self._version
        self._again = self._again or changed
        here = list(self._effects.phones.clients()) if changed else []
        if self._again and not self._left:
            self._again = False
            self._left = deque(chain.from_iterable(map(self._cache.rooms_of, self._effects.phones.clients())))
        count = min(len(self._left), max(self._settings.keys - len(here), self._settings.keys // 2))
        return here, [self._left.popleft() for _ in range(count)]

    def _from(self, at: float) -> Since:
        text = self._wall(at - OVERLAP)
        return Since(devices.Since(text), rooms.Since(text))


def _ids(room: KnownRoom) -> tuple[str, str]:
    return room.table_id, f"{room.table_id}_{room.client.bot}"
