"""A simulated phone that speaks dialect 4.0.

What a real one keeps on its storage is its `Storage`, which outlives the connection and may be handed to the
next one: messages that are not acknowledged, and the ids of the replies that were typed.
"""

from __future__ import annotations

import os
import time
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from relaytw.errors import BadLine
from relaytw.messages import Chat, Dialect, Hello, Monitoring
from relaytw.phone import Identity, PhoneUser, SimulatedPhone
from relaytw.protocols import wire
from relaytw.protocols.wire import v40_phone as v40
from relaytw.protocols.wire.phone import HandshakeComplete, ReplyPacket

#: Replies whose ids a phone remembers.
TYPED = 2000


class Storage:
    """What a phone keeps; `stream` begins the ids of its messages, and no other phone's."""

    def __init__(self, stream: str | None = None) -> None:
        self.stream = stream if stream is not None else os.urandom(6).hex()
        self.count = 0
        self.unacknowledged: OrderedDict[str, tuple[Chat, float]] = OrderedDict()
        self.typed: OrderedDict[str, None] = OrderedDict()
        self.resume: str | None = None

    def name(self) -> str:
        """An id that no message had before."""
        self.count += 1
        return f"{self.stream}-{self.count}"

    def is_new(self, reply_id: str) -> bool:
        """Note a reply before it is typed; False if it was noted before."""
        if reply_id in self.typed:
            return False
        self.typed[reply_id] = None
        if len(self.typed) > TYPED:
            self.typed.popitem(last=False)
        return True


class SealedPhone(SimulatedPhone):
    """One phone of dialect 4.0; `acknowledged` is told of every message that the relay has."""

    def __init__(
        self,
        identity: Identity,
        user: PhoneUser,
        now: Callable[[], float] = time.time,
        storage: Storage | None = None,
        random_bytes: Callable[[int], bytes] = os.urandom,
        acknowledged: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(identity, user, now)
        self.storage = storage if storage is not None else Storage()
        self.refused: list[v40.RefusedPacket] = []
        self.repeats = 0
        self._acknowledged = acknowledged
        self._hello = Hello(
            (4,), identity.handshake(), f"uuid-{identity.device}", random_bytes(16), self.storage.resume
        )
        self._hello_line = b""
        self._sealer: wire.Sealer | None = None
        self._opener: wire.Opener | None = None
        self._welcome = False
        self._media: v40.Collector | None = None

    def connectionMade(self) -> None:
        """Say hello."""
        transport: Any = self.transport
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        said = wire.leave_open(v40.encode_hello(self._hello))
        self._hello_line = said.removesuffix(b"\n")
        transport.write(said)

    def dataReceived(self, data: bytes) -> None:
        """Read what the relay says; what is not sealed as it must be ends the connection."""
        for line in self._lines.feed(data):
            try:
                sealed = self._opener is not None and line.startswith(wire.SEALED)
                if self._opener is not None and (sealed or self._welcome):
                    self._opener.check(line)
                packet = v40.decode_from_relay_v40(line)
            except BadLine:
                self.hang_up()
                return
            self._take(packet, line)

    def _take(self, packet: v40.Heard, line: bytes) -> None:
        match packet:
            case v40.Challenge(nonce):
                self._prove(nonce, line)
            case HandshakeComplete(success=True):
                self._welcome = True
                for name in list(self.storage.unacknowledged):
                    self._utter(name, resent=True)
                self._hear(packet)
            case v40.Ack(ids):
                for name in ids:
                    self._settle(name)
            case v40.RefusedPacket():
                self.refused.append(packet)
                self._settle(packet.id)
            case v40.Pushed(name, reply):
                self._type(name, reply)
            case v40.MediaHead():
                self._media = v40.Collector(packet)
            case v40.Chunk():
                self._collect(packet)
            case _:
                self._hear(packet)

    def _prove(self, nonce: bytes, line: bytes) -> None:
        secret = self.identity.secret or b""
        keys = wire.derive(secret, self._hello.nonce, nonce, self._hello_line, line)
        self._sealer, self._opener = wire.Sealer(keys.phone), wire.Opener([keys.relay])
        self._write(v40.encode_proof())

    def _type(self, name: str, reply: ReplyPacket) -> None:
        is_new = self.storage.is_new(name)
        self.storage.resume = name
        # Before the user sees it, who may hang up at once.
        self._write(v40.encode_typed([name]))
        if is_new:
            # Others may have waited for this client since before this phone was there.
            self.is_answer = name.startswith(f"{self.storage.stream}-")
            self._user.replied(self, reply)
        else:
            self.repeats += 1

    def _collect(self, chunk: v40.Chunk) -> None:
        if self._media is None:
            return
        head = self._media.head
        try:
            contents = self._media.take(chunk)
        except BadLine as error:
            self._media = None
            self._write(v40.encode_failed(head.id, "bad_media", error.why))
            return
        if contents is not None:
            self._media = None
            self._type(head.id, head.reply._replace(media=tuple(map(_base64, contents))))

    def _settle(self, name: str) -> None:
        if self.storage.unacknowledged.pop(name, None) is not None and self._acknowledged is not None:
            self._acknowledged(name)

    # -- what the phone says

    def _send(self, chat: Chat) -> None:
        name = self.storage.name()
        self.storage.unacknowledged[name] = (chat._replace(id=name), self._now())
        if self._welcome:
            self._utter(name, resent=False)

    def _utter(self, name: str, *, resent: bool) -> None:
        chat, heard_at = self.storage.unacknowledged[name]
        age = max(0, int((self._now() - heard_at) * 1000))
        self._write(v40.encode_chat_v40(chat, age_ms=age, resent=resent))

    def _answer_ping(self, server_timestamp: int) -> None:
        waiting = len(self.storage.unacknowledged)
        figures = Monitoring(512.0, 101.5, 19.8, waiting, len(self._rooms))
        self._write(v40.encode_pong_v40(server_timestamp, figures))

    def _write(self, data: bytes) -> None:
        if self._sealer is not None:
            super()._write(self._sealer.seal(data))


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


def simulated_phone(
    identity: Identity,
    user: PhoneUser,
    now: Callable[[], float] = time.time,
    storage: Storage | None = None,
    acknowledged: Callable[[str], None] | None = None,
) -> SimulatedPhone:
    """A phone of whatever dialect its identity names."""
    if identity.dialect is Dialect.V40:
        return SealedPhone(identity, user, now, storage, acknowledged=acknowledged)
    return SimulatedPhone(identity, user, now)
