"""How long ago a handler was called, for those that are called once in a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock

from relaytw.bots.marks import Cooldown
from relaytw.messages import Message


class Cooling:
    """One handler's calls; `now` gives seconds that never go back.

    At most `most` of them are remembered.  If more fall into one period the oldest are forgotten, and may
    call again too early.
    """

    def __init__(self, cooldown: Cooldown, now: Callable[[], float], most: int) -> None:
        self._of_user = cooldown.scope == "user"
        self._seconds = cooldown.seconds
        self._now = now
        self._most = most
        self._calls: OrderedDict[Hashable, tuple[float, bool]] = OrderedDict()
        self._lock = Lock()  # blocking handlers come by in their threads

    def __len__(self) -> int:
        """How many calls are remembered."""
        return len(self._calls)

    def wait(self, message: Message) -> tuple[float, bool]:
        """For how many seconds this message may not call yet, and whether to say so: once in a period.

        If for none, its own period begins.
        """
        key: tuple[Hashable, ...] = (message.client, message.channel_id or message.room)
        if self._of_user:
            key = (*key, message.user_hash or message.sender)
        with self._lock:
            now, calls = self._now(), self._calls
            while calls and (first := next(iter(calls.values())))[0] + self._seconds <= now:
                calls.popitem(last=False)
                del first
            since, told = calls.get(key, (None, False))
            if since is not None:
                calls[key] = (since, True)
                return since + self._seconds - now, not told
            calls[key] = (now, False)
            if len(calls) > self._most:
                calls.popitem(last=False)
            return 0.0, False
