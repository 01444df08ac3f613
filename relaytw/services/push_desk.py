"""Takes messages for single rooms in: finds the room that is meant, keeps them, tells how they stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from relaytw.admin.callers import Caller
from relaytw.admin.pushing import (
    KEY_CHARS,
    Push,
    PushBody,
    PushRefused,
    RoomNamed,
    RoomOutcome,
    RoomTagged,
    RoomTags,
    Saying,
)
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey, Part, Text
from relaytw.services import sayings
from relaytw.services.audit import AuditWriter
from relaytw.services.known import approvable
from relaytw.store import audit, pushes, targets
from relaytw.store.audit import Act
from relaytw.store.database import DatabaseAway, Transactions
from relaytw.store.pushes import Kind, NewPush, StoredPush
from relaytw.store.rooms import table_id
from relaytw.store.statements import Transaction
from relaytw.store.targets import Choice, Target, Wanted

#: For how many milliseconds a request is recognised by its key.
KEY_MS = 86_400_000
#: How far ahead a message may be asked for, in seconds.
FARTHEST = 366 * 86_400
#: How many rooms are named that a name may mean.
_NAMED = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """Characters of a text, bytes of media, and how many pushes may wait for their time."""

    text_chars: int = 65_000
    media_bytes: int = 1_048_576
    timezone: str = "Asia/Seoul"


class PushDesk:
    """Implements `relaytw.admin.pushing.PushesView`.

    `now` gives seconds since the epoch, `new_id` names pushes, `nudge` says that one may be due.
    """

    def __init__(
        self,
        database: Transactions,
        auditor: AuditWriter,
        now: Callable[[], float],
        new_id: Callable[[], str],
        nudge: Callable[[], None],
        settings: DeskSettings,
    ) -> None:
        self._database = database
        self._audit = auditor
        self._now = now
        self._new_id = new_id
        self._nudge = nudge
        self._settings = settings

    async def push(self, body: PushBody, caller: Caller) -> Push:
        """Keep a message, and send it when it is due.  Raises PushRefused and Unavailable."""
        parts = self.parts(body)
        wanted = wanted_of(body.target)
        now = self._now()
        due = now if body.when is None else self._when(body.when, now)
        key = request_key(caller, body.idempotency_key, "push")
        digest = digest_of(body)
        act = self._audit.act(caller.actor, "push", detail=str(wanted))
        name = self._new_id()

        def keep(transaction: Transaction) -> StoredPush | None:
            now_ms = int(now * 1000)
            if key is not None and (told := pushes.replayed(transaction, key, now_ms - KEY_MS)) is not None:
                same_request(told[1], digest)
                return pushes.get(transaction, told[0])
            target = only(targets.choose(transaction, wanted), wanted, caller)
            typeable(transaction, target, parts)
            new = NewPush(
                name, Kind.PUSH, None, target.client, target.room_id, target.name, target.channel_id,
                sayings.kept(parts), len(parts), caller.actor, int(due * 1000), now_ms,
                request_key=key, request_hash=digest if key is not None else None,
            )  # fmt: skip
            pushes.insert(transaction, [new])
            audit.write(transaction, [_about(act, target, name)])
            return pushes.get(transaction, name)

        stored = await self.run(keep)
        self._nudge()
        return _shown(_there(stored, caller, name))

    async def find(self, id: str, caller: Caller) -> Push:  # noqa: A002 (the API's name)
        """A message and what has become of it.  Raises PushRefused and Unavailable."""
        return _shown(_there(await self.run(pushes.get, id), caller, id))

    async def pushes(
        self, after: str | None, limit: int, caller: Caller
    ) -> tuple[Sequence[Push], str | None]:
        """The newest messages, newest first.  Raises PushRefused and Unavailable."""
        found = await self.run(pushes.newest, _place(after), limit)
        following = f"{found[-1].created_ms}.{found[-1].id}" if len(found) == limit else None
        return [_shown(push) for push in found if caller.may_reach(push.client.bot)], following

    async def take_back(self, id: str, caller: Caller) -> Push:  # noqa: A002 (the API's name)
        """Cancel a message that was not given to its phone yet.  Raises PushRefused and Unavailable."""
        _there(await self.run(pushes.get, id), caller, id)
        if not await self.run(pushes.cancel, id, int(self._now() * 1000)):
            raise PushRefused(409, "too_late", f"{id} was given to its phone, or has ended")
        self._audit.note(self._audit.act(caller.actor, "cancel push", detail=id))
        return await self.find(id, caller)

    async def tag(self, wanted: RoomTags, caller: Caller) -> RoomTagged:
        """Give a room tags, and take others away.  Raises PushRefused and Unavailable."""
        if not caller.may_reach(wanted.bot):
            raise PushRefused(404, "unknown_room", "there is no such room")
        for tag in (*wanted.add, *wanted.remove):
            if not tag.isprintable() or tag != tag.strip():
                raise PushRefused(400, "bad_request", "a tag is printable and has no space around it")
        client = ClientKey(wanted.bot, wanted.device)
        tags = await self.run(targets.set_tags, client, wanted.room_id, wanted.add, wanted.remove)
        if wanted.add or wanted.remove:
            detail = " ".join([*(f"+{tag}" for tag in wanted.add), *(f"-{tag}" for tag in wanted.remove)])
            act = self._audit.act(caller.actor, "tag room", client, table_id(wanted.room_id), detail)
            self._audit.note(act)
        return RoomTagged(wanted.bot, wanted.device, wanted.room_id, tags)

    def parts(self, body: Saying) -> list[Part]:
        """What shall be said.  Raises PushRefused."""
        settings = self._settings
        return sayings.parts_of(body, text_chars=settings.text_chars, media_bytes=settings.media_bytes)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a transaction.  Raises Unavailable while the database is away."""
        running: Awaitable[T] = self._database.run(function, *arguments)
        try:
            return await running
        except DatabaseAway as error:
            raise Unavailable(error.outcome) from error

    def _when(self, text: str, now: float) -> float:
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=ZoneInfo(self._settings.timezone))
            at = moment.timestamp()
        except (ValueError, OverflowError):
            raise PushRefused(400, "bad_request", "`when` is a time such as 2026-01-31T09:00:00") from None
        if at > now + FARTHEST:
            raise PushRefused(400, "bad_request", "`when` is more than a year away")
        return max(at, now)


def wanted_of(named: RoomNamed) -> Wanted:
    """The room that a request names.  Raises PushRefused."""
    if (named.room_id is None) == (named.room is None):
        raise PushRefused(400, "bad_request", "name the room by `room_id`, or by `bot` and `room`")
    if named.room is not None and named.bot is None:
        raise PushRefused(400, "bad_request", "a room's name is known to a bot: give `bot` too")
    return Wanted(named.room_id, named.room, named.bot, named.device)


def only(choice: Choice, wanted: Wanted, caller: Caller) -> Target:
    """The one room that is meant.  Raises PushRefused where there is none, or are several."""
    rooms = [room for room in choice.rooms if caller.may_reach(room.client.bot) and approvable(room.client)]
    if len(rooms) == 1:
        return rooms[0]
    if len(rooms) > 1:
        named = ", ".join(f"{room.room_id} ({room.name}) of {room.client}" for room in rooms[:_NAMED])
        raise PushRefused(409, "ambiguous_room", f"{wanted} may be each of these: {named}")
    if choice.refused and caller.may_reach(wanted.bot):
        raise PushRefused(409, "not_approved", f"{wanted} or its device is not approved")
    raise PushRefused(404, "unknown_room", f"no room {wanted} is known")


def typeable(transaction: Transaction, target: Target, parts: Sequence[Part]) -> None:
    """Raise PushRefused where a text would not surely get into this room: its phone knows it by its name."""
    texts = any(isinstance(part, Text) for part in parts)
    if texts and targets.shared_name(transaction, target):
        why = f"{target.client} has several rooms {target.name}, and types texts into a room by its name"
        raise PushRefused(409, "shared_name", why)


def request_key(caller: Caller, given: str | None, kind: str) -> str | None:
    """What a request is recognised by, header or field; everybody's keys are his own.  Raises PushRefused."""
    if caller.key is not None and given is not None and caller.key != given:
        raise PushRefused(400, "bad_request", "the header and the body give different idempotency keys")
    key = caller.key if caller.key is not None else given
    if key is None:
        return None
    if not 0 < len(key) <= KEY_CHARS:
        raise PushRefused(400, "bad_request", f"an idempotency key has 1 to {KEY_CHARS} characters")
    # Who has the admin token is one, whatever he calls himself.
    owner = caller.actor if caller.actor.startswith("token:") else "admin"
    return sha256(msgspec.json.encode([owner, kind, key])).hexdigest()


def digest_of(body: msgspec.Struct) -> str:
    """What tells this request from another under the same key."""
    said = msgspec.to_builtins(body)
    said.pop("idempotency_key", None)
    return sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


def same_request(known: str, digest: str) -> None:
    """Raise PushRefused where another request came under the same key."""
    if known != digest:
        raise PushRefused(409, "key_used", "another request was made with this idempotency key")


def outcome_of(push: StoredPush) -> RoomOutcome:
    """A push as the outcome of its room."""
    return RoomOutcome(*push.client, push.room_id, push.room, push.state.told, push.why)


def _about(act: Act, target: Target, name: str) -> Act:
    return act._replace(
        bot=target.client.bot, device=target.client.device, room_id=target.room_id, detail=name
    )


def _there(push: StoredPush | None, caller: Caller, name: str) -> StoredPush:
    if push is None or push.kind != Kind.PUSH or not caller.may_reach(push.client.bot):
        raise PushRefused(404, "unknown_message", f"there is no message {name}")
    return push


def _shown(push: StoredPush) -> Push:
    return Push(
        push.id, push.actor, push.created_ms / 1000, push.due_ms / 1000, _seconds(push.handed_ms),
        _seconds(push.done_ms), [outcome_of(push)],
    )  # fmt: skip


def _seconds(at: int | None) -> float | None:
    return None if at is None else at / 1000


def _place(after: str | None) -> tuple[int, str]:
    if after is None:
        return 2**62, ""
    at, _, name = after.partition(".")
    if not at.isdigit() or len(at) > 18:  # noqa: PLR2004 (digits of 2**62)
        raise PushRefused(400, "bad_request", "`after` is not what a page before has given")
    return int(at), name
