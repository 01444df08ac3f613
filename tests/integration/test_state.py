"""A real relay that is killed, and what its bots remember."""

from __future__ import annotations

import os
import signal

from tests.integration.relay_process import Site, scenario

HANDLERS = """
from relaytw.bots import Bot, Message

bot = Bot()


@bot.command("# count")
def count(message: Message) -> str:
    message.state["count"] = message.state.get("count", 0) + 1
    return f"count {message.state['count']}"


@bot.command("# thread", blocking=True)
def in_thread(message: Message) -> str:
    message.state["count"] = message.state.get("count", 0) + 1
    message.room_state["by"] = "a thread"
    return f"count {message.state['count']}"


@bot.command("# by")
def by(message: Message) -> str:
    return message.room_state.get("by", "nobody")
"""


@scenario(60)
async def test_kill(open_site: Site) -> None:
    """Whatever was remembered before a reply came is remembered after a kill, by threads too."""
    (open_site.folder / "counting.py").write_text(HANDLERS, "utf-8")
    open_site.configure({"bots.load": ["counting"]})
    for number in (1, 3, 5):
        relay = await open_site.start()
        phone = await open_site.phone("phone-1")
        phone.wire.say("room", "# count")
        await phone.hears(f"count {number}")
        phone.wire.say("room", "# thread")
        await phone.hears(f"count {number + 1}")
        os.kill(relay.pid, signal.SIGKILL)
        assert await relay.gone() == -signal.SIGKILL
    await open_site.start()
    phone = await open_site.phone("phone-1")
    phone.wire.say("room", "# by")
    await phone.hears("a thread")
