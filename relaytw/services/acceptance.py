"""From a checked chat packet to an accepted message in its lane.

Duplicates, phones in restricted mode, rooms that are not approved, texts that are too long and what
is said to paused bots or in muted rooms end here, counted.  What remains is charged to its
connection, accepted by the batch and dispatched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from shlex import quote

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.gate import Approvals, Device, Gate, Room
from relaytw.intake import Account, Intake, Job
from relaytw.lanes import LaneKey
from relaytw.loop_guard import LoopGuard
from relaytw.messages import Chat, ClientKey, Context, ErrorCode, Message, Status
from relaytw.metrics import Metrics
from relaytw.protocols import wire
from relaytw.protocols.conversation import Conversation
from relaytw.services.chat_log import ChatRecord
from relaytw.services.dead_letters import DeadLetters
from relaytw.services.dispatcher import Dispatcher
from relaytw.settings import BotSettings, SettingsOf
from relaytw.store.dead_letters import DeadLetter
from relaytw.store.records import Accepted

#: Seconds between two words about bots that answer each other in one room, and rooms that are remembered.
TELL_EVERY, LOOPS_TOLD = 60.0, 1000
#: Looking a member up in its enumeration takes ten times as long as looking up a name.
_APPROVED = Status.APPROVED


@dataclass(frozen=True, slots=True)
class Memory:
    """How far the relay remembers what 4.0 phones have said: for `window` seconds, and not before `since`.

    What is older than `max_age` seconds is not answered any more; `since` gives seconds since the epoch.
    """

    window: float = 300.0
    since: Callable[[], float] = float
    max_age: float = 3600.0


class NotKnownYet(Exception):
    """Whether a room may talk cannot be said before the database answers."""


class Acceptance:
    """Takes chat in.  `new_id` names traces, `now` gives seconds since the epoch.

    With `direct` a message runs as soon as it is taken, rather than with its read batch.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        approvals: Approvals,
        intake: Intake,
        dispatcher: Dispatcher,
        context: Context,
        metrics: Metrics,
        chat_log: ChatRecord,
        text_chars: int,
        admins: Collection[str],
        direct: bool,
        now: Callable[[], float],
        new_id: Callable[[], str],
        settings_of: SettingsOf = BotSettings,
        memory: Memory = Memory(),
        dead_letters: DeadLetters | None = None,
        loop_guard: LoopGuard | None = None,
    ) -> None:
        self._gate = gate
        self._approvals = approvals
        self._intake = intake
        self._dispatcher = dispatcher
        self._context = context
        self._metrics = metrics
        self._chat_log = chat_log
        self._text_chars = text_chars
        self._admins = frozenset(admins)
        self._direct = direct
        self._now = now
        self._new_id = new_id
        self._settings_of = settings_of
        self._memory = memory
        self._dead_letters = dead_letters
        self._loop_guard = loop_guard
        self._loops_told: dict[LaneKey, float] = {}
        self._batch: list[Job] = []
        self._owed: list[tuple[Conversation, str]] = []
        # Messages that are acknowledged when something has ended, and to whom: to the latest who asked.
        self._unended: dict[tuple[ClientKey, str], Conversation] = {}
        self._lookups: list[tuple[Deferred[Room], LaneKey, bool]] = []
        self._unlogged: dict[LaneKey, list[tuple[Chat, Message]]] = {}
        self._log = Logger(namespace="relaytw.intake")

    def take(self, conversation: Conversation, chat: Chat, line: bytes) -> None:
        """Take one checked chat message in, to be dispatched with its batch."""
        pass_, metrics = conversation.pass_, self._metrics
        conversation.messages += 1
        too_old = chat.age_ms > self._memory.max_age * 1000
        if (name := self._identify(conversation, chat, line, too_old=too_old)) is None:
            return
        client, trace, now = pass_.client, self._new_id(), self._now()
        if pass_.device.status is not _APPROVED:
            metrics.restricted += 1
            self._chat_log.question(client, chat, trace, now, None)
            self._owe(conversation, chat)
            return
        if len(chat.text) > self._text_chars:
            self._refuse_text(conversation, chat, trace, now)
            return
        settings = self._settings_of(client.bot)
        message = self._message(client, chat, name, trace, now, settings)
        if too_old and self._dead_letters is not None:
            self._bury(self._dead_letters, conversation, chat, message, line)
            return
        try:
            lane = self._lane(message, chat, settings)
        except NotKnownYet:
            self._gate.forget(pass_, name)
            return
        if lane is None or (self._loop_guard is not None and self._is_loop(self._loop_guard, message, lane)):
            self._owe(conversation, chat)
            return
        auth, signature = chat.auth, pass_.signature
        signed_at = auth.timestamp if signature and auth is not None else 0
        job = Job(
            message, lane, conversation.account, len(line), conversation.last_heard,
            line, pass_.serial, signature, signed_at,
        )  # fmt: skip
        if chat.id:
            self._name(conversation, chat, job)
        self._intake.charge(job)
        metrics.accepted += 1
        self._batch.append(job)

    def _identify(self, conversation: Conversation, chat: Chat, line: bytes, *, too_old: bool) -> str | None:
        """The message's id; None if it was let in before, or its phone must ask again."""
        pass_ = conversation.pass_
        if chat.id and self._must_ask_again(pass_.device, too_old=too_old):
            return None  # neither remembered nor acknowledged
        name = self._gate.identify(pass_, chat, line)
        if name is None:
            self._metrics.duplicates += 1
            self._log.debug("{client} sent a message again", client=conversation.key)
            if (pass_.client, chat.id) in self._unended:
                self._unended[pass_.client, chat.id] = conversation
            else:
                self._owe(conversation, chat)
        return name

    def _refuse_text(self, conversation: Conversation, chat: Chat, trace: str, now: float) -> None:
        self._metrics.overlong_texts += 1
        self._chat_log.question(conversation.pass_.client, chat, trace, now, None, textless=True)
        why = f"a text of {len(chat.text)} characters is ignored, {self._text_chars} are allowed"
        if chat.id:
            self.refuse(conversation, chat.id, ErrorCode.TEXT_TOO_LONG, why)
        else:
            conversation.desk.rebuke(conversation, ErrorCode.TEXT_TOO_LONG, why)

    def refuse(self, conversation: Conversation, name: str, code: ErrorCode, why: str) -> None:
        """Tell a 4.0 phone that this message of its will never be accepted; count and log it."""
        self._metrics.errors[code] += 1
        self._log.info(
            "a message of {client} is refused with {code}: {why}", client=conversation.key, code=code, why=why
        )
        conversation.say(wire.encode_refused(name, code, why))

    def again(self, accepted: Accepted, chat: Chat, account: Account, at: float) -> Job | None:
        """Take a message again that was accepted before; None if its room may not talk any more.

        `at` is what its waiting counts from, on the relay's clock.  Who takes it dispatches it, and then
        calls `flush`.  Raises NotKnownYet while nobody can say.
        """
        client, settings = accepted.client, self._settings_of(accepted.client.bot)
        message = self._message(client, chat, accepted.id, accepted.trace, accepted.received_at, settings)
        message.redelivered = True
        lane = self._lane(message, chat, settings)
        if lane is None:
            return None
        job = Job(message, lane, account, len(accepted.line), at)
        job.number = accepted.number
        return job

    def flush(self) -> None:
        """Accept and dispatch what the batch brought."""
        if self._batch or self._owed:
            batch, self._batch = self._batch, []
            durable = None
            if self._owed:
                durable, self._owed = partial(_acknowledge, self._owed), []
            if self._direct:
                self._dispatcher.run(batch)
                if durable is not None:
                    durable()
            else:
                self._intake.accept(batch, self._dispatcher.run, durable)
        if self._lookups:
            self._await_lookups()

    # -- what 4.0 adds

    def _must_ask_again(self, device: Device, *, too_old: bool) -> bool:
        """Can it not be said now what becomes of a 4.0 message?  Its phone keeps it, and sends it again."""
        if too_old and self._dead_letters is not None and self._dead_letters.full:
            return True
        return device.status is not _APPROVED and not device.looked_up

    def _owe(self, conversation: Conversation, chat: Chat) -> None:
        """The phone need not keep this message, once what it may be a repeat of is durable."""
        if chat.id:
            self._owed.append((conversation, chat.id))

    def _name(self, conversation: Conversation, chat: Chat, job: Job) -> None:
        """Owe an acknowledgement, and say of a message that comes again whether it may have run before."""
        message, age, memory = job.message, chat.age_ms / 1000, self._memory
        job.owed = True
        if chat.resent and (age > memory.window or message.received_at - age < memory.since()):
            message.redelivered = True
        if not self._direct:
            self._owed.append((conversation, chat.id))
            return
        self._unended[message.client, chat.id] = conversation
        if conversation.account.ended is None:
            conversation.account.ended = partial(self._ended, message.client)

    def _ended(self, client: ClientKey, name: str) -> None:
        """What a message was waited for is over: its phone need not keep it."""
        conversation = self._unended.pop((client, name), None)
        if conversation is not None:
            _acknowledge([(conversation, name)])

    def _bury(
        self, letters: DeadLetters, conversation: Conversation, chat: Chat, message: Message, line: bytes
    ) -> None:
        """Write down what is too old to be answered, and acknowledge it then."""
        room, at = chat.channel_id or chat.room, message.received_at
        letter = DeadLetter(
            0, at, "too_old", message.client, room, message.id, message.trace, chat.text, 0, at, line
        )
        self._unended[message.client, chat.id] = conversation
        letters.add(letter, partial(self._ended, message.client, chat.id))

    # -- lanes

    def _lane(self, message: Message, chat: Chat, settings: BotSettings) -> LaneKey | None:
        """The lane of a message's room, None if it is not to run; held while that is being looked up."""
        client, room_id = message.client, chat.channel_id or chat.room
        room = self._approvals.room(client, room_id, chat.room)
        if not isinstance(room, Room):
            lane = LaneKey(client.bot, client.device, room_id)
            self._lookups.append((room, lane, not self._dispatcher.lanes.held(lane)))
            self._dispatcher.hold(lane)
            self._unlogged.setdefault(lane, []).append((chat, message))
            return lane
        self._write_down(message, chat, room)
        if room.status is not _APPROVED:
            if message.redelivered and not room.saved:
                raise NotKnownYet
            if chat.id and not room.looked_up:
                raise NotKnownYet
            if not self._may_talk(room):
                return None
        if settings.paused or room.settings.muted:
            self._count_silent(settings, 1)
            return None
        if room.lane is None:
            room.lane = LaneKey(client.bot, client.device, room_id)
        known: LaneKey = room.lane
        return known

    def _write_down(self, message: Message, chat: Chat, room: Room | None) -> None:
        """Have the chat log note it, unless an earlier run has; and how much of its answers it notes."""
        log, client = self._chat_log, message.client
        if message.redelivered:
            message.chat_log = log.policy(client, room)
        else:
            textless = room is None
            message.chat_log = log.question(
                client, chat, message.trace, message.received_at, room, textless=textless
            )

    def _message(
        self, client: ClientKey, chat: Chat, name: str, trace: str, now: float, settings: BotSettings
    ) -> Message:
        return Message(
            name,
            trace,
            client,
            chat.room,
            chat.channel_id,
            chat.text,
            chat.sender,
            chat.user_hash,
            chat.is_group_chat,
            chat.is_mention,
            chat.user_hash in self._admins or chat.user_hash in settings.admins,
            now,
            False,
            self._context,
        )

    def _may_talk(self, room: Room) -> bool:
        if room.status is _APPROVED:
            return True
        self._metrics.room_refused += 1
        if not room.reported:
            room.reported = True
            self._log.warn(
                "room {room_id} of {client} is {status}, its messages are not answered; "
                "to approve it: relayctl rooms approve {code} "
                "(or: relayctl rooms approve {bot} {device} {room})",
                room_id=room.room_id, client=room.client,
                status=room.status if room.saved else "not looked up yet",
                code=self._approvals.code_of(room.client, room.room_id),
                # Strangers choose these names, and the line is there to be pasted into a shell.
                bot=quote(room.client.bot), device=quote(room.client.device), room=quote(room.room_id),
            )  # fmt: skip
        return False

    def _count_silent(self, settings: BotSettings, messages: int) -> None:
        if settings.paused:
            self._metrics.paused += messages
        else:
            self._metrics.muted += messages

    def _is_loop(self, guard: LoopGuard, message: Message, lane: LaneKey) -> bool:
        if not guard.stops(message, message.received_at):
            return False
        self._metrics.loops += 1
        told = self._loops_told
        if message.received_at - told.get(lane, 0.0) > TELL_EVERY:
            if len(told) >= LOOPS_TOLD:
                told.clear()
            told[lane] = message.received_at
            self._log.warn(
                "{client} and another bot answer each other in room {room}: this bot is silent there until "
                "something else is said",
                client=message.client, room=lane.room, trace=message.trace,
            )  # fmt: skip
        return True

    def _await_lookups(self) -> None:
        # A room that is being looked up has its lane held, and its messages are in it by now: they wait
        # in their order, and nobody else's do.  The first answer decides.
        lookups, self._lookups = self._lookups, []
        for room, lane, first in lookups:
            if first:
                room.addCallback(self._answered, lane)
                room.addErrback(self._unanswered, lane)
            else:
                room.addErrback(lambda _: None)

    def _answered(self, room: Room, lane: LaneKey) -> None:
        self._log_held(lane, room)
        may_talk, settings = self._may_talk(room), self._settings_of(lane.bot)
        if may_talk and (settings.paused or room.settings.muted):
            self._count_silent(settings, self._dispatcher.drop(lane))
        self._dispatcher.release(lane, approved=may_talk, known=room.saved)

    def _unanswered(self, failure: Failure, lane: LaneKey) -> None:
        self._log.failure("room {lane} could not be looked up; its messages are not run", failure, lane=lane)
        self._log_held(lane, None)
        self._dispatcher.release(lane, approved=False, known=False)

    def _log_held(self, lane: LaneKey, room: Room | None) -> None:
        """Write down what was said in a room while it was being looked up."""
        for chat, message in self._unlogged.pop(lane, ()):
            self._write_down(message, chat, room)


def _acknowledge(owed: Sequence[tuple[Conversation, str]]) -> None:
    """Tell phones, each in one line, which messages they need not keep."""
    by_phone: dict[Conversation, list[str]] = {}
    for conversation, name in owed:
        by_phone.setdefault(conversation, []).append(name)
    for conversation, names in by_phone.items():
        if not conversation.over:
            conversation.say(wire.encode_ack(names))
