"""A gate with everything around it: real approvals and signatures, fake time."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.errors import Refused
from relaytw.gate import Device, Gate, GateSettings
from relaytw.messages import Auth, ClientKey, ErrorCode, Status
from relaytw.protocols.wire.signatures import Verifier, sign
from relaytw.seen import Pass
from relaytw.signers import Signers
from tests.unit.books import PHONE, Books

__all__ = ["NOW", "PHONE", "Door", "DoorCase"]

NOW = 1_000_000.0


class Keys(Signers):
    """One tuple of secrets for every bot, each with a salt of its own; of them some are listed."""

    def __init__(self, secrets: tuple[bytes, ...], listed: tuple[str, ...], limit: int) -> None:
        super().__init__(limit)
        self._secrets = secrets
        self._listed = listed

    def verifier_for(self, bot: str) -> Verifier:
        return Verifier(self._secrets, f"salt of {bot}")

    def is_listed(self, bot: str) -> bool:
        return not self._listed or bot in self._listed


class Door:
    """A gate, its clock, and a phone that signs."""

    def __init__(
        self,
        *,
        secrets: tuple[bytes, ...] = (b"secret",),
        listed: tuple[str, ...] = (),
        signers: int = 10,
        approve_new: bool = False,
        **settings: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.approvals = Books(self.clock, approve_new_devices=approve_new)
        self.keys = Keys(secrets, listed, signers)
        self.gate = Gate(
            approvals=self.approvals.real,
            keys=self.keys,
            settings=GateSettings(**settings),
            now=self.clock.seconds,
        )

    def device(self, client: ClientKey = PHONE, status: Status | None = Status.APPROVED) -> Device:
        device = self.approvals.device(client)
        if status is not None:
            self.approvals.set_device(client, status)
        return device

    def connect(self, client: ClientKey = PHONE) -> Pass:
        known = self.approvals.real.known_device(client)
        return self.gate.issue(known or self.device(client))

    def auth(
        self, offset_ms: int = 0, client: ClientKey = PHONE, uuid: str = "uuid", secret: bytes = b"secret"
    ) -> Auth:
        """What this phone signs now, or `offset_ms` later."""
        at = round(self.clock.seconds() * 1000) + offset_ms
        bare = Auth("MessengerBotR", client.bot, uuid, client.device, "02:00", "10.0.0.2", at, "3.3.0", "")
        return bare._replace(signature=sign(secret, f"salt of {client.bot}", bare))

    def check(self, pass_: Pass, auth: Auth | None, *, resendable: bool = True) -> bool:
        return self.gate.check(pass_, auth, resendable=resendable)


class DoorCase(SynchronousTestCase):
    def assert_refused(
        self, code: ErrorCode, door: Door, pass_: Pass, auth: Auth | None, *, resendable: bool = True
    ) -> str:
        refused = self.assertRaises(Refused, door.check, pass_, auth, resendable=resendable)
        self.assertIs(refused.code, code)
        return str(refused)
