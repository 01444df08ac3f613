"""What has ended and is about to be written down, once it can no longer be lost with the process.

A reply that was said is in the kernel's hands after the reactor's next turn, unless its phone takes
nothing.  So what has ended ripens for two turns, and longer while its phone owes us that.
"""

from __future__ import annotations

from collections.abc import Callable

from relaytw.messages import ClientKey

#: Endings kept back for phones that take nothing; beyond it the oldest count all the same.
KEPT_BACK = 100_000

#: The number of a message or a reply, and the phone that was told something.
Ending = tuple[int, ClientKey | None]


class Endings:
    """Numbers on their way; `unsent` says whether a phone has not taken yet what it was told."""

    def __init__(self, unsent: Callable[[ClientKey], bool]) -> None:
        self._unsent = unsent
        self._ripening: list[Ending] = []
        self._kept_back: list[Ending] = []

    @property
    def hurried(self) -> bool:
        """Will the next turn bring anything?"""
        return bool(self._ripening)

    @property
    def kept_back(self) -> bool:
        """Do some wait for phones that take nothing?"""
        return bool(self._kept_back)

    def turn(self, fresh: list[Ending]) -> list[int]:
        """A turn of the reactor is over in which these have ended: what has ripened."""
        ended = [*self._kept_back, *self._ripening] if self._kept_back else self._ripening
        self._kept_back, self._ripening = [], fresh
        ripe: list[int] = []
        asked, unsent = None, False
        for item in ended:
            number, client = item
            if client is not asked:
                # Those of one batch are mostly of one phone, which is asked once.
                asked, unsent = client, client is not None and self._unsent(client)
            if unsent:
                self._kept_back.append(item)
            else:
                ripe.append(number)
        if len(self._kept_back) > KEPT_BACK:
            ripe.extend(number for number, _ in self._kept_back[:-KEPT_BACK])
            del self._kept_back[:-KEPT_BACK]
        return ripe

    def rest(self) -> list[int]:
        """Everything, ripe or not."""
        ended = [*self._kept_back, *self._ripening]
        self._kept_back, self._ripening = [], []
        return [number for number, _ in ended]
