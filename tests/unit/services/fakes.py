"""A dispatcher with everything around it: real lanes, intake and outbox, fake time and threads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from relaytw.bots.router import Invocation
from relaytw.intake import Account, IntakeSettings, Job, MemoryIntake
from relaytw.lanes import LaneKey, Lanes
from relaytw.messages import Answer, ClientKey, Dialect, Message, PhoneInfo, Reply, State, Text
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox, OutboxSettings
from relaytw.services.dispatcher import Dispatcher, DispatchSettings
from relaytw.services.preparing import Preparer
from relaytw.services.threads import BlockingPool


class FakeReader:
    """A connection that remembers whether it is read."""

    def __init__(self) -> None:
        self.reading = True

    def stop_reading(self) -> None:
        self.reading = False

    def start_reading(self) -> None:
        self.reading = True


class FakeLine:
    """A phone's line; what was said over it goes to one list for all phones."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def say(self, data: bytes) -> None:
        self._said.append(data.decode())

    told = unsent = 0

    def busy(self, seconds: float) -> None:
        pass


class FakeThreads:
    """Stands for a thread pool: a function runs, and its Deferred fires, when the test says so."""

    def __init__(self) -> None:
        self.working: list[tuple[Callable[[], object], Deferred[object]]] = []

    def __call__(self, function: Callable[[], object]) -> Deferred[object]:
        done: Deferred[object] = Deferred()
        self.working.append((function, done))
        return done

    def finish(self, which: int = 0) -> None:
        """Let one thread do its work and return."""
        function, done = self.working.pop(which)
        try:
            result = function()
        except Exception:
            done.errback()
        else:
            done.callback(result)


class ReactorClock(Clock):
    """A clock to which other threads may hand calls; they are made when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_over: list[Callable[[], object]] = []

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        self.handed_over.append(lambda: function(*args))


class Bench:
    """A dispatcher on a test bench.  What a message's text says names the handler it is for.

    `said` holds "room: text" of every reply written to a phone, in order; `started` every message
    that was given to its handler.
    """

    def __init__(
        self,
        *,
        consumers: int = 31,
        per_bot: int = 30,
        per_room: int = 3,
        settings: DispatchSettings | None = None,
        blocking_threads: int = 10,
        blocking_per_bot: int = 5,
        tasks: bool = False,
        preparer: Preparer | None = None,
    ) -> None:
        self.clock = ReactorClock()
        self.metrics = Metrics()
        self.reader = FakeReader()
        self.said: list[str] = []
        self.started: list[Message] = []
        self.dropped: list[tuple[Reply, str]] = []
        self.handlers: dict[str, Invocation] = {}
        self.threads = FakeThreads()
        self.lanes: Lanes[Job] = Lanes(consumers=consumers, per_bot=per_bot, per_room=per_room)
        self.intake = MemoryIntake(IntakeSettings(), lambda: None)
        self.account: Account = self.intake.account(self.reader)
        self.outbox = Outbox(
            clock=self.clock,
            now=self.clock.seconds,
            encode=_encode,
            settings=OutboxSettings(),
            metrics=self.metrics,
            dropped=lambda reply, why: self.dropped.append((reply, why)),
        )
        self.pool = BlockingPool(self.threads, threads=blocking_threads, per_bot=blocking_per_bot)
        self.dispatcher = Dispatcher(
            clock=self.clock,
            lanes=self.lanes,
            intake=self.intake,
            outbox=self.outbox,
            find=self._find,
            threads=self.pool,
            metrics=self.metrics,
            settings=settings or DispatchSettings(consumers_max=consumers),
            tasks=tasks,
            preparer=preparer,
        )
        self._numbers = count(1)
        self._found: set[str] = set()
        self._present: set[ClientKey] = set()

    def on(
        self,
        text: str,
        handler: Callable[[Message], object],
        *,
        blocking: bool = False,
        tell_errors: bool = False,
    ) -> None:
        """Let this handler have every message of this text."""
        self.handlers[text] = Invocation(f"handler of {text}", handler, blocking, tell_errors)

    def message(self, text: str, *, bot: str = "bot", room: str = "room") -> Message:
        """A message from a phone that is here."""
        client = ClientKey(bot, "phone")
        if client not in self._present:
            self._present.add(client)
            self.outbox.attach(client, FakeLine(self.said), Dialect.V33)
        number = next(self._numbers)
        return Message(
            f"id {number}", f"trace {number}", client, room, None, text, "sender", None,
            True, False, False, 0.0, False, self,
        )  # fmt: skip

    def accept(self, *messages: Message) -> None:
        """Accept messages as one batch, and pump."""
        self.intake.accept([self._charge(message) for message in messages], self.dispatcher.submit)
        self.dispatcher.pump()

    def accept_directly(self, *messages: Message) -> None:
        """Accept messages as direct mode does: each may start before the next one is taken in."""
        for message in messages:
            self.dispatcher.run([self._charge(message)])
        self.dispatcher.pump()

    def _charge(self, message: Message) -> Job:
        job = Job(message, lane_of(message), self.account, len(message.text), self.clock.seconds())
        self.intake.charge(job)
        return job

    def say(self, text: str, *, bot: str = "bot", room: str = "room") -> Message:
        """Accept one message; returns it."""
        message = self.message(text, bot=bot, room=room)
        self.accept(message)
        return message

    def leftovers(self) -> dict[str, int]:
        """Everything that should be gone when nothing waits and nothing runs; empty if it is."""
        found = {
            "unfinished": self.intake.unfinished,
            "unfinished bytes": self.intake.unfinished_bytes,
            "lanes": len(self.lanes),
            "bots": self.lanes.bots,
            "waiting": self.lanes.waiting,
            "running": self.lanes.running,
            "consumers": self.lanes.consumers.taken,
            "threads": self.pool.at_work,
            "timers": len(self.clock.getDelayedCalls()),
        }
        return {name: number for name, number in found.items() if number}

    def _find(self, message: Message) -> Invocation | None:
        if message.id not in self._found:
            # One that finds no thread is looked up again.
            self._found.add(message.id)
            self.started.append(message)
        return self.handlers.get(message.text)

    # -- Context, for the messages

    def reply(self, message: Message, answer: Answer) -> None:
        self.dispatcher.reply(message, answer)

    def ask(self, message: Message, question: Answer, timeout: float) -> Awaitable[Message]:
        return self.dispatcher.questions.ask(message, question, timeout)

    def phone(self, client: ClientKey) -> PhoneInfo | None:
        return None

    async def reload_settings(self, message: Message) -> None:
        return None

    def state(self, message: Message, *, of_room: bool) -> State:
        raise NotImplementedError


class Handlers:
    """Handlers that wait until the test lets them go, and remember who is at work."""

    def __init__(self) -> None:
        self.started: list[Message] = []
        self.running: list[tuple[Message, Deferred[object]]] = []

    async def wait(self, message: Message) -> object:
        """A handler that waits; answers with what the test gives to `finish`."""
        waits: Deferred[object] = Deferred()
        entry = (message, waits)
        self.started.append(message)
        self.running.append(entry)
        try:
            return await waits
        finally:
            self.running.remove(entry)

    def finish(self, which: int = 0, answer: object = None) -> None:
        """Let one handler end."""
        self.running[which][1].callback(answer)

    def finish_all(self) -> None:
        """Let handlers end until none is left, those that start meanwhile too."""
        while self.running:
            self.finish()

    def rooms(self) -> list[str]:
        """The rooms of the messages at work."""
        return [message.room for message, _ in self.running]


def lane_of(message: Message) -> LaneKey:
    """The lane a message of the bench is in."""
    return LaneKey(message.client.bot, message.client.device, message.room)


def _encode(dialect: Dialect, reply: Reply, now: float) -> bytes:
    text = reply.part.text if isinstance(reply.part, Text) else "media"
    return f"{reply.room}: {text}".encode()
