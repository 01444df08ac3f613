"""When a message runs: rooms' lanes, bots' rings, and the permits of the three limits.

A room's lane is a FIFO whose order is fixed when a message is accepted; its width is the room's
limit.  What can run stands in a ring of bots, each with a ring of its lanes; `take` gives the next
message whose room, bot and consumer permits are free *together*.  Nothing is held while waiting, so
nothing can deadlock or starve, and each step costs the same however many messages wait.

Rooms with nothing running go before rooms with something running, and bots likewise; the last few
permits are theirs alone (`reserved_per_bot`, `reserved_consumers`), so that one flooded room or one
busy bot never makes the others wait for its handlers.

Widths and limits may change while messages run.  Nothing is taken from what runs: tokens are then
below nothing, and so many messages have to end before the next one starts.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from relaytw.permits import Permits

T = TypeVar("T")


class LaneKey(NamedTuple):
    """A room as the limits see it; `room` is the channel id, or the name where there is none."""

    bot: str
    device: str
    room: str


class Lane(Generic[T]):
    """One room's messages; to others than `Lanes` a handle with a `key`."""

    __slots__ = ("bot", "held", "idle", "key", "parked", "permits", "ring", "running", "waiting")

    def __init__(self, key: LaneKey, bot: _Bot[T], width: int) -> None:
        self.key = key
        self.bot = bot
        self.waiting: deque[T] = deque()
        self.permits = Permits(width)
        self.running = 0
        self.held = False
        self.parked = False
        self.idle = False
        self.ring: OrderedDict[Lane[T], None] | None = None


class _Bot(Generic[T]):
    __slots__ = ("busy", "idle", "lanes", "name", "permits", "reserved", "ring", "running")

    def __init__(self, name: str, limit: int, reserved: int) -> None:
        self.name = name
        self.permits = Permits(limit)
        self.reserved = _reserve(reserved, limit)
        self.running = 0
        self.lanes = 0
        self.idle: OrderedDict[Lane[T], None] = OrderedDict()
        self.busy: OrderedDict[Lane[T], None] = OrderedDict()
        self.ring: OrderedDict[_Bot[T], None] | None = None


def _reserve(wanted: int, limit: int) -> int:
    # A reserve is there to keep a large limit from being eaten whole; of a small one nothing can be spared.
    return min(wanted, limit // 4)


class Lanes(Generic[T]):
    """What waits and what runs, under the limits per room, per bot and in all."""

    def __init__(
        self,
        *,
        consumers: int,
        per_bot: int,
        per_room: int,
        reserved_consumers: int = 4,
        reserved_per_bot: int = 3,
        width_of: Callable[[LaneKey], int | None] = lambda _key: None,
        limit_of: Callable[[str], int | None] = lambda _bot: None,
    ) -> None:
        self.consumers = Permits(consumers)
        self.waiting = 0
        self.running = 0
        self._base = consumers
        self._reserved = _reserve(reserved_consumers, consumers)
        self._per_bot = per_bot
        self._per_room = per_room
        self._reserved_per_bot = reserved_per_bot
        self._width_of = width_of
        self._limit_of = limit_of
        self._lanes: dict[LaneKey, Lane[T]] = {}
        self._bots: dict[str, _Bot[T]] = {}
        self._idle_bots: OrderedDict[_Bot[T], None] = OrderedDict()
        self._busy_bots: OrderedDict[_Bot[T], None] = OrderedDict()
        self._emptied: list[Lane[T]] = []
        self._turn: Lane[T] | None = None

    def __len__(self) -> int:
        """How many lanes exist."""
        return len(self._lanes)

    @property
    def bots(self) -> int:
        """How many bots have a lane."""
        return len(self._bots)

    def put(self, key: LaneKey, item: T) -> None:
        """Append to a room's lane, which comes into being if need be."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._open(key)
        lane.waiting.append(item)
        self.waiting += 1
        if lane.ring is None:
            self._file(lane)

    def hold(self, key: LaneKey) -> None:
        """Start nothing in this room until `free` is called."""
        lane = self._lanes.get(key) or self._open(key)
        lane.held = True
        self._file(lane)

    def free(self, key: LaneKey) -> None:
        """Let a held room go on."""
        lane = self._lanes.get(key)
        if lane is not None:
            lane.held = False
            self._file(lane)
            self._emptied.append(lane)

    def held(self, key: LaneKey) -> bool:
        """Is this room's lane held?"""
        lane = self._lanes.get(key)
        return lane is not None and lane.held

    def park(self, lane: Lane[T], item: T) -> None:
        """Take back the turn of a message that cannot run yet: it is the first of its lane again.

        Its permits go to others, and nothing of this lane starts until `unpark` is called.
        """
        lane.waiting.appendleft(item)
        lane.parked = True
        self.waiting += 1
        self.done(lane)

    def unpark(self, key: LaneKey) -> bool:
        """Let a parked lane go on; False if it was not parked, or has nothing left to go on with."""
        lane = self._lanes.get(key)
        if lane is None or not lane.parked:
            return False
        lane.parked = False
        self._file(lane)
        return bool(lane.waiting)

    def clear(self, key: LaneKey) -> list[T]:
        """Take everything that waits out of a room's lane, in order."""
        lane = self._lanes.get(key)
        if lane is None:
            return []
        items = list(lane.waiting)
        lane.waiting.clear()
        self.waiting -= len(items)
        self._file(lane)
        self._emptied.append(lane)
        return items

    def enter(self, key: LaneKey) -> Lane[T] | None:
        """The lane of a message that need not wait at all, its three permits taken.

        None if it must: its limits are reached, or somebody who could run waits already.
        """
        if self._turn is not None:
            self._end_turn()
        if self._idle_bots or self._busy_bots:
            return None
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._open(key)
        bot, consumers = lane.bot, self.consumers
        if lane.waiting or lane.held or lane.permits.tokens <= 0:
            return None
        if bot.permits.tokens <= (bot.reserved if lane.running else 0):
            return None
        if consumers.tokens <= (self._reserved if bot.running else 0):
            return None
        self._acquire(lane)
        self._turn = lane
        return lane

    def take(self) -> tuple[Lane[T], T] | None:
        """The next message that may run, its three permits taken; None if none may."""
        if self._turn is not None:
            self._end_turn()
        if self._idle_bots and self.consumers.tokens > 0:
            bot = next(iter(self._idle_bots))
        elif self._busy_bots and self.consumers.tokens > self._reserved:
            bot = next(iter(self._busy_bots))
        else:
            return None
        lane = self._turn = next(iter(bot.idle or bot.busy))
        self._acquire(lane)
        self.waiting -= 1
        return lane, lane.waiting.popleft()

    def _acquire(self, lane: Lane[T]) -> None:
        # The tokens are known to be free, and nobody ever waits on these semaphores themselves.
        bot = lane.bot
        self.consumers.tokens -= 1
        bot.permits.tokens -= 1
        lane.permits.tokens -= 1
        self.running += 1
        bot.running += 1
        lane.running += 1

    def done(self, lane: Lane[T]) -> None:
        """A message of this lane has ended: its permits are free again."""
        bot = lane.bot
        self.consumers.tokens += 1
        bot.permits.tokens += 1
        lane.permits.tokens += 1
        lane.running -= 1
        bot.running -= 1
        self.running -= 1
        if lane is self._turn:
            return
        if lane.waiting:
            self._file(lane)
        else:
            self._file_bot(bot)
            if not (lane.running or lane.idle):
                lane.idle = True
                self._emptied.append(lane)

    def _end_turn(self) -> None:
        # Most messages end in the turn they were taken in: their lane is filed once, not three times.
        lane, self._turn = self._turn, None
        if lane is None:
            return
        if lane.waiting or lane.running or lane.ring is not None:
            self._file(lane, turn=True)
        if not (lane.waiting or lane.running or lane.idle):
            lane.idle = True
            self._emptied.append(lane)

    def sweep(self) -> None:
        """Forget the lanes and bots that have become idle since the last sweep."""
        if self._turn is not None:
            self._end_turn()
        if not self._emptied:
            return
        emptied, self._emptied = self._emptied, []
        for lane in emptied:
            lane.idle = False
            if not (lane.waiting or lane.running or lane.held) and self._lanes.get(lane.key) is lane:
                del self._lanes[lane.key]
                lane.bot.lanes -= 1
                if not lane.bot.lanes:
                    del self._bots[lane.bot.name]

    def stretch(self, limit: int) -> bool:
        """Add a consumer, if more could run and there are fewer than `limit`."""
        if self._turn is not None:
            self._end_turn()
        if self.waiting and self.consumers.limit < limit and (self._idle_bots or self._busy_bots):
            self.consumers.grow()
            return True
        return False

    def relax(self) -> None:
        """Give back consumers that were added and are not needed any more."""
        while self.consumers.limit > self._base and self.consumers.shrink():
            pass

    def resize_room(self, key: LaneKey, width: int | None) -> None:
        """Run so many messages of this room at a time from now on; None means the usual number."""
        lane = self._lanes.get(key)
        if lane is not None:
            self._end_turn()
            lane.permits.resize(self._per_room if width is None else width)
            self._file(lane)

    def resize_rooms_of(self, bot: str) -> None:
        """Ask anew how wide this bot's rooms are."""
        for lane in [lane for lane in self._lanes.values() if lane.key.bot == bot]:
            self.resize_room(lane.key, self._width_of(lane.key))

    def resize_bot(self, name: str, limit: int | None) -> None:
        """Run so many messages of this bot at a time from now on; None means the usual number."""
        bot = self._bots.get(name)
        if bot is not None:
            self._end_turn()
            limit = self._per_bot if limit is None else limit
            bot.permits.resize(limit)
            bot.reserved = _reserve(self._reserved_per_bot, limit)
            self._file_bot(bot)

    def snapshot(self) -> list[tuple[LaneKey, int, int]]:
        """Every lane with the number of its messages waiting and running."""
        return [(lane.key, len(lane.waiting), lane.running) for lane in self._lanes.values()]

    def _open(self, key: LaneKey) -> Lane[T]:
        bot = self._bots.get(key.bot)
        if bot is None:
            limit = self._limit_of(key.bot)
            limit = self._per_bot if limit is None else limit
            bot = self._bots[key.bot] = _Bot(key.bot, limit, self._reserved_per_bot)
        bot.lanes += 1
        width = self._width_of(key)
        lane = self._lanes[key] = Lane(key, bot, self._per_room if width is None else width)
        return lane

    def _file(self, lane: Lane[T], *, turn: bool = False) -> None:
        # `turn`: the lane has just had its turn, so it goes to the end of its ring, and its bot too.
        bot = lane.bot
        ring: OrderedDict[Lane[T], None] | None = None
        if lane.waiting and lane.permits.tokens > 0 and not (lane.held or lane.parked):
            ring = bot.busy if lane.running else bot.idle
        if lane.ring is not ring:
            if lane.ring is not None:
                del lane.ring[lane]
            if ring is not None:
                ring[lane] = None
            lane.ring = ring
        elif turn and ring is not None:
            ring.move_to_end(lane)
        self._file_bot(bot, turn=turn)

    def _file_bot(self, bot: _Bot[T], *, turn: bool = False) -> None:
        free = bot.permits.tokens
        ring: OrderedDict[_Bot[T], None] | None = None
        if (bot.idle and free > 0) or (bot.busy and free > bot.reserved):
            ring = self._busy_bots if bot.running else self._idle_bots
        if bot.ring is not ring:
            if bot.ring is not None:
                del bot.ring[bot]
            if ring is not None:
                ring[bot] = None
            bot.ring = ring
        elif turn and ring is not None:
            ring.move_to_end(bot)
