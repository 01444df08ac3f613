"""A whole relay in memory, which must be as empty after a test as before it."""

from __future__ import annotations

import sys
from collections import Counter
from random import Random
from types import ModuleType
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, execute

from relaytw.admin.view import DeviceRow, RoomRow
from relaytw.assembly import Relay, assemble
from relaytw.bots import Bot, Message
from relaytw.config import Config
from relaytw.messages import ClientKey, CloseReason, Dialect, Status
from relaytw.phone import Identity
from relaytw.testing import FakeMachine, MemoryDatabase
from tests.unit.books import done
from tests.unit.folders import OwnFolder
from tests.unit.relay.phones import Phone, World

SECRET = "s3cret"
BOT = "demo-bot"
#: A turn of the reactor needs no more calls than this, else something goes round in circles.
CALLS = 200_000

Sections = dict[str, dict[str, object]]


class RelayTestCase(OwnFolder):
    """A started relay that approves everybody, and must be as empty after a test as before it.

    Its bot notes what it hears in `messages`; to `# wait` it answers when a Deferred of `waiting` fires.
    """

    sections: ClassVar[Sections] = {}
    #: Will a test leave messages behind that are neither run nor dropped?
    leftovers = False

    def setUp(self) -> None:
        self.enter_folder()
        self.world = World()
        self.clock, self.now = self.world.clock, self.world.now
        self.phones: list[Phone] = []
        self.messages: list[Message] = []
        self.waiting: list[tuple[Message, Deferred[Any]]] = []
        self._stopped: Deferred[None] | None = None
        self.database = MemoryDatabase()
        self._register_bot()
        self.start(self.sections)

    def tearDown(self) -> None:
        for phone in self.phones:
            phone.vanish()
        self.let_go()
        self.advance(0)
        if self._stopped is None:
            self.assertNoTimers()
            self.advance(self.relay.config.limits.outbox_ttl)
        self.stop()
        self.advance(0)
        self.assertEmpty()
        self.assertOneReasonEach()

    # -- the relay

    def start(self, sections: Sections) -> None:
        """Start a relay with these keys on top of what tests need, instead of the one there was."""
        if self.clock.getDelayedCalls():
            self.successResultOf(self.relay.stopService())
        usual: Sections = {
            "auth": {"secret": SECRET, "approve_new_devices": True, "approve_new_rooms": True},
            "bots": {"load": ["relaytw.bots.builtin", "bot_of_a_test:bot"]},
        }
        keys = {name: usual.get(name, {}) | sections.get(name, {}) for name in {*usual, *sections}}
        self.relay: Relay = assemble(
            Config.model_validate(keys),
            self.clock,
            self.now,
            Random(1),
            self.database,
            FakeMachine(),
            execute,
        )
        self.relay.startService()
        self.stages = self.relay.sessions.stages

    def kill(self) -> None:
        """End the relay as a kill does: nothing is written, said or finished any more."""
        self.clock.calls.clear()
        self.phones.clear()
        self.waiting.clear()
        folder: Any = self.relay.getServiceNamed("state folder")
        folder._lock.give_back()

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, from one call that is due to the next; without `seconds`, what is due now."""
        end = self.clock.seconds() + seconds
        for _ in range(CALLS):
            due = min((call.getTime() for call in self.clock.getDelayedCalls()), default=end + 1)
            if due > end:
                self.clock.rightNow = end
                return
            self.clock.rightNow = max(due, self.clock.rightNow)
            self.clock.advance(0)
        self.fail("the relay goes round in circles")

    def stop(self) -> Deferred[None]:
        """Stop the relay; fires when it has stopped."""
        if self._stopped is None:
            self._stopped = self.relay.stopService()
        return self._stopped

    def let_go(self, answer: object = None, number: int | None = None) -> None:
        """Let this many of the handlers that wait end with an answer; without `number`, all of them."""
        while self.waiting and (number is None or number > 0):
            number = None if number is None else number - 1
            waiting = self.waiting.pop(0)[1]
            if not waiting.called:
                waiting.callback(answer)

    # -- phones

    def connect(
        self,
        device: str = "phone-1",
        dialect: Dialect = Dialect.V32,
        *,
        secret: str = SECRET,
        host: str = "10.0.0.7",
        answers: bool = False,
    ) -> Phone:
        """A connection over which nothing was said yet."""
        identity = Identity(BOT, device, dialect, secret.encode())
        bridge = self.relay.factory.buildProtocol(None)
        phone = Phone(self.world, bridge, identity, host, answers)
        self.phones.append(phone)
        return phone

    def proven(self, device: str = "phone-1", **about: Any) -> Phone:
        """A phone that is on and has shown who it is."""
        phone = self.connect(device, **about).hello()
        phone.pong()
        self.assertTrue(phone.conversation.proven)
        phone.heard()
        return phone

    def key(self, device: str = "phone-1") -> ClientKey:
        """The client that this device is."""
        return ClientKey(BOT, device)

    # -- the operator

    def set_device(self, status: Status, device: str = "phone-1", **about: Any) -> bool:
        """The operator decides about a device, whether or not it was seen before."""
        return done(self.relay.operator.set_device(self.key(device), status, register=True, **about))

    def set_room(self, status: Status, room: str = "room", device: str = "phone-1") -> bool:
        """The operator decides about a room likewise."""
        return done(self.relay.operator.set_room(self.key(device), room, status, register=True))

    def devices(self) -> list[DeviceRow]:
        """The devices that the operator is shown."""
        return list(done(self.relay.operator.devices()).rows)

    def rooms(self) -> list[RoomRow]:
        """The rooms that the operator is shown."""
        return list(done(self.relay.operator.rooms()).rows)

    # -- what must hold

    def heard_texts(self) -> list[str]:
        """The texts that the bot has heard, in the order in which their handlers started."""
        return [message.text for message in self.messages]

    def assertClosed(self, phone: Phone, reason: CloseReason, *errors: str) -> None:
        """The relay has closed this connection for one reason, and told the phone of these errors."""
        self.assertTrue(phone.closed, "the connection is open")
        rows = [row for row in self.stages.closes.rows() if row.address == phone.bridge.where()]
        self.assertEqual([row.reason for row in rows], [reason])
        self.assertEqual(phone.errors, list(errors))

    def assertOpen(self, *phones: Phone) -> None:
        """The relay has closed none of these connections."""
        for phone in phones:
            self.assertFalse(phone.closed, f"{phone.bridge.where()} is closed: {self.stages.closes.rows()}")

    def assertNoTimers(self) -> None:
        """No call is due any more that has to do with a connection."""
        calls = [str(call) for call in self.clock.getDelayedCalls()]
        others = (
            "_safely", "Retention", "RowWriter", "SettingsKeeper", "Refresher", "Outbox._wake",
            "Phone.answer", "Journal._take_turn", "Pump.", "Schedules.",
        )  # fmt: skip
        self.assertEqual([call for call in calls if not any(name in call for name in others)], [])

    def assertEmpty(self) -> None:
        """A relay that has stopped keeps nothing of its phones and waits for nothing."""
        stages, lanes = self.stages, self.relay.dispatcher.lanes
        self.successResultOf(self.stop())
        self.assertEqual([str(call) for call in self.clock.getDelayedCalls()], [])
        counts = {
            "slots": stages.admission.slots.taken,
            "overflow": stages.admission.overflow,
            "silent": len(stages.admission._silent),
            "live": len(stages.registry),
            "provisional": stages.registry.provisional,
            "addresses": len(stages.registry._by_address),
            "connections": self.relay.sessions.connections,
            "pings": len(stages.pings),
            "running": lanes.running,
        }
        if not self.leftovers:
            counts |= {
                "lanes": len(lanes),
                "unfinished": stages.intake.unfinished,
                "unfinished_bytes": stages.intake.unfinished_bytes,
                "boxes": stages.outbox.boxes,
            }
        self.assertEqual({name: held for name, held in counts.items() if held}, {})

    def assertOneReasonEach(self) -> None:
        """Every connection that there ever was has ended for exactly one reason."""
        closes, metrics = self.stages.closes.rows(), self.stages.metrics
        self.assertEqual(metrics.closes.total(), metrics.connects)
        if metrics.connects <= 1000:
            self.assertEqual(Counter(row.reason for row in closes), metrics.closes)
        by_peer = Counter(row.address for row in closes)
        self.assertEqual([peer for peer, times in by_peer.items() if times > 1], [])

    def _register_bot(self) -> None:
        bot = Bot()

        @bot.message
        def note(message: Message) -> None:
            self.messages.append(message)

        @bot.command("# wait")
        async def wait(message: Message, text: str = "") -> object:
            self.messages.append(message)
            waiting: Deferred[Any] = Deferred()
            self.waiting.append((message, waiting))
            return await waiting

        module: Any = ModuleType("bot_of_a_test")
        module.bot = bot
        sys.modules["bot_of_a_test"] = module
        self.addCleanup(sys.modules.pop, "bot_of_a_test")
