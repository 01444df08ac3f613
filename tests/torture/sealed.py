"""A phone of dialect 4.0: keeps each message until the relay has it, and types each reply once."""

from __future__ import annotations

import os
import random
import socket
import time
from collections import OrderedDict

from relaytw.messages import Chat, Dialect, Hello
from relaytw.phone import Identity
from relaytw.protocols import wire
from relaytw.protocols.wire import v40_phone as v40
from relaytw.protocols.wire.phone import HandshakeComplete, PingPacket
from tests.torture.books import Books
from tests.torture.relays import BOT, SECRET, Phone

#: How often an acknowledgement of a reply gets lost on the phone.
FORGETFUL = 0.1


class SealedPhone(Phone):
    """What a script keeps on the phone's storage outlives its connections."""

    def __init__(self, number: int, port: int, books: Books, chance: random.Random) -> None:
        super().__init__(number, port, books)
        self._identity = Identity(BOT, self.device, Dialect.V40, SECRET.encode())
        self._chance = chance
        self._kept: OrderedDict[str, tuple[Chat, float]] = OrderedDict()
        self._typed: set[str] = set()
        self._resume: str | None = None
        self._sealer: wire.Sealer | None = None
        self._opener: wire.Opener | None = None
        self._on = False
        self._hello = Hello((4,), self._identity.handshake(), "uuid", bytes(16), None)
        self._hello_line = b""

    def connect(self) -> None:
        """Connect and say hello, if the relay is there."""
        self._sealer = self._opener = None
        self._on, self._rest = False, b""
        self._hello = self._hello._replace(nonce=os.urandom(16), resume=self._resume)
        line = wire.leave_open(v40.encode_hello(self._hello))
        self._hello_line = line[:-1]
        try:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=1)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(line)
        except OSError:
            self._lost()

    def say(self, number: int, text: str, room: str) -> None:
        """Hear something in a chat: it is kept from now on."""
        name, channel = f"{self.device}-{number}", f"{self.device}-{room}"
        chat = Chat(room, text, "Ada", channel, None, None, True, False, "", None, name)
        self._books.say(number, channel, time.monotonic(), self.device, sealed=True)
        self._kept[name] = (chat, time.monotonic())
        if self._on:
            self._utter(name, resent=False)

    def _take(self, line: bytes) -> None:
        if self._opener is not None and (self._on or line.startswith(wire.SEALED)):
            self._opener.check(line)
        match v40.decode_from_relay_v40(line):
            case v40.Challenge(nonce):
                secret = SECRET.encode()
                keys = wire.derive(secret, self._hello.nonce, nonce, self._hello_line, line)
                self._sealer, self._opener = wire.Sealer(keys.phone), wire.Opener([keys.relay])
                self._seal(v40.encode_proof())
            case HandshakeComplete(success=True):
                self._on = True
                for name in list(self._kept):
                    self._utter(name, resent=True)
            case v40.Ack(ids):
                for name in ids:
                    self._kept.pop(name, None)
            case v40.Pushed(name, reply):
                self._type(name, reply.text or "")
            case PingPacket(_, stamp):
                self._seal(v40.encode_pong_v40(stamp))

    def _type(self, name: str, text: str) -> None:
        if name not in self._typed:
            self._typed.add(name)
            self._books.hear(text)
        self._resume = name
        if self._chance.random() >= FORGETFUL:
            self._seal(v40.encode_typed([name]))

    def _utter(self, name: str, *, resent: bool) -> None:
        chat, at = self._kept[name]
        age = int((time.monotonic() - at) * 1000)
        self._seal(v40.encode_chat_v40(chat, age_ms=age, resent=resent))

    def _seal(self, data: bytes) -> None:
        if self._sealer is not None:
            self._write(self._sealer.seal(data))
