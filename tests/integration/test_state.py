"""A real relay that is killed, and what its bots remember."""

from __future__ import annotations

import os
import signal

from tests.integration.relay_process import Site, scenario

HANDLERS = """
from relaytw.bots import Bot, Message

bot = Bot()


@bot.command("# keep")
def keep(message: Message, what: str) -> str:
    message.state["what"] = what
    return f"kept {what}"


@bot.command("# keep-in-thread", blocking=True)
def keep_in_thread(message: Message, what: str) -> str:
    message.state["what"] = what
    return f"kept {what}"


@bot.command("# show")
def show(message: Message) -> str:
    return f"it is {message.state.get('what')}"
"""


@scenario(60)
async def test_kill(open_site: Site) -> None:
    """What was remembered before a reply came is remembered after a kill, by threads too."""
    (open_site.folder / "keeping.py").write_text(HANDLERS, "utf-8")
    open_site.configure({"bots.load": ["keeping"]})
    expected = "None"
    for command, what in (("# keep", "one"), ("# keep-in-thread", "two"), ("# keep", "three")):
        relay = await open_site.start()
        phone = await open_site.phone("phone-1")
        phone.wire.say("room", "# show")
        await phone.hears(f"it is {expected}")
        phone.wire.say("room", f"{command} {what}")
        await phone.hears(f"kept {what}")
        os.kill(relay.pid, signal.SIGKILL)
        assert await relay.gone() == -signal.SIGKILL
        expected = what
