"""What strangers and broken scripts send: the relay goes on, and every close has a reason."""

from __future__ import annotations

import json
import random
import ssl
from collections import Counter
from typing import Any

import pytest
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from relaytw.protocols.wire.phone import encode_handshake
from tests.integration.relay_process import HOST, Site, eventually, reactor, scenario, together

LINE_BYTES = 1_048_576
_noise = random.Random(1)


def _tls_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="relay.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


RUBBISH = {
    "nothing at all": (b"", "handshake_timeout"),
    "random bytes": (_noise.randbytes(5000) + b"\n", "bad_handshake"),
    "random bytes without an end": (_noise.randbytes(5000).replace(b"\n", b""), "handshake_timeout"),
    "nested brackets": (b"[" * 100_000 + b"\n", "bad_handshake"),
    "nested tables": (b'{"data":' * 50_000 + b"\n", "bad_handshake"),
    "NUL": (b"\0" * 1000 + b"\n", "bad_handshake"),
    "a number of many digits": (b'{"version":' + b"9" * 100_000 + b"}\n", "bad_handshake"),
    "a line without an end": (b"x" * (LINE_BYTES + 1), "line_too_long"),
    "a long line": (b'{"botName":"' + b"x" * LINE_BYTES + b'"}\n', "line_too_long"),
    "an HTTP request": (b"GET / HTTP/1.1\r\nHost: relay.example\r\n\r\n", "bad_handshake"),
    # Its random part may hold the end of a line.
    "a TLS hello": (_tls_hello(), None),
    "no bot name": (b'{"event":"handshake","data":{"version":"3.3.3","deviceID":"x"}}\n', "bad_handshake"),
    "an abandoned dialect": (b'{"type":"handshake","auth":{},"info":{}}\n', "unknown_dialect"),
    "a message first": (b'{"event":"analyze","data":{"room":"r","text":"t"}}\n' * 3, "handshake_timeout"),
    "messages first": (b'{"event":"analyze","data":{"room":"r","text":"t"}}\n' * 100, "held_too_much"),
}

AFTERWARDS = {
    "random lines": (
        b"".join(_noise.randbytes(50).replace(b"\n", b"") + b"\n" for _ in range(30)),
        "bad_lines",
    ),
    "nested brackets": ((b"[" * 50_000 + b"\n") * 20, "bad_lines"),
    "a long line": (b"y" * (LINE_BYTES + 1), "line_too_long"),
    "somebody else": (
        b'{"clientType":"M","botName":"b","version":"3.2.2","deviceID":"d"}\n',
        "wrong_identity",
    ),
}


class Stranger(Protocol):
    """A socket that sends this, something more once it was answered, and waits for the end."""

    def __init__(self, says: bytes, then: bytes = b"") -> None:
        self.heard = b""
        self.gone = False
        self.address = ""
        self._says = says
        self._then = then

    def connectionMade(self) -> None:
        transport: Any = self.transport
        self.address = f"{HOST}:{transport.getHost().port}"
        transport.write(self._says)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        then, self._then = self._then, b""
        if then:
            self.transport.write(then)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True


async def send(site: Site, rubbish: bytes, then: bytes = b"") -> Stranger:
    """A stranger who has sent this, more once it was answered, and has been sent away."""
    stranger = Stranger(rubbish, then)
    await connectProtocol(HostnameEndpoint(reactor, HOST, site.port), stranger)
    await eventually(lambda: stranger.gone, f"the end of the one who says {rubbish[:20]!r}")
    return stranger


async def reason(site: Site, stranger: Stranger) -> str:
    """The relay's word for why it sent this stranger away."""
    found = [close.reason for close in await site.closes() if close.address == stranger.address]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def impatient(open_site: Site) -> Site:
    """A relay that waits half a second for a handshake."""
    open_site.configure({"limits.handshake_timeout": 0.5})
    return open_site


@scenario(60)
async def test_rubbish_first(impatient: Site) -> None:
    """Whatever comes instead of a handshake is sent away for a reason, told in an error packet."""
    relay = await impatient.start()
    for name, (rubbish, expected) in RUBBISH.items():
        stranger = await send(impatient, rubbish)
        why = await reason(impatient, stranger)
        assert expected is None or why == expected, name
        packets = [json.loads(line) for line in stranger.heard.splitlines()]
        assert [packet["event"] for packet in packets] == ["error"], name
    said = relay.out.decode()
    assert "Traceback" not in said
    assert "Unhandled" not in said
    assert await (await impatient.phone("phone")).echoes("room", "still here") < 5


@scenario(60)
async def test_rubbish_afterwards(impatient: Site) -> None:
    """Whatever comes after a handshake is sent away for a reason, and nobody else notices."""
    relay = await impatient.start()
    other = await impatient.phone("other")
    for number, (name, (rubbish, expected)) in enumerate(AFTERWARDS.items()):
        handshake = encode_handshake(impatient.identity(f"phone-{number}").handshake())
        stranger = await send(impatient, handshake, rubbish)
        assert await reason(impatient, stranger) == expected, name
        assert b"handshakeComplete" in stranger.heard
        await other.echoes("room", f"after {name}")
    assert "Traceback" not in relay.out.decode()


@scenario(60)
async def test_all_at_once(impatient: Site) -> None:
    """A crowd of strangers leaves the relay serving, and `relayctl closes` lists every one with a reason."""
    await impatient.start()
    phone = await impatient.phone("phone")
    rubbish = [what for what, _ in RUBBISH.values() if what and len(what) < 200_000] * 5
    strangers = await together([send(impatient, what) for what in rubbish])
    assert await phone.echoes("room", "still here") < 5

    listed = await impatient.relayctl("closes", "--json", "--limit", "1000")
    reasons = {close["address"]: close["reason"] for close in json.loads(listed.out)}
    assert set(reasons) >= {stranger.address for stranger in strangers}
    assert all(reasons.values())
    table = await impatient.relayctl("closes")
    assert table.code == 0
    for why in Counter(reasons.values()):
        assert why in table.out or why in listed.out


@scenario(30)
async def test_names_that_are_no_text(open_site: Site) -> None:
    """A phone named by half a surrogate pair and a line's end spoils neither the log nor any list."""
    relay = await open_site.start()
    before = relay.out.count(b"\n")
    handshake = b'{"botName":"\\ud800","version":"3.2.2","deviceID":"a\\nb\\u001b[2J","clientType":"M"}\n'
    stranger = await connectProtocol(HostnameEndpoint(reactor, HOST, open_site.port), Stranger(handshake))
    await eventually(lambda: b"handshakeComplete" in stranger.heard, "an answer")
    for what in (["phones"], ["devices", "list"], ["status"], ["phones", "--json"]):
        shown = await open_site.relayctl(*what)
        assert (shown.code, shown.err) == (0, "")
        assert "\x1b" not in shown.out
    assert relay.out.count(b"\n") == before + 2
    transport: Any = stranger.transport
    transport.loseConnection()
    await open_site.deserted()


@scenario(30)
async def test_byte_by_byte(open_site: Site) -> None:
    """A phone whose bytes trickle in one at a time is understood."""
    await open_site.start()
    phone = await open_site.phone("phone")
    transport: Any = phone.wire.transport
    write = transport.write
    said: list[bytes] = []
    transport.write = said.append
    phone.wire.say("room", "# echo 한 글자씩")
    transport.write = write
    for byte in b"".join(said):
        transport.write(bytes([byte]))
        await deferLater(reactor, 0)
    await phone.hears("에코: 한 글자씩")
