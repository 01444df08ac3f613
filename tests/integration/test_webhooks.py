"""A bot in another language and another process, behind a real relay."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from relaytw import texts
from tests.integration.relay_process import HOST, Child, Site, eventually, eventually_asked, reactor, scenario
from tests.ports import free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "webhook" / "bot.mjs"
NODE = shutil.which("node")
SECRET = "between us"


async def start(site: Site, port: int, secret: str = SECRET) -> Child:
    """Start the example on this port."""
    assert NODE is not None
    child = Child()
    environ = {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    reactor.spawnProcess(child, NODE, [NODE, str(EXAMPLE)], environ, str(site.folder))
    site.children.append(child)
    await eventually(lambda: b"listening" in child.out, "a webhook that listens")
    return child


@pytest.mark.skipif(NODE is None, reason="needs node")
@scenario(60)
async def test_webhook(open_site: Site) -> None:
    """It answers what no command took; while it is away each chat is told once; then it is back."""
    site, port = open_site, free_port()
    site.configure({
        "bots.webhook": f"http://{HOST}:{port}/relay",
        "bots.webhook_secret": SECRET,
        "webhook.retries": "0",
        "webhook.failures": "1",
        "webhook.pause": "0.5",
    })  # fmt: skip
    backend = await start(site, port)
    await site.start()
    phone = await site.phone("phone")
    phone.wire.say("room", "!add 1 2 39")
    await phone.hears("42")
    phone.wire.say("room", "!cat")
    await eventually(lambda: any(reply.media for reply in phone.replies), "a picture")
    assert phone.replies[-1].media == ("https://example.org/cat.jpg",)
    await phone.echoes("other", "still here")

    await backend.end()
    for number in range(3):
        phone.wire.say("third", f"!add {number}")
    await phone.hears(texts.WEBHOOK_DOWN)
    await site.idle()
    assert phone.texts.count(texts.WEBHOOK_DOWN) == 1
    (hook,) = (await site.status()).webhooks
    assert (hook.name, hook.failures) == ("*", 3)
    assert "webhook      *: " in (await site.relayctl("status")).out

    await start(site, port)
    await eventually_asked(site.status, lambda s: s.webhooks[0].state != "open", "the end of the pause")
    phone.wire.say("third", "!add 20 1")
    await phone.hears("21")
    assert (await site.status()).webhooks[0].state == "closed"
    assert 'relaytw_webhook_closed{webhook="*"} 1.0' in await site.ask_metrics()


@pytest.mark.skipif(NODE is None, reason="needs node")
@scenario(30)
async def test_signature(open_site: Site) -> None:
    """A webhook that knows another secret refuses everything, and no chat hears of it."""
    site, port = open_site, free_port()
    site.configure({"bots.webhook": f"http://{HOST}:{port}/", "bots.webhook_secret": "another"})
    await start(site, port)
    relay = await site.start()
    phone = await site.phone("phone")
    phone.wire.say("room", "!add 1 2")
    await eventually(lambda: b"it answered with status 401" in relay.out, "a log line")
    await site.idle()
    assert phone.texts == []


@scenario(30)
async def test_no_secret(site: Site) -> None:
    """A webhook without a secret stops the start with a sentence."""
    site.configure({"bots.webhook": "https://example.org/"})
    said = await site.run("twistd", "-n", "relay", "--listen", site.endpoint)
    assert said.code == 1
    assert "a webhook needs a secret" in said.out + said.err
