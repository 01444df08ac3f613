"""From a checked chat packet to an accepted message in its lane.

Duplicates, phones in restricted mode, rooms that are not approved, texts that are too long and what
is said to paused bots or in muted rooms end here, counted.  What remains is charged to its
connection, accepted by the batch and dispatched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from shlex import quote

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from relaytw.gate import Approvals, Gate, Room
from relaytw.intake import Intake, Job
from relaytw.lanes import LaneKey
from relaytw.messages import Chat, ClientKey, Context, ErrorCode, Message, Status
from relaytw.metrics import Metrics
from relaytw.protocols.conversation import Conversation
from relaytw.services.chat_log import ChatRecord
from relaytw.services.dispatcher import Dispatcher
from relaytw.settings import BotSettings, SettingsOf

#: Looking a member up in its enumeration takes ten times as long as looking up a name.
_APPROVED = Status.APPROVED


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
        self._batch: list[Job] = []
        self._lookups: list[tuple[Deferred[Room], LaneKey, bool]] = []
        self._unlogged: dict[LaneKey, list[tuple[Chat, Message]]] = {}
        self._log = Logger(namespace="relaytw.intake")

    def take(self, conversation: Conversation, chat: Chat, line: bytes) -> None:
        """Take one checked chat message in, to be dispatched with its batch."""
        pass_, metrics = conversation.pass_, self._metrics
        conversation.messages += 1
        name = self._gate.identify(pass_, chat, line)
        if name is None:
            metrics.duplicates += 1
            self._log.debug("{client} sent a message again", client=conversation.key)
            return
        client, trace, now = pass_.client, self._new_id(), self._now()
        if pass_.device.status is not _APPROVED:
            metrics.restricted += 1
            self._chat_log.question(client, chat, trace, now, None)
            return
        if len(chat.text) > self._text_chars:
            metrics.overlong_texts += 1
            self._chat_log.question(client, chat, trace, now, None, textless=True)
            why = f"a text of {len(chat.text)} characters is ignored, {self._text_chars} are allowed"
            conversation.desk.rebuke(conversation, ErrorCode.TEXT_TOO_LONG, why)
            return
        room_id = chat.channel_id or chat.room
        settings = self._settings_of(client.bot)
        room = self._approvals.room(client, room_id, chat.room)
        message = self._message(client, chat, name, trace, now, settings)
        if not isinstance(room, Room):
            lane = LaneKey(client.bot, client.device, room_id)
            self._lookups.append((room, lane, not self._dispatcher.lanes.held(lane)))
            self._dispatcher.hold(lane)
            self._unlogged.setdefault(lane, []).append((chat, message))
        else:
            message.chat_log = self._chat_log.question(client, chat, trace, now, room)
            if room.status is not _APPROVED and not self._may_talk(room):
                return
            if settings.paused or room.settings.muted:
                self._count_silent(settings, 1)
                return
            if room.lane is None:
                room.lane = LaneKey(client.bot, client.device, room_id)
            lane = room.lane
        job = Job(message, lane, conversation.account, len(line), conversation.last_heard)
        self._intake.charge(job)
        metrics.accepted += 1
        self._batch.append(job)

    def flush(self) -> None:
        """Accept and dispatch what the batch brought."""
        if self._batch:
            batch, self._batch = self._batch, []
            if self._direct:
                self._dispatcher.run(batch)
            else:
                self._intake.accept(batch, self._dispatcher.run)
        if self._lookups:
            self._await_lookups()

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
        self._dispatcher.release(lane, approved=may_talk)

    def _unanswered(self, failure: Failure, lane: LaneKey) -> None:
        self._log.failure("room {lane} could not be looked up; its messages are not run", failure, lane=lane)
        self._log_held(lane, None)
        self._dispatcher.release(lane, approved=False)

    def _log_held(self, lane: LaneKey, room: Room | None) -> None:
        """Write down what was said in a room while it was being looked up."""
        for chat, message in self._unlogged.pop(lane, ()):
            message.chat_log = self._chat_log.question(
                message.client, chat, message.trace, message.received_at, room, textless=room is None
            )
