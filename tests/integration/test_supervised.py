"""A relay below a service manager, and below the examples that the project ships."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.relay_process import Site, eventually, scenario

EXAMPLES = Path(__file__).parents[2] / "contrib"


def datagrams(path: Path, clean_up: Callable[[Callable[[], object]], object]) -> Callable[[], list[bytes]]:
    """What was said to the manager's socket so far."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    clean_up(manager.close)
    manager.bind(str(path))
    manager.setblocking(False)
    heard: list[bytes] = []

    def look() -> list[bytes]:
        try:
            while True:
                heard.append(manager.recv(1000))
        except BlockingIOError:
            return heard

    return look


@scenario(30)
async def test_notified(open_site: Site, request: pytest.FixtureRequest) -> None:
    """The manager is told ready once the relay listens, signs of life after that, and the stop."""
    heard = datagrams(open_site.folder / "notify", request.addfinalizer)
    open_site.surround(NOTIFY_SOCKET=str(open_site.folder / "notify"), WATCHDOG_USEC="600000")
    relay = await open_site.start()
    await eventually(lambda: b"READY=1" in heard() and b"WATCHDOG=1" in heard(), "ready, and a sign of life")
    phone = await open_site.phone("phone-1")
    await phone.echoes("room", "hi")
    relay.signal("TERM")
    await relay.gone()
    said = heard()
    assert said[0] == b"READY=1"
    assert said.count(b"STOPPING=1") == 1
    assert said.index(b"STOPPING=1") > said.index(b"WATCHDOG=1")


@scenario(30)
async def test_example_tac(open_site: Site) -> None:
    """The shipped .tac starts a relay with the configuration file beside it."""
    shutil.copy(EXAMPLES / "relay-with-configuration.tac", open_site.folder)
    (open_site.folder / "relay.toml").write_text('[relay]\nmode = "direct"\n', "utf-8")
    open_site.configure({"relay.listen": [open_site.endpoint]})
    relay = open_site.spawn("twistd", "-n", "--pidfile=", "-y", "relay-with-configuration.tac")
    await open_site.listening(relay)
    status = await open_site.status()
    assert (status.name, status.mode) == ("relay-01", "direct")
    phone = await open_site.phone("phone-1")
    await phone.echoes("room", "hi")
