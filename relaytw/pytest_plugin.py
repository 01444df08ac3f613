"""What relaytw adds to pytest: the fixture `relay_bot`, for tests of bots.

Nothing of it is in the way of tests that do not ask for it; all else is imported only then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from relaytw.bots import Bot
    from relaytw.testing import Kit

RelayBot = Callable[..., "Kit"]


@pytest.fixture
def relay_bot() -> Iterator[RelayBot]:
    """Makes relays in memory: `relay_bot(bot).phone()` is a phone that talks to this bot.

    They are stopped after the test, which fails if a handler has failed unexpectedly.
    """
    from relaytw.testing import Kit  # noqa: PLC0415 (only those who ask for it pay for it)

    kits: list[Kit] = []

    def make(*bots: Bot | ModuleType, settings: Mapping[str, Mapping[str, object]] | None = None) -> Kit:
        kits.append(Kit(*bots, settings=settings))
        return kits[-1]

    yield make
    for kit in reversed(kits):
        kit.close()
