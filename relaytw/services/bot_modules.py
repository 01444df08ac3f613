"""Exchanges the code of bots while the relay runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from relaytw.admin.modules import ModuleLoaded
from relaytw.bots.bot import Bot
from relaytw.bots.library import Library, Stamp, scan
from relaytw.services.audit import AuditWriter
from relaytw.services.loops import Regularly
from relaytw.store.syncing import InThread


class BotModules(Regularly):
    """Looks into the folder of bots every `interval` seconds, if there is one, and reloads when asked to.

    `swap` is told of the bots that are in force from now on; handlers at work end with the code they have.
    Implements `relaytw.admin.modules.ModulesView`.
    """

    name = "bot modules"
    namespace = "relaytw.bots"

    def __init__(
        self,
        library: Library,
        clock: IReactorTime,
        interval: float,
        *,
        in_thread: InThread,
        swap: Callable[[Sequence[Bot]], None],
        audit: AuditWriter,
    ) -> None:
        super().__init__(clock, interval)
        self._library = library
        self._in_thread = in_thread
        self._swap = swap
        self._audit = audit
        self._unreadable = False

    def startService(self) -> None:
        """Begin to look, if there is a folder."""
        if self._library.folder is not None:
            super().startService()
        else:
            Service.startService(self)

    def work(self) -> Deferred[None] | None:
        """Look into the folder: in a thread, for a disk may take its time."""
        folder = self._library.folder
        if folder is None:
            return None
        return self._in_thread(lambda: scan(folder)).addCallbacks(self._seen, self._not_seen)

    def _seen(self, stamps: Mapping[str, tuple[Path, Stamp]]) -> None:
        self._unreadable = False
        if self.running and self._library.look(stamps):
            self._swap(self._library.bots)

    def _not_seen(self, failure: Failure) -> None:
        error = failure.value
        if not isinstance(error, OSError):
            failure.raiseException()
        elif not self._unreadable:
            self._unreadable = True
            self._log.error(
                "the folder of bots cannot be read ({why}); what was loaded from it stays in force",
                why=error.strerror,
            )

    def modules(self) -> Sequence[ModuleLoaded]:
        """Every module with bots, and what is wrong with it."""
        return [ModuleLoaded(**row._asdict()) for row in self._library.rows()]

    def reload(self, name: str | None, actor: str) -> Sequence[ModuleLoaded]:
        """Load one module anew, or all; what came of it.  Raises KeyError for one that is not known."""
        if self._library.reload(name):
            self._swap(self._library.bots)
        self._audit.note(self._audit.act(actor, "reload bots", detail=name))
        return [row for row in self.modules() if name in (None, row.name)]
