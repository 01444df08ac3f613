"""Bots in a real relay: their code exchanged while it runs, and what misbehaves hurting nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.relay_process import Site, eventually, scenario

GREETER = """
from relaytw.bots import Bot

bot = Bot()


@bot.on_start
async def start():
    print("{name} has started", flush=True)


@bot.on_stop
def stop():
    print("{name} has stopped", flush=True)


@bot.command("# who")
def who(message):
    return "{name}"


@bot.command("# slow")
async def slow(message):
    answer = await message.ask("go on?", timeout=30)
    return "{name} " + answer.text
"""
AROUND = """
import asyncio
import time

from relaytw.bots import Bot

bot = Bot()


@bot.listen
async def listens(message):
    await asyncio.sleep(0.01)
    if message.text == "listen":
        message.reply("listened")


@bot.middleware
async def around(message, next):
    async with asyncio.timeout(10):
        return f"<{await next(message)}>"


@bot.command("# thread", blocking=True)
def thread(message):
    time.sleep(0.05)
    return "thread"


@bot.command("# task")
async def task(message):
    await asyncio.sleep(0.01)
    return "task"
"""
ROGUE = """
import time

from twisted.internet.defer import Deferred

from relaytw.bots import Bot

bot = Bot("rogue")


@bot.command("# blocks", blocking=True)
def blocks(message):
    time.sleep(20)


@bot.command("# waits")
async def waits(message):
    await Deferred()


@bot.command("# floods")
def floods(message):
    for number in range(10_000):
        message.reply(f"{number}")
"""


@pytest.fixture
def folder(open_site: Site) -> Path:
    """A folder of bots that a relay watches."""
    folder = open_site.folder / "bots"
    folder.mkdir()
    open_site.configure({"bots.folder": "bots", "bots.reload_interval": 0.1, "limits.drain_timeout": 1})
    return folder


@scenario(60)
async def test_exchange(open_site: Site, folder: Path) -> None:
    """A file that changes is in force at once; handlers at work end with the code they began with."""
    greeter = folder / "greeter.py"
    greeter.write_text(GREETER.format(name="one"), "utf-8")
    relay = await open_site.start()
    phone = await open_site.phone("phone")
    phone.wire.say("room", "# slow")
    await phone.hears("go on?")

    greeter.write_text(GREETER.format(name="another"), "utf-8")
    await eventually(lambda: b"another has started" in relay.out, "the new code")
    assert relay.out.index(b"one has stopped") < relay.out.index(b"another has started")
    phone.wire.say("another room", "# who")
    await phone.hears("another")
    phone.wire.say("room", "yes")
    await phone.hears("one yes")

    greeter.write_text("x = 1\nthis is not Python\n", "utf-8")
    await eventually(lambda: b"greeter.py, line 2" in relay.out, "the line")
    phone.reset()
    phone.wire.say("room", "# who")
    await phone.hears("another")
    shown = await open_site.relayctl("bots", "modules")
    assert "greeter cannot be loaded: NameError" in shown.out
    assert (await open_site.relayctl("bots", "reload", "greeter")).code == 1
    greeter.unlink()
    await eventually(lambda: b"gone from the folder" in relay.out, "the end")
    phone.reset()
    phone.wire.say("room", "# help")
    await eventually(lambda: phone.texts and "# who" not in str(phone.texts[-1]), "help without it")


@scenario(60)
async def test_reload(open_site: Site) -> None:
    """A module of `load` is exchanged when the operator says so."""
    greeter = open_site.folder / "greeter.py"
    greeter.write_text(GREETER.format(name="one"), "utf-8")
    open_site.configure({"bots.load": ["relaytw.bots.builtin", "greeter"]})
    await open_site.start()
    phone = await open_site.phone("phone")
    greeter.write_text(GREETER.format(name="another"), "utf-8")
    phone.wire.say("room", "# who")
    await phone.hears("one")
    assert (await open_site.relayctl("bots", "reload")).code == 0
    phone.wire.say("room", "# who")
    await phone.hears("another")


@scenario(60)
async def test_around_handlers(open_site: Site) -> None:
    """Middleware stands around threads and tasks, and both it and listeners may use asyncio where it runs."""
    (open_site.folder / "around.py").write_text(AROUND, "utf-8")
    open_site.configure({"bots.load": ["relaytw.bots.builtin", "around"]})
    await open_site.listening(
        open_site.spawn("twistd", "--reactor=asyncio", "-n", "relay", "--listen", open_site.endpoint)
    )
    phone = await open_site.phone("phone")
    for text, answer in (("# thread", "<thread>"), ("# task", "<task>"), ("listen", "listened")):
        phone.wire.say("room", text)
        await phone.hears(answer)
    await phone.echoes("room", "hello")
    assert (await open_site.idle()).failed == 0


@scenario(90)
async def test_misbehaviour(open_site: Site, folder: Path) -> None:
    """Bots that block, wait for ever, flood or cannot be loaded delay nobody else."""
    (folder / "rogue.py").write_text(ROGUE, "utf-8")
    (folder / "broken.py").write_text("1 / 0\n", "utf-8")
    relay = await open_site.start()
    assert b"broken.py, line 1" in relay.out
    rogue, other = await open_site.phone("rogue", bot="rogue"), await open_site.phone("phone")
    for number in range(20):
        for text in ("blocks", "waits", "floods"):
            rogue.wire.say(f"{text} {number % 5}", f"# {text}")
    took = [await other.echoes("room", f"{number}") for number in range(30)]
    assert max(took) < 1
    await eventually(lambda: "99" in rogue.texts, "what it may say at most", 30)
    assert rogue.texts.count("100") == 0
