"""A real relay that is killed, and what relayctl says of its journal."""

from __future__ import annotations

import os
import signal

from tests.integration.relay_process import (
    PATIENCE,
    Child,
    Phone,
    Site,
    eventually,
    eventually_asked,
    reactor,
    scenario,
)

HANDLERS = """
from twisted.internet import reactor
from twisted.internet.task import deferLater

from relaytw.bots import Bot, Message

bot = Bot()


@bot.command("# wait")
async def wait(message: Message, seconds: float) -> str:
    await deferLater(reactor, seconds)
    return f"waited {seconds:g}, {'again' if message.redelivered else 'first'}"
"""


async def killed(relay: Child) -> None:
    """Kill a relay."""
    os.kill(relay.pid, signal.SIGKILL)
    assert await relay.gone() == -signal.SIGKILL


async def slow_site(site: Site) -> Child:
    """A started relay with a bot that waits."""
    (site.folder / "waiting.py").write_text(HANDLERS, "utf-8")
    site.configure({"bots.load": ["relaytw.bots.builtin", "waiting"]})
    return await site.start()


async def answered(phone: Phone, count: int) -> None:
    """Wait until a phone has been told so many things."""
    await eventually(lambda: len(phone.replies) >= count, f"{count} replies")


@scenario(40)
async def test_kill(open_site: Site) -> None:
    """What was accepted is answered after a kill, within seconds, and once; then the journal is clean."""
    relay = await slow_site(open_site)
    phone = await open_site.phone("phone-1")
    phone.wire.say("room", "# wait 1")
    phone.wire.say("room", "# echo done")
    await answered(phone, 1)
    await eventually_asked(open_site.status, lambda s: s.journal_unfinished == 1, "one unfinished message")
    await killed(relay)
    begun = reactor.seconds()
    await open_site.start()
    assert reactor.seconds() - begun < PATIENCE
    phone = await open_site.phone("phone-1")
    await phone.hears("waited 1, again")
    assert phone.texts == ["waited 1, again"]
    await eventually_asked(open_site.status, lambda s: s.journal_unfinished == 0, "nothing unfinished")


@scenario(40)
async def test_relayctl(open_site: Site) -> None:
    """The journal can be looked at while its relay runs, and verified when it does not."""
    relay = await slow_site(open_site)
    phone = await open_site.phone("phone-1")
    phone.wire.say("room", "# wait 30")
    await eventually_asked(open_site.status, lambda s: s.journal_unfinished == 1, "one unfinished message")
    shown = await open_site.relayctl("journal", "show")
    assert (shown.code, shown.err) == (0, "")
    assert "00000001.log" in shown.out
    assert "unfinished   1" in shown.out
    assert (await open_site.relayctl("journal", "dead")).out == "No message was given up.\n"
    await killed(relay)
    verified = await open_site.relayctl("journal", "verify")
    assert verified.code == 0, verified.err
    assert "1 messages and 0 replies are not finished." in verified.out
    path = open_site.folder / "relay-state" / "journal" / "00000001.log"
    data = bytearray(path.read_bytes())
    data[-40] ^= 0xFF
    path.write_bytes(bytes(data))
    damaged = await open_site.relayctl("journal", "verify")
    assert damaged.code == 1
    assert "damaged" in damaged.err


@scenario(30)
async def test_one_relay_a_folder(open_site: Site) -> None:
    """A second relay in the same folder says whose it is, and ends at once."""
    relay = await open_site.start()
    second = open_site.spawn("twistd", "-n", "--pidfile=", "relay", "--listen", "tcp:0:interface=127.0.0.1")
    assert await second.gone() == 1
    said = (second.out + second.err).decode()
    assert f"another relay (process {relay.pid}) works in the state folder relay-state" in said
    assert "Traceback" not in said
