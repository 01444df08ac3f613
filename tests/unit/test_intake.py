"""Back-pressure: when a connection is left unread, and when it is read again."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.intake import LEAST_BACKLOG, Account, IntakeSettings, Job, MemoryIntake
from relaytw.lanes import LaneKey
from relaytw.messages import Answer, ClientKey, Message, PhoneInfo, State

PHONE = ClientKey("bot", "phone")


class NoContext:
    """Messages that nobody handles need nothing of the relay."""

    def reply(self, message: Message, answer: Answer) -> None:
        raise NotImplementedError

    def ask(self, message: Message, question: Answer, timeout: float) -> Awaitable[Message]:
        raise NotImplementedError

    def phone(self, client: ClientKey) -> PhoneInfo | None:
        raise NotImplementedError

    async def reload_settings(self, message: Message) -> None:
        raise NotImplementedError

    def state(self, message: Message, *, of_room: bool) -> State:
        raise NotImplementedError


MESSAGE = Message(
    id="1",
    trace="t",
    client=PHONE,
    room="room",
    channel_id=None,
    text="hi",
    sender="Ada",
    user_hash=None,
    is_group_chat=False,
    is_mention=False,
    is_admin=False,
    received_at=0.0,
    redelivered=False,
    context=NoContext(),
)


class Reader:
    """Counts how often it was told to stop and to go on; never told twice in a row."""

    def __init__(self) -> None:
        self.reading = True

    def stop_reading(self) -> None:
        assert self.reading, "stopped twice"
        self.reading = False

    def start_reading(self) -> None:
        assert not self.reading, "started twice"
        self.reading = True


class Phone:
    """A connection, and what it has sent."""

    def __init__(self, intake: MemoryIntake) -> None:
        self.intake = intake
        self.reader = Reader()
        self.account: Account = intake.account(self.reader)
        self.jobs: list[Job] = []

    @property
    def reading(self) -> bool:
        return self.reader.reading

    def say(self, times: int = 1, size: int = 1) -> None:
        for _ in range(times):
            job = Job(MESSAGE, LaneKey("bot", "phone", "room"), self.account, size, 0.0)
            self.intake.charge(job)
            self.jobs.append(job)

    def finish(self, times: int = 1) -> None:
        for _ in range(times):
            self.intake.finish(self.jobs.pop(0))


class IntakeCase(SynchronousTestCase):
    def make(self, **settings: Any) -> MemoryIntake:
        self.pauses = 0
        return MemoryIntake(IntakeSettings(**settings), self.paused)

    def paused(self) -> None:
        self.pauses += 1


class CountTests(IntakeCase):
    def test_pause_and_resume(self) -> None:
        """At its limit a connection is left unread, until what it sent has drained to below 80 %."""
        phone = Phone(self.make(backlog_per_connection=100))
        phone.say(99)
        self.assertTrue(phone.reading)
        phone.say()
        self.assertFalse(phone.reading)
        phone.finish(20)
        self.assertFalse(phone.reading)
        phone.finish()
        self.assertTrue(phone.reading)
        self.assertEqual(self.pauses, 1)

    def test_pause_is_counted(self) -> None:
        """Each pause is reported once, whatever was read before it took effect."""
        phone = Phone(self.make(backlog_per_connection=20))
        phone.say(50)
        phone.finish(50)
        phone.say(20)
        self.assertEqual(self.pauses, 2)

    def test_connections_apart(self) -> None:
        """One connection's backlog does not stop another's reading while the queue has room."""
        intake = self.make(queue=1000, backlog_per_connection=100)
        flooding, quiet = Phone(intake), Phone(intake)
        flooding.say(100)
        quiet.say(99)
        self.assertEqual((flooding.reading, quiet.reading), (False, True))

    def test_rest_of_the_queue(self) -> None:
        """A connection may have no more unfinished than the others leave free in the queue."""
        intake = self.make(queue=150, backlog_per_connection=100)
        other, phone = Phone(intake), Phone(intake)
        other.say(90)
        phone.say(59)
        self.assertTrue(phone.reading)
        phone.say()
        self.assertFalse(phone.reading)
        self.assertTrue(other.reading)

    def test_alone_in_a_small_queue(self) -> None:
        """A connection that fills the queue alone is read again once it has drained."""
        phone = Phone(self.make(queue=50, backlog_per_connection=1000))
        phone.say(50)
        self.assertFalse(phone.reading)
        phone.finish(11)
        self.assertTrue(phone.reading)

    def test_never_below_ten(self) -> None:
        """However full the queue is, a connection may have ten messages unfinished."""
        intake = self.make(queue=100, backlog_per_connection=100)
        other, phone = Phone(intake), Phone(intake)
        other.say(500)
        phone.say(LEAST_BACKLOG - 1)
        self.assertTrue(phone.reading)
        phone.say()
        self.assertFalse(phone.reading)
        phone.finish(3)
        self.assertTrue(phone.reading)

    def test_others_go_on_by_themselves(self) -> None:
        """A connection that waits for room in the queue is read again once its own have drained."""
        intake = self.make(queue=100, backlog_per_connection=100)
        other, phone = Phone(intake), Phone(intake)
        other.say(80)
        phone.say(20)
        self.assertFalse(phone.reading)
        other.finish(80)
        phone.finish()
        self.assertTrue(phone.reading)


class ByteTests(IntakeCase):
    def test_pause_and_resume(self) -> None:
        """The bytes of a connection's lines are limited likewise."""
        phone = Phone(self.make(backlog_bytes=1000))
        phone.say(19, size=50)
        self.assertTrue(phone.reading)
        phone.say(size=50)
        self.assertFalse(phone.reading)
        phone.finish(4)
        self.assertFalse(phone.reading)
        phone.finish()
        self.assertTrue(phone.reading)

    def test_rest_of_the_queue(self) -> None:
        """And so are the bytes of all lines together."""
        intake = self.make(queue_bytes=1000, backlog_bytes=800)
        other, phone = Phone(intake), Phone(intake)
        other.say(7, size=100)
        phone.say(14, size=20)
        self.assertTrue(phone.reading)
        phone.say(size=20)
        self.assertFalse(phone.reading)

    def test_never_below_one(self) -> None:
        """One message is let in however long it is, and no second one with it."""
        phone = Phone(self.make(backlog_bytes=1000))
        phone.say(size=10_000)
        self.assertTrue(phone.reading)
        phone.say(size=10_000)
        self.assertFalse(phone.reading)
        phone.finish()
        self.assertTrue(phone.reading)


class AcceptTests(IntakeCase):
    def test_accepted_is_dispatched(self) -> None:
        """A batch is dispatched at once, in its order: what is in memory is accepted."""
        intake = self.make()
        phone = Phone(intake)
        phone.say(3)
        dispatched: list[Sequence[Job]] = []
        intake.accept(phone.jobs, dispatched.append)
        self.assertEqual(dispatched, [phone.jobs])

    @given(
        st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 60)), max_size=150),
        st.integers(1, 40),
        st.integers(1, 40),
        st.integers(1, 400),
        st.integers(1, 400),
    )
    def test_nothing_charged_is_forgotten(
        self,
        steps: list[tuple[int, bool, int]],
        queue: int,
        backlog: int,
        queue_bytes: int,
        backlog_bytes: int,
    ) -> None:
        """However phones talk and messages end, the books are right and whoever is drained is read."""
        intake = self.make(
            queue=queue,
            backlog_per_connection=backlog,
            queue_bytes=queue_bytes,
            backlog_bytes=backlog_bytes,
        )
        phones = [Phone(intake) for _ in range(3)]
        for which, says, size in steps:
            phone = phones[which]
            if says and phone.reading:
                phone.say(size=size)
            elif phone.jobs:
                phone.finish()
            jobs = [job for phone in phones for job in phone.jobs]
            self.assertEqual(intake.unfinished, len(jobs))
            self.assertEqual(intake.unfinished_bytes, sum(job.size for job in jobs))
            for phone in phones:
                self.assertEqual(phone.account.messages, len(phone.jobs))
                self.assertLessEqual(len(phone.jobs), max(LEAST_BACKLOG, min(queue, backlog)))
                self.assertTrue(phone.reading or len(phone.jobs) > 1)
        for phone in phones:
            phone.finish(len(phone.jobs))
        self.assertEqual((intake.unfinished, intake.unfinished_bytes), (0, 0))
        self.assertTrue(all(phone.reading for phone in phones))
