"""A phone of dialect 4.0 that says and acknowledges only what a test makes it."""

from __future__ import annotations

from typing import Any

from relaytw.messages import Chat, Dialect, Hello
from relaytw.phone import Identity
from relaytw.protocols import wire
from relaytw.protocols.bridge import Bridge
from relaytw.protocols.wire import v40_phone as v40
from relaytw.protocols.wire.phone import ErrorPacket, HandshakeComplete, PingPacket, ReplyPacket
from tests.unit.relay.harness import BOT, SECRET, RelayTestCase
from tests.unit.relay.journals import JournalTestCase
from tests.unit.relay.phones import Phone, World


class Sealed(Phone):
    """One connection; whatever the relay seals is checked, and must be in order."""

    def __init__(self, world: World, bridge: Bridge, identity: Identity, host: str) -> None:
        self.sealer: wire.Sealer | None = None
        self.opener: wire.Opener | None = None
        self.acks: list[str] = []
        self.refusals: list[tuple[str, str]] = []
        self.pushed: list[str] = []
        self.heard_lines: list[bytes] = []
        self.said: list[bytes] = []
        self.nonce = b""
        self._hello_line = b""
        self._hello: Hello | None = None
        self._challenge_line = b""
        super().__init__(world, bridge, identity, host, answers=False)

    # -- what it says

    def send(self, data: bytes) -> None:
        """Send bytes, and remember them."""
        self.said.append(data)
        super().send(data)

    def on(self, **about: Any) -> Sealed:
        """Say hello, and prove itself."""
        return self.greet(**about).prove()

    def greet(
        self, *, resume: str | None = None, uuid: str = "uuid", versions: tuple[int, ...] = (4,)
    ) -> Sealed:
        """Say hello."""
        number = next(self._world.numbers)
        self._hello = Hello(versions, self.identity.handshake(), uuid, number.to_bytes(16, "big"), resume)
        line = wire.leave_open(v40.encode_hello(self._hello))
        self._hello_line = line[:-1]
        self.send(line)
        return self

    def prove(self) -> Sealed:
        """Answer the challenge."""
        return self.unlock().tell(v40.encode_proof())

    def unlock(self) -> Sealed:
        """Understand the challenge, but say nothing yet."""
        assert self._hello is not None
        secret = self.identity.secret or b""
        keys = wire.derive(secret, self._hello.nonce, self.nonce, self._hello_line, self._challenge_line)
        self.sealer, self.opener = wire.Sealer(keys.phone), wire.Opener([keys.relay])
        return self

    def tell(self, *lines: bytes) -> Sealed:
        """Say these lines of the codec, sealed, in one packet."""
        assert self.sealer is not None
        self.send(self.sealer.seal(b"".join(lines)))
        return self

    def chat(self, name: str, text: str, *, age: float = 0.0, resent: bool = False, **about: Any) -> bytes:
        """A message that is not sealed yet, heard `age` seconds ago."""
        room, channel_id = about.get("room", "room"), about.get("channel_id")
        chat = Chat(room, text, "Ada", channel_id, None, about.get("user_hash"), True, False, "", None, name)
        return v40.encode_chat_v40(chat, age_ms=int(age * 1000), resent=resent)

    def say_as(self, name: str, text: str, **about: Any) -> Sealed:
        """Say something under this id."""
        return self.tell(self.chat(name, text, **about))

    def typed(self, *names: str) -> Sealed:
        """Acknowledge replies."""
        return self.tell(v40.encode_typed(names))

    # -- what it hears

    @property
    def replies(self) -> list[tuple[str, str | None]]:
        """The ids and texts of the replies it was given."""
        return list(zip(self.pushed, self.texts, strict=True))

    def events(self, event: str) -> int:
        """How many lines of this event it was told."""
        return sum(b'"event":"%b"' % event.encode() in line for line in self.heard_lines)

    def hear(self, data: bytes) -> None:
        """The relay says something: in order, and sealed once it must be."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.heard_lines.append(line)
            if self.opener is not None and (self.opener.chosen is not None or line.startswith(wire.SEALED)):
                self.opener.check(line)
            self._take(v40.decode_from_relay_v40(line), line)

    def _take(self, packet: v40.Heard, line: bytes) -> None:
        match packet:
            case v40.Challenge(nonce):
                self.nonce, self._challenge_line = nonce, line
            case v40.Ack(ids):
                self.acks += ids
            case v40.RefusedPacket(name, code, _):
                self.refusals.append((name, code))
            case v40.Pushed(name, reply):
                self.pushed.append(name)
                self.packets.append(reply)
            case HandshakeComplete() | ErrorPacket() | PingPacket() | ReplyPacket():
                self.packets.append(packet)


class SealedTestCase(RelayTestCase):
    """A relay, and phones of 4.0 for it."""

    def sealed(self, device: str = "phone-1", *, secret: str = SECRET) -> Sealed:
        """A connection over which nothing was said yet."""
        identity = Identity(BOT, device, Dialect.V40, secret.encode())
        phone = Sealed(self.world, self.relay.factory.buildProtocol(None), identity, "10.0.0.7")
        self.phones.append(phone)
        return phone


class SealedJournalTestCase(SealedTestCase, JournalTestCase):
    """The same, with a journal whose relay can be killed."""
