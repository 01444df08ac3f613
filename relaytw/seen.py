"""What the gate remembers: of a client, beyond its connections; and of a connection, its pass."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from relaytw.messages import ClientKey
from relaytw.signers import UNSIGNED


class Seen:
    """What was seen of one client: signatures and message ids."""

    __slots__ = ("floor", "forgotten", "ids", "previous", "serial", "signatures", "trim_at")

    def __init__(self) -> None:
        self.signatures: OrderedDict[int, tuple[int, float, int]] = OrderedDict()
        self.ids: OrderedDict[str, float] = OrderedDict()
        self.trim_at = 0.0
        self.forgotten = False
        self.floor = 0
        self.serial = 0
        self.previous = 0


class Pass:
    """What the gate gives a connection at its handshake; `signature` is what it remembers of the last one.

    With `sealed`, the pin of its device, every line of the connection proves itself, and none is signed.
    """

    __slots__ = ("client", "device", "sealed", "seen", "serial", "signature", "use", "verifier")

    def __init__(
        self, client: ClientKey, device: Any, verifier: Any, serial: int, *, sealed: str | None = None
    ) -> None:
        self.client = client
        self.device = device
        self.verifier = verifier
        self.serial = serial
        self.sealed = sealed
        self.signature = 0
        self.seen: Seen | None = None
        self.use = UNSIGNED
