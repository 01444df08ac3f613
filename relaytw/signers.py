"""Which secret each client signed with last: what an operator must know to end an old one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from relaytw.messages import ClientKey

#: The index of no secret at all.
NO_SECRET = -1


class Use:
    """The secret that a client signed with last, by its index, and when, in seconds since the epoch.

    Shared with the client's connections, which write the time; so a change of index reaches them.
    """

    __slots__ = ("at", "secret")

    def __init__(self, secret: int, at: float = 0.0) -> None:
        self.secret = secret
        self.at = at


#: What a connection holds that has shown no signature yet; nobody writes to it.
UNSIGNED = Use(NO_SECRET)


class Signers:
    """The last use of each client, of `limit` clients at most; index 0 is the newest secret.

    `forgotten` is how many had to make room since the last retirement.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._uses: OrderedDict[ClientKey, Use] = OrderedDict()
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._uses)

    def __iter__(self) -> Iterator[tuple[ClientKey, Use]]:
        """Every client that is remembered, the one longest unchanged first."""
        return iter(list(self._uses.items()))

    def signed(self, client: ClientKey, secret: int) -> Use:
        """Note that a client signs with this secret now; the answer is shared with its connections."""
        use = self._uses.get(client)
        if use is None:
            use = self._uses[client] = Use(secret)
            if len(self._uses) > self._limit:
                self._forget_one()
        else:
            use.secret = secret
            self._uses.move_to_end(client)
        return use

    def rotated(self, concerned: Callable[[ClientKey], bool]) -> None:
        """A newer secret stands before those of the clients concerned."""
        for client, use in self:
            if concerned(client):
                use.secret += 1

    def retired(self, concerned: Callable[[ClientKey], bool]) -> None:
        """Of the clients concerned only those with the newest secret count; the others are forgotten."""
        for client, use in self:
            if concerned(client) and use.secret > 0:
                use.secret = NO_SECRET
                del self._uses[client]
        self.forgotten = 0

    def _forget_one(self) -> None:
        _, use = self._uses.popitem(last=False)
        self.forgotten += 1
        # A connection may still hold it: its next signature is noted anew.
        use.secret = NO_SECRET
