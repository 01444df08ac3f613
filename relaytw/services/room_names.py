"""What phones call their rooms: a text goes to a name, and a name may be that of two rooms, or an old one.

Each phone reports a room's name with its chat.  A text for a name that two of its rooms bear is refused,
one for a room that has been renamed goes to the new name; both are said aloud.  Dialect 4.0 finds rooms
by channel id and needs none of this.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.messages import ClientKey, Reply
from relaytw.metrics import Metrics
from relaytw.store.database import Transactions
from relaytw.store.room_names import names_of

#: Is told whether texts to a phone need a second look now.
Troubled = Callable[[ClientKey, bool], None]


class _Phone:
    """One phone's rooms: `names` by channel, and who bears each name."""

    __slots__ = ("bearers", "doubles", "names", "read", "renamed")

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.bearers: dict[str, set[str]] = {}
        self.doubles = 0
        self.renamed = False
        self.read = False

    @property
    def troubled(self) -> bool:
        """Is there a name that may mislead?"""
        return self.renamed or self.doubles > 0

    def call(self, channel: str, name: str) -> bool:
        """A channel has this name from now on; does it share it with another?"""
        before = self.names.get(channel)
        if before is not None:
            self.renamed = True
            self.forget(channel)
        self.names[channel] = name
        bearers = self.bearers.setdefault(name, set())
        bearers.add(channel)
        self.doubles += len(bearers) == 2  # noqa: PLR2004 (a second one)
        return len(bearers) > 1

    def forget(self, channel: str) -> None:
        """Know nothing of a channel any more."""
        name = self.names.pop(channel)
        bearers = self.bearers[name]
        bearers.discard(channel)
        self.doubles -= len(bearers) == 1
        if not bearers:
            del self.bearers[name]


class RoomNames:
    """The names that phones have reported: at most `most`, of as many phones; what is oldest goes first."""

    def __init__(self, database: Transactions, metrics: Metrics, most: int) -> None:
        self.troubled: Troubled = _nobody
        self._database = database
        self._metrics = metrics
        self._most = most
        self._phones: OrderedDict[ClientKey, _Phone] = OrderedDict()
        self._count = 0
        self._log = Logger(namespace="relaytw.outbox")

    @property
    def count(self) -> int:
        """How many names are known."""
        return self._count

    def heard(self, client: ClientKey, channel: str, name: str) -> None:
        """A phone has reported a room that nobody knew, or a new name of one."""
        phone = self._phone(client)
        if channel == name or phone.names.get(channel) == name:
            return  # without a channel there is nothing to tell rooms apart by
        self._call(client, phone, channel, name)
        self._phones.move_to_end(client)
        self._trim(client)
        self.troubled(client, phone.troubled)

    def expect(self, client: ClientKey) -> bool:
        """A phone that needs names is on: is there trouble already?  What it reported once is read."""
        phone = self._phone(client)
        if not phone.read:
            phone.read = True
            reading = self._database.run(names_of, client, self._most)
            reading.addCallbacks(
                self._read, self._not_read, callbackArgs=(client, phone), errbackArgs=(client, phone)
            )
            reading.addErrback(lambda failure: self._log.failure("names of rooms got lost", failure))
        return phone.troubled

    def address(self, reply: Reply) -> str | None:
        """The name that a text for a room goes to now, None if nobody can say which room that is."""
        phone = self._phones.get(reply.client)
        if phone is None:
            return reply.room
        channel, name = reply.channel_id, reply.room
        if channel is not None:
            name = phone.names.get(channel, name)
        bearers = phone.bearers.get(name, ())
        if len(bearers) > 1 or (channel is not None and bearers and channel not in bearers):
            self._log.error(
                "a text of {client} for {room} ({channel}) is refused: its phone has more than one room of "
                "this name, and would write to any of them; rename one",
                client=reply.client, room=name, channel=channel, trace=reply.trace,
            )  # fmt: skip
            return None
        if name != reply.room:
            self._metrics.replies_renamed += 1
            self._log.warn(
                "a text of {client} for {room} goes to {name}: the room was renamed",
                client=reply.client, room=reply.room, name=name, trace=reply.trace,
            )  # fmt: skip
        return name

    def _phone(self, client: ClientKey) -> _Phone:
        phone = self._phones.get(client)
        if phone is None:
            phone = self._phones[client] = _Phone()
            if len(self._phones) > self._most:
                _, oldest = self._phones.popitem(last=False)
                self._count -= len(oldest.names)
        return phone

    def _call(self, client: ClientKey, phone: _Phone, channel: str, name: str) -> None:
        self._count += channel not in phone.names
        if phone.call(channel, name):
            self._log.warn(
                "{client} has more than one room called {room}; texts to it are refused until that changes",
                client=client, room=name,
            )  # fmt: skip

    def _trim(self, client: ClientKey) -> None:
        while self._count > self._most:
            oldest, phone = next(iter(self._phones.items()))
            if oldest == client:
                channel = next(iter(phone.names))
                phone.forget(channel)
                self._count -= 1
            else:
                del self._phones[oldest]
                self._count -= len(phone.names)

    def _read(self, rows: Sequence[tuple[str, str]], client: ClientKey, phone: _Phone) -> None:
        if self._phones.get(client) is not phone:
            return
        for channel, name in rows:
            if channel not in phone.names and channel != name:
                self._call(client, phone, channel, name)
        self._trim(client)
        self.troubled(client, phone.troubled)

    def _not_read(self, failure: Failure, client: ClientKey, phone: _Phone) -> None:
        phone.read = False
        self._log.warn(
            "the rooms of {client} cannot be read: {why}", client=client, why=failure.getErrorMessage()
        )


def _nobody(client: ClientKey, troubled: bool) -> None:
    """Nobody writes texts yet."""
