"""What has ended and is about to be written down, once it can no longer be lost with the process.

A reply that was said is in the kernel's hands after the reactor's next turn, unless its phone takes
nothing.  So what has ended ripens for two turns, and longer while its phone owes us that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from relaytw.messages import ClientKey

#: Endings kept back for phones that take nothing; beyond it the oldest count all the same.
KEPT_BACK = 100_000

#: The number of a message or a reply, and the phone that was told something.
Ending = tuple[int, ClientKey | None]


class Witness(Protocol):
    """Knows what phones were told, and what of it has left the process."""

    def mark(self, client: ClientKey) -> object | None:
        """Everything this client was told up to now, None if it is not here."""

    def taken(self, client: ClientKey, mark: object) -> bool:
        """Has all of that left the process, or been kept elsewhere because the connection is gone?"""


class _Batch(NamedTuple):
    client: ClientKey | None
    mark: object | None
    numbers: list[int]


class Endings:
    """Numbers on their way."""

    def __init__(self) -> None:
        self.witness: Witness | None = None
        self._ripening: list[_Batch] = []
        self._kept_back: list[_Batch] = []

    @property
    def hurried(self) -> bool:
        """Will the next turn bring anything?"""
        return bool(self._ripening)

    @property
    def kept_back(self) -> bool:
        """Do some wait for phones that take nothing?"""
        return bool(self._kept_back)

    def turn(self, fresh: Sequence[Ending]) -> list[int]:
        """A turn of the reactor is over in which these have ended: what has ripened."""
        looked_at = [*self._kept_back, *self._ripening]
        self._kept_back, self._ripening = [], self._batches(fresh)
        ripe: list[int] = []
        for batch in looked_at:
            if self._taken(batch):
                ripe += batch.numbers
            else:
                self._kept_back.append(batch)
        if self._kept_back:
            over = sum(len(batch.numbers) for batch in self._kept_back) - KEPT_BACK
            while over > 0:
                oldest = self._kept_back.pop(0)
                over -= len(oldest.numbers)
                ripe += oldest.numbers
        return ripe

    def rest(self) -> list[int]:
        """Everything, ripe or not."""
        batches = [*self._kept_back, *self._ripening]
        self._kept_back, self._ripening = [], []
        return [number for batch in batches for number in batch.numbers]

    def _batches(self, fresh: Sequence[Ending]) -> list[_Batch]:
        # Those of one read batch are of one phone, which is asked once.
        batches: list[_Batch] = []
        last: ClientKey | None = None
        numbers: list[int] | None = None
        for number, client in fresh:
            if numbers is None or client is not last:
                mark = None if client is None or self.witness is None else self.witness.mark(client)
                last, numbers = client, []
                batches.append(_Batch(client, mark, numbers))
            numbers.append(number)
        return batches

    def _taken(self, batch: _Batch) -> bool:
        client, mark, _ = batch
        return client is None or mark is None or self.witness is None or self.witness.taken(client, mark)
