"""A parent that starts its children in order and stops them in reverse, one at a time."""

from __future__ import annotations

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger


class OrderedServices(MultiService):
    """Like `MultiService`, but a child is stopped only when the one after it has stopped."""

    _log = Logger(namespace="relaytw.services")

    def stopService(self) -> Deferred[None]:
        """Fires when every child has stopped, or failed to, which is logged."""
        self.running = 0
        return Deferred.fromCoroutine(self._stop_each())

    async def _stop_each(self) -> None:
        for child in reversed(list(self)):
            try:
                await maybeDeferred(child.stopService)
            except Exception:
                self._log.failure("{child} did not stop cleanly", child=child.name or child)
