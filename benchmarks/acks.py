"""How long a 4.0 phone keeps a message: from when it was due until the relay has acknowledged it.

Open loop as for latency; every message is echoed, and every reply acknowledged, as phones do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from benchmarks.latency import PHONES, RATE, SECONDS, Times, Voice, converse
from benchmarks.servers import SECRET, relay
from benchmarks.throughput import ECHO
from benchmarks.traffic import ROOMS, Phone
from relaytw.messages import Chat, Dialect, Hello
from relaytw.phone import Identity
from relaytw.protocols import wire
from relaytw.protocols.wire import v40_phone as v40

_ACK = b'"event":"ack"'
_REPLY = re.compile(rb'"event":"reply","data":\{"id":"([^"]+)"')
_NUMBER = re.compile(rb"-(\d+)\"")


class Sealed(Phone):
    """A phone of 4.0; what it takes for the answers to its messages is their acknowledgements."""

    def greet(self) -> None:
        """Introduce the phone, prove that it knows the secret, and wait for its welcome."""
        identity = Identity(self.bot, self.device, Dialect.V40, SECRET.encode())
        hello = Hello((4,), identity.handshake(), f"uuid-{self.device}", bytes(wire.NONCE_BYTES), None)
        said = wire.leave_open(v40.encode_hello(hello))
        self.socket.sendall(said)
        challenge = self._line()
        match v40.decode_from_relay_v40(challenge):
            case v40.Challenge(nonce):
                keys = wire.derive(SECRET.encode(), hello.nonce, nonce, said.removesuffix(b"\n"), challenge)
            case other:
                raise RuntimeError(f"{self.device} was not challenged: {other}")
        self._sealer = wire.Sealer(keys.phone)
        self.socket.sendall(self._sealer.seal(v40.encode_proof()))
        if b'"event":"welcome"' not in self._line():
            raise RuntimeError(f"{self.device} was not let in")
        self.socket.setblocking(False)

    def line(self, text: str, room: int, auth: object = None) -> bytes:  # noqa: ARG002 (none is signed)
        """One sealed chat line, whose id ends with the number in its text."""
        found = re.search(r"\d+", text)
        name = f"b-{found[0] if found else 0}"
        chat = Chat(
            f"room {room}", text, "somebody", f"1800000000000{room:04d}", None,
            "0123456789abcdef0123456789abcdef", True, False, "1752570000000", None, name,
        )  # fmt: skip
        return self._sealer.seal(v40.encode_chat_v40(chat))

    def replies(self) -> list[bytes]:
        """The messages that were acknowledged, each as `number N`; acknowledges the replies that came."""
        try:
            data = self._tail + self.socket.recv(1 << 18)
        except BlockingIOError:
            return []
        *lines, self._tail = data.split(b"\n")
        typed = [found[1].decode() for found in map(_REPLY.search, lines) if found]
        if typed:
            self.send(self._sealer.seal(v40.encode_typed(typed)))
        return [b"number " + number for line in lines if _ACK in line for number in _NUMBER.findall(line)]

    def _line(self) -> bytes:
        while b"\n" not in self._tail:
            data = self.socket.recv(4096)
            if not data:
                raise RuntimeError(f"{self.device} was hung up on")
            self._tail += data
        line, _, self._tail = self._tail.partition(b"\n")
        return line


def run(rounds: int, say: Callable[[str], None]) -> list[Times]:
    """The times of each round, with the usual journal."""
    every = []
    with relay() as server:
        for number in range(1, rounds + 1):
            phones = _connect(range(PHONES), server.port, f"a{number}-")
            voices = [Voice(phone, ECHO, range(ROOMS), RATE / PHONES) for phone in phones]
            converse(voices, SECONDS)
            times = Times()
            for voice in voices:
                times.seconds += voice.times.seconds
                times.unanswered += voice.times.unanswered
            for phone in phones:
                phone.close()
            every.append(times)
            say(
                f"acks, round {number} of {rounds}: median {times.at(50) * 1000:.1f} ms, "
                f"p99 {times.at(99) * 1000:.1f} ms, {times.unanswered} not acknowledged"
            )
    return every


def _connect(numbers: Iterable[int], port: int, run_name: str) -> list[Phone]:
    phones: list[Phone] = []
    for number in numbers:
        phone = Sealed(number, port, run=run_name)
        phone.greet()
        phones.append(phone)
    return phones
