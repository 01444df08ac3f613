"""Listens for phones on every configured endpoint; a bind that fails stops the start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import MultiService
from twisted.application.strports import service as listening_service
from twisted.internet.protocol import Factory
from twisted.logger import Logger

#: Connections that may wait to be accepted.
BACKLOG = 1024


class Listener(MultiService):
    """Accepts phones on `endpoints` (Twisted endpoint strings).

    Stopping stops the listening only: the connections belong to the sessions.
    """

    def __init__(self, endpoints: Sequence[str], factory: Factory, reactor: Any) -> None:
        super().__init__()
        self.setName("listener")
        self.endpoints = tuple(endpoints)
        for endpoint in endpoints:
            listening_service(_roomy(endpoint), factory, reactor).setServiceParent(self)
        self._log = Logger(namespace="relaytw.listener")

    def startService(self) -> None:
        """Listen from now on; raises when an address cannot be bound."""
        super().startService()
        self._log.info("listening for phones on {endpoints}", endpoints=", ".join(self.endpoints))


def _roomy(endpoint: str) -> str:
    # After a restart everybody comes at once: beyond Twisted's own 50 they would wait a second.
    kind = endpoint.partition(":")[0]
    plain = kind in ("tcp", "tcp6", "ssl", "unix") and "backlog=" not in endpoint
    return f"{endpoint}:backlog={BACKLOG}" if plain else endpoint
