"""Handlers that ask in a chat, and handlers of asyncio, in a real relay."""

from __future__ import annotations

import os
import signal

from relaytw import texts
from tests.integration.relay_process import Site, eventually, scenario

ORDERS = """
from relaytw.bots import AskTimeout, Bot, Message

bot = Bot()


@bot.command("# order", ordered=True)
async def order(message: Message) -> str:
    try:
        what = await message.ask("what?", timeout=30)
    except AskTimeout:
        return "too slow"
    return f"one {what.text}"


@bot.command("# hasty")
async def hasty(message: Message) -> str:
    return (await message.ask("quick?", timeout=0.2)).text
"""

ASYNCIO = """
import asyncio

from relaytw.bots import Bot, Message
from twisted.internet import reactor
from twisted.internet.task import deferLater

bot = Bot()


@bot.command("# both")
async def both(message: Message) -> str:
    async with asyncio.timeout(10):
        async with asyncio.TaskGroup() as group:
            one, two = (group.create_task(asyncio.sleep(0.01, text)) for text in ("a", "b"))
        await deferLater(reactor, 0.01)
    what = await message.ask("what?")
    try:
        async with asyncio.timeout(0.01):
            await message.ask("never?")
    except TimeoutError:
        return one.result() + two.result() + what.text
"""


@scenario(60)
async def test_conversation(open_site: Site) -> None:
    """An answer goes to the handler that asked; after a kill its chat is told that it is over."""
    (open_site.folder / "orders.py").write_text(ORDERS, "utf-8")
    open_site.configure({"bots.load": ["relaytw.bots.builtin", "orders"], "limits.per_room": 1})
    relay = await open_site.start()
    phone = await open_site.phone("phone-1")
    phone.wire.say("room", "# order")
    await phone.hears("what?")
    phone.wire.say("room", "# echo tea")
    await phone.hears("one # echo tea")
    phone.wire.say("room", "# hasty")
    await phone.hears(texts.ASK_TIMED_OUT)
    phone.wire.say("room", "# order")
    await eventually(lambda: phone.texts.count("what?") == 2, "a second question")
    os.kill(relay.pid, signal.SIGKILL)
    await relay.gone()

    await open_site.start()
    phone = await open_site.phone("phone-1")
    await phone.hears(texts.ASK_EXPIRED)
    await phone.echoes("room", "on we go")
    assert phone.texts.count("what?") == 0


@scenario(60)
async def test_asyncio(open_site: Site) -> None:
    """Under the asyncio reactor handlers use what asyncio has; under another one they are told how to."""
    (open_site.folder / "modern.py").write_text(ASYNCIO, "utf-8")
    open_site.configure({"bots.load": ["relaytw.bots.builtin", "modern"]})
    relay = await open_site.listening(
        open_site.spawn("twistd", "--reactor=asyncio", "-n", "relay", "--listen", open_site.endpoint)
    )
    phone = await open_site.phone("phone-1")
    phone.wire.say("room", "# both")
    await phone.hears("what?")
    phone.wire.say("room", "c")
    await phone.hears("abc")
    await phone.echoes("room", "hello")
    await relay.end()

    relay = await open_site.listening(
        open_site.spawn("twistd", "--reactor=epoll", "-n", "relay", "--listen", open_site.endpoint)
    )
    phone = await open_site.phone("phone-1")
    phone.wire.say("room", "# both")
    await eventually(lambda: b"twistd --reactor=asyncio" in relay.out, "advice")
