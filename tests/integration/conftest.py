"""Where relays run: a folder of their own, in which every process is ended when the test is over.

And what they write to: databases of their own, on both engines.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted  # type: ignore[import-untyped]

from tests.integration.legacy import ENGINES
from tests.integration.relay_process import Site
from tests.mariadb import MariaDB

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


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A server for all tests that ask for one; `create` and `drop` make it run, whatever became of it."""
    server = MariaDB()
    yield server
    server.close()


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once on each engine."""
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path / 'relay.db'}"
        return
    server: MariaDB = request.getfixturevalue("mariadb")
    name = f"relay_{uuid.uuid4().hex}"
    yield server.create(name)
    server.drop(name)
