"""The routes of the admin API by which something is said that nobody has asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from relaytw.admin.callers import Caller, Scope
from relaytw.admin.problems import Problem
from relaytw.admin.pushing import (
    Broadcast,
    BroadcastBody,
    BroadcastsView,
    Named,
    Preview,
    Push,
    PushBody,
    PushesView,
    PushRefused,
    RoomOutcome,
    RoomTagged,
    RoomTags,
)
from relaytw.admin.routes import Route
from relaytw.admin.shapes import Listing, PageQuery
from relaytw.errors import Unavailable

#: What is kept and will be sent is answered with this.
ACCEPTED = 202


@contextmanager
def refusals() -> Iterator[None]:
    """Answer with the code of what refuses."""
    try:
        yield
    except PushRefused as error:
        raise Problem(error.status, error.code, str(error)) from error
    except Unavailable as error:
        raise Problem(503, "database_away", str(error)) from error


class PushApi:
    """Handlers over messages to single rooms."""

    def __init__(self, view: PushesView) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """Everything that can be asked of them."""
        return [
            Route("POST", "/api/v1/messages", self.push, PushBody, Push, scope=Scope.PUSH, calls=True,
                  success=ACCEPTED),
            Route("GET", "/api/v1/messages", self.pushes, None, Listing[Push], query=PageQuery,
                  scope=Scope.READ, calls=True),
            Route("GET", "/api/v1/messages/{id}", self.pushed, returns=Push, scope=Scope.PUSH, calls=True),
            Route("POST", "/api/v1/messages/cancel", self.cancel_push, Named, Push, scope=Scope.PUSH,
                  calls=True),
            Route("POST", "/api/v1/rooms/tags", self.tag_room, RoomTags, RoomTagged, scope=Scope.BROADCAST,
                  calls=True),
        ]  # fmt: skip

    async def push(self, wanted: PushBody, caller: Caller) -> Push:
        """Say something in a room, now or later; it is kept before this is answered."""
        with refusals():
            return await self._view.push(wanted, caller)

    async def pushes(self, query: PageQuery, caller: Caller) -> Listing[Push]:
        """A page of what was said like that, newest first."""
        with refusals():
            rows, following = await self._view.pushes(query.after, query.limit, caller)
        return Listing(list(rows), following)

    async def pushed(self, id: str, caller: Caller) -> Push:  # noqa: A002 (the API's name)
        """What has become of it, as far as anybody knows."""
        with refusals():
            return await self._view.find(id, caller)

    async def cancel_push(self, wanted: Named, caller: Caller) -> Push:
        """Take it back while its time has not come."""
        with refusals():
            return await self._view.take_back(wanted.id, caller)

    async def tag_room(self, wanted: RoomTags, caller: Caller) -> RoomTagged:
        """Give a room tags and take others away; with neither, tell which it has."""
        with refusals():
            return await self._view.tag(wanted, caller)


class BroadcastApi:
    """Handlers over messages to many rooms."""

    def __init__(self, view: BroadcastsView) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """Everything that can be asked of them."""
        path, scope = "/api/v1/broadcasts", Scope.BROADCAST
        return [
            Route("POST", f"{path}/preview", self.preview, BroadcastBody, Preview, scope=scope, calls=True),
            Route("POST", path, self.broadcast, BroadcastBody, Broadcast, scope=scope, calls=True,
                  success=ACCEPTED),
            Route("GET", path, self.broadcasts, returns=Listing[Broadcast], scope=scope, calls=True),
            Route("POST", f"{path}/pause", self.pause_broadcast, Named, Broadcast, scope=scope, calls=True),
            Route("POST", f"{path}/resume", self.resume_broadcast, Named, Broadcast, scope=scope, calls=True),
            Route("POST", f"{path}/cancel", self.cancel_broadcast, Named, Broadcast, scope=scope, calls=True),
            Route("GET", f"{path}/{{id}}", self.broadcast_state, returns=Broadcast, scope=scope, calls=True),
            Route("GET", f"{path}/{{id}}/rooms", self.broadcast_rooms, returns=Listing[RoomOutcome],
                  scope=scope, calls=True),
        ]  # fmt: skip

    async def preview(self, wanted: BroadcastBody, caller: Caller) -> Preview:
        """How many rooms, which, and how long it would take; nothing is sent."""
        with refusals():
            return await self._view.preview(wanted, caller)

    async def broadcast(self, wanted: BroadcastBody, caller: Caller) -> Broadcast:
        """Say something in many rooms, one after the other."""
        with refusals():
            return await self._view.start(wanted, caller)

    async def broadcasts(self, caller: Caller) -> Listing[Broadcast]:
        """The newest broadcasts, newest first."""
        with refusals():
            return Listing(list(await self._view.newest(caller)))

    async def broadcast_state(self, id: str, caller: Caller) -> Broadcast:  # noqa: A002 (the API's name)
        """How far a broadcast has come."""
        with refusals():
            return await self._view.find(id, caller)

    async def broadcast_rooms(self, id: str, caller: Caller) -> Listing[RoomOutcome]:  # noqa: A002 (likewise)
        """What has become of it in each room."""
        with refusals():
            return Listing(list(await self._view.rooms(id, caller)))

    async def pause_broadcast(self, wanted: Named, caller: Caller) -> Broadcast:
        """Tell no more rooms for now."""
        return await self._change("pause", wanted, caller)

    async def resume_broadcast(self, wanted: Named, caller: Caller) -> Broadcast:
        """Go on with the rooms that are left."""
        return await self._change("resume", wanted, caller)

    async def cancel_broadcast(self, wanted: Named, caller: Caller) -> Broadcast:
        """Tell no more rooms for ever."""
        return await self._change("cancel", wanted, caller)

    async def _change(self, verb: str, wanted: Named, caller: Caller) -> Broadcast:
        with refusals():
            return await self._view.change(verb, wanted.id, caller)
