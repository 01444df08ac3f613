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
from relaytw.store.rooms import AskedRoom, RowKey

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
    keys: int = 1_500


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
        self._left: deque[ClientKey | KnownRoom] = deque()
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
        for one in self._next_ones(found.version):
            if isinstance(one, KnownRoom):
                looked_at[one] = None
            else:
                clients[one] = None
        await self._read(list(clients), list(looked_at))
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
        for key in found.rooms:
            if key.device is None:
                common.add((key.bot, key.room_id))
            else:
                for room in self._cache.rooms_of(ClientKey(key.bot, key.device)):
                    if _means(key, room):
                        looked_at[room] = None
        if common:
            bots = {bot for bot, _ in common}
            for room in self._cache.every_room():
                if room.client.bot in bots and any((room.client.bot, one) in common for one in _ids(room)):
                    looked_at[room] = None
        return clients, looked_at

    def _next_ones(self, version: tuple[int, int] | None) -> list[ClientKey | KnownRoom]:
        """The next ones of all that are here; where nobody else has written since the last, none."""
        if version != self._version or (version is None and not self._left):
            here = list(self._effects.phones.clients())
            self._left = deque([*here, *chain.from_iterable(map(self._cache.rooms_of, here))])
        return [self._left.popleft() for _ in range(min(self._settings.keys, len(self._left)))]

    def _from(self, at: float) -> Since:
        text = self._wall(at - OVERLAP)
        return Since(devices.Since(text), rooms.Since(text))


def _ids(room: KnownRoom) -> tuple[str, str]:
    return room.table_id, f"{room.table_id}_{room.client.bot}"


def _means(key: RowKey, room: KnownRoom) -> bool:
    return key.room_id in _ids(room)
