"""Where relays run: a folder of their own, in which every process is ended when the test is over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted  # type: ignore[import-untyped]

from tests.integration.relay_process import Site

#: What phones of these tests need not wait for.
OPEN = {"auth.approve_new_devices": "true", "auth.approve_new_rooms": "true"}


@pytest_twisted.async_yield_fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """An empty folder for a relay; nobody is approved."""
    site = Site(tmp_path)
    yield site
    await site.close()


@pytest_twisted.async_yield_fixture
async def open_site(tmp_path: Path) -> AsyncIterator[Site]:
    """An empty folder for a relay that lets everybody talk."""
    site = Site(tmp_path, OPEN)
    yield site
    await site.close()


@pytest_twisted.async_yield_fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A relay that lets everybody talk, for all tests of a module."""
    site = Site(tmp_path_factory.mktemp("shared"), OPEN)
    await site.start()
    yield site
    await site.close()
