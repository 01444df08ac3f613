"""Tells the service manager how the relay is: ready, alive, stopping.

This is systemd's notification protocol (sd_notify(3)): datagrams to the socket that it names in the
environment.  Without that name nobody wants to know, and nothing is done.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime

from relaytw.services.loops import Regularly

#: How many signs of life fall into the time after which systemd takes the relay for hung.
BEATS = 3
#: The interval where nobody watches, in seconds: nothing is said then.
_UNWATCHED = 3600.0


class Supervisor(Regularly):
    """The last child of the relay: it starts when all else is up, and stops before all else.

    `send` delivers one message and may raise OSError; `watchdog` is the time in seconds without a
    sign of life after which the manager restarts the relay, 0 where it does not watch.
    """

    namespace = "relaytw.supervisor"

    def __init__(self, clock: IReactorTime, send: Callable[[bytes], None], watchdog: float = 0.0) -> None:
        super().__init__(clock, watchdog / BEATS if watchdog else _UNWATCHED)
        self.setName("supervisor")
        self._send = send
        self._watched = bool(watchdog)

    def startService(self) -> None:
        """Say that the relay listens."""
        super().startService()
        self._say(b"READY=1")

    def work(self) -> None:
        """Say that the reactor still turns."""
        if self._watched:
            self._say(b"WATCHDOG=1")

    def stopService(self) -> None:
        """Say that the relay is about to end."""
        super().stopService()
        self._say(b"STOPPING=1")

    def _say(self, message: bytes) -> None:
        try:
            self._send(message)
        except OSError as error:
            self._log.warn(
                "the service manager was not told {message}: {error}",
                message=message.decode(), error=str(error),
            )  # fmt: skip


def supervisor(environ: Mapping[str, str], clock: IReactorTime, pid: int) -> Supervisor | None:
    """What talks to the manager that `environ` names; None where it names none."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return None
    watched = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
    try:
        watchdog = int(environ.get("WATCHDOG_USEC", "0")) / 1e6 if watched else 0.0
    except ValueError:
        watchdog = 0.0
    return Supervisor(clock, Datagrams(address), max(0.0, watchdog))


class Datagrams:
    """Sends each message as one datagram to a Unix socket, never waiting for it."""

    def __init__(self, address: str) -> None:
        # systemd writes the leading NUL of an abstract address as "@".
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def __call__(self, message: bytes) -> None:
        """Send one message.  Raises OSError when the socket is gone or full."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)
            out.sendto(message, self._address)
