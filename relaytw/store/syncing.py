"""Waits for the disk: batches form by themselves while the sync before is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.store.segments import Segment, sync_folder

T = TypeVar("T")


class InThread(Protocol):
    """Runs functions in one thread, one after the other."""

    def __call__(self, function: Callable[[], T], /) -> Deferred[T]:
        """Fires with the function's result."""


class _Waiting(NamedTuple):
    done: Callable[[], None]
    failed: Callable[[], None]


class Syncs:
    """One sync at a time; `failed` is told of each that did not work, before those who waited for it."""

    def __init__(self, folder: Path, in_thread: InThread, failed: Callable[[OSError], None]) -> None:
        self._folder = folder
        self._in_thread = in_thread
        self._failed = failed
        self._syncing = False
        self._unsynced: set[Segment] = set()
        self._waiting: list[_Waiting] = []
        self._log = Logger(namespace="relaytw.journal")

    def wait(self, segment: Segment, done: Callable[[], None], failed: Callable[[], None]) -> None:
        """Call `done` once all that was written to this segment survives a loss of power, or `failed`."""
        self._unsynced.add(segment)
        self._waiting.append(_Waiting(done, failed))
        if not self._syncing:
            self._sync()

    def doubt(self, segments: Iterable[Segment]) -> None:
        """Sync these too, whoever waits next."""
        self._unsynced.update(segments)

    def _sync(self) -> None:
        self._syncing = True
        segments, self._unsynced = list(self._unsynced), set()
        waiting, self._waiting = self._waiting, []
        syncing = self._in_thread(lambda: self._in_the_thread(segments))
        syncing.addCallbacks(self._synced, self._not_synced, callbackArgs=(waiting,), errbackArgs=(waiting,))
        syncing.addErrback(lambda failure: self._log.failure("what was synced got lost", failure))

    def _in_the_thread(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            segment.sync()
        sync_folder(self._folder)

    def _synced(self, _: object, waiting: list[_Waiting]) -> None:
        self._syncing = False
        for one in waiting:
            one.done()
        if self._waiting and not self._syncing:
            self._sync()

    def _not_synced(self, failure: Failure, waiting: list[_Waiting]) -> None:
        self._syncing = False
        error = failure.value
        self._failed(error if isinstance(error, OSError) else OSError(0, str(error)))
        # What came meanwhile went to the same file, of which the kernel may have forgotten a part.
        everybody, self._waiting = [*waiting, *self._waiting], []
        for one in everybody:
            one.failed()
