"""Builds what messages and their answers pass through between the gate and the outbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.threads import deferToThreadPool

from relaytw.config import Config
from relaytw.daemons import DaemonThreads
from relaytw.intake import Job
from relaytw.lanes import Lanes
from relaytw.loop_guard import LoopGuard
from relaytw.messages import ClientKey, Message, Part, PhoneInfo
from relaytw.services.acceptance import Memory
from relaytw.services.chat_log import ChatLog
from relaytw.services.live_settings import LiveSettings
from relaytw.services.preparing import MediaSettings, Preparer
from relaytw.services.threads import BlockingPool
from relaytw.store.journal import Journal
from relaytw.store.syncing import InThread


def loop_guard(config: Config) -> LoopGuard | None:
    """What keeps bots from answering each other for ever; None where that is allowed."""
    limits = config.limits
    if not limits.loop_depth:
        return None
    return LoopGuard(limits.loop_depth, limits.loop_window, limits.loop_answers)


def answer_note(
    chat_log: ChatLog, guard: LoopGuard | None, now: Callable[[], float]
) -> Callable[[Message, Sequence[Part]], None]:
    """What is told of every answer."""
    if guard is None:
        return chat_log.answer
    said, write_down = guard.said, chat_log.answer

    def note(message: Message, parts: Sequence[Part]) -> None:
        said(message, parts, now())
        write_down(message, parts)

    return note


def memory(config: Config, journal: Journal | None, now: Callable[[], float]) -> Memory:
    """How far the relay remembers what 4.0 phones have said; without a journal no further than its start."""
    started = now()
    since = (lambda: started) if journal is None else (lambda: journal.remembers_since)
    return Memory(config.dedup.ttl, since, config.journal.max_age)


def preparer(
    config: Config, reactor: Any, phone: Callable[[ClientKey], PhoneInfo | None], in_thread: InThread | None
) -> Preparer:
    """What makes media ready to be sent."""
    keys, limits = config.media, config.limits
    settings = MediaSettings(
        keys.file_bytes, keys.pixels, limits.outbox_bytes, keys.threads, keys.waiting,
        line_bytes=limits.line_bytes,
    )  # fmt: skip
    if in_thread is not None:
        return Preparer(in_thread, phone, settings)
    pool = DaemonThreads(0, keys.threads, "media")
    return Preparer(partial(deferToThreadPool, reactor, pool), phone, settings, pool)


def lanes(config: Config, settings: LiveSettings) -> Lanes[Job]:
    """The limits per room, per bot and in all."""
    limits = config.limits
    return Lanes(
        consumers=limits.consumers,
        per_bot=limits.per_bot,
        per_room=limits.per_room,
        reserved_consumers=limits.reserved_consumers,
        reserved_per_bot=limits.reserved_per_bot,
        width_of=settings.width_of,
        limit_of=settings.limit_of,
    )


def threads(config: Config, reactor: Any, in_thread: InThread | None) -> BlockingPool:
    """The threads of blocking handlers."""
    limits = config.limits
    if in_thread is not None:
        return BlockingPool(in_thread, threads=limits.blocking_threads, per_bot=limits.blocking_per_bot)
    pool = DaemonThreads(0, limits.blocking_threads, "handlers")
    return BlockingPool(
        partial(deferToThreadPool, reactor, pool),
        threads=limits.blocking_threads,
        per_bot=limits.blocking_per_bot,
        pool=pool,
    )
