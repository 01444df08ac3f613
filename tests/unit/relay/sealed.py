"""Phones of dialect 4.0 that do what a test makes them do, right or wrong."""

from __future__ import annotations

from typing import Any

from relaytw.messages import Chat, Dialect, Hello
from relaytw.phone import Identity
from relaytw.protocols import wire
from relaytw.protocols.wire import v40_phone as v40
from tests.unit.relay.harness import BOT, SECRET, RelayTestCase
from tests.unit.relay.journals import JournalTestCase
from tests.unit.relay.phones import Phone, World

NONCE = bytes(range(16))


class Sealed(Phone):
    """One connection; `said` is every line it sent and `lines` every line it was told."""

    def __init__(self, world: World, bridge: Any, identity: Identity, host: str) -> None:
        self.lines: list[bytes] = []
        self.said: list[bytes] = []
        self.sealer: wire.Sealer | None = None
        self.opener: wire.Opener | None = None
        self._hello_line = b""
        self._nonce = NONCE
        super().__init__(world, bridge, identity, host, False)

    # -- what it says

    def greet(self, *, uuid: str = "uuid", resume: str | None = None, nonce: bytes = NONCE,
              versions: tuple[int, ...] = (4,)) -> Sealed:  # fmt: skip
        """Say hello, and understand the challenge."""
        self._nonce = nonce
        hello = Hello(versions, self.identity.handshake(), uuid, nonce, resume)
        said = wire.leave_open(v40.encode_hello(hello))
        self._hello_line = said.removesuffix(b"\n")
        self.transmit(said)
        return self

    def on(self, **about: Any) -> Sealed:
        """Say hello and prove itself."""
        return self.greet(**about).tell(v40.encode_proof())

    def tell(self, *lines: bytes) -> Sealed:
        """Send these in one piece, sealed."""
        assert self.sealer is not None, f"no challenge, but {self.lines}"
        self.transmit(b"".join(map(self.sealer.seal, lines)))
        return self

    def transmit(self, data: bytes) -> Sealed:
        """Send bytes as they are."""
        self.said.append(data)
        self.send(data)
        return self

    def chat(
        self, name: str, text: str, *, room: str = "room", age: float = 0.0, resent: bool = False
    ) -> bytes:
        """A message of this id that is not sealed yet."""
        chat = Chat(
            room, text, "Ada", f"channel-{room}", None, None, True, False, "1752570000000", None, name
        )
        return v40.encode_chat_v40(chat, age_ms=int(age * 1000), resent=resent)

    # -- what it hears

    def hear(self, data: bytes) -> None:
        """The relay says something; from the answer to the proof on every line must bear its seal."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.lines.append(line)
            if self.opener is not None and (line.startswith(wire.SEALED) or self.greetings):
                self.opener.check(line)
            packet = v40.decode_from_relay_v40(line)
            if isinstance(packet, v40.Challenge):
                assert self.identity.secret is not None
                keys = wire.derive(self.identity.secret, self._nonce, packet.nonce, self._hello_line, line)
                self.sealer, self.opener = wire.Sealer(keys.phone), wire.Opener([keys.relay])
            self.packets.append(packet)  # type: ignore[arg-type]

    @property
    def acks(self) -> list[str]:
        """The messages that the relay has acknowledged, in order."""
        packets: list[Any] = self.packets
        return [name for packet in packets if isinstance(packet, v40.Ack) for name in packet.ids]

    @property
    def refusals(self) -> list[tuple[str, str]]:
        """The messages that it has refused, and the codes."""
        packets: list[Any] = self.packets
        return [(packet.id, packet.code) for packet in packets if isinstance(packet, v40.RefusedPacket)]

    @property
    def pushed(self) -> list[tuple[str, str | None]]:
        """The ids and texts of the replies it was given."""
        packets: list[Any] = self.packets
        return [(packet.id, packet.reply.text) for packet in packets if isinstance(packet, v40.Pushed)]


class SealedTestCase(RelayTestCase):
    def sealed(self, device: str = "phone-1", *, secret: str = SECRET, host: str = "10.0.0.7") -> Sealed:
        """A connection over which nothing was said yet."""
        identity = Identity(BOT, device, Dialect.V40, secret.encode())
        phone = Sealed(self.world, self.relay.factory.buildProtocol(None), identity, host)
        self.phones.append(phone)
        return phone


class SealedJournalTestCase(SealedTestCase, JournalTestCase):
    """The same, with a journal whose relay can be killed."""
