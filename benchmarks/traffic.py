"""Phones as plain sockets: cheap enough that the server is what is measured."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterable
from itertools import count

from benchmarks.servers import SECRET
from relaytw.messages import Auth, Chat, Dialect, Handshake
from relaytw.protocols import wire
from relaytw.protocols.wire.phone import encode_chat, encode_handshake

ROOMS = 4
_CHUNK = 1 << 18
_ids = count(int(time.time() * 1000))


class Phone:
    """One phone: makes signed lines, sends them, and takes what comes back."""

    def __init__(self, number: int, port: int, *, bot: str = "bench", run: str = "") -> None:
        self.bot = bot
        self.device = f"bench-{run}{number:05d}"
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tail = b""
        self._signed_at = 0

    def greet(self) -> None:
        """Introduce the phone and wait for the answer."""
        handshake = Handshake(
            Dialect.V32, self.bot, self.device, "3.2.2", "MessengerBotR", "127.0.0.1", "bench"
        )
        self.socket.sendall(encode_handshake(handshake))
        if b"handshakeComplete" not in self.socket.recv(4096):
            raise RuntimeError(f"{self.device} was not let in")
        self.socket.setblocking(False)

    def auth(self) -> Auth:
        """A signature as of now, and no two alike: each costs whoever verifies it an HMAC."""
        self._signed_at = max(self._signed_at + 1, time.time_ns() // 1_000_000)
        unsigned = Auth(
            "MessengerBotR",
            self.bot,
            "9f3c2b1a-0000-4000-8000-000000000000",
            self.device,
            "02:00:00:00:00:00",
            "10.0.0.7",
            self._signed_at,
            "3.2.2",
            "",
        )
        return unsigned._replace(signature=wire.sign(SECRET.encode(), "", unsigned))

    def line(self, text: str, room: int, auth: Auth | None = None) -> bytes:
        """One chat line of dialect 3.2, signed, with an id of its own."""
        chat = Chat(
            f"room {room}",
            text,
            "somebody",
            f"1800000000000{room:04d}",
            str(next(_ids)),
            "0123456789abcdef0123456789abcdef",
            True,
            False,
            "2026-01-01 12:00:00",
            auth or self.auth(),
        )
        return encode_chat(Dialect.V32, chat, self.bot)

    def send(self, data: bytes) -> None:
        """Send all of it, waiting for room where the socket is full."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                select.select([], [self.socket], [], 1)

    def replies(self) -> list[bytes]:
        """The reply lines that have come in, pings and the like left out."""
        try:
            data = self._tail + self.socket.recv(_CHUNK)
        except BlockingIOError:
            return []
        *lines, self._tail = data.split(b"\n")
        return [line for line in lines if b"messageResponse" in line]

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def connect(numbers: Iterable[int], port: int, *, bot: str = "bench", run: str = "") -> list[Phone]:
    """Phones that are on."""
    phones = []
    for number in numbers:
        phone = Phone(number, port, bot=bot, run=run)
        phone.greet()
        phones.append(phone)
    return phones


def watch(phones: Iterable[Phone]) -> tuple[Callable[[float], list[Phone]], Callable[[], None]]:
    """A function that waits up to so many seconds for phones with something to read, and its end."""
    poll = select.epoll()
    by_fd = {}
    for phone in phones:
        poll.register(phone.socket, select.EPOLLIN)
        by_fd[phone.socket.fileno()] = phone

    def ready(seconds: float) -> list[Phone]:
        return [by_fd[fd] for fd, _ in poll.poll(seconds)]

    return ready, poll.close
