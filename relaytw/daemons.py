"""Threads that do not keep the process from ending: what hangs in one ends with it."""

from __future__ import annotations

from threading import Thread
from typing import Any

from twisted.python.threadpool import ThreadPool


class _DaemonThread(Thread):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "daemon": True})


class DaemonThreads(ThreadPool):
    """A pool of threads that may hang for ever, and which end with the process all the same."""

    threadFactory = _DaemonThread  # noqa: N815 (ThreadPool's name for it)
