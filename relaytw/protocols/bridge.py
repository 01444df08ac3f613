"""The phone's TCP connection: bytes to lines to the session, and back.  It makes no choices.

Reading is by batches: one chunk off the socket is split once, decoded lazily while the session
takes lines, and whatever it makes the relay say is written in one go when the batch is over.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from relaytw.errors import BadLine
from relaytw.messages import CloseReason, Dialect, ErrorCode, Packet
from relaytw.protocols import wire
from relaytw.protocols.conversation import Conversation, Ending, Heard
from relaytw.protocols.wire.framing import LineBuffer

#: How long a closed connection may take to swallow what it was told, in seconds.
LINGER = 5.0
#: Seconds that a phone which has finished sending is kept for the answers it is still owed.
HALF_CLOSE_GRACE = 5.0
#: TCP keepalive: idle and interval in seconds, and the number of probes.
KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 9}


class House(Protocol):
    """What a connection needs from the relay around it."""

    clock: IReactorTime
    line_bytes: int
    lines_per_turn: int
    write_timeout: float

    def arrived(self, bridge: Bridge) -> None:
        """A socket was accepted: set its `conversation`."""

    def departed(self, bridge: Bridge) -> None:
        """A socket is gone."""

    def batch_over(self) -> None:
        """A batch of lines was handed over: accept, start and write what came of it."""

    def worked(self, lines: int, seconds: float) -> None:
        """So many lines were handed to the session, and decoding them took so long."""

    def writable(self, conversation: Conversation, writable: bool) -> None:
        """The peer reads slower than we write, or has caught up."""

    def owes(self, conversation: Conversation) -> bool:
        """Is anything this phone said still being answered?"""


@implementer(IHalfCloseableProtocol, IPushProducer)
class Bridge(LineReceiver):
    """One phone's socket."""

    delimiter = b"\n"

    def __init__(self, house: House) -> None:
        self._house = house
        self.MAX_LENGTH = house.line_bytes
        self.dialect: Dialect | None = None
        self.check_seal: Callable[[bytes], None] | None = None
        self.reading = True
        self.told = 0
        self.resumed_at = 0.0
        self._lines = LineBuffer(house.line_bytes)
        # The next line last: a list costs an idle phone a tenth of what a deque does.
        self._waiting: list[bytes] = []
        self._said: list[bytes] | None = None
        self._turn: IDelayedCall | None = None
        self._linger: IDelayedCall | None = None
        self._stalled: IDelayedCall | None = None
        self._hung_up = False
        self._stopped_reading = False
        self._half_closed = False
        self.conversation: Conversation

    # -- Twisted calls these

    def connectionMade(self) -> None:
        """Set the socket's options and ask to be let in."""
        transport: Any = self.transport
        _keep_alive(transport)
        transport.registerProducer(self, True)
        self._house.arrived(self)

    def dataReceived(self, data: bytes) -> None:
        """Split what came in and hand it on, once for the whole chunk."""
        if self._hung_up:
            return
        lines = self._lines.feed(data)
        if lines:
            lines.reverse()
            self._waiting = lines + self._waiting if self._waiting else lines
            if self._turn is None and self.reading:
                self._hand_on(self._house.lines_per_turn)
        else:
            # A line that drips in over a slow network is a sign of life too.
            self.conversation.session.heard(iter(()))
        if self._lines.overflowed and not self._waiting:
            self._too_long()

    def lineReceived(self, line: bytes) -> None:
        """Hand on one line; for those who feed lines rather than bytes."""
        self.dataReceived(line + b"\n")

    def readConnectionLost(self) -> None:
        """The phone will send no more: answer what it is owed, then close."""
        self._half_closed = True
        conversation = self.conversation
        self.drain()
        if conversation.over:
            return
        if self._house.owes(conversation):
            self._linger = self._house.clock.callLater(HALF_CLOSE_GRACE, self._finish_half_close)
        else:
            self._finish_half_close()

    def writeConnectionLost(self) -> None:
        """The phone will read no more: nothing can be said to it."""
        self.hang_up(at_once=True)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        """Hand on what was read, then tell the session."""
        self.drain()
        self._hung_up = True
        for call in (self._linger, self._stalled):
            if call is not None and call.active():
                call.cancel()
        clean = self._half_closed or reason.check(ConnectionDone)
        self.conversation.session.lost(CloseReason.PHONE_CLOSED if clean else CloseReason.CONNECTION_LOST)
        self._waiting.clear()
        self._house.batch_over()
        self._house.departed(self)

    # -- the transport's producer: it pauses us when the peer does not read

    def pauseProducing(self) -> None:
        """The peer reads too slowly; it has `write_timeout` seconds to catch up."""
        if self._stalled is None and not self._hung_up:
            self._stalled = self._house.clock.callLater(self._house.write_timeout, self._stuck)
            self._house.writable(self.conversation, False)

    def resumeProducing(self) -> None:
        """The peer has caught up."""
        if self._stalled is not None:
            if self._stalled.active():
                self._stalled.cancel()
            self._stalled = None
            if not self._hung_up:
                self._house.writable(self.conversation, True)

    def stopProducing(self) -> None:
        """The transport is about to go; `connectionLost` follows."""

    # -- the session's link

    @property
    def unsent(self) -> int:
        """How many of the bytes said are still in this process, rather than in the kernel."""
        return sum(map(len, self._said or ())) + _held_back(self.transport)

    def where(self) -> str:
        """The peer's address; behind a load balancer only known once its header was read."""
        return _readable(self.transport.getPeer())  # type: ignore[union-attr]

    def say(self, data: bytes) -> None:
        """Write `data`, at the end of the batch if one is being worked."""
        if self._hung_up:
            return
        self.told += len(data)
        if self._said is not None:
            self._said.append(data)
        else:
            self.transport.write(data)  # type: ignore[union-attr]

    def hang_up(self, *, at_once: bool) -> None:
        """Close; without `at_once` the peer has `LINGER` seconds to take what was said."""
        if self._hung_up:
            return
        self._flush()
        self._hung_up = True
        self._waiting.clear()
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        transport: Any = self.transport
        if self._stalled is not None and self._stalled.active():
            self._stalled.cancel()
        transport.unregisterProducer()
        if at_once:
            transport.abortConnection()
            return
        self._linger = self._house.clock.callLater(LINGER, transport.abortConnection)
        if self._stopped_reading:
            transport.resumeProducing()
        transport.loseConnection()

    def limit_lines(self, length: int) -> None:
        """Take lines of so many bytes from now on; those read but not handed on are judged by it too."""
        waiting, lines = self._waiting, self._lines
        if length < lines.max_length:
            too_long = [index for index, line in enumerate(waiting) if len(line) > length]
            if too_long:
                # The next line stands last: what came behind one that is too long does not count.
                del waiting[: too_long[-1] + 1]
                lines.give_up()
        self.MAX_LENGTH = length
        # In place: whoever hands the lines on at this moment goes on with these.
        waiting[:0] = reversed(lines.resize(length))
        if lines.overflowed and not waiting and self._said is None and not self._hung_up:
            self._too_long()

    def stop_reading(self) -> None:
        """Back-pressure: leave what comes next in the kernel, and what was read in `_waiting`."""
        if self.reading:
            self.reading = False
            if not self._half_closed:
                self._stopped_reading = True
                self.transport.pauseProducing()  # type: ignore[union-attr]

    def start_reading(self) -> None:
        """Go on, in a new turn: resuming re-enters `dataReceived`."""
        if self.reading or self._hung_up:
            return
        self.reading = True
        self.resumed_at = self._house.clock.seconds()
        if self._turn is None:
            self._turn = self._house.clock.callLater(0, self._next_turn)

    def drain(self) -> None:
        """Hand on every line that was read, whatever the back-pressure says."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        while self._waiting and not self._hung_up:
            before = len(self._waiting)
            self._work(self._everything())
            if len(self._waiting) == before:
                break

    # -- lines on their way to the session

    def _next_turn(self) -> None:
        self._turn = None
        if self._hung_up:
            return
        if self._waiting:
            self._hand_on(self._house.lines_per_turn)
        if self.reading and self._stopped_reading and not self._waiting and not self._hung_up:
            self._stopped_reading = False
            self.transport.resumeProducing()  # type: ignore[union-attr]
        if self._lines.overflowed and not self._waiting:
            self._too_long()

    def _hand_on(self, count: int) -> None:
        self._work(self._some(count))
        if self._waiting and self._turn is None and self.reading and not self._hung_up:
            # What is left waits for a turn of its own, and the socket with it: memory is bounded
            # by one read, and a flood of tiny lines cannot keep the reactor from the others.
            if not self._stopped_reading and not self._half_closed:
                self._stopped_reading = True
                self.transport.pauseProducing()  # type: ignore[union-attr]
            self._turn = self._house.clock.callLater(0, self._next_turn)

    def _work(self, batch: Iterator[Heard]) -> None:
        outer, self._said = self._said, self._said if self._said is not None else []
        try:
            self.conversation.session.heard(batch)
        finally:
            if outer is None:
                self._house.batch_over()
                self._flush()

    def _flush(self) -> None:
        said, self._said = self._said, None
        if said and not self._hung_up:
            self.transport.write(b"".join(said))  # type: ignore[union-attr]

    def _some(self, count: int) -> Iterator[Heard]:
        waiting = self._waiting
        if self.conversation.handshake is None or self.check_seal is not None:
            # A seal is good once: what is sealed is looked at when it is its turn, and not ahead of it.
            while waiting and count > 0 and self.reading:
                count -= 1
                self._house.worked(1, 0.0)
                yield self._decoded(waiting.pop())
            return
        # Decoded one after the other and then worked one after the other: each loop is small enough
        # for the processor's caches, which is a tenth of the price of a message.
        house, worked = self._house, 0
        begun = house.clock.seconds()
        ahead = [(_read(line), line) for line in reversed(waiting[-count:])]
        seconds = house.clock.seconds() - begun
        try:
            for heard in ahead:
                if not (waiting and waiting[-1] is heard[1] and self.reading):
                    return
                waiting.pop()
                worked += 1
                yield heard
        finally:
            house.worked(worked, seconds)

    def _everything(self) -> Iterator[Heard]:
        waiting = self._waiting
        while waiting:
            self._house.worked(1, 0.0)
            yield self._decoded(waiting.pop())

    def _decoded(self, line: bytes) -> Heard:
        if self.check_seal is not None:
            try:
                self.check_seal(line)
                return wire.decode_v40(line), line
            except BadLine as error:
                return error, line
        if self.conversation.handshake is not None:
            return _read(line), line
        try:
            packet, self.dialect = wire.decode_first(line)
        except BadLine as error:
            return error, line
        else:
            return packet, line

    # -- ends

    def _too_long(self) -> None:
        text = f"a line is longer than {self._lines.max_length} bytes"
        self._lines.give_up()
        self._end(Ending(CloseReason.LINE_TOO_LONG, text, ErrorCode.LINE_TOO_LONG))

    def _stuck(self) -> None:
        seconds = self._house.write_timeout
        self._end(Ending(CloseReason.SLOW_PEER, f"the phone read nothing for {seconds:g} s"))

    def _finish_half_close(self) -> None:
        self._end(Ending(CloseReason.PHONE_CLOSED))

    def _end(self, ending: Ending) -> None:
        self.conversation.session.end(ending)
        self._house.batch_over()


class BridgeFactory(Factory):
    """Builds a `Bridge` for every socket; listens quietly, for each connect has a line of its own."""

    noisy = False

    def __init__(self, house: House) -> None:
        self._house = house

    def buildProtocol(self, addr: IAddress | None) -> Bridge:  # noqa: ARG002
        """Build the protocol of one socket."""
        bridge = Bridge(self._house)
        bridge.factory = self
        return bridge


def _read(line: bytes) -> Packet | BadLine:
    try:
        return wire.decode(line)
    except BadLine as error:
        return error


def _held_back(transport: Any) -> int:
    # Transports do not say what they have not handed on yet; below TLS there is another that may hold some.
    held = 0
    while transport is not None:
        held += len(getattr(transport, "dataBuffer", b"")) - int(getattr(transport, "offset", 0))
        held += sum(map(len, getattr(transport, "_tempDataBuffer", ())))
        transport = getattr(transport, "transport", None)
    return held


def _readable(address: Any) -> str:
    host = getattr(address, "host", None)
    return f"{host}:{address.port}" if host is not None else str(address)


def _keep_alive(transport: Any) -> None:
    # Not every transport is TCP (unix sockets, TLS over something, tests): what cannot be set is left.
    set_no_delay: Callable[[bool], None] | None = getattr(transport, "setTcpNoDelay", None)
    set_keep_alive: Callable[[bool], None] | None = getattr(transport, "setTcpKeepAlive", None)
    handle: Callable[[], socket.socket] | None = getattr(transport, "getHandle", None)
    if set_no_delay is None or set_keep_alive is None or handle is None:
        return
    try:
        set_no_delay(True)
        set_keep_alive(True)
        for name, value in KEEPALIVE.items():
            handle().setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except (OSError, AttributeError):
        return
