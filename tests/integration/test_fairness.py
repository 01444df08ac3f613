"""Floods: who else notices, and that nothing is lost."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.integration.relay_process import Phone, Site, eventually, scenario, together

SLOW = """
from twisted.internet import reactor
from twisted.internet.task import deferLater

from relaytw.bots import Bot, Message

bot = Bot()


@bot.command("# slow")
async def slow(message: Message, text: str) -> str:
    await deferLater(reactor, 0.2)
    return text


@bot.command("# brief")
async def brief(message: Message, text: str) -> str:
    await deferLater(reactor, 0.005)
    return text


@bot.command("# length")
def length(message: Message, text: str) -> str:
    return f"{text[:8]} {len(text)}"
"""
#: Messages of the flooded room.
FLOOD = 60


@pytest.fixture
def slow(open_site: Site) -> Site:
    """A folder with a bot that takes its time."""
    (open_site.folder / "slow.py").write_text(SLOW, "utf-8")
    open_site.configure({"bots.load": ["relaytw.bots.builtin", "slow"]})
    return open_site


async def all_answered(phone: Phone, texts: list[str], seconds: float = 15) -> None:
    """Every one of these texts has come back, and none of them twice."""
    await eventually(lambda: len(phone.replies) >= len(texts), f"{len(texts)} replies", seconds)
    assert Counter(phone.texts) == Counter(texts)


@scenario(40)
async def test_flooded_room(slow: Site) -> None:
    """Sixty slow messages of one room delay no other room, phone or bot, and each is answered once."""
    await slow.start()
    phone = await slow.phone("phone", bot="busy")
    same_bot = await slow.phone("other", bot="busy")
    other_bot = await slow.phone("phone", bot="another")
    flood = [f"flood {n}" for n in range(FLOOD)]
    for text in flood:
        phone.wire.say("flooded", f"# slow {text}")

    took = []
    for n in range(5):
        took += await together(
            [
                phone.echoes(f"room {n}", f"{n}"),
                same_bot.echoes("flooded", f"{n}"),
                other_bot.echoes("flooded", f"{n}"),
            ]
        )
    status = await slow.status()
    assert status.waiting > 0, "the flood was over too soon to tell"
    assert status.running == 3
    assert max(took) < 1
    await all_answered(phone, flood + [f"에코: {n}" for n in range(5)])
    # Three at a time, in the order of their arrival.
    order = [int(text.split()[1]) for text in phone.texts if text and text.startswith("flood")]
    assert all(abs(place - number) < 6 for place, number in enumerate(order))


@scenario(40)
async def test_flooded_bot(slow: Site) -> None:
    """A bot whose every slot is taken delays no other bot."""
    await slow.start()
    phone = await slow.phone("phone", bot="busy")
    flood = [f"flood {n}" for n in range(200)]
    for n, text in enumerate(flood):
        phone.wire.say(f"room {n % 20}", f"# slow {text}")
    other = await slow.phone("phone", bot="another")
    took = [await other.echoes("room", f"{n}") for n in range(5)]
    assert (await slow.status()).waiting > 0, "the flood was over too soon to tell"
    assert max(took) < 1
    await all_answered(phone, flood)


@pytest.mark.parametrize("mode", ["queued", "direct"])
@scenario(60)
async def test_full_queue(slow: Site, mode: str) -> None:
    """When the queue is full the relay stops reading; what was said is answered, once, all of it."""
    slow.configure({"limits.queue": "30", "limits.backlog_per_connection": "10", "relay.mode": mode})
    await slow.start()
    phones = await together([slow.phone(f"phone-{n}", bot=f"bot-{n % 2}") for n in range(4)])
    flood = [f"{n}" for n in range(250)]
    for text in flood:
        for phone in phones:
            phone.wire.say(f"room {int(text) % 5}", f"# brief {text}")
    await together([all_answered(phone, flood) for phone in phones])
    pauses = re.search(rb"^relaytw_pauses_total (\S+)", (await slow.ask("/metrics"))[1], re.MULTILINE)
    assert pauses is not None
    assert float(pauses[1]) > 0
    status = await slow.idle()
    assert (status.accepted, status.finished, status.failed) == (1000, 1000, 0)


@scenario(60)
async def test_large_messages(slow: Site) -> None:
    """Lines that fill the bytes of a backlog many times over are all answered, once."""
    slow.configure({"limits.backlog_bytes": "200000", "limits.queue_bytes": "300000"})
    await slow.start()
    phones = await together([slow.phone(f"phone-{n}") for n in range(3)])
    flood = [f"{n:08d}" for n in range(40)]
    for text in flood:
        for phone in phones:
            phone.wire.say("room", f"# length {text}{'가' * 40_000}")
    await together([all_answered(phone, [f"{text} 40008" for text in flood]) for phone in phones])
    assert (await slow.idle()).waiting_bytes == 0


@scenario(60)
async def test_deaf_phone(slow: Site) -> None:
    """A phone that does not read holds up nobody, and has everything once it reads again."""
    slow.configure({"limits.outbox_bytes": "100000000"})
    await slow.start()
    deaf, other = await slow.phone("deaf"), await slow.phone("other")
    deaf.wire.transport.pauseProducing()  # type: ignore[union-attr]
    # More than a transport buffers: it asks for a pause in the middle of every write.
    long = "가" * 25_000
    for n in range(120):
        deaf.wire.say("room", f"# echo {n} {long}")
    took = [await other.echoes("room", f"{n}") for n in range(20)]
    assert max(took) < 1
    deaf.wire.transport.resumeProducing()  # type: ignore[union-attr]
    await all_answered(deaf, [f"에코: {n} {long}" for n in range(120)])
