"""Handlers that fail in every way there is, in a module of the working folder, and what the log says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.relay_process import Phone, Site, eventually, eventually_asked, scenario

TROUBLE = """
import threading

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from relaytw.bots import Bot, Message

bot = Bot()
telling = Bot("telling", admin=True)
release = threading.Event()


@bot.command("# raise")
def raises(message: Message) -> str:
    raise RuntimeError("it broke")


@bot.command("# raise later")
async def raises_later(message: Message) -> str:
    await deferLater(reactor, 0.01)
    raise RuntimeError("it broke later")


@bot.command("# exit")
def exits(message: Message) -> str:
    raise SystemExit(3)


@bot.command("# recurse")
def recurses(message: Message) -> str:
    return recurses(message)


@bot.command("# nonsense")
def nonsense(message: Message) -> object:
    return object()


@bot.command("# hang")
async def hangs(message: Message) -> str:
    await Deferred()


@bot.command("# hang on")
async def hangs_on(message: Message) -> str:
    while True:
        try:
            await deferLater(reactor, 3600)
        except CancelledError:
            pass


@bot.command("# block", blocking=True)
def blocks(message: Message) -> str:
    release.wait(60)
    return "released"


@bot.command("# release")
def let_go(message: Message) -> str:
    release.set()
    return "let go"


@bot.command("# block and raise", blocking=True)
def blocks_and_raises(message: Message) -> str:
    raise RuntimeError("it broke in a thread")


@bot.command("# stall")
def stalls(message: Message) -> str:
    import time

    time.sleep(1.2)
    return "stalled"


@telling.command("# tell")
def tells(message: Message) -> str:
    raise RuntimeError("it broke, and the room hears of it")


@telling.command("# tell late")
async def tells_late(message: Message) -> str:
    await Deferred()
"""
CONFIG = """
[bots]
load = ["relaytw.bots.builtin", "trouble"]
[auth]
approve_new_devices = true
approve_new_rooms = true
[limits]
processing_timeout = 0.5
cancel_grace = 0.3
[log]
format = "json"
"""


@pytest.fixture
def trouble(site: Site) -> Site:
    """A folder with a file and a bot that fails in every way there is."""
    (site.folder / "trouble.py").write_text(TROUBLE, "utf-8")
    (site.folder / "relay.toml").write_text(CONFIG, "utf-8")
    return site


async def start(site: Site) -> Phone:
    """A phone of a relay with these bots."""
    await site.start("--config", "relay.toml")
    return await site.phone("phone")


def logged(site: Site) -> list[dict[str, Any]]:
    """Every line of the log; each has to be JSON."""
    *lines, rest = site.children[0].out.split(b"\n")
    assert rest == b""
    return [json.loads(line) for line in lines]


@scenario(60)
async def test_each_alone(trouble: Site) -> None:
    """A message whose handler fails has no answer; the next one of the same room has."""
    phone = await start(trouble)
    ways = ("# raise", "# raise later", "# exit", "# recurse", "# nonsense", "# block and raise", "# hang")
    for failed, way in enumerate(ways, 1):
        phone.wire.say("room", way)
        assert await phone.echoes("room", f"after {way}") < 5
        await eventually_asked(trouble.status, lambda s, n=failed: s.finished >= 2 * n, f"the end of {way}")  # type: ignore[misc]
    status = await trouble.idle()
    assert status.failed == len(ways) - 1  # a handler that let itself be cancelled is counted as timed out
    assert b"relaytw_timed_out_total 1.0" in (await trouble.ask("/metrics"))[1]
    assert len(phone.texts) == len(ways)
    assert phone.errors == []


@scenario(60)
async def test_all_together(trouble: Site) -> None:
    """Fifty failing messages at once hold up nobody for long, and leave nothing running."""
    phone = await start(trouble)
    for n in range(10):
        for way in ("# raise", "# raise later", "# nonsense", "# hang", "# hang on"):
            phone.wire.say(f"room {n}", way)
    other = await trouble.phone("other")
    for n in range(5):
        assert await other.echoes("another room", f"n {n}") < 5
    status = await eventually_asked(trouble.status, lambda s: s.finished == 55, "the end of 55 messages")
    assert (status.accepted, status.failed, status.running, status.lanes) == (55, 40, 0, 0)
    assert await phone.echoes("room 0", "still here") < 5


@scenario(60)
async def test_blocked_threads(trouble: Site) -> None:
    """Handlers that block their threads keep nobody else from being answered, and are done when they are."""
    phone = await start(trouble)
    for n in range(8):
        phone.wire.say(f"room {n}", "# block")
    busy = await eventually_asked(
        trouble.status, lambda s: s.running == 4, "a handler in each thread of the bot"
    )
    assert busy.waiting == 4
    assert await phone.echoes("room", "meanwhile") < 5
    other = await trouble.phone("other", bot="another bot")
    assert await other.echoes("room", "meanwhile") < 5
    phone.wire.say("room", "# release")
    await phone.hears("let go")
    await trouble.idle()


@scenario(60)
async def test_stall(trouble: Site) -> None:
    """A handler that keeps the reactor is named in the log, and only that."""
    phone = await start(trouble)
    phone.wire.say("room", "# stall")
    assert await phone.echoes("room", "afterwards") < 8
    assert "stalled" in phone.texts
    await eventually(lambda: [line for line in logged(trouble) if "stalls" in line["message"]], "a line")


@scenario(60)
async def test_told_in_the_room(trouble: Site) -> None:
    """A bot that wants it so has its failures told in the room."""
    await start(trouble)
    phone = await trouble.phone("phone", bot="telling")
    phone.wire.say("room", "# tell")
    await phone.hears("⚠️ 명령을 처리하지 못했습니다.")
    phone.wire.say("room", "# tell late")
    await phone.hears("⚠️ 처리 시간이 초과되었습니다.")


@scenario(60)
async def test_log(trouble: Site) -> None:
    """Each line is JSON; a failure has its trace id, its client and its traceback; no line has chat text."""
    phone = await start(trouble)
    phone.wire.say("비밀의 방", "# raise", sender="누군가", user_hash="hash-of-someone")
    phone.wire.say("비밀의 방", "# raise later")
    await phone.echoes("비밀의 방", "비밀 이야기")
    phone.wire.say("비밀의 방", "아무도 안 받는 말")
    await eventually_asked(trouble.status, lambda s: s.finished == 4, "the end of four messages")
    await trouble.children[0].end()

    lines = logged(trouble)
    assert all({"time", "level", "category", "message"} <= line.keys() for line in lines)
    failures = [line for line in lines if "failure" in line]
    assert [line["client"] for line in failures] == ["bot@phone"] * 2
    traces = [line["trace"] for line in failures]
    assert all(traces)
    assert len(set(traces)) == 2
    assert "RuntimeError: it broke" in failures[0]["failure"]
    assert "raises" in failures[0]["message"]
    said = trouble.children[0].out.decode()
    for secret in ("이야기", "안 받는 말", "누군가", "hash-of-someone", trouble.secret.decode()):
        assert secret not in said
    assert trouble.children[0].err == b""
