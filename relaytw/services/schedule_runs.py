"""Turns one run of a schedule into pushes: its room, its text and its images, one step after the other."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from relaytw.admin.callers import Caller
from relaytw.admin.pushing import PushRefused
from relaytw.messages import Media, Part, Text
from relaytw.services import sayings
from relaytw.services.push_desk import only, typeable
from relaytw.store import schedules, targets
from relaytw.store.database import Transactions
from relaytw.store.pushes import Kind, NewPush
from relaytw.store.schedules import Content, Run
from relaytw.store.statements import Transaction
from relaytw.store.targets import Target, Wanted
from relaytw.store.times import WallClock

InThread = Callable[[Callable[[], Any]], Deferred[Any]]
#: Who sends what nobody asked for, as the table of pushes has it.
ACTOR = "schedule"
_LONGEST_INTERVAL = 86_400


class BadContent(Exception):
    """What a schedule shall say cannot be said; the text says why."""


class Step(NamedTuple):
    """One thing that is sent; `name` is what the log calls it."""

    name: str
    part: Part


class Composer:
    """Composes runs and begins them.

    `in_thread` runs what waits for the disk, `media_root` is the folder that images' paths start from, None
    where there is none.  `now` gives seconds since the epoch, `nudge` says that a push may be due.
    """

    def __init__(
        self,
        *,
        database: Transactions,
        in_thread: InThread,
        now: Callable[[], float],
        nudge: Callable[[], None],
        wall: WallClock,
        media_root: Path | None,
        media_bytes: int,
        text_chars: int,
    ) -> None:
        self._database = database
        self._in_thread = in_thread
        self._now = now
        self._nudge = nudge
        self._wall = wall
        self._media_root = media_root
        self._media_bytes = media_bytes
        self._text_chars = text_chars
        self._log = Logger(namespace="relaytw.schedules")

    async def run(self, number: int, at: float, next_at: str | None) -> None:
        """Begin the run of a schedule that was due at `at`, unless it was begun before."""
        told = await self._database.run(schedules.content, number)
        if told is not None:
            await self._begin(told, f"s{number}-{int(at)}", at, next_at, moves=True)

    async def run_now(self, number: int, name: str) -> bool:
        """Begin a run out of turn; False if there is no such schedule."""
        told = await self._database.run(_any, number)
        if told is None:
            return False
        await self._begin(told, f"s{number}-{name}", self._now(), None, moves=False)
        return True

    async def _begin(self, told: Content, name: str, at: float, next_at: str | None, *, moves: bool) -> None:
        why: str | None = None
        steps: list[Step] = []
        try:
            steps = await self._in_thread(lambda: self.compose(told))
        except BadContent as error:
            why = str(error)
        run = Run(
            name, told, ",".join(step.name for step in steps), (), why, self._wall.text(at),
            self._wall.text(self._now()), next_at, moves,
        )  # fmt: skip
        begun = await self._database.run(self._keep, run, steps)
        if begun is not None:
            self._log.warn("schedule {number} sends nothing: {why}", number=told.id, why=begun)
        self._nudge()

    def compose(self, told: Content) -> list[Step]:
        """The steps of a run.  Reads files; raises BadContent."""
        steps = []
        if told.text:
            steps.append(Step("text", Text(told.text[: self._text_chars])))
        for name, listed, wait in (
            ("images_1", told.images_1, told.wait_1), ("images_2", told.images_2, told.wait_2),
        ):  # fmt: skip
            if images := _listed(name, listed):
                steps.append(Step(name, self._media(name, told.storage, images, wait)))
        if not steps:
            raise BadContent("there is nothing to say: it has neither text nor images")
        size = sum(
            len(source) for step in steps if isinstance(step.part, Media) for source in step.part.sources
        )
        if size > self._media_bytes:
            raise BadContent(
                f"its images have {size} bytes, more than {self._media_bytes} (push.media_bytes)"
            )
        return steps

    def _keep(self, transaction: Transaction, run: Run, steps: list[Step]) -> str | None:
        """Begin a run; why nothing is sent, None where it is."""
        why = run.why
        pushes: tuple[NewPush, ...] = ()
        if why is None:
            try:
                target = _target(transaction, run.content, [step.part for step in steps])
                pushes = tuple(self._pushes(run, target, steps))
            except PushRefused as error:
                why = str(error)
        schedules.begin(transaction, run._replace(why=why, pushes=pushes))
        return why

    def _pushes(self, run: Run, target: Target, steps: list[Step]) -> list[NewPush]:
        now_ms = int(self._now() * 1000)
        interval = min(run.content.interval, _LONGEST_INTERVAL) * 1000
        return [
            NewPush(
                f"{run.id}-{number}", Kind.SCHEDULE, run.id, target.client, target.room_id, target.name,
                target.channel_id, sayings.kept([step.part]), 1, f"{ACTOR}:{run.content.id}",
                now_ms + number * interval, now_ms,
            )
            for number, step in enumerate(steps)
        ]  # fmt: skip

    def _media(self, name: str, storage: str, images: list[object], wait: int) -> Media:
        contents = tuple(self._image(name, storage, image) for image in images)
        kind = str(images[0].get("name") or "") if isinstance(images[0], dict) else str(images[0])
        ending = Path(kind).suffix[1:].lower() if storage == "file" or isinstance(images[0], dict) else ""
        wait_ms = min(wait, 300_000) or None
        return Media(contents, "image", ending if ending.isalnum() and len(ending) < 6 else "jpg", wait_ms)  # noqa: PLR2004

    def _image(self, name: str, storage: str, image: object) -> bytes:
        key = "path" if storage == "file" else "base64"
        given = image.get(key) if isinstance(image, dict) else image
        if not isinstance(given, str) or not given:
            raise BadContent(f"an image of message_{name} has no {key}")
        if storage == "file":
            return self._file(given)
        try:
            content = b64decode(given.partition("base64,")[2] or given, validate=True)
        except (binascii.Error, ValueError):
            raise BadContent(f"an image of message_{name} is no Base64") from None
        if not content:
            raise BadContent(f"an image of message_{name} is empty")
        return content

    def _file(self, given: str) -> bytes:
        if self._media_root is None:
            raise BadContent(f"{given} cannot be found: schedules.media_root is not set")
        root = self._media_root.resolve()
        try:
            path = (root / given.lstrip("/\\")).resolve()
            if not path.is_relative_to(root):
                raise BadContent(f"{given} lies outside of schedules.media_root")
            with path.open("rb") as file:
                content = file.read(self._media_bytes + 1)
        except (OSError, ValueError) as error:
            raise BadContent(f"{given} cannot be read: {error}") from error
        if not content:
            raise BadContent(f"{given} is empty")
        return content


def _any(transaction: Transaction, number: int) -> Content | None:
    return schedules.content(transaction, number, any_status=True)


def _listed(name: str, stored: str | None) -> list[object]:
    try:
        images = json.loads(stored) if stored else []
    except (ValueError, RecursionError):
        raise BadContent(f"message_{name} is no JSON") from None
    if images is None:
        return []
    if not isinstance(images, list):
        raise BadContent(f"message_{name} is no list of images")
    return images


def _target(transaction: Transaction, told: Content, parts: list[Part]) -> Target:
    wanted = Wanted(told.room_id.removesuffix(f"_{told.bot}"), None, told.bot, told.device)
    target = only(targets.choose(transaction, wanted), wanted, Caller(ACTOR))
    typeable(transaction, target, parts)
    return target
