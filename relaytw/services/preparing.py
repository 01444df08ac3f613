"""Makes media ready to be sent: reads files and fits pictures to their phone, in threads of its own.

Parts of one message's answers keep their order: what is said behind a picture that is still being
made waits for it.  Other messages do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import PurePath
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw import pictures
from relaytw.bots.media import Media as Draft
from relaytw.bots.media import by_url, ending_of, is_url, wait_of
from relaytw.daemons import DaemonThreads
from relaytw.errors import BadMedia
from relaytw.messages import ClientKey, Dialect, Media, Message, Part, PhoneInfo
from relaytw.pictures import PictureLimits

#: Bytes of a line besides its content: names of the room and the bot, and the header.
ENVELOPE = 2_048
T = TypeVar("T")

Parts = Sequence[Part | Draft]


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Bytes of a file, pixels of a picture, bytes of a client's outbox; threads, and messages that wait.

    `width` and `line_bytes` are those of a phone that is away.
    """

    file_bytes: int = 10_485_760
    pixels: int = 40_000_000
    outbox_bytes: int = 1_048_576
    threads: int = 2
    waiting: int = 100
    width: int = 900
    line_bytes: int = 1_048_576


class Piece:
    """A content that is ready, with its file ending."""

    __slots__ = ("content", "ending")

    def __init__(self, content: bytes, ending: str) -> None:
        self.content = content
        self.ending = ending


class Preparer(Service):
    """Turns what authors send into what phones get; `phone` is what is known of a client's phone.

    `defer` runs a function in a thread.
    """

    name = "media"

    def __init__(
        self,
        defer: Callable[[Callable[[], Any]], Deferred[Any]],
        phone: Callable[[ClientKey], PhoneInfo | None],
        settings: MediaSettings,
        pool: DaemonThreads | None = None,
    ) -> None:
        self.settings = settings
        self._defer = defer
        self._phone = phone
        self._pool = pool
        self._turns = DeferredSemaphore(settings.threads)

    def startService(self) -> None:
        """Start the threads; they come into being when they are needed."""
        super().startService()
        if self._pool is not None:
            self._pool.start()

    def stopService(self) -> None:
        """Take no more work.  A thread still at work ends with the process."""
        super().stopService()
        if self._pool is not None and self._turns.tokens == self._turns.limit:
            self._pool.stop()

    async def ready(self, client: ClientKey, parts: Parts) -> list[Part]:
        """The parts of an answer to this client as they are sent.  Raises BadMedia."""
        made: list[Part] = []
        for part in parts:
            made.extend(await self._media(client, part) if isinstance(part, Draft) else (part,))
        total = sum(size(part) for part in made)
        if total > self.settings.outbox_bytes:
            raise BadMedia(
                f"the media of one answer take {total} bytes, more than is kept for a phone "
                f"({self.settings.outbox_bytes}, limits.outbox_bytes)"
            )
        return made

    async def _media(self, client: ClientKey, draft: Draft) -> list[Media]:
        phone = self._phone(client)
        dialect = phone.dialect if phone is not None else None
        room = self._room(phone)
        media: list[Media] = []
        for urls, run in groupby(draft.sources, is_url):
            if urls:
                media.extend(by_url(draft, [str(source) for source in run]))
                continue
            if dialect is Dialect.V32 and draft.kind != "image":
                raise BadMedia(f"dialect 3.2 carries {draft.kind} by URL only")
            width = phone.image_width if phone is not None else self.settings.width
            limits = PictureLimits(self.settings.file_bytes, self.settings.pixels, width, room)
            pieces = [await self._in_thread(_piece, draft, source, limits) for source in run]
            media.extend(_packed(draft, pieces, room))
        return media

    def _room(self, phone: PhoneInfo | None) -> int:
        """How many bytes of content may go to this phone in one reply."""
        most = self.settings.outbox_bytes
        line = phone.line_bytes if phone is not None else self.settings.line_bytes
        if phone is not None and phone.dialect not in (Dialect.V32, Dialect.V33):
            return most  # goes in chunks of its own
        return max(0, min(most, (line - ENVELOPE) // 4 * 3))

    async def _in_thread(self, work: Callable[..., T], *args: object) -> T:
        await self._turns.acquire()
        try:
            result: T = await self._defer(partial(work, *args))
        finally:
            self._turns.release()
        return result


def size(part: Part) -> int:
    """Bytes of media content; what is said or fetched by the phone has none."""
    if not isinstance(part, Media):
        return 0
    return sum(len(source) for source in part.sources if isinstance(source, bytes))


def _piece(draft: Draft, source: object, limits: PictureLimits) -> Piece:
    named = isinstance(source, (str, PurePath))
    content = pictures.read(str(source), limits.file_bytes) if named else source
    if not isinstance(content, bytes):
        raise BadMedia(f"a source of Media is {type(content).__name__}")
    if draft.kind == "image":
        return Piece(*pictures.fitted(content, limits))
    if len(content) > limits.most_bytes:
        raise BadMedia(
            f"a file of kind {draft.kind} has {len(content)} bytes; this phone takes {limits.most_bytes}"
        )
    return Piece(content, draft.format or ending_of(str(source) if named else "", draft.kind))


def _packed(draft: Draft, pieces: Sequence[Piece], room: int) -> Iterator[Media]:
    """As few replies as hold the pieces: of one file ending each, and of no more bytes than there is room."""
    for ending, run in groupby(pieces, lambda piece: piece.ending):
        held: list[bytes] = []
        for piece in run:
            # Base64 rounds each source up to a multiple of three bytes.
            if held and sum(len(content) + 3 for content in held) + len(piece.content) > room:
                yield _sealed(draft, held, ending)
                held = []
            held.append(piece.content)
        yield _sealed(draft, held, ending)


def _sealed(draft: Draft, contents: Sequence[bytes], ending: str) -> Media:
    wait = wait_of(len(contents), sum(map(len, contents))) if draft.wait_ms is None else draft.wait_ms
    return Media(tuple(contents), draft.kind, ending, wait)


class _Parcel:
    """What one message has said and is not sent yet, in order, and what was wrong with some of it."""

    __slots__ = ("busy", "fault", "message", "waiter", "waiting", "work")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.waiting: deque[Parts] = deque()
        self.busy = False
        self.work: Deferred[None] | None = None
        self.fault: Failure | None = None
        self.waiter: Deferred[None] | None = None


class Parcels:
    """Sends each message's answers in the order they were given, through `send`, media made ready."""

    def __init__(self, preparer: Preparer, send: Callable[[Message, Sequence[Part]], None]) -> None:
        self._preparer = preparer
        self._send = send
        # By identity: there is at most one delivery of a message at work, and messages have no hash.
        self._parcels: dict[int, _Parcel] = {}
        self._log = Logger(namespace="relaytw.dispatch")

    def __len__(self) -> int:
        """Of how many messages something is being made ready, or could not be."""
        return len(self._parcels)

    def add(self, message: Message, parts: Parts) -> bool:
        """Send these behind what the message has said already; False if nothing has to be waited for.

        Raises BadMedia if too much waits.
        """
        parcel, most = self._parcels.get(id(message)), self._preparer.settings.waiting
        if parcel is None:
            if not any(isinstance(part, Draft) for part in parts):
                return False
            if len(self._parcels) >= most:
                raise BadMedia(f"{most} messages wait for their media already (media.waiting)")
            parcel = self._parcels[id(message)] = _Parcel(message)
        elif len(parcel.waiting) >= most:
            raise BadMedia(f"{most} answers of this message wait for its media already (media.waiting)")
        parcel.waiting.append(parts)
        if not parcel.busy:
            parcel.busy = True
            work = Deferred.fromCoroutine(self._work(parcel)).addErrback(self._broke, parcel)
            parcel.work = work if parcel.busy else None
        return True

    def sent(self, message: Message) -> Deferred[None] | None:
        """Fires when all that this message has said is sent, None if it is; cancelling gives it up.

        Fails with what was wrong with media that could not be made ready.
        """
        parcel = self._parcels.get(id(message))
        if parcel is None:
            return None
        waiter = parcel.waiter = Deferred(lambda _: self.drop(message))
        if not parcel.busy:
            self._end(parcel)
        return waiter

    def drop(self, message: Message) -> None:
        """Give up what this message has said and is not sent."""
        parcel = self._parcels.pop(id(message), None)
        if parcel is not None:
            parcel.waiting.clear()
            if parcel.work is not None:
                parcel.work.cancel()

    def leave(self, message: Message) -> None:
        """Its handler has failed: what it has said is sent all the same, and nobody asks whether it was."""
        parcel = self._parcels.get(id(message))
        if parcel is not None and not parcel.busy:
            self._end(parcel)

    async def _work(self, parcel: _Parcel) -> None:
        message = parcel.message
        while parcel.waiting:
            parts = parcel.waiting.popleft()
            try:
                made = await self._preparer.ready(message.client, parts)
                if self._parcels.get(id(message)) is parcel and made:
                    self._send(message, made)
            except BadMedia:
                parcel.fault = parcel.fault or Failure()
        self._rest(parcel)

    def _broke(self, failure: Failure, parcel: _Parcel) -> None:
        if self._parcels.get(id(parcel.message)) is parcel:
            parcel.waiting.clear()
            parcel.fault = failure
            self._rest(parcel)
        elif not failure.check(CancelledError):
            self._log.failure("media could not be made ready", failure, trace=parcel.message.trace)

    def _rest(self, parcel: _Parcel) -> None:
        parcel.busy, parcel.work = False, None
        if parcel.waiter is not None or parcel.fault is None or parcel.message.over:
            self._end(parcel)

    def _end(self, parcel: _Parcel) -> None:
        if self._parcels.get(id(parcel.message)) is parcel:
            del self._parcels[id(parcel.message)]
        fault, parcel.fault = parcel.fault, None
        if parcel.waiter is not None:
            parcel.waiter.callback(None) if fault is None else parcel.waiter.errback(fault)
        elif fault is not None:
            self._log.error(
                "media cannot be sent: {error}", error=fault.getErrorMessage(), trace=parcel.message.trace
            )
