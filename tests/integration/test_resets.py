"""Everybody's connection breaks at once, again and again."""

from __future__ import annotations

from pathlib import Path

from tests.integration.relay_process import (
    Child,
    Phone,
    Site,
    eventually,
    eventually_asked,
    scenario,
    together,
)

PHONES = 80
ROUNDS = 10
#: Seconds from reconnecting to an answer; a second on an idle machine.
SERVED_WITHIN = 5.0


def open_files(relay: Child) -> int:
    """How many file descriptors the relay has."""
    return len(list(Path(f"/proc/{relay.pid}/fd").iterdir()))


async def served(site: Site, number: int, text: str) -> Phone:
    """A phone that has connected and been answered."""
    phone = await site.phone(f"phone-{number}", bot=f"bot-{number % 4}")
    await phone.echoes("room", text, SERVED_WITHIN)
    return phone


@scenario(60)
async def test_resets(open_site: Site) -> None:
    """Eighty phones reset and reconnect at once, ten times: all are served, and nothing is left behind."""
    relay = await open_site.start()
    await open_site.deserted()
    before = open_files(relay)
    phones = await together([served(open_site, n, "begin") for n in range(PHONES)])
    for turn in range(ROUNDS):
        for phone in phones:
            phone.reset()
        # At once: the relay may hear of the new connection before it hears of the end of the old one.
        phones = await together([served(open_site, n, f"turn {turn}") for n in range(PHONES)])
    assert (await open_site.status()).clients == PHONES
    for phone in phones:
        phone.reset()
    status = await open_site.deserted()
    assert (status.connections, status.clients, status.overflow, status.provisional) == (0, 0, 0, 0)
    await eventually(lambda: open_files(relay) <= before, f"{before} open files")
    assert (status.accepted, status.failed) == (PHONES * (ROUNDS + 1), 0)


@scenario(60)
async def test_resets_in_the_middle(open_site: Site) -> None:
    """Connections that break in the middle of a line, or before their answers, leave nothing behind."""
    relay = await open_site.start()
    await open_site.deserted()
    before = open_files(relay)
    for turn in range(5):
        phones = await together([open_site.phone(f"phone-{n}") for n in range(40)])
        for phone in phones:
            for n in range(20):
                phone.wire.say(f"room {n % 3}", f"# echo {turn} {n}")
            phone.wire.transport.write(b'{"event":"analyze","data":{"room":"r')  # type: ignore[union-attr]
        for phone in phones[::2]:
            phone.reset()
        for phone in phones[1::2]:
            phone.wire.hang_up()
    status = await open_site.deserted()
    assert (status.connections, status.failed, status.lanes) == (0, 0, 0)
    await eventually(lambda: open_files(relay) <= before, f"{before} open files")
    await eventually_asked(open_site.status, lambda s: s.running == 0, "an idle relay")
    assert await (await open_site.phone("after")).echoes("room", "still here") < SERVED_WITHIN
