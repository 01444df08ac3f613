"""Keeps the state folder to one relay while it runs."""

from __future__ import annotations

from pathlib import Path

from twisted.application.service import Service

from relaytw.store.segments import FolderLock


class StateFolder(Service):
    """Holds the folder's lock from before anybody listens until everything else has stopped."""

    name = "state folder"

    def __init__(self, folder: Path) -> None:
        self._lock = FolderLock(folder)

    def privilegedStartService(self) -> None:
        """Take the lock.  Raises ConfigError if another relay has it."""
        super().privilegedStartService()
        self._lock.take()

    def startService(self) -> None:
        """Take the lock, if that is not done yet.  Raises ConfigError likewise."""
        self._lock.take()
        super().startService()

    def stopService(self) -> None:
        """Let another relay have the folder."""
        super().stopService()
        self._lock.give_back()
