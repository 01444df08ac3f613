"""Phones, relays of the tests and real ones; whatever a test started has ended when it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from tests.e2e.rhino import Engines, Phone
from tests.e2e.scripted import SECRET, Relay
from tests.ports import HOST

MakePhone = Callable[..., Phone]


@pytest.fixture
def ending() -> Iterator[ExitStack]:
    """What is to be closed when the test is over."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def relay(ending: ExitStack) -> Relay:
    """A relay of the tests."""
    made = Relay()
    ending.callback(made.close)
    return made


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """What scripts run in."""
    made = Engines()
    yield made
    made.close()


@pytest.fixture
def make_phone(ending: ExitStack, engines: Engines, tmp_path: Path) -> MakePhone:
    """Makes the phone of this test, or the same again: its storage stays."""

    def make(*servers: dict[str, Any], options: dict[str, Any] | None = None, **settings: Any) -> Phone:
        values = {"bot": "bot", "secret": SECRET, "servers": list(servers), **settings}
        phone = Phone(engines, tmp_path / "phone", values, **(options or {}))
        ending.callback(phone.close)
        return phone.start()

    return make


class _Pages(BaseHTTPRequestHandler):
    sizes: ClassVar[dict[str, int]] = {"/small.mp3": 5000, "/large.mp3": 200_000, "/empty.mp3": 0}

    def do_GET(self) -> None:
        size = self.sizes.get(self.path)
        self.send_response(404 if size is None else 200)
        self.end_headers()
        self.wfile.write(b"x" * (size or 0))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
        """Say nothing."""


@pytest.fixture
def web(ending: ExitStack) -> str:
    """The address of a server that has a few files."""
    server = ThreadingHTTPServer((HOST, 0), _Pages)
    ending.callback(server.server_close)
    ending.callback(server.shutdown)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{HOST}:{server.server_port}"
