"""The bridge script in Rhino, as a process: what the app does to it, and what it does to the app."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from relaytw.cli.bridge_script import fill, read_script

JAR = Path("/usr/share/java/js.jar")
#: Seconds for what takes a fraction of one on an idle machine.
PATIENCE = 20.0
_HARNESS = Path(__file__).with_name("harness.js")
_SHELL = "org.mozilla.javascript.tools.shell.Main"
#: Phones are in less of a hurry.
_QUICK = {"retryFirst": 100, "retryMost": 800, "challengeTime": 4000}
T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """What `look` finds, as soon as it is anything; fails when that takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)
    return found


class Engine:
    """One Rhino with the stand-ins for the app; what it says goes into `events`, which may be replaced."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        command = ["java", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", str(JAR), _SHELL]
        # As on a phone: interpreted.
        command += ["-opt", "-1", "-version", "180", str(_HARNESS)]
        self._process = subprocess.Popen(  # noqa: S603 (our own script)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self.events.append(json.loads(line))
            except ValueError:
                self.events.append({"event": "noise", "text": line.decode(errors="replace")})

    def act(self, act: str, **values: Any) -> None:
        """Have the harness do something."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"act": act, **values}).encode() + b"\n")
        self._process.stdin.flush()

    def rest(self) -> None:
        """End the script, and wait until nothing of it is left."""
        self.act("compile")
        eventually(lambda: any(e["event"] == "compiled" for e in self.events), "the end of the script")

    def kill(self) -> None:
        """End it at once; afterwards everything that it said is there."""
        self._process.kill()
        self._process.wait()
        self._listener.join()


class Engines:
    """Engines that are used again, for starting one takes longer than most tests."""

    def __init__(self) -> None:
        self._idle: list[Engine] = []

    def take(self) -> Engine:
        """One that nobody uses."""
        return self._idle.pop() if self._idle else Engine()

    def give(self, engine: Engine) -> None:
        """Take back one that is of use still."""
        engine.rest()
        self._idle.append(engine)

    def close(self) -> None:
        """End them all."""
        for engine in self._idle:
            engine.kill()


class Phone:
    """A phone with the bridge script; `folder` is its storage and outlives it."""

    def __init__(self, engines: Engines, folder: Path, settings: Mapping[str, Any], **options: Any) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self._settings = {"mediaFolder": str(folder / "media"), **_QUICK, **settings}
        self._options = {"listener": True, "folder": str(folder / "app"), **options}
        self._heard = 0
        #: As it was printed for this phone; None: filled in here.
        self.script: str | None = None
        self._engines = engines
        self._engine: Engine | None = None

    # -- the process

    def start(self) -> Phone:
        """Start the app with the script in it, and wait until it runs."""
        script = self.folder / "relay-bridge.js"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(self.script or fill(read_script(), self._settings), encoding="utf-8")
        self._engine = self._engines.take()
        self._engine.events = self.events
        self.act("install", script=str(script), options=self._options)
        self.wait(lambda: self.of("ready"), "a script that runs")
        return self

    def kill(self) -> None:
        """End the app as Android does when it wants the memory."""
        if self._engine is not None:
            self._engine.kill()
            self._engine = None

    def close(self) -> None:
        """Switch the script off."""
        if self._engine is not None:
            self._engines.give(self._engine)
            self._engine = None

    def wait(self, look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
        """What `look` finds, as soon as it is anything; fails with the script's log."""
        try:
            return eventually(look, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; the last events: {self.events[-15:]}") from error

    # -- what the app does

    def act(self, act: str, **values: Any) -> None:
        """Have the harness do something."""
        assert self._engine is not None
        self._engine.act(act, **values)

    def hear(self, text: str, room: str = "family", channel: int | None = 100, **values: Any) -> None:
        """Somebody writes into a chat."""
        self._heard += 1
        said: dict[str, Any] = {
            "path": "listener", "room": room, "channelId": channel, "text": text, "sender": "kim",
            "userHash": "u1", "logId": 3100000000 + self._heard, "isGroupChat": True, "isMention": False,
        }  # fmt: skip
        said.update(values)
        for name in ("channelId", "logId"):
            # They are longer than a number of JavaScript.
            said[name] = None if said[name] is None else str(said[name])
        self.act("hear", **said)

    def evaluate(self, code: str) -> Any:
        """The value of an expression in the script's world; fails where it throws."""
        return self._ask("evaluate", code=code)

    def threads(self) -> list[str]:
        """The names of the script's threads that live."""
        value: list[str] = self._ask("threads")
        return value

    def _ask(self, act: str, **values: Any) -> Any:
        seen = len(self.events)
        self.act(act, **values)
        answer = self.wait(lambda: [e for e in self.events[seen:] if e["event"] == "value"], act)[0]
        assert "error" not in answer, answer["error"]
        return answer["value"]

    # -- what the script did

    def settled(self) -> Phone:
        """The phone, once all that it has done until now is known here: a server may hear of it earlier."""
        self.evaluate("1")
        return self

    def of(self, event: str) -> list[dict[str, Any]]:
        """What happened of one kind, oldest first."""
        return [e for e in list(self.events) if e["event"] == event]

    @property
    def typed(self) -> list[str]:
        """The texts that were typed."""
        return [e["text"] for e in self.of("typed")]

    @property
    def logs(self) -> str:
        """The script's log."""
        return "\n".join(e["text"] for e in list(self.events) if e["event"] in ("log", "noise"))

    def types(self, *texts: str) -> None:
        """Wait until exactly these were typed."""
        self.wait(lambda: len(self.typed) >= len(texts), f"{texts} typed")
        assert self.typed == list(texts)

    def says(self, words: str, times: int = 1) -> None:
        """Wait until the log says this, so many times."""
        self.wait(lambda: self.logs.count(words) >= times, f"{words!r} in the log")

    def file(self, name: str, bot: str = "bot") -> Path:
        """Where the script keeps something."""
        digest = hashlib.sha256(bot.encode()).hexdigest()[:8]
        return self.folder / "app" / "relaytw" / f"{bot}-{digest}" / name
