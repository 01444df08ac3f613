"""Gives what an earlier run accepted and did not finish to its handlers again.

Every room with such messages is read like a connection: oldest first, a page at a time, and no further
while its lane has enough of them.  What its phone sends meanwhile waits behind them.  Messages that
were delivered too often, or are too old, become dead letters.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.boxes import Entry, size_of
from relaytw.errors import BadLine
from relaytw.gate import Approvals, Device
from relaytw.intake import Account, Job
from relaytw.lanes import LaneKey
from relaytw.messages import Chat, ClientKey, Dialect, Handshake, Status
from relaytw.metrics import Metrics
from relaytw.outbox import Outbox
from relaytw.protocols import wire
from relaytw.services.acceptance import Acceptance, NotKnownYet
from relaytw.services.dead_letters import DeadLetters
from relaytw.services.dispatcher import Dispatcher
from relaytw.services.journalling import Dispatch, JournalIntake
from relaytw.store.database import Transactions
from relaytw.store.dead_letters import DeadLetter
from relaytw.store.journal import Journal
from relaytw.store.records import ASKED, Accepted, Waits
from relaytw.store.shelf import Unfinished, unfinished

#: Messages read in one turn, and of one room at a time.
PAGE = 200
ROOM_PAGE = 10
#: Seconds until something that failed is tried again.
RETRY = 2.0


@dataclass(frozen=True, slots=True)
class RedeliverySettings:
    """How often a message is run at most, and for how many seconds after it came."""

    max_deliveries: int = 3
    max_age: float = 3600.0


class _Room:
    """A room with messages of an earlier run; it stands for their connection."""

    __slots__ = ("_hungry", "account", "behind", "client", "key", "left", "queued", "reading")

    def __init__(self, key: LaneKey, client: ClientKey, hungry: Callable[[_Room], None]) -> None:
        self.key = key
        self.client = client
        self.left: deque[Unfinished] = deque()
        self.behind: list[tuple[Job, Dispatch]] = []
        self.account: Account
        self.reading = True
        self.queued = False
        self._hungry = hungry

    def stop_reading(self) -> None:
        """Its lane has enough."""
        self.reading = False

    def start_reading(self) -> None:
        """Its lane can do with more."""
        self.reading = True
        self._hungry(self)


class Redelivery(Service):
    """Feeds the lanes from the journal.  `now` gives seconds since the epoch."""

    name = "redelivery"

    def __init__(
        self,
        *,
        journal: Journal,
        intake: JournalIntake,
        approvals: Approvals,
        acceptance: Acceptance,
        dispatcher: Dispatcher,
        outbox: Outbox,
        dead_letters: DeadLetters,
        database: Transactions,
        settings: RedeliverySettings,
        clock: IReactorTime,
        now: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._approvals = approvals
        self._acceptance = acceptance
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._dead_letters = dead_letters
        self._database = database
        self._settings = settings
        self._clock = clock
        self._now = now
        self._metrics = metrics
        self._rooms: OrderedDict[LaneKey, _Room] = OrderedDict()
        self._hungry: deque[_Room] = deque()
        self._asked: dict[ClientKey, list[_Room]] = {}
        self._known: dict[ClientKey, Device] = {}
        self._put_off: list[_Room] = []
        self._feeding = False
        self._turn: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._log = Logger(namespace="relaytw.journal")

    @property
    def left(self) -> int:
        """How many messages of an earlier run are not in their lanes yet."""
        return sum(len(room.left) for room in self._rooms.values())

    # -- Service

    def startService(self) -> None:
        """Put replies back into the outbox and begin to feed; before the first phone is heard."""
        super().startService()
        messages = self._journal.found.unfinished
        self._restore_replies({message.trace for message in messages if message.deliveries != ASKED})
        self._intake.expect(len(messages), sum(message.size for message in messages))
        for message in messages:
            key = LaneKey(*message.client, message.room)
            room = self._rooms.get(key)
            if room is None:
                room = self._rooms[key] = self._open(key, message.client)
            room.left.append(message)
        if self._rooms:
            self._intake.screen = self._screen
            self._later()

    def stopService(self) -> None:
        """Feed no more; what is left stays in the journal."""
        super().stopService()
        for call in (self._turn, self._retry):
            if call is not None:
                call.cancel()
        self._turn = self._retry = None

    def _restore_replies(self, unfinished: set[str]) -> None:
        now, kept = self._now(), []
        for waits in sorted(self._journal.found.waiting, key=_turn):
            if waits.reply.trace in unfinished and not _unacknowledged(waits):
                # Its message will be answered again.
                self._journal.left(waits.number, None)
            else:
                at = self._clock.seconds() - max(0.0, now - waits.at)
                reply, spaced, number = waits.reply, waits.spaced, waits.number
                kept.append(Entry(reply, at, size_of(reply), spaced, number, waits.written, waits.told))
        self._outbox.restore(kept)

    # -- one message, by the operator

    def requeue(self, letter: DeadLetter) -> bool:
        """Accept a dead letter as if it had just come; False when nothing can be accepted.

        Raises ValueError, with a sentence for the operator, if it is a reply or its device may not talk.
        """
        if not letter.line:
            raise ValueError("a reply that was given up is not kept, and cannot be written")
        device = self._approvals.known_device(letter.client)
        if device is None or device.status is not Status.APPROVED:
            raise ValueError(f"{letter.client} is not approved")
        accepted = letter.accepted()._replace(received_at=self._now())
        number = self._intake.take_back(accepted)
        if number is None:
            return False
        accepted = accepted._replace(number=number)
        self._intake.expect(1, len(accepted.line))
        room = self._open(LaneKey(*accepted.client, accepted.room), accepted.client)
        self._deliver([(room, accepted)])
        return True

    # -- new messages meanwhile

    def _screen(self, jobs: Sequence[Job], dispatch: Dispatch) -> Sequence[Job]:
        """Those whose rooms have nothing older left; the others wait behind it."""
        free = []
        for job in jobs:
            room = self._rooms.get(job.lane)
            if room is None:
                free.append(job)
            else:
                room.behind.append((job, dispatch))
        return free

    # -- feeding

    def _open(self, key: LaneKey, client: ClientKey) -> _Room:
        room = _Room(key, client, self._queue)
        room.account = self._intake.account(room)
        self._queue(room)
        return room

    def _queue(self, room: _Room) -> None:
        if not room.queued and room.reading and self._rooms.get(room.key, room) is room:
            room.queued = True
            self._hungry.append(room)
            self._later()

    def _later(self) -> None:
        if self._turn is None and not self._feeding and self.running:
            self._turn = self._clock.callLater(0, self._feed)

    def _try_again(self, rooms: Sequence[_Room] = ()) -> None:
        """Feed these rooms after a while; what keeps them from it may have passed by then."""
        self._put_off.extend(rooms)
        if self._retry is None and self.running:
            self._retry = self._clock.callLater(RETRY, self._go_on)

    def _go_on(self) -> None:
        self._retry = None
        put_off, self._put_off = self._put_off, []
        for room in put_off:
            self._queue(room)
        self._later()

    def _feed(self) -> None:
        self._turn = None
        if self._dead_letters.full:
            self._try_again()
            return
        self._feeding = True
        page: list[tuple[_Room, Unfinished]] = []
        while self._hungry and len(page) < PAGE:
            room = self._hungry.popleft()
            room.queued = False
            if room.left and room.reading and self._may_talk(room):
                page.extend((room, room.left.popleft()) for _ in range(min(ROOM_PAGE, len(room.left))))
        if not page:
            self._feeding = False
            return
        reading = self._journal.read([message.number for _, message in page])
        reading.addCallback(self._read, page)
        reading.addErrback(self._not_read, page)
        reading.addErrback(lambda failure: self._log.failure("redelivery has stopped", failure))

    def _read(self, accepted: Sequence[Accepted], page: Sequence[tuple[_Room, Unfinished]]) -> None:
        self._feeding = False
        if not self.running:
            return
        by_number = {one.number: one for one in accepted}
        there = []
        for room, message in page:
            if message.number in by_number:
                there.append((room, by_number[message.number]._replace(deliveries=message.deliveries)))
            else:
                self._intake.expect(-1, -message.size)
        self._deliver(there)
        for room in {room: None for room, _ in page}:
            if room in self._put_off:
                continue
            if room.left:
                self._queue(room)
            else:
                self._emptied(room)
        if self._hungry:
            self._later()

    def _not_read(self, failure: Failure, page: Sequence[tuple[_Room, Unfinished]]) -> None:
        """Put them back and try again: the messages are there, whatever keeps us from reading them."""
        self._feeding = False
        self._log.failure("messages of an earlier run could not be read; trying again", failure)
        for room, message in reversed(page):
            room.left.appendleft(message)
        self._try_again([*{room: None for room, _ in page}])

    def _emptied(self, room: _Room) -> None:
        """Nothing older is left in this room: what waited behind it goes on."""
        if self._rooms.get(room.key) is room:
            del self._rooms[room.key]
        if not self._rooms and self._intake.screen is not None:
            self._intake.screen = None
            self._log.info("every message of an earlier run is on its way")
        behind, room.behind = room.behind, []
        for job, dispatch in behind:
            dispatch([job])

    def _deliver(self, page: Sequence[tuple[_Room, Accepted]]) -> None:
        jobs, unknown = [], dict[_Room, list[Unfinished]]()
        for room, accepted in page:
            try:
                job = None if room in unknown else self._job(room, accepted)
            except NotKnownYet:
                unknown[room] = []
                job = None
            if room in unknown:
                unknown[room].append(unfinished(accepted))
            if job is not None:
                self._intake.expect(-1, -job.size)
                self._intake.charge(job)
                self._metrics.redelivered += 1
                jobs.append(job)
        for room, messages in unknown.items():
            room.left.extendleft(reversed(messages))
        if unknown:
            self._try_again([*unknown])
        if jobs:
            self._dispatcher.run(jobs)
        self._acceptance.flush()

    def _job(self, room: _Room, accepted: Accepted) -> Job | None:
        try:
            packet = wire.decode_kept(accepted.line)
        except BadLine:
            packet = None
        if not isinstance(packet, Chat):
            self._give_up(accepted, "unreadable", "")
        elif self._settings.max_deliveries <= accepted.deliveries != ASKED:
            self._give_up(accepted, "max_deliveries", packet.text)
        elif self._now() - accepted.received_at > self._settings.max_age:
            self._give_up(accepted, "too_old", packet.text)
        else:
            job = self._acceptance.again(accepted, packet, room.account, self._clock.seconds())
            if job is None:
                self._intake.dispose(accepted.number, len(accepted.line))
            elif accepted.deliveries == ASKED:
                # What it was told is finished and cannot be had again: neither can it run again.
                self._dispatcher.questions.expire(job)
            return job
        return None

    def _give_up(self, accepted: Accepted, reason: str, text: str) -> None:
        letter = DeadLetter(
            0, self._now(), reason, accepted.client, accepted.room, accepted.id, accepted.trace, text,
            accepted.deliveries, accepted.received_at, accepted.line,
        )  # fmt: skip
        number, size = accepted.number, len(accepted.line)
        self._dead_letters.add(letter, lambda: self._intake.dispose(number, size))

    # -- who they are of

    def _may_talk(self, room: _Room) -> bool:
        """Is this room's device approved?  Disposes of its messages if not; later, if nobody knows yet."""
        client = room.client
        device = self._known.get(client) or self._approvals.known_device(client)
        if device is not None and device.status is Status.APPROVED:
            return True
        if client in self._asked:
            self._asked[client].append(room)
            return False
        found = device or self._approvals.device(Handshake(Dialect.V32, *client, ""), "")
        if not isinstance(found, Deferred):
            return self._judge(found, [room])
        self._asked[client] = [room]
        found.addCallbacks(self._answered, self._unanswered, callbackArgs=(client,), errbackArgs=(client,))
        found.addErrback(lambda failure: self._log.failure("redelivery has stopped", failure))
        return False

    def _judge(self, device: Device, rooms: Sequence[_Room]) -> bool:
        if device.status is Status.APPROVED:
            return True
        if self._database.away is not None or not device.saved:
            # Not approved only for want of a database that says so.
            self._try_again(rooms)
        else:
            for room in rooms:
                self._dispose(room)
        return False

    def _answered(self, device: Device, client: ClientKey) -> None:
        rooms = self._asked.pop(client, [])
        if self._judge(device, rooms):
            self._known[client] = device
            for room in rooms:
                self._queue(room)

    def _unanswered(self, failure: Failure, client: ClientKey) -> None:
        self._log.warn("{client} could not be looked up: {why}", client=client, why=failure.getErrorMessage())
        self._try_again(self._asked.pop(client, []))

    def _dispose(self, room: _Room) -> None:
        self._log.warn(
            "{count} messages of {client} are not run: the device is not approved any more",
            count=len(room.left), client=room.client,
        )  # fmt: skip
        self._metrics.restricted += len(room.left)
        for message in room.left:
            self._intake.dispose(message.number, message.size)
        room.left.clear()
        self._emptied(room)


def _unacknowledged(waits: Waits) -> bool:
    """Was this reply given to a phone that acknowledges?"""
    return waits.written and not waits.told


def _turn(waits: Waits) -> tuple[float, int]:
    """Replies that were written come in the order of the writing, before those that were not."""
    return (0.0 if _unacknowledged(waits) else waits.at, waits.number)
