"""One webhook: asks it again where that is safe, leaves it alone while it is down, keeps rooms in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from relaytw import texts
from relaytw.lanes import LaneKey
from relaytw.messages import Answer, Message
from relaytw.metrics import Metrics
from relaytw.services.webhooks import payload
from relaytw.services.webhooks.breaker import Breaker, BreakerSettings
from relaytw.services.webhooks.exchange import Exchange, NoAnswer

#: In how many rooms an outage is told.
ROOMS_TOLD = 10_000


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """Seconds for a message in all, and before the first retry; counts; `notice` tells chats of outages."""

    patience: float = 20.0
    retries: int = 2
    backoff: float = 0.5
    concurrency: int = 16
    notice: bool = True
    breaker: BreakerSettings = field(default_factory=BreakerSettings)


class Backend:
    """Asks one URL.  `now` gives seconds since the epoch, for signatures."""

    def __init__(
        self,
        name: str,
        exchange: Exchange,
        clock: IReactorTime,
        now: Callable[[], float],
        random: Random,
        metrics: Metrics,
        settings: BackendSettings,
    ) -> None:
        self.name = name
        self.breaker = Breaker(clock, settings.breaker)
        self.calls = self.failures = 0
        self._exchange = exchange
        self._clock = clock
        self._now = now
        self._random = random
        self._metrics = metrics
        self._settings = settings
        self._slots = DeferredSemaphore(settings.concurrency)
        self._rooms: dict[LaneKey, DeferredLock] = {}
        self._told: set[LaneKey] = set()
        self._log = Logger(namespace="relaytw.webhook")

    @property
    def at_work(self) -> int:
        """How many requests are under way."""
        return self._slots.limit - self._slots.tokens

    async def ask(self, message: Message, secret: bytes) -> Answer:
        """What it answers; where it does not, a notice for the chat or nothing."""
        room = LaneKey(*message.client, message.channel_id or message.room)
        lock = self._rooms.setdefault(room, DeferredLock())
        await lock.acquire()
        try:
            return await self._ask(message, secret, room)
        finally:
            lock.release()
            if not lock.locked:
                self._rooms.pop(room, None)

    async def _ask(self, message: Message, secret: bytes, room: LaneKey) -> Answer:
        ticket = self.breaker.admit()
        if ticket is None:
            self._metrics.webhook_failures["open"] += 1
            self.failures += 1
            return self._notice(room)
        try:
            answer = await self._in_time(message, secret)
        except NoAnswer as fault:
            self._failed(fault, ticket, message)
            return None if fault.alive else self._notice(room)
        except BaseException:  # it was cancelled, or is broken itself: the backend has not failed
            self.breaker.let_go(ticket)
            raise
        if self.breaker.succeeded(ticket):
            self._log.info("webhook {name} answers again", name=self.name)
        self._told.clear()
        return answer

    def _failed(self, fault: NoAnswer, ticket: int, message: Message) -> None:
        self._metrics.webhook_failures[fault.why] += 1
        self.failures += 1
        self._log.warn(
            "webhook {name} has not answered: {fault}",
            name=self.name, fault=fault, trace=message.trace, client=message.client,
        )  # fmt: skip
        if fault.alive:
            self.breaker.succeeded(ticket)
        elif self.breaker.failed(ticket):
            self._log.error(
                "webhook {name} is left alone for {seconds:g} s",
                name=self.name,
                seconds=self.breaker.remaining,
            )

    async def _in_time(self, message: Message, secret: bytes) -> list[payload.Reply]:
        seconds = self._settings.patience
        work = Deferred.fromCoroutine(self._persist(message, secret))
        try:
            return await work.addTimeout(seconds, self._clock)
        except defer.TimeoutError as error:
            raise NoAnswer("timeout", f"there was no answer within {seconds:g} s in all") from error

    async def _persist(self, message: Message, secret: bytes) -> list[payload.Reply]:
        body, key = payload.encode(message), payload.key_of(message)
        for attempt in range(self._settings.retries + 1):
            try:
                return await self._once(body, key, secret)
            except NoAnswer as fault:
                if not fault.again or attempt == self._settings.retries:
                    raise
                spread = self._settings.backoff * 2**attempt * (0.5 + self._random.random())
                wait = max(fault.after, spread)
                if wait >= self._settings.patience:
                    raise
                self._metrics.webhook_retries += 1
            await deferLater(self._clock, wait)
        raise AssertionError("the last attempt ends the loop")

    async def _once(self, body: bytes, key: str, secret: bytes) -> list[payload.Reply]:
        await self._slots.acquire()
        try:
            self.calls += 1
            self._metrics.webhook_calls += 1
            timestamp = str(int(self._now()))
            content, kind = await self._exchange.post(
                body,
                {
                    "Content-Type": "application/json",
                    "User-Agent": "relaytw",
                    "Idempotency-Key": key,
                    "X-Relay-Timestamp": timestamp,
                    "X-Relay-Signature": "sha256=" + payload.sign(secret, timestamp, body),
                },
            )
        finally:
            self._slots.release()
        try:
            return payload.decode(content, kind)
        except payload.BadReply as error:
            raise NoAnswer("bad_reply", f"its answer cannot be used: {error}") from error

    def _notice(self, room: LaneKey) -> Answer:
        """What a chat is told of an outage: at most once, until the webhook answers again."""
        if not self._settings.notice or room in self._told or len(self._told) >= ROOMS_TOLD:
            return None
        self._told.add(room)
        return texts.WEBHOOK_DOWN
