"""What a phone costs that is on and says nothing: memory, and the time that pings take."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.servers import relay
from benchmarks.traffic import Phone, connect, watch
from relaytw.messages import Dialect, Monitoring
from relaytw.protocols.wire.phone import PingPacket, decode_from_relay, encode_pong

FEW, MANY = 1_000, 5_000
#: Seconds over which the CPU is measured: two ping intervals.
SECONDS = 60.0
#: So that every phone is pinged once while the memory is measured.
PING = 30.0


@dataclass
class Idle:
    """Bytes of memory for each phone between `FEW` and `MANY`, and the part of a core at `FEW`."""

    bytes_per_phone: float
    core: float


def run(say: Callable[[str], None]) -> Idle:
    """Connect phones, let each say one thing and answer one ping, then measure."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY * 2 + 200, MANY * 2 + 200))
    with relay("queued", connections=MANY + 100, ping=PING) as server:
        phones = connect(range(FEW), server.port)
        _speak_once(phones)
        _answer_pings(phones, PING + 6)
        few = server.rss
        say(f"idle: {len(phones)} phones, {few / 2**20:.1f} MiB")
        before = server.cpu
        _answer_pings(phones, SECONDS)
        core = (server.cpu - before) / SECONDS
        say(f"idle: {core * 100:.2f} % of a core")
        more = connect(range(FEW, MANY), server.port)
        _speak_once(more)
        phones += more
        _answer_pings(phones, PING + 6)
        many = server.rss
        say(f"idle: {len(phones)} phones, {many / 2**20:.1f} MiB")
        for phone in phones:
            phone.close()
    return Idle((many - few) / (MANY - FEW), core)


def _speak_once(phones: list[Phone]) -> None:
    ready, close = watch(phones)
    left = len(phones)
    for phone in phones:
        phone.send(phone.line("# echo hello", 1))
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        left -= sum(len(phone.replies()) for phone in ready(1))
    close()
    if left:
        raise RuntimeError(f"{left} phones got no answer")


def _answer_pings(phones: list[Phone], seconds: float) -> None:
    ready, close = watch(phones)
    until = time.monotonic() + seconds
    figures = Monitoring(512.0, 101.5, 19.8, 0, 1)
    while (left := until - time.monotonic()) > 0:
        for phone in ready(left):
            for line in phone.socket.recv(65536).splitlines():
                packet = decode_from_relay(line)
                if isinstance(packet, PingPacket):
                    stamp = packet.server_timestamp
                    phone.send(encode_pong(Dialect.V32, phone.bot, stamp, figures, phone.auth()))
    close()
