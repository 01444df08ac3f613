"""Says one thing in many rooms, those of each phone one after the other, at a pace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from relaytw.admin.callers import Caller
from relaytw.admin.pushing import Broadcast, BroadcastBody, Preview, PushRefused, RoomOutcome
from relaytw.messages import ClientKey, Part, Text
from relaytw.services import sayings
from relaytw.services.audit import AuditWriter
from relaytw.services.known import approvable
from relaytw.services.push_desk import (
    KEY_MS,
    PushDesk,
    digest_of,
    only,
    outcome_of,
    request_key,
    same_request,
    wanted_of,
)
from relaytw.store import audit, broadcasts, pushes, targets
from relaytw.store.broadcasts import BroadcastState, StoredBroadcast
from relaytw.store.pushes import Kind, NewPush
from relaytw.store.statements import Transaction
from relaytw.store.targets import Target

#: How many rooms a preview names, and how many broadcasts are listed.
NAMED, LISTED = 200, 100
_VERBS: dict[str, Callable[[Transaction, str, int], bool]] = {
    "pause": broadcasts.pause,
    "resume": broadcasts.resume,
    "cancel": broadcasts.cancel,
}


class Chosen(NamedTuple):
    """The rooms of a broadcast, and what is left out of its list, and why."""

    rooms: list[Target]
    left_out: list[str]


class BroadcastDesk:
    """Implements `relaytw.admin.pushing.BroadcastsView`.

    At most `per_minute` rooms of a phone are told, and `most` rooms in all.  `now` gives seconds since the
    epoch, `new_id` names broadcasts, `nudge` says that something may be due.
    """

    def __init__(
        self,
        desk: PushDesk,
        auditor: AuditWriter,
        now: Callable[[], float],
        new_id: Callable[[], str],
        nudge: Callable[[], None],
        *,
        per_minute: float,
        most: int,
    ) -> None:
        self._desk = desk
        self._audit = auditor
        self._now = now
        self._new_id = new_id
        self._nudge = nudge
        self._per_minute = per_minute
        self._most = most

    async def preview(self, body: BroadcastBody, caller: Caller) -> Preview:
        """What a broadcast would do.  Raises PushRefused and Unavailable."""
        parts = self._desk.parts(body)
        chosen = await self._desk.run(self._choose, body, caller, parts)
        shown = [
            RoomOutcome(*room.client, room.room_id, room.name, "waiting") for room in chosen.rooms[:NAMED]
        ]
        seconds = max(self._spread(chosen.rooms, self._pace(body)), default=0.0)
        return Preview(len(chosen.rooms), shown, seconds, chosen.left_out)

    async def start(self, body: BroadcastBody, caller: Caller) -> Broadcast:
        """Keep a broadcast and begin with it.  Raises PushRefused and Unavailable."""
        parts, pace = self._desk.parts(body), self._pace(body)
        key, digest, name = (
            request_key(caller, body.idempotency_key, "broadcast"),
            digest_of(body),
            self._new_id(),
        )
        now_ms = int(self._now() * 1000)
        act = self._audit.act(caller.actor, "broadcast", detail=f"{name}: {_told(body)}")

        def keep(transaction: Transaction) -> StoredBroadcast | None:
            if key is not None and (told := pushes.replayed(transaction, key, now_ms - KEY_MS)) is not None:
                same_request(told[1], digest)
                first = pushes.get(transaction, told[0])
                return broadcasts.get(transaction, first.origin or "") if first is not None else None
            chosen = self._choose(transaction, body, caller, parts)
            if not chosen.rooms:
                raise PushRefused(404, "no_rooms", "there is no approved room that it would be said in")
            new = StoredBroadcast(
                name, _told(body), len(chosen.rooms), pace, BroadcastState.RUNNING, caller.actor, now_ms,
                now_ms, {}, None,
            )  # fmt: skip
            due = self._spread(chosen.rooms, pace)
            pieces = [
                NewPush(
                    f"{name}-{number}", Kind.BROADCAST, name, room.client, room.room_id, room.name,
                    room.channel_id, None, len(parts), caller.actor, now_ms + int(later * 1000), now_ms,
                )
                for number, (room, later) in enumerate(zip(chosen.rooms, due, strict=True))
            ]  # fmt: skip
            if key is not None:
                pieces[0] = pieces[0]._replace(request_key=key, request_hash=digest)
            broadcasts.insert(transaction, new, sayings.kept(parts), len(parts), pieces)
            audit.write(transaction, [act])
            return broadcasts.get(transaction, name)

        stored = await self._desk.run(keep)
        self._nudge()
        return _shown(await self._reachable(stored, name, caller))

    async def find(self, id: str, caller: Caller) -> Broadcast:  # noqa: A002 (the API's name)
        """A broadcast and how far it has come.  Raises PushRefused and Unavailable."""
        return _shown(await self._reachable(await self._desk.run(broadcasts.get, id), id, caller))

    async def newest(self, caller: Caller) -> Sequence[Broadcast]:
        """The newest broadcasts, newest first.  Raises Unavailable."""
        found = await self._desk.run(broadcasts.newest, LISTED)
        return [_shown(one) for one in found if caller.bots is None or await self._may_see(one.id, caller)]

    async def rooms(self, id: str, caller: Caller) -> Sequence[RoomOutcome]:  # noqa: A002 (the API's name)
        """What has become of it in each room.  Raises PushRefused and Unavailable."""
        await self.find(id, caller)
        return [outcome_of(push) for push in await self._desk.run(pushes.pieces, id)]

    async def change(self, verb: str, id: str, caller: Caller) -> Broadcast:  # noqa: A002 (the API's name)
        """Pause a broadcast, resume it, or cancel the rest of it.  Raises PushRefused and Unavailable."""
        before = await self.find(id, caller)
        if not await self._desk.run(_VERBS[verb], id, int(self._now() * 1000)):
            raise PushRefused(409, "wrong_state", f"{id} is {before.state}: it cannot {verb} now")
        self._audit.note(self._audit.act(caller.actor, f"{verb} broadcast", detail=id))
        self._nudge()
        return await self.find(id, caller)

    # -- inside

    def _pace(self, body: BroadcastBody) -> float:
        return min(self._per_minute, body.per_minute or self._per_minute)

    def _spread(self, rooms: Sequence[Target], per_minute: float) -> list[float]:
        """After how many seconds each room is told; those of one phone at this pace."""
        told: Counter[ClientKey] = Counter()
        later = []
        for room in rooms:
            later.append(told[room.client] * 60 / per_minute)
            told[room.client] += 1
        return later

    def _choose(
        self, transaction: Transaction, body: BroadcastBody, caller: Caller, parts: Sequence[Part]
    ) -> Chosen:
        given = [body.bot is not None and body.tag is None, body.tag is not None, bool(body.rooms)]
        if sum(given) != 1:
            raise PushRefused(400, "bad_request", "give one of `bot`, `tag` (and its `bot`) and `rooms`")
        if body.bot is not None and not caller.may_reach(body.bot):
            raise PushRefused(404, "no_rooms", f"there is no room of {body.bot}")
        if len(body.rooms) > self._most:
            raise self._too_many()
        left_out: list[str] = []
        if body.tag is not None:
            rooms = targets.tagged(transaction, body.tag, body.bot, self._most)
        elif body.bot is not None:
            rooms = targets.of_bot(transaction, body.bot, self._most)
        else:
            rooms = _listed(transaction, body, caller, left_out)
        rooms = [room for room in dict.fromkeys(rooms) if caller.may_reach(room.client.bot)]
        rooms = [room for room in rooms if approvable(room.client)]
        if len(rooms) > self._most:
            raise self._too_many()
        return Chosen(_typeable(transaction, rooms, parts, left_out), left_out)

    def _too_many(self) -> PushRefused:
        return PushRefused(
            400, "too_many", f"a broadcast has {self._most} rooms at most (push.broadcast_rooms)"
        )

    async def _reachable(self, stored: StoredBroadcast | None, name: str, caller: Caller) -> StoredBroadcast:
        if stored is None or not await self._may_see(stored.id, caller):
            raise PushRefused(404, "unknown_broadcast", f"there is no broadcast {name}")
        return stored

    async def _may_see(self, name: str, caller: Caller) -> bool:
        if caller.bots is None:
            return True
        return all(map(caller.may_reach, await self._desk.run(pushes.bots_of, name)))


def _listed(
    transaction: Transaction, body: BroadcastBody, caller: Caller, left_out: list[str]
) -> list[Target]:
    rooms = []
    for named in body.rooms:
        wanted = wanted_of(named)
        try:
            rooms.append(only(targets.choose(transaction, wanted), wanted, caller))
        except PushRefused as error:
            left_out.append(str(error))
    return rooms


def _typeable(
    transaction: Transaction, rooms: list[Target], parts: Sequence[Part], left_out: list[str]
) -> list[Target]:
    if not any(isinstance(part, Text) for part in parts):
        return rooms
    fine = []
    for room in rooms:
        if targets.shared_name(transaction, room):
            left_out.append(f"{room.room_id} of {room.client}: its phone has several rooms {room.name}")
        else:
            fine.append(room)
    return fine


def _told(body: BroadcastBody) -> str:
    if body.tag is not None:
        return f"tag {body.tag}" + (f" of {body.bot}" if body.bot is not None else "")
    return f"bot {body.bot}" if body.bot is not None else f"{len(body.rooms)} rooms"


def _shown(stored: StoredBroadcast) -> Broadcast:
    ends = None if stored.last_due_ms is None else stored.last_due_ms / 1000
    return Broadcast(
        stored.id, stored.actor, stored.target, stored.state.value, stored.rooms, stored.per_minute,
        stored.counts, stored.created_ms / 1000, stored.changed_ms / 1000, ends,
    )  # fmt: skip
