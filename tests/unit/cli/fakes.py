"""An invented relay behind an invented connection, and a folder to run relayctl in."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result

from relaytw.cli.main import relayctl
from relaytw.cli.target import Outside
from tests.unit.folders import OwnFolder

NOW = 10_000.0


class FakeRelay:
    """Answers by a table of (method, path), with a query or without; remembers what was asked, and where."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.urls: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.failure: Exception | None = None

    def items(self, path: str, *items: msgspec.Struct) -> None:
        """Answer a GET with these items."""
        self.says("GET", path, {"items": items})

    def says(self, method: str, path: str, body: Any, status: int = 200) -> None:
        """Answer with this JSON."""
        self.answers[method, path] = (status, msgspec.json.encode(body))

    def refuses(self, method: str, path: str, status: int, code: str, message: str) -> None:
        """Answer with an error."""
        self.says(method, path, {"error": {"code": code, "message": message}}, status)

    def connect(self, url: str) -> HTTPConnection:
        """A connection that never leaves this process."""
        self.urls.append(url)
        return _Connection(self)


class _Connection(HTTPConnection):
    """http.client's own, over a socket that answers at once."""

    def __init__(self, relay: FakeRelay) -> None:
        super().__init__("relay.invalid")
        self._relay = relay

    def connect(self) -> None:
        if self._relay.failure is not None:
            raise self._relay.failure
        self.sock: Any = _Socket(self._relay)


class _Socket:
    def __init__(self, relay: FakeRelay) -> None:
        self._relay = relay
        self._sent = b""

    def sendall(self, data: Any) -> None:
        self._sent += bytes(data)

    def makefile(self, *args: Any) -> BytesIO:
        head, _, body = self._sent.partition(b"\r\n\r\n")
        request, *lines = head.decode().split("\r\n")
        method, path, _ = request.split()
        self._relay.headers.append(dict(line.split(": ", 1) for line in lines))
        self._relay.asked.append((method, path, json.loads(body) if body else None))
        answers = self._relay.answers
        asked = (method, path) if (method, path) in answers else (method, path.partition("?")[0])
        status, answer = answers.get(asked, (404, b"<html>no</html>"))
        return BytesIO(f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)

    def close(self) -> None: ...


class CliTestCase(OwnFolder):
    """Runs relayctl in a folder of its own that holds a token."""

    def setUp(self) -> None:
        self.relay = FakeRelay()
        self.environ: dict[str, str] = {}
        self.sleep: Callable[[float], None] = lambda _: None
        self.folder = self.enter_folder()
        self.write("relay-state/admin-token", "open-sesame\n")

    def write(self, path: str, text: str) -> None:
        """Put a file into the folder."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def run_(self, *arguments: str) -> Result:
        """Run relayctl to its end."""
        outside = Outside(
            self.environ, lambda: NOW, self.sleep, self.relay.connect, lambda: "ada 김", lambda: "192.0.2.77"
        )
        return CliRunner().invoke(relayctl, arguments, obj=outside)

    def ok(self, *arguments: str) -> str:
        """Run relayctl, which must succeed, and return what it printed."""
        result = self.run_(*arguments)
        self.assertEqual(result.exit_code, 0, result.output)
        return result.stdout

    def fails(self, *arguments: str, code: int = 1) -> str:
        """Run relayctl, which must fail, and return what it complained of."""
        result = self.run_(*arguments)
        self.assertEqual(result.exit_code, code, result.output)
        self.assertEqual(result.stdout, "")
        return result.stderr
