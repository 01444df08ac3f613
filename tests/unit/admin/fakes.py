"""A relay to look at, and ways to ask its admin API without a socket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from treq import content
from treq.testing import RequestTraversalAgent
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IConsumer
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from relaytw.admin.secrets import (
    SecretRefused,
    SecretRetired,
    SecretRotated,
    SecretSet,
    SecretsStatus,
    SecretUser,
)
from relaytw.admin.site import make_site
from relaytw.admin.view import (
    AuditRow,
    CloseRow,
    DeadLetterRow,
    DeviceRow,
    Forgotten,
    JournalRow,
    Overview,
    Page,
    PenaltyRow,
    RoomRow,
    SegmentRow,
    WebhookRow,
)
from relaytw.errors import Unavailable
from relaytw.messages import ClientKey, CloseReason, Dialect, Monitoring, PhoneInfo, Status
from relaytw.metrics import Metrics
from relaytw.settings import USUAL_ROOM, BotSettings
from tests.unit.admin.fake_modules import FakeModules
from tests.unit.admin.fake_outbox import FakeOutbox
from tests.unit.admin.fake_state import FakeState
from tests.unit.admin.push_fakes import FakePushing

TOKEN = "open-sesame"
ALICE = ClientKey("봇/1", "a b/c?d")
BOB = ClientKey("bot", "unknown")


def phone(client: ClientKey = ALICE, **changes: Any) -> PhoneInfo:
    """A connected phone."""
    fields: dict[str, Any] = {
        "client": client,
        "dialect": Dialect.V33,
        "version": "3.3.3",
        "address": "192.0.2.7:5000",
        "device_info": "Galaxy",
        "status": Status.APPROVED,
        "connected_at": 1000.0,
        "last_heard": 1060.5,
        "round_trip_ms": 42,
        "monitoring": Monitoring(512.0, 100.0, 19.5, 0, 3),
        "messages": 7,
        "proven": True,
    }
    return PhoneInfo(**{**fields, **changes})


class FakeSecrets:
    """Secrets as the admin API sees them: what refuses, and what was forced."""

    def __init__(self) -> None:
        self.refusal: SecretRefused | None = None
        self.forced: list[bool] = []

    def status(self) -> SecretsStatus:
        """One set with somebody in it."""
        old = [SecretUser(*ALICE, secret=1, last_seen=1000.0, connected=True)]
        common = SecretSet("relay-state/secret", True, [], 2, 900.5, 3, old)
        return SecretsStatus(True, 800.0, 0, [common])

    async def rotate(self, actor: str) -> SecretRotated:
        """As the relay does it."""
        if self.refusal is not None:
            raise self.refusal
        return SecretRotated("/state/secret", "/state/secret.old", 900.5)

    async def retire(self, actor: str, *, force: bool) -> SecretRetired:
        """As the relay does it."""
        if self.refusal is not None and not force:
            raise self.refusal
        self.forced.append(force)
        return SecretRetired(self.status().sets[0].old)


class FakeView:
    """A relay as the admin API sees it, with every fact settable and every act remembered."""

    def __init__(self) -> None:
        self.not_ready: str | None = None
        self.connected = [phone()]
        self.known = {ALICE: Status.PENDING}
        self.known_rooms = {(ALICE, "100"): Status.PENDING}
        self.boxed = [PenaltyRow(ALICE, 1300.0, "flapping", 2)]
        self.ended = [
            CloseRow(1001.0, "192.0.2.9:1", None, CloseReason.HANDSHAKE_TIMEOUT, "", 10.0),
            CloseRow(1002.0, "192.0.2.7:2", ALICE, CloseReason.ZOMBIE, "3 strikes", 90.0),
        ]
        self.bot_settings = {"Weather": BotSettings("Weather", admins=frozenset({"b", "a"}), per_bot=5)}
        self.failure: Exception | None = None
        self.asked: list[tuple[object, ...]] = []
        self.acts: list[tuple[str, ClientKey, str | None]] = []
        self.next: str | None = None
        self.forgotten: list[str] = []
        self.room_values: dict[str, object] = {}
        self.secrets, self.outbox, self.state = FakeSecrets(), FakeOutbox(), FakeState()
        self.pushing, self.modules = FakePushing(), FakeModules()
        self.away: str | None = None
        self.books = JournalRow(
            "normal", None, (SegmentRow("00000001.log", 2048, 3),), 2048, 3, 1500, 940.0, 1, 2, 4
        )
        self.letters = [
            DeadLetterRow(7, 1000.0, "too_old", ALICE, "100", "100:5", "ab-1", "안녕 <b>", 1, 400.0)
        ]

    def ready(self) -> str | None:
        """Why not, or None."""
        return self.not_ready

    def overview(self) -> Overview:
        """Different figures everywhere, or the failure asked for."""
        if self.failure is not None:
            raise self.failure
        return Overview(
            name="relay-01", version="0.1.0", mode="queued", started_at=1000.5, listening=("tcp:1490",),
            connections=3, connections_limit=100, overflow=1, provisional=2, clients=4, waiting=5,
            waiting_bytes=600, running=7, consumers=31, lanes=8, outbox=9, outbox_bytes=1000, penalties=11,
            memory_bytes=12000, accepted=13, finished=14, failed=15, replies_sent=16, rows_waiting=17,
            rows_waiting_bytes=18, database_up=True, database_errors=19, journal_segments=20,
            journal_bytes=21, journal_unfinished=22,
            webhooks=[WebhookRow("Weather", "open", 2.5, 26, 27, 28)],
        )  # fmt: skip

    def phones(self) -> Sequence[PhoneInfo]:
        """The phones."""
        return self.connected

    async def devices(
        self, status: Status | None, code: str | None, after: str | None, limit: int
    ) -> Page[DeviceRow]:
        """The devices, or the failure asked for; what was asked is remembered."""
        self.asked.append((status, code, after, limit))
        if self.failure is not None:
            raise self.failure
        rows = [
            DeviceRow(client, status, "192.0.2.7", "3.3.3", None, 900.0, 950.0, status, "", True, "K7QXM")
            for client, status in self.known.items()
        ]
        return Page(rows, self.next)

    async def set_device(
        self,
        client: ClientKey,
        status: Status,
        actor: str,
        *,
        register: bool = False,
        reason: str | None = None,
    ) -> bool:
        """As the relay does it."""
        self.acts.append((actor, client, reason))
        if self.failure is not None:
            raise self.failure
        if client.device == "unknown":
            raise ValueError(f"{client} has no device id of its own and cannot be approved")
        if client not in self.known and not register:
            return False
        self.known[client] = status
        return True

    async def rooms(
        self, status: Status | None, code: str | None, after: str | None, limit: int
    ) -> Page[RoomRow]:
        """The rooms likewise."""
        self.asked.append((status, code, after, limit))
        rows = [
            RoomRow(client, room_id, "가족 / family", status, 900.0, 950.0, status, True, None)
            for (client, room_id), status in self.known_rooms.items()
        ]
        return Page(rows, self.next)

    async def audit(self, before: str | None, limit: int) -> Page[AuditRow]:
        """What was done."""
        self.asked.append((before, limit))
        return Page([AuditRow(950.0, "admin:ada", "device approved", *ALICE, None, None)], self.next)

    async def set_room(
        self,
        client: ClientKey,
        room_id: str,
        status: Status,
        actor: str,
        *,
        register: bool = False,
        reason: str | None = None,
    ) -> bool:
        """As the relay does it."""
        self.acts.append((actor, client, reason))
        if (client, room_id) not in self.known_rooms and not register:
            return False
        self.known_rooms[client, room_id] = status
        return True

    async def set_room_settings(
        self,
        client: ClientKey,
        room_id: str,
        values: Mapping[str, object],
        actor: str,
        *,
        register: bool = False,
    ) -> bool:
        """As the relay does it."""
        if self.failure is not None:
            raise self.failure
        if faults := replace(USUAL_ROOM, **values).faults():  # type: ignore[arg-type]
            raise ValueError("; ".join(f"{name} {fault}" for name, fault in faults.items()))
        self.acts.append((actor, client, room_id))
        self.room_values = dict(values)
        return (client, room_id) in self.known_rooms or register

    def forget(self, user_hash: str, actor: str) -> Deferred[Forgotten]:
        """As the relay does it; of one person there is more."""
        if self.failure is not None:
            raise self.failure
        self.forgotten.append(user_hash)
        return succeed(Forgotten(3, 2, more=user_hash == "talker" and len(self.forgotten) < 2))

    def bots(self) -> Sequence[BotSettings]:
        """The bots' settings."""
        return list(self.bot_settings.values())

    async def set_bot(
        self, bot: str, values: Mapping[str, object], actor: str, *, register: bool = False
    ) -> BotSettings | None:
        """As the relay does it."""
        if self.failure is not None:
            raise self.failure
        if bot not in self.bot_settings and not register:
            return None
        settings = replace(self.bot_settings.get(bot, BotSettings(bot)), **values)  # type: ignore[arg-type]
        if settings.faults():
            raise ValueError(str(settings.faults()))
        self.bot_settings[bot] = settings
        return settings

    def closes(self) -> Sequence[CloseRow]:
        """The closes."""
        return self.ended

    def penalties(self) -> Sequence[PenaltyRow]:
        """The box."""
        return self.boxed

    def lift_penalty(self, client: ClientKey, actor: str) -> bool:
        """As the relay does it."""
        self.acts.append((actor, client, None))
        before = len(self.boxed)
        self.boxed = [row for row in self.boxed if row.client != client]
        return len(self.boxed) < before

    def disconnect(self, client: ClientKey, actor: str) -> bool:
        """As the relay does it."""
        self.acts.append((actor, client, None))
        before = len(self.connected)
        self.connected = [info for info in self.connected if info.client != client]
        return len(self.connected) < before

    def journal(self) -> JournalRow:
        """The journal."""
        return self.books

    async def dead_letters(self, count: int) -> Sequence[DeadLetterRow]:
        """The letters, unless the database is away."""
        if self.away is not None:
            raise Unavailable(self.away)
        return self.letters[:count]

    async def requeue(self, number: int, actor: str) -> bool:
        """As the relay does it."""
        return await self.drop_dead_letter(number, actor)

    async def drop_dead_letter(self, number: int, actor: str) -> bool:
        """As the relay does it."""
        before = await self.dead_letters(1000)
        self.letters = [letter for letter in before if letter.id != number]
        return len(self.letters) < len(before)


@implementer(ILogObserver)
class Events(list[LogEvent]):
    """What was logged."""

    def __call__(self, event: LogEvent) -> None:
        """Keep one more."""
        self.append(event)


class Answer(NamedTuple):
    """What came back; `length` is what the headers said of the body."""

    status: int
    length: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json["error"]["code"])

    def header(self, name: str) -> str | None:
        """The last value of a header."""
        values = self.headers.getRawHeaders(name)
        return values[-1] if values else None


class SiteTestCase(SynchronousTestCase):
    """Asks a real site through a real HTTP client over joined transports."""

    def setUp(self) -> None:
        self.view = FakeView()
        self.metrics = Metrics()
        self.events = Events()
        self.site = make_site(
            self.view,
            self.metrics,
            TOKEN,
            Logger("relaytw.admin", observer=self.events),
            reactor=MemoryReactorClock(),
            new_id=lambda: "trace-1",
        )

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        token: str | None = TOKEN,
        headers: dict[str, str] | None = None,
        url: str = "http://127.0.0.1:8490",
    ) -> Answer:
        """Ask as a caller on this machine."""
        agent = RequestTraversalAgent(self.site.resource)
        agent._serverFactory = self.site
        given = {} if token is None else {"Authorization": f"Bearer {token}"}
        if body is not None:
            given["Content-Type"] = "application/json"
        asked = Headers({name: [value] for name, value in {**given, **(headers or {})}.items()})
        producer = _Body(body) if body is not None else None
        response: IResponse = self.successResultOf(
            agent.request(method.encode(), f"{url}{path}".encode(), asked, producer)
        )
        return Answer(
            response.code, response.length, response.headers, self.successResultOf(content(response))
        )

    def get(self, path: str, **options: Any) -> Answer:
        """Ask for something."""
        return self.ask("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> Answer:
        """Send JSON."""
        return self.ask("POST", path, json.dumps(body).encode(), **options)

    def raw(self, lines: bytes, peer: IAddress) -> bytes:
        """Send bytes from any address and return the bytes that come back."""
        channel = self.site.buildProtocol(peer)
        assert channel is not None
        transport = StringTransport(peerAddress=peer)
        channel.makeConnection(transport)
        channel.dataReceived(lines)
        return bytes(transport.value())


@implementer(IBodyProducer)
class _Body:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._data)
        return succeed(None)

    def stopProducing(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...


def far_away() -> IPv4Address:
    """A caller from another machine."""
    return IPv4Address("TCP", "198.51.100.4", 40000)
