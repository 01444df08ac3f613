"""What the relay is measured against: a bare Twisted server that only reads lines and answers.

`python -m benchmarks.bare PORT [SECRET]` parses each line with the relay's JSON library and answers
a fixed line; with a secret it verifies the line's HMAC too.
"""

from __future__ import annotations

import hashlib
import hmac
import sys
from typing import Any

import msgspec
from twisted.internet import reactor
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver

GREETING = b'{"event":"handshakeComplete","data":{"success":true,"approved":true,"message":""}}'
ANSWER = (
    b'{"event":"messageResponse","data":{"room":"room 1","text":"'
    + b"x" * 60
    + b'","channel_id":"18000000000000001","bot_name":"bench"}}'
)
_SIGNED = ("clientType", "botName", "deviceUUID", "macAddress", "ipAddress", "timestamp")


class BareServer(LineReceiver):
    """Answers every chat line, at once."""

    delimiter = b"\n"
    MAX_LENGTH = 2 * 1024 * 1024

    def __init__(self, secret: bytes | None) -> None:
        self._secret = secret

    def lineReceived(self, line: bytes) -> None:
        """Parse, perhaps verify, answer."""
        packet: dict[str, Any] = msgspec.json.decode(line)
        if packet.get("event") != "analyze":
            self.sendLine(GREETING)
        elif self._secret is None or _signed(packet["data"]["auth"], self._secret):
            self.sendLine(ANSWER)


def _signed(auth: dict[str, Any], secret: bytes) -> bool:
    text = "|".join([*(str(auth[name]) for name in _SIGNED), ""])
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(signature, auth["signature"])


class BareFactory(Factory):
    """Builds the bare server."""

    noisy = False

    def __init__(self, secret: bytes | None) -> None:
        self._secret = secret

    def buildProtocol(self, addr: IAddress | None) -> BareServer:  # noqa: ARG002
        """Build the protocol of one socket."""
        return BareServer(self._secret)


def main() -> None:
    """Listen on loopback."""
    port, *secret = sys.argv[1:]
    factory = BareFactory(secret[0].encode() if secret else None)
    reactor.listenTCP(int(port), factory, backlog=1024, interface="127.0.0.1")  # type: ignore[arg-type]
    reactor.run()


if __name__ == "__main__":
    main()
