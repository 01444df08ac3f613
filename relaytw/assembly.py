"""Every object of a relay, built in the order in which one needs another, and joined.

Start order is also the order of dependence; stopping goes the other way, one service at a time: the
admin API and the listeners first, then running handlers are let finish, then the connections are
closed, then what waits to be written is written.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import Any, TypeVar

from twisted.application.service import IService
from twisted.application.strports import service as listening_service
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.web.server import Site

from relaytw import message_wiring, wiring
from relaytw.admin.site import make_site
from relaytw.bot_code import Code
from relaytw.config import Config
from relaytw.credentials import Credentials, admin_token
from relaytw.errors import BadLine, ConfigError, Unavailable
from relaytw.hooks import webhooks
from relaytw.messages import Answer, Chat, ClientKey, Message, PhoneInfo, SettingChange, State
from relaytw.metrics import Metrics
from relaytw.protocols import wire
from relaytw.protocols.bridge import BridgeFactory
from relaytw.pushing import pushing
from relaytw.recording import housekeeping, records
from relaytw.services.acceptance import Acceptance
from relaytw.services.admin import Operator
from relaytw.services.approval_desk import ApprovalDesk
from relaytw.services.audit import AuditWriter
from relaytw.services.books import Books
from relaytw.services.bot_settings import SettingsKeeper
from relaytw.services.conversations import Conversations
from relaytw.services.dead_letters import DeadLetters
from relaytw.services.dispatcher import Dispatcher, DispatchSettings
from relaytw.services.forgetting import Forgetter
from relaytw.services.housekeeping import Sweeps
from relaytw.services.journalling import JournalIntake
from relaytw.services.listener import Listener
from relaytw.services.live_settings import Applier, LiveSettings
from relaytw.services.lost_replies import LostReplies
from relaytw.services.machine import MachineService, ThisMachine
from relaytw.services.ordered import OrderedServices
from relaytw.services.outcomes import Outcomes
from relaytw.services.pings import Pings
from relaytw.services.post import Post
from relaytw.services.redelivery import Redelivery, RedeliverySettings
from relaytw.services.room_names import RoomNames
from relaytw.services.sessions import Sessions
from relaytw.services.state_desk import StateDesk
from relaytw.services.state_folder import StateFolder
from relaytw.services.state_views import state_of
from relaytw.store.database import TransactionService
from relaytw.store.journal import Journal
from relaytw.store.syncing import InThread
from relaytw.store.times import WallClock

_log = Logger(namespace="relaytw.config")
S = TypeVar("S", bound=IService)


class Relay(OrderedServices):
    """A whole relay: its services as children, and those that others may want to speak to."""

    def __init__(
        self,
        config: Config,
        sessions: Sessions,
        dispatcher: Dispatcher,
        operator: Operator,
        settings: LiveSettings,
        applier: Applier,
        factory: BridgeFactory,
        site: Site,
    ) -> None:
        super().__init__()
        self.setName("relaytw")
        self.config = config
        self.sessions = sessions
        self.dispatcher = dispatcher
        self.operator = operator
        self.settings = settings
        self.applier = applier
        self.factory = factory
        self.site = site

    def privilegedStartService(self) -> None:
        """Take every address; one that cannot be had is said in one line, and ends the start."""
        try:
            super().privilegedStartService()
        except CannotListenError as error:
            raise SystemExit(
                f"relay: {error}  Is another relay running?  "
                "Choose other addresses with --listen (relay.listen) and admin.listen."
            ) from error
        except ConfigError as error:
            raise SystemExit(f"relay: {error}") from error


class _Reach:
    """What a message may ask of the relay while it is handled."""

    def __init__(self) -> None:
        self.dispatcher: Dispatcher
        self.sessions: Sessions
        self.keeper: SettingsKeeper
        self.conversations: Conversations

    def reply(self, message: Message, answer: Answer) -> None:
        self.dispatcher.reply(message, answer)

    def ask(self, message: Message, question: Answer, timeout: float) -> Awaitable[Message]:
        return self.dispatcher.questions.ask(message, question, timeout)

    def busy(self) -> tuple[int, int]:
        return self.sessions.connections, self.dispatcher.lanes.waiting

    def phone(self, client: ClientKey) -> PhoneInfo | None:
        return self.sessions.roster.phone(client)

    async def reload_settings(self, message: Message) -> Sequence[SettingChange] | None:
        try:
            return await self.keeper.reload(message.user_hash or message.sender)
        except Unavailable as error:
            _log.warn("{error}", error=error, trace=message.trace)
            return None

    def state(self, message: Message, *, of_room: bool) -> State:
        return state_of(self.conversations, message, of_room=of_room)


class _Assembly:
    """A relay while it is being put together: each step takes what it needs from those before it."""

    def __init__(
        self,
        config: Config,
        reactor: Any,
        now: Callable[[], float],
        random: Random,
        database: TransactionService | None,
        machine: MachineService | None,
        in_thread: InThread | None,
    ) -> None:
        self.config, self.reactor, self.now, self.random = config, reactor, now, random
        self.in_thread = in_thread
        self.state_dir = Path(config.relay.state_dir)
        self.credentials = _credentials(config, self.state_dir)
        self.token = admin_token(config.admin.token_file, self.state_dir)
        self.database = wiring.database(config, reactor, now) if database is None else database
        self.machine = machine or ThisMachine(self.state_dir, reactor)
        self.metrics, self.reach = Metrics(), _Reach()
        self._decide_who_may_talk()
        self._keep_what_is_said()
        self._let_messages_flow()
        self._take_up_what_was_left()
        self._speak_unasked(in_thread)
        self._answer_the_operator()

    def _decide_who_may_talk(self) -> None:
        config, reactor, database, now = self.config, self.reactor, self.database, self.now
        self.settings = LiveSettings()
        self.keeper = wiring.keeper(config, reactor, database, self.settings, now)
        self.webhooks = webhooks(config, reactor, self.metrics, now, self.random)
        self.audit = AuditWriter(database, reactor, now, config.database.audit_waiting)
        self.code = Code(config, reactor, now, self.settings, self.webhooks, self.audit, self.in_thread)
        self.router = self.code.router
        self.approvals = wiring.approvals(
            config, reactor, database, self.audit, self.token, self.metrics, now
        )
        self.keys = wiring.keyring(config, self.credentials)
        self.gate = wiring.gate(config, self.keys, self.approvals, now)

    def _keep_what_is_said(self) -> None:
        config, reactor, metrics, now = self.config, self.reactor, self.metrics, self.now
        audit, in_thread = self.audit, self.in_thread
        self.journal = wiring.journal(config, reactor, metrics, self.gate, now, in_thread)
        self.conversations = wiring.conversations(config, reactor, metrics, now, in_thread)
        self.dead_letters = DeadLetters(self.database, reactor, metrics, config.journal.dead_letters)
        self.outcomes = Outcomes()
        names = RoomNames(self.database, metrics, config.limits.room_names)
        self.outbox = wiring.outbox(
            config,
            reactor,
            metrics,
            now,
            self.journal,
            LostReplies(self.dead_letters, now),
            self.outcomes,
            names,
        )
        self.approvals.effects.room_named = names.heard
        self.intake = wiring.intake(config, metrics, self.journal)
        self.trace = wiring.trace_log(config, reactor, metrics, now, in_thread)
        if self.trace is not None:
            self.intake.trace = self.trace.message
            self.outbox.tell(self.trace.reply)
        self.records = records(
            config, reactor, now, self.database, metrics, machine=self.machine, busy=self.reach.busy,
            forgotten=lambda actor, detail: audit.note(audit.act(actor, "forget", detail=detail)),
            settings_of=self.settings.settings_of, directive_of=self.router.directive_of,
        )  # fmt: skip

    def _let_messages_flow(self) -> None:
        config, reactor, now = self.config, self.reactor, self.now
        limits, settings_of = config.limits, self.settings.settings_of
        loop_guard = message_wiring.loop_guard(config)
        self.threads = message_wiring.threads(config, reactor, self.in_thread)
        self.code.give_threads(self.threads)
        self.preparer = message_wiring.preparer(config, reactor, self.reach.phone, self.in_thread)
        self.dispatcher = Dispatcher(
            clock=reactor, lanes=message_wiring.lanes(config, self.settings), intake=self.intake,
            outbox=self.outbox,
            find=self.router.find, threads=self.threads, metrics=self.metrics,
            settings=DispatchSettings(
                limits.processing_timeout, limits.cancel_grace, limits.drain_timeout, limits.consumers_max,
                config.bots.conversations, limits.replies_per_message,
            ),
            note_answer=message_wiring.answer_note(self.records.chat_log, loop_guard, now),
            may_hear=self.approvals.may_hear, preparer=self.preparer,
            tasks=isinstance(reactor, AsyncioSelectorReactor),
        )  # fmt: skip
        self.acceptance = Acceptance(
            gate=self.gate, approvals=self.approvals, intake=self.intake, dispatcher=self.dispatcher,
            context=self.reach, metrics=self.metrics, chat_log=self.records.chat_log,
            text_chars=limits.text_chars, admins=config.auth.admins, direct=config.relay.mode == "direct",
            now=now, new_id=wiring.trace_ids(), settings_of=settings_of,
            memory=message_wiring.memory(config, self.journal, now), dead_letters=self.dead_letters,
            loop_guard=loop_guard,
        )  # fmt: skip
        self.pings = Pings(reactor, self.random, interval=config.ping.interval, jitter=config.ping.jitter)
        self.sessions = wiring.sessions(
            config, reactor, self.approvals, self.gate, self.pings, self.intake, self.acceptance,
            self.outbox, self.metrics, self.settings, self.keeper, self.records.ping_log, self.keys, now,
        )  # fmt: skip
        self._join()

    def _join(self) -> None:
        """Let those know each other of whom neither can be built first."""
        self.applier = Applier(
            self.settings, router=self.router, dispatcher=self.dispatcher, roster=self.sessions.roster,
            outbox=self.outbox, metrics=self.metrics,
        )  # fmt: skip
        self.settings.changed = self.applier.bot_changed
        self.approvals.effects.phones = self.sessions.roster
        self.approvals.effects.room_changed = self.applier.room_changed
        self.approvals.effects.withdrawn = self.applier.withdrawn
        reach = self.reach
        reach.dispatcher, reach.sessions, reach.keeper = self.dispatcher, self.sessions, self.keeper
        reach.conversations = self.conversations

    def _take_up_what_was_left(self) -> None:
        keys, self.redelivery = self.config.journal, None
        if self.journal is not None and isinstance(self.intake, JournalIntake):
            self.redelivery = Redelivery(
                journal=self.journal, intake=self.intake, approvals=self.approvals,
                acceptance=self.acceptance, dispatcher=self.dispatcher, outbox=self.outbox,
                dead_letters=self.dead_letters, database=self.database,
                settings=RedeliverySettings(keys.max_deliveries, keys.max_age),
                clock=self.reactor, now=self.now, metrics=self.metrics,
            )  # fmt: skip
        self.records.forgetting.others += _forgetters(self.journal, self.dead_letters)
        self.records.forgetting.left_alone = self.dispatcher.questions.end_with
        self.records.forgetting.others.append(self.conversations.forget)

    def _speak_unasked(self, in_thread: InThread | None) -> None:
        rooms, chat_log = self.approvals.cache.room, self.records.chat_log
        self.pushing = pushing(
            self.config, self.reactor, self.now, self.database, self.audit, self.outbox, self.outcomes,
            in_thread,
            lambda reply: chat_log.pushed(reply, rooms(reply.client, reply.channel_id or reply.room)),
        )  # fmt: skip

    def _answer_the_operator(self) -> None:
        config, now = self.config, self.now
        wall = WallClock(config.relay.timezone)
        self.operator = Operator(
            relay_name=config.relay.name, mode=config.relay.mode, listening=config.relay.listen,
            sessions=self.sessions, dispatcher=self.dispatcher,
            approvals=ApprovalDesk(self.approvals, self.database, self.audit, wall, now),
            audit=self.audit, database=self.database, writer=self.records.writer,
            forgetting=self.records.forgetting, settings=self.settings, keeper=self.keeper,
            secrets=wiring.secrets(
                config, self.reactor, self.keys, self.gate, self.sessions, self.audit, now
            ),
            state=StateDesk(self.conversations, self.audit), modules=self.code.modules,
            outbox=Post(
                outbox=self.outbox, outcomes=self.outcomes, approvals=self.approvals, audit=self.audit,
                clock=self.reactor, now=now, new_id=wiring.trace_ids(), trace=self.trace,
            ),
            books=Books(self.journal, self.redelivery, self.dead_letters), pushing=self.pushing, now=now,
            webhooks=self.webhooks.rows if self.webhooks is not None else tuple,
        )  # fmt: skip
        self.factory = BridgeFactory(self.sessions)
        self.site = make_site(self.operator, self.metrics, self.token)

    def children(self) -> list[Any]:
        """Every service, in the order of their start."""
        config, reactor = self.config, self.reactor
        parts = [
            StateFolder(self.state_dir),
            self.database,
            self.journal,
            self.conversations,
            self.dead_letters,
            self.trace,
            self.audit,
            self.approvals,
            *self.records.services,
            self.keeper,
            self.threads,
            *self.code.services,
            self.preparer,
            self.webhooks,
            *housekeeping(config, reactor, self._sweeps(), self.machine.memory_percent),
            self.pings,
            self.sessions,
            self.dispatcher,
            self.redelivery,
            *self.pushing.services,
            _usable("relay.listen", lambda: Listener(config.relay.listen, self.factory, reactor)),
            self.operator,
            _usable("admin.listen", lambda: listening_service(config.admin.listen, self.site, reactor)),
        ]
        return [part for part in parts if part is not None]

    def _sweeps(self) -> Sweeps:
        """What can be forgotten; an emergency also takes what is not idle yet, and can be had again."""
        stages, clock = self.sessions.stages, self.sessions.clock
        idle = self.config.monitor.idle_client_ttl
        usual = {
            "ids and signatures": stages.gate.sweep,
            "idle clients in the penalty box's count": lambda: stages.penalties.sweep(clock.seconds(), idle),
            "idle devices and their rooms": self.approvals.forget_idle,
            "idle clients' take-overs": lambda: stages.registry.sweep(clock.seconds(), idle),
            "conversations": self.conversations.forget_expired,
        }
        if self.journal is not None:
            usual["files of the journal"] = self.journal.age_out
        emergency = {
            "bots' commands": self.router.forget_all,
            "closes": stages.closes.clear,
            "absent devices and their rooms": self.approvals.forget_absent,
        }
        return Sweeps(usual, emergency)


def assemble(
    config: Config,
    reactor: Any,
    now: Callable[[], float] = time.time,
    random: Random | None = None,
    database: TransactionService | None = None,
    machine: MachineService | None = None,
    in_thread: InThread | None = None,
) -> Relay:
    """Build every object of a relay and join them.  Raises `ConfigError`.

    `now` gives seconds since the epoch; the reactor keeps the time of everything that waits.  Without a
    `database` the configured one is made ready, which blocks.  `in_thread` runs what would need a
    thread of the journal's, the state's or the blocking handlers'; None for threads of their own.
    """
    parts = _Assembly(config, reactor, now, random or SystemRandom(), database, machine, in_thread)
    relay = Relay(
        config, parts.sessions, parts.dispatcher, parts.operator, parts.settings, parts.applier,
        parts.factory, parts.site,
    )  # fmt: skip
    for child in parts.children():
        child.setServiceParent(relay)
    return relay


def _forgetters(journal: Journal | None, dead_letters: DeadLetters) -> list[Forgetter]:
    """Who else keeps what people say."""
    forgetters: list[Forgetter] = [lambda user_hash: dead_letters.forget(_said_by(user_hash))]
    if journal is not None:
        kept = journal
        forgetters.append(lambda user_hash: kept.forget(_said_by(user_hash)))
    return forgetters


def _said_by(user_hash: str) -> Callable[[bytes], bool]:
    def said_by(line: bytes) -> bool:
        try:
            packet = wire.decode_kept(line)
        except BadLine:
            return False
        return isinstance(packet, Chat) and packet.user_hash == user_hash

    return said_by


def _credentials(config: Config, state_dir: Path) -> Credentials:
    credentials = Credentials.load(config.auth, state_dir)
    if credentials.made is not None:
        _log.info(
            "made the secret that phones sign with, {path}; to put it on a phone: relayctl secret show",
            path=str(credentials.made),
        )
    return credentials


def _usable(key: str, make: Callable[[], S]) -> S:
    # What parses an endpoint reads certificates too and raises whatever it likes.
    try:
        return make()
    except Exception as error:
        raise ConfigError(f"{key} cannot be used ({type(error).__name__}: {error})") from error
