"""Who is here: live conversations by client and by address, and those still to prove themselves.

Nothing is ever removed by key alone: a connection that was replaced cleans up late, and must not
take its successor away (identities are compared).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, NamedTuple, Protocol, TypeVar

from relaytw.messages import ClientKey

#: A client whose open connection is replaced this often within `FIGHT_SECONDS` is fought over.
FIGHT_TAKEOVERS = 3
FIGHT_SECONDS = 60.0
#: How many clients' take-overs are remembered.
TAKEOVER_CLIENTS = 1_000


class Present(Protocol):
    """A connection as the registry sees it."""

    peer: str
    key: ClientKey | None


C = TypeVar("C", bound=Present)


class Fight(NamedTuple):
    """Two phones that take one identity from each other."""

    client: ClientKey
    one: str
    other: str


class Registry(Generic[C]):
    """The live conversations, and the provisional ones behind them."""

    def __init__(self, provisional_per_client: int = 2) -> None:
        self._live: dict[ClientKey, C] = {}
        self._provisional: dict[ClientKey, list[C]] = {}
        self._by_address: dict[str, C] = {}
        self._takeovers: OrderedDict[ClientKey, deque[float]] = OrderedDict()
        self._per_client = provisional_per_client

    def __len__(self) -> int:
        """How many clients are live."""
        return len(self._live)

    @property
    def provisional(self) -> int:
        """How many connections have yet to prove themselves."""
        return sum(map(len, self._provisional.values()))

    def live(self, client: ClientKey) -> C | None:
        """The live conversation of a client."""
        return self._live.get(client)

    def at(self, address: str) -> C | None:
        """The introduced conversation whose peer has this address."""
        return self._by_address.get(address)

    def everyone(self) -> list[C]:
        """Every live conversation."""
        return list(self._live.values())

    def doubted(self, client: ClientKey) -> list[C]:
        """The provisional conversations of a client, oldest first."""
        return list(self._provisional.get(client, ()))

    def join(self, client: ClientKey, conversation: C) -> C | None:
        """Make this the client's live conversation; the one it replaces, if any, is returned."""
        self._forget_provisional(client, conversation)
        replaced = self._live.get(client)
        self._live[client] = conversation
        self._by_address[conversation.peer] = conversation
        return replaced if replaced is not conversation else None

    def doubt(self, client: ClientKey, conversation: C) -> C | None:
        """Let this one prove itself first; the oldest one too many, if any, is returned."""
        waiting = self._provisional.setdefault(client, [])
        waiting.append(conversation)
        self._by_address[conversation.peer] = conversation
        return waiting[0] if len(waiting) > self._per_client else None

    def leave(self, conversation: C) -> None:
        """Forget this conversation, and only this one."""
        client = conversation.key
        if self._by_address.get(conversation.peer) is conversation:
            del self._by_address[conversation.peer]
        if client is None:
            return
        if self._live.get(client) is conversation:
            del self._live[client]
        self._forget_provisional(client, conversation)

    def took_over(self, client: ClientKey, old: str, new: str, now: float) -> Fight | None:
        """Note that `new` took over from `old`, whose connection was still open.

        A phone alone does so once in a while (its network changed); two phones with one identity
        do so for ever, each time the other has come back.
        """
        history = self._takeovers.setdefault(client, deque(maxlen=FIGHT_TAKEOVERS))
        self._takeovers.move_to_end(client)
        if len(self._takeovers) > TAKEOVER_CLIENTS:
            self._takeovers.popitem(last=False)
        history.append(now)
        if len(history) < FIGHT_TAKEOVERS or now - history[0] > FIGHT_SECONDS:
            return None
        history.clear()
        return Fight(client, old, new)

    def sweep(self, now: float, idle: float) -> int:
        """Forget the take-overs of clients that had none for `idle` seconds; how many clients."""
        gone = [key for key, times in self._takeovers.items() if not times or times[-1] < now - idle]
        for key in gone:
            del self._takeovers[key]
        return len(gone)

    def _forget_provisional(self, client: ClientKey, conversation: C) -> None:
        waiting = self._provisional.get(client)
        if waiting is None:
            return
        waiting[:] = [one for one in waiting if one is not conversation]
        if not waiting:
            del self._provisional[client]
