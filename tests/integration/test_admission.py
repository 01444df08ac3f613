"""Who gets in: connection slots, silent sockets, dead phones and wrong secrets."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from relaytw.phone import Identity
from relaytw.protocols.wire.phone import encode_handshake
from tests.integration.relay_process import (
    HOST,
    Site,
    eventually,
    eventually_asked,
    reactor,
    scenario,
    together,
)


class Silent(Protocol):
    """A socket that says this much, and then nothing, not even goodbye."""

    def __init__(self, first: bytes = b"") -> None:
        self.heard = b""
        self.gone = False
        self._first = first

    def connectionMade(self) -> None:
        self.transport.write(self._first)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True

    def reset(self) -> None:
        """End it after all."""
        transport: Any = self.transport
        if not self.gone:
            transport.abortConnection()


async def silent(site: Site, first: bytes = b"") -> Silent:
    """A silent socket."""
    quiet = Silent(first)
    await connectProtocol(HostnameEndpoint(reactor, HOST, site.port), quiet)
    return quiet


@scenario(30)
async def test_one_too_many(open_site: Site) -> None:
    """The one after the last slot is told `server_full` and closed; when somebody leaves there is room."""
    open_site.configure({"limits.connections": 20})
    await open_site.start()
    phones = [await open_site.phone(f"phone-{n}") for n in range(20)]
    late = await open_site.phone("late")
    await eventually(lambda: late.gone, "the end of the one too many")
    assert (late.answer, late.errors) == (None, ["server_full"])
    assert [close.reason for close in await open_site.closes()] == ["server_full"]

    phones[0].wire.hang_up()
    await eventually_asked(open_site.status, lambda s: s.connections < 20, "a free slot")
    assert (await open_site.phone("late")).answer is not None
    for phone in phones[1:]:
        await phone.echoes("room", "still here")


@scenario(40)
async def test_the_hundred_and_first(open_site: Site) -> None:
    """Without configuration a hundred phones are served, and no more."""
    await open_site.start()
    phones = await together([open_site.phone(f"phone-{n}") for n in range(100)])
    late = await open_site.phone("late")
    await eventually(lambda: late.gone, "the end of the one too many")
    assert late.errors == ["server_full"]
    assert max(await together([phone.echoes("room", "hi") for phone in phones])) < 5
    assert (await open_site.status()).connections == 100


@scenario(40)
async def test_silent_sockets(open_site: Site) -> None:
    """More sockets that say nothing than there are slots keep no phone out."""
    await open_site.start()
    crowd = await together([silent(open_site) for _ in range(120)])
    for n in range(5):
        phone = await open_site.phone(f"phone-{n}")
        assert phone.answer is not None
        assert await phone.echoes("room", "hi") < 5
    assert "displaced" in {close.reason for close in await open_site.closes()}
    for socket in crowd:
        socket.reset()


@scenario(30)
async def test_silent_from_the_start(open_site: Site) -> None:
    """A socket without a handshake is told so when its time is up, and closed."""
    open_site.configure({"limits.handshake_timeout": 0.5})
    await open_site.start()
    socket = await silent(open_site)
    await eventually(lambda: socket.gone, "the end of a silent socket")
    assert json.loads(socket.heard)["data"]["code"] == "handshake_timeout"
    assert [close.reason for close in await open_site.closes()] == ["handshake_timeout"]


@scenario(30)
async def test_no_farewell(open_site: Site) -> None:
    """A phone that vanishes without a FIN is pinged, and closed as a zombie; one that answers stays."""
    open_site.configure({"limits.read_timeout": 1})
    await open_site.start()
    awake = await open_site.phone("awake")
    vanished = await silent(open_site, encode_handshake(open_site.identity("vanished").handshake()))
    await eventually(lambda: vanished.gone, "the end of a zombie")
    assert vanished.heard.count(b'"event":"ping"') >= 2
    assert [(close.device, close.reason) for close in await open_site.closes()] == [("vanished", "zombie")]
    assert awake.wire.pings >= 2
    await awake.echoes("room", "still here")


@scenario(30)
async def test_wrong_secret(open_site: Site) -> None:
    """Every packet signed with another secret is refused by name; twenty in a row end the connection."""
    await open_site.start()
    liar = await open_site.phone("liar", secret=b"something else")
    honest = await open_site.phone("honest")
    for n in range(20):
        liar.wire.say("room", f"# echo {n}")
    await eventually(lambda: liar.gone, "the end of a phone with a wrong secret")
    assert liar.errors == ["bad_signature"] * 20
    assert liar.texts == []
    assert [(close.device, close.reason) for close in await open_site.closes()] == [("liar", "bad_signature")]
    await honest.echoes("room", "hi")


@scenario(30)
async def test_unsigned(open_site: Site) -> None:
    """A phone that signs nothing stays connected, unanswered, and is told why."""
    await open_site.start()
    phone = await open_site.connect(Identity("bot", "unsigned"))
    phone.wire.say("room", "# echo hi")
    await eventually(lambda: phone.errors, "an error")
    assert (phone.errors, phone.texts, phone.gone) == (["no_auth"], [], False)


@scenario(30)
async def test_take_over(open_site: Site) -> None:
    """A phone that comes back while its dead twin is on replaces it once it has signed something."""
    await open_site.start()
    twin = await open_site.phone("phone")
    await twin.echoes("room", "one")
    back = await open_site.phone("phone")
    await eventually(lambda: twin.gone, "the end of the twin")
    await back.echoes("room", "two")
    assert [close.reason for close in await open_site.closes()] == ["replaced"]
    assert (await open_site.status()).clients == 1


@scenario(30)
async def test_impostor(open_site: Site) -> None:
    """Somebody who knows a phone's name, but not the secret, cannot throw it out."""
    open_site.configure({"limits.provisional_timeout": 0.5})
    await open_site.start()
    phone = await open_site.phone("phone")
    await phone.echoes("room", "one")
    impostor = await open_site.phone("phone", secret=b"a guess")
    impostor.wire.say("room", "# echo gotcha")
    await eventually(lambda: impostor.gone, "the end of the impostor")
    await phone.echoes("room", "two")
    assert impostor.texts == []
    assert [close.reason for close in await open_site.closes()] == ["unproven"]
