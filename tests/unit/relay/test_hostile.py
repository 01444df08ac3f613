"""A hundred thousand packets, most of them lies: none of those is processed, and every true one is, once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from random import Random
from typing import ClassVar, NamedTuple

from relaytw.messages import Auth, Chat, Dialect
from relaytw.phone import Identity
from relaytw.protocols import wire
from relaytw.protocols.wire.phone import encode_chat, encode_handshake, encode_pong
from tests.unit.relay.harness import BOT, SECRET, RelayTestCase, Sections
from tests.unit.relay.phones import Phone

SEED = 20250715
OTHER_SECRET = "another"
PACKETS = 100_000
DEVICES = [f"phone-{number}" for number in range(6)]
#: Seconds from one packet to the next; how old chat must be to be no re-sending any more.
PACE, OLD = 0.004, 61.0
#: How many of each phone's packets are remembered: never what it sends in five minutes.
CHATS, PONGS = 2000, 200


class Lie(NamedTuple):
    """Bytes, and what they may be answered with; "" is silence."""

    data: bytes
    errors: tuple[str, ...]


class Heard(NamedTuple):
    """A true packet, as it was read off the wire."""

    at: float
    line: bytes
    auth: Auth


class Scribe:
    """Writes packets in any phone's name.  `now` gives seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._stamp = 0
        self._numbers = 0
        self._identities = {
            (device, secret): self.identity(device, secret)
            for device in DEVICES
            for secret in (SECRET, OTHER_SECRET)
        }

    def identity(self, device: str, secret: str = SECRET) -> Identity:
        """A phone; every other one speaks the newer dialect."""
        dialect = Dialect.V33 if int(device[-1]) % 2 else Dialect.V32
        return Identity(BOT, device, dialect, secret.encode())

    def auth(self, device: str, *, ago: float = 0.0, secret: str = SECRET) -> Auth:
        """A signature that no other packet has."""
        self._stamp = max(self._stamp + 1, int(self._now() * 1000))
        auth = self._identities[device, secret].auth((self._stamp - ago * 1000) / 1000)
        assert auth is not None
        return auth

    def signed(self, auth: Auth, secret: str = SECRET) -> Auth:
        """The same, signed anew."""
        return auth._replace(signature=wire.sign(secret.encode(), "", auth))

    def chat(self, device: str, text: str, auth: Auth | None) -> bytes:
        """A message nobody has sent yet."""
        self._numbers += 1
        chat = Chat("room", text, "Ada", "100", str(self._numbers), None, True, False, "", auth)
        return encode_chat(self._identities[device, SECRET].dialect, chat, BOT)

    def pong(self, device: str, auth: Auth) -> bytes:
        """An answer to a ping."""
        return encode_pong(self._identities[device, SECRET].dialect, BOT, 0, None, auth)


class Liar:
    """Makes packets that must not be processed, of what it has heard of true ones."""

    def __init__(self, random: Random, scribe: Scribe, now: Callable[[], float]) -> None:
        self._random = random
        self._scribe = scribe
        self._now = now
        self.chats = {device: deque[Heard](maxlen=CHATS) for device in DEVICES}
        self.pongs = {device: deque[Heard](maxlen=PONGS) for device in DEVICES}

    def forged(self, device: str) -> Lie:
        """A signature out of thin air."""
        return self._signed_with(device, "".join(self._random.choices("0123456789abcdef", k=64)))

    def other_secret(self, device: str) -> Lie:
        """A valid signature with another secret."""
        return self._false(device, self._scribe.auth(device, secret=OTHER_SECRET), "bad_signature")

    def flipped(self, device: str) -> Lie:
        """A valid signature but for one bit."""
        signature = bytearray(self._scribe.auth(device).signature.encode())
        signature[self._random.randrange(64)] ^= 1 << self._random.randrange(7)
        return self._signed_with(device, signature.decode())

    def edited(self, device: str) -> Lie:
        """One of the fields that are signed is another, or the signature is cut or written otherwise."""
        auth = self._scribe.auth(device)
        change = self._random.choice((
            {"client_type": "Other"},
            {"device_uuid": "uuid-other"},
            {"mac": "02:00:00:00:00:01"},
            {"ip": "10.6.6.6"},
            {"timestamp": auth.timestamp + self._random.choice((-1, 1))},
            {"signature": auth.signature.upper()},
            {"signature": auth.signature[:-1]},
            {"signature": f"{auth.signature} "},
            {"signature": ""},
        ))  # fmt: skip
        return self._false(device, auth._replace(**change), "bad_signature")

    def expired(self, device: str) -> Lie:
        """Signed more than five minutes ago."""
        return self._false(device, self._scribe.auth(device, ago=self._random.uniform(301, 1e6)), "stale")

    def future(self, device: str) -> Lie:
        """Signed more than five minutes from now."""
        return self._false(device, self._scribe.auth(device, ago=-self._random.uniform(302, 1e6)), "stale")

    def unsigned(self, device: str) -> Lie:
        """No signature at all."""
        return self._false(device, None, "no_auth")

    def misnamed(self, device: str) -> Lie:
        """A valid signature of another device, or for another bot."""
        auth = self._scribe.auth(device)
        wrong = self._random.choice((
            self._scribe.auth(self._other(device)),
            self._scribe.signed(auth._replace(bot="other-bot")),
            auth._replace(device="phone-9"),
        ))  # fmt: skip
        return self._false(device, wrong, "wrong_identity")

    def other_uuid(self, device: str) -> Lie:
        """A valid signature of a phone that is not the one the device was pinned to."""
        auth = self._scribe.auth(device)._replace(device_uuid="uuid-other")
        return self._false(device, self._scribe.signed(auth), "wrong_identity")

    def truncated(self, device: str) -> Lie:
        """The beginning of a valid packet."""
        line = self._scribe.chat(device, "false", self._scribe.auth(device))
        return Lie(line[: self._random.randrange(1, line.rindex(b"}"))] + b"\n", ("bad_line",))

    def impostor(self, device: str) -> Lie:
        """A second handshake, in another name."""
        handshake = self._scribe.identity(self._other(device)).handshake()
        return Lie(encode_handshake(handshake), ("wrong_identity",))

    def stolen(self, device: str) -> Lie:
        """What another phone has sent."""
        other = self._other(device)
        return Lie(self._random.choice((*self.chats[other], *self.pongs[other])).line, ("wrong_identity",))

    def replayed(self, device: str) -> Lie:
        """What this phone has sent: an answer to a ping, or chat of over a minute ago."""
        oldest = self.chats[device][0] if self.chats[device] else None
        if oldest is not None and self._now() - oldest.at > OLD and self._random.random() < 0.5:
            return Lie(oldest.line, ("replay",))
        return Lie(self._random.choice(self.pongs[device]).line, ("replay",))

    def resent(self, device: str) -> Lie:
        """Chat that passes for a re-sending of what the phone has just sent, with a text of its own."""
        if not self.chats[device]:
            return self.unsigned(device)
        return self._false(device, self.chats[device][-1].auth, "", "replay")

    def _signed_with(self, device: str, signature: str) -> Lie:
        return self._false(device, self._scribe.auth(device)._replace(signature=signature), "bad_signature")

    def _false(self, device: str, auth: Auth | None, *errors: str) -> Lie:
        if auth is not None and self._random.random() < 0.3 and "" not in errors:
            return Lie(self._scribe.pong(device, auth), errors)
        return Lie(self._scribe.chat(device, "false", auth), errors)

    def _other(self, device: str) -> str:
        return self._random.choice([other for other in DEVICES if other != device])


#: Lies that may be slipped into a phone's own connection; and those of which it could be the author.
ANYWHERE = (
    Liar.forged, Liar.other_secret, Liar.flipped, Liar.edited, Liar.expired, Liar.future, Liar.unsigned,
    Liar.misnamed, Liar.other_uuid, Liar.truncated, Liar.impostor, Liar.stolen,
)  # fmt: skip
ELSEWHERE = (Liar.replayed, Liar.resent)


class HostileTests(RelayTestCase):
    sections: ClassVar[Sections] = {
        # What these close or turn away has tests of its own; here everything shall reach the gate.
        "penalty": {"connects_per_minute": 1_000_000},
        "limits": {"provisional_timeout": 1e6, "read_timeout": 1e6},
    }

    def setUp(self) -> None:
        super().setUp()
        self.random = Random(SEED)
        self.scribe = Scribe(self.now)
        self.liar = Liar(self.random, self.scribe, self.now)
        self.owners: dict[str, Phone] = {}
        self.thieves: dict[str, Phone] = {}
        self.said: list[str] = []
        self.last: dict[str, tuple[int, bytes]] = {}
        self.repeated = 0
        self.connects: Counter[str] = Counter()
        self.told: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()

    def test_storm(self) -> None:
        """Whatever strangers send, only what a phone has signed for its own connection is processed."""
        for device in DEVICES:
            self._come_back(device)
        for number in range(PACKETS):
            if number % 100 == 0:
                self.clock.advance(0)
            self.clock.rightNow += PACE
            device = self.random.choice(DEVICES)
            if self.random.random() < 0.3:
                self._tell_truth(device)
            else:
                self._lie(device)
        self.assertEqual(self.heard_texts(), self.said)
        self.assertGreater(len(self.said), PACKETS // 5)
        self.assertEqual(dict(self.stages.metrics.errors), dict(self.told))
        self.assertEqual(self.stages.metrics.duplicates, self.repeated)
        self.assertEqual(len(self.tried), len(ANYWHERE) + len(ELSEWHERE))
        self.assertGreater(min(self.tried.values()), PACKETS // 100)
        for device in DEVICES:
            phone = self._come_back(device)
            phone.send(self.scribe.chat(device, "# echo alive", self.scribe.auth(device)))
            self.assertEqual(phone.texts, ["에코: alive"])

    # -- the phones themselves

    def _come_back(self, device: str) -> Phone:
        """The phone connects anew and proves itself; the connection before it is replaced."""
        phone = self.owners[device] = self._connect(device)
        self.connects[device] += 1
        self._answer_ping(phone, device)
        self.assertTrue(phone.conversation.proven)
        phone.packets.clear()
        return phone

    def _connect(self, device: str) -> Phone:
        return self.connect(device, self.scribe.identity(device).dialect).hello()

    def _answer_ping(self, phone: Phone, device: str) -> None:
        auth = self.scribe.auth(device)
        line = self.scribe.pong(device, auth)
        phone.send(line)
        self.liar.pongs[device].append(Heard(self.now(), line, auth))

    def _tell_truth(self, device: str) -> None:
        chance = self.random.random()
        phone = self._come_back(device) if chance < 0.01 else self.owners[device]
        phone.packets.clear()
        if chance < 0.1:
            self._answer_ping(phone, device)
        elif chance < 0.2 and self._is_recent(device):
            phone.send(self.last[device][1])
            self.repeated += 1
        else:
            auth, text = self.scribe.auth(device), f"true {len(self.said)}"
            line = self.scribe.chat(device, text, auth)
            phone.send(line)
            self.said.append(text)
            self.last[device] = self.connects[device], line
            self.liar.chats[device].append(Heard(self.now(), line, auth))
        self.assertEqual(phone.errors, [])

    def _is_recent(self, device: str) -> bool:
        """Was the last chat said over this connection or the one before it?"""
        return device in self.last and self.connects[device] - self.last[device][0] <= 1

    # -- everybody else

    def _lie(self, device: str) -> None:
        make = self.random.choice((*ANYWHERE, *ELSEWHERE))
        lie = make(self.liar, device)
        own = make in ANYWHERE and self.random.random() < 0.5
        phone = self.owners[device] if own else self._thief(device)
        phone.packets.clear()
        phone.send(lie.data)
        error = phone.errors[0] if phone.errors else ""
        self.assertIn(error, lie.errors, make.__name__)
        self.assertLessEqual(len(phone.errors), 1)
        self.assertTrue(own or not phone.conversation.proven, make.__name__)
        self.tried[make.__name__] += 1
        if error:
            self.told[error] += 1
        if own and phone.closed:
            self._come_back(device)

    def _thief(self, device: str) -> Phone:
        """A connection in the phone's name; it is closed after twenty lies in a row."""
        thief = self.thieves.get(device)
        if thief is None or thief.closed:
            thief = self.thieves[device] = self._connect(device)
        return thief
