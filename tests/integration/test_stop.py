"""Stopping a relay, and starting it again where it was."""

from __future__ import annotations

import signal

import pytest

from tests.integration.relay_process import (
    Child,
    Site,
    eventually,
    eventually_asked,
    reactor,
    scenario,
    together,
)

HANDLERS = """
from twisted.internet import reactor
from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from relaytw.bots import Bot, Message

bot = Bot()


@bot.command("# wait")
async def wait(message: Message, seconds: float) -> str:
    await deferLater(reactor, seconds)
    return f"waited {seconds:g}"


@bot.command("# block", blocking=True)
def block(message: Message, seconds: float) -> str:
    import time

    time.sleep(seconds)
    return f"blocked {seconds:g}"


@bot.command("# refuse")
async def refuse(message: Message) -> str:
    while True:
        try:
            await deferLater(reactor, 3600)
        except CancelledError:
            pass
"""


@pytest.fixture
def waiting(open_site: Site) -> Site:
    """A folder with a bot that waits."""
    (open_site.folder / "waiting.py").write_text(HANDLERS, "utf-8")
    open_site.configure({"bots.load": ["relaytw.bots.builtin", "waiting"]})
    return open_site


async def stopped(relay: Child) -> float:
    """Stop a relay as a service manager does; how many seconds that took."""
    begun = reactor.seconds()
    relay.signal("TERM")
    # Having done everything, twistd ends by the signal itself: a clean exit to systemd, 143 to a shell.
    assert await relay.gone() in (0, -signal.SIGTERM)
    said = (relay.out + relay.err).decode()
    assert "Server Shut Down." in said
    assert "Traceback" not in said
    assert "did not stop cleanly" not in said
    return float(reactor.seconds() - begun)


@scenario(30)
async def test_stop(open_site: Site) -> None:
    """A relay with phones stops within seconds; its phones lose their connections and are told nothing."""
    relay = await open_site.start()
    phones = await together([open_site.phone(f"phone-{n}") for n in range(20)])
    for phone in phones:
        await phone.echoes("room", "hi")
    assert await stopped(relay) < 4
    await eventually(lambda: all(phone.gone for phone in phones), "the end of every connection")
    assert not any(phone.errors for phone in phones)
    assert relay.out.count(b"closed: shutdown") == 20


@pytest.mark.parametrize(("command", "answer"), [("# wait 1", "waited 1"), ("# block 1", "blocked 1")])
@scenario(30)
async def test_running_handlers(waiting: Site, command: str, answer: str) -> None:
    """A handler that runs when the relay is stopped is let finish, and its answer reaches the phone."""
    relay = await waiting.start()
    phone = await waiting.phone("phone")
    phone.wire.say("room", command)
    await eventually_asked(waiting.status, lambda s: s.running == 1, "a running handler")
    assert 0.5 < await stopped(relay) < 5
    assert phone.texts == [answer]


@scenario(30)
async def test_endless_handler(waiting: Site) -> None:
    """A handler that never ends is given `drain_timeout`, and no more."""
    waiting.configure({"limits.drain_timeout": "0.5"})
    relay = await waiting.start()
    phone = await waiting.phone("phone")
    phone.wire.say("room", "# refuse")
    await eventually_asked(waiting.status, lambda s: s.running == 1, "a running handler")
    assert 0.4 < await stopped(relay) < 4
    assert "1 handlers did not end in time" in relay.out.decode()


@scenario(30)
async def test_nobody_is_let_in(waiting: Site) -> None:
    """While handlers finish nobody new gets in; who is on can see the rest of the answers."""
    relay = await waiting.start()
    phone = await waiting.phone("phone")
    phone.wire.say("room", "# wait 1")
    await eventually_asked(waiting.status, lambda s: s.running == 1, "a running handler")
    relay.signal("TERM")
    await eventually(lambda: b"waiting for 1 running handlers" in relay.out, "a line")
    said = await waiting.say("# echo hi", "--no-approve")
    assert said.code == 1
    assert "no relay listens" in said.err
    await phone.hears("waited 1")
    await relay.gone()


@scenario(60)
async def test_restart(open_site: Site) -> None:
    """With phones on, a relay listens again on the same port within 4 s of being stopped, or killed."""
    for name in ("TERM", "KILL"):
        relay = await open_site.start()
        phones = await together([open_site.phone(f"phone-{n}") for n in range(30)])
        for phone in phones:
            await phone.echoes("room", "before")
        begun = reactor.seconds()
        relay.signal(name)
        await relay.gone()
        relay = await open_site.start()
        assert reactor.seconds() - begun < 4
        back = await together([open_site.phone(f"phone-{n}") for n in range(30)])
        assert max(await together([phone.echoes("room", "after") for phone in back])) < 5
        await stopped(relay)


@scenario(30)
async def test_interrupt(open_site: Site) -> None:
    """Ctrl-C is a stop like any other."""
    relay = await open_site.start()
    await (await open_site.phone("phone")).echoes("room", "hi")
    relay.signal("INT")
    assert await relay.gone() in (0, -signal.SIGINT)
    assert b"Server Shut Down." in relay.out
    assert b"Traceback" not in relay.out
