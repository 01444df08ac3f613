"""Phones of dialect 4.0 and a real relay: every message is taken up once and every reply typed once."""

from __future__ import annotations

import os
import resource
import signal
from base64 import b64decode
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from relaytw.messages import Dialect
from relaytw.phone_v40 import SealedPhone, Storage
from tests.integration.relay_process import HOST, Child, Phone, Site, eventually, reactor, scenario

HANDLERS = """
from twisted.internet import reactor
from twisted.internet.task import deferLater

from relaytw.bots import Bot, Message
from relaytw.messages import Media

bot = Bot()


@bot.command("# wait")
async def wait(message: Message, seconds: float) -> str:
    await deferLater(reactor, seconds)
    return f"waited {seconds:g}"


@bot.command("# picture")
def picture(message: Message) -> Media:
    return Media((bytes(range(256)) * 600, b"small"))
"""


async def started(site: Site) -> Child:
    """A relay with a bot that waits and one that sends pictures."""
    (site.folder / "waiting.py").write_text(HANDLERS, "utf-8")
    site.configure({"bots.load": ["relaytw.bots.builtin", "waiting"]})
    return await site.start()


class Sealed(Phone):
    """A phone of 4.0 and what it has been told."""

    wire: SealedPhone


async def connect(
    site: Site, storage: Storage | None = None, *, device: str = "phone-1", secret: bytes | None = None
) -> Sealed:
    """A phone that has been let in, or has lost its connection."""
    phone = Sealed()
    identity = site.identity(device, dialect=Dialect.V40, secret=secret)
    phone.wire = SealedPhone(identity, phone, storage=storage)
    await connectProtocol(HostnameEndpoint(reactor, HOST, site.port), phone.wire)
    site.phones.append(phone)
    await eventually(lambda: phone.answer or phone.gone, "an answer to the proof")
    return phone


async def lost(phone: Sealed) -> None:
    """Wait until a phone's connection is closed."""
    await eventually(lambda: phone.gone, "a closed connection")


async def settled(storage: Storage) -> None:
    """Wait until the relay has acknowledged everything."""
    await eventually(lambda: not storage.unacknowledged, f"acknowledged: {list(storage.unacknowledged)}")


async def killed(relay: Child) -> None:
    """Kill a relay."""
    os.kill(relay.pid, signal.SIGKILL)
    assert await relay.gone() == -signal.SIGKILL


@scenario(40)
async def test_echo_and_reconnect(open_site: Site) -> None:
    """Echo, acknowledgements both ways, and a take-over that writes nothing twice."""
    await started(open_site)
    storage = Storage()
    phone = await connect(open_site, storage)
    for number in range(20):
        await phone.echoes("room", str(number))
    await settled(storage)
    assert storage.resume == f"{storage.stream}-20/0"
    again = await connect(open_site, storage)
    await eventually(lambda: phone.gone, "the older connection closed")
    await again.echoes("room", "again")
    assert (again.texts, again.wire.repeats) == (["에코: again"], 0)
    assert [close.reason for close in await open_site.closes()] == ["replaced"]


@scenario(40)
async def test_meddlers(open_site: Site) -> None:
    """A wrong secret, a changed line and a repeated one end their connection alone; all is answered."""
    await started(open_site)
    phone = await connect(open_site, device="bystander")
    wrong = await connect(open_site, secret=b"guessed")
    await lost(wrong)
    assert (wrong.errors, wrong.answer) == (["bad_signature"], None)
    storage = Storage()
    for meddle, code in ((changed, "bad_signature"), (repeated, "bad_sequence")):
        victim = await connect(open_site, storage)
        meddle(victim)
        victim.wire.say("room", f"# echo {code}")
        await lost(victim)
        assert victim.errors == [code]
    honest = await connect(open_site, storage)
    await settled(storage)
    await eventually(lambda: len(storage.typed) == 2, "both answered")
    assert honest.wire.repeats == 0
    await phone.echoes("room", "still here")


def changed(phone: Sealed) -> None:
    """From now on whoever stands in between changes what this phone says."""
    transport: Any = phone.wire.transport
    write = transport.write
    transport.write = lambda data: write(data.replace(b"echo", b"eche"))


def repeated(phone: Sealed) -> None:
    """From now on whoever stands in between says everything twice."""
    transport: Any = phone.wire.transport
    write = transport.write
    transport.write = lambda data: write(data + data)


class Thief(Protocol):
    """Sends bytes of somebody else's."""

    def __init__(self) -> None:
        self.heard = b""
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone = True


@scenario(40)
async def test_replayed_connection(open_site: Site) -> None:
    """Every byte of a connection, sent again over another, does nothing."""
    await started(open_site)
    overheard: list[bytes] = []
    storage = Storage()
    phone = Sealed()
    phone.wire = Overheard(open_site.identity("phone-1", dialect=Dialect.V40), phone, storage=storage)
    phone.wire.overheard = overheard
    await connectProtocol(HostnameEndpoint(reactor, HOST, open_site.port), phone.wire)
    open_site.phones.append(phone)
    await eventually(lambda: phone.answer, "a welcome")
    await phone.echoes("room", "once")
    thief: Any = await connectProtocol(HostnameEndpoint(reactor, HOST, open_site.port), Thief())
    thief.transport.write(b"".join(overheard))
    await eventually(lambda: thief.gone, "a closed connection")
    assert b"bad_signature" in thief.heard
    assert b"welcome" not in thief.heard
    await phone.echoes("room", "twice")
    assert len(phone.texts) == 2


class Overheard(SealedPhone):
    """A phone whose every byte somebody keeps."""

    overheard: list[bytes]

    def connectionMade(self) -> None:
        """Have it all written down."""
        transport: Any = self.transport
        write = transport.write

        def both(data: bytes) -> None:
            self.overheard.append(data)
            write(data)

        transport.write = both
        super().connectionMade()


@scenario(60)
async def test_kills(open_site: Site) -> None:
    """Killed between chat and ack, and between reply and its ack: each is answered once in the chat."""
    relay = await started(open_site)
    storage = Storage()
    phone = await connect(open_site, storage)
    for number in range(5):
        phone.wire.say("room", f"# echo {number}")
    phone.wire.say("waiting", "# wait 0.5")
    await killed(relay)
    relay = await open_site.start()
    again = await connect(open_site, storage)
    await settled(storage)
    await eventually(lambda: len(storage.typed) == 6, "everything answered")
    heard = [*phone.texts, *again.texts]
    assert sorted(map(str, heard)) == ["waited 0.5", *(f"에코: {n}" for n in range(5))]
    # A reply that was typed and whose acknowledgement the relay never got is known by its id.
    wire: Any = again.wire
    wire._write = lambda data: None if b'"ack"' in data else SealedPhone._write(wire, data)
    again.wire.say("room", "# echo last")
    await again.hears("에코: last")
    await settled(storage)
    await killed(relay)
    await open_site.start()
    storage.resume = None  # nor does it say so
    last = await connect(open_site, storage)
    await eventually(lambda: last.wire.repeats == 1, "the reply again")
    assert last.texts == []


@scenario(40)
async def test_full_disk(open_site: Site) -> None:
    """A relay whose disk is full acknowledges nothing; once it has room it answers and acknowledges."""
    relay = await started(open_site)
    storage = Storage()
    phone = await connect(open_site, storage)
    await phone.echoes("room", "before")
    await settled(storage)
    journal = open_site.folder / "relay-state" / "journal" / "00000001.log"
    resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (journal.stat().st_size, resource.RLIM_INFINITY))
    phone.wire.say("room", "# echo meanwhile")
    await eventually(lambda: b"the journal cannot be written" in relay.out, "a full disk")
    phone.wire.say("room", "# echo behind it")
    assert len(storage.unacknowledged) == 2
    assert phone.texts == ["에코: before"]
    resource.prlimit(relay.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await settled(storage)
    await phone.hears("에코: behind it")
    assert phone.texts == ["에코: before", "에코: meanwhile", "에코: behind it"]


@scenario(40)
async def test_picture(open_site: Site) -> None:
    """Media of a handler come in chunks and are put together again."""
    await started(open_site)
    phone = await connect(open_site)
    phone.wire.say("room", "# picture")
    await eventually(lambda: phone.replies, "a picture")
    assert [b64decode(one) for one in phone.replies[0].media] == [bytes(range(256)) * 600, b"small"]
