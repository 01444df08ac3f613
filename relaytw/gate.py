"""May this packet enter: approvals, signatures, and what has been seen before.

The gate answers at once, from what it holds.  It knows no connection: a conversation carries the
`Pass` it was given at its handshake.  What it has seen of a client outlives the connection, for a
packet written to a dead socket comes again over the next one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from relaytw import pins
from relaytw.errors import Refused
from relaytw.messages import Auth, Chat, ClientKey, ErrorCode, Handshake, Status
from relaytw.seen import Pass, Seen
from relaytw.settings import USUAL_ROOM, RoomSettings
from relaytw.signers import Use
from relaytw.twins import Recent

#: How often, in seconds, a client's oldest message ids are looked at.
_TRIM_INTERVAL = 1.0
#: What a phone is told that has spoken 4.0 before.
OLD_DIALECT = "this device has spoken dialect 4.0; an older one is accepted only if an operator allows it"
#: Device ids that are no identity: such a device can never be approved.
NAMELESS = frozenset({"", "unknown", "null", "none", "undefined"})


@dataclass(slots=True, eq=False)
class Device:
    """A device as the approvals know it; shared, so a change of status is seen at once.

    `uuid` is the deviceUUID it was pinned to, None before its first valid signature.  Its longest
    line in bytes and its pictures' width in pixels are None where its bot's hold.  `proven` says that
    it has shown a valid signature, `saved` that its status is that of its row, `looked_up` that the table
    was asked and has answered, `reason` why it was refused.  Times in seconds since the epoch.
    """

    client: ClientKey
    status: Status
    uuid: str | None
    address: str
    version: str
    created_at: float
    updated_at: float
    line_bytes: int | None = None
    image_width: int | None = None
    proven: bool = False
    saved: bool = True
    looked_up: bool = True
    reason: str = ""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Room:
    """A room of one client as the approvals know it; shared likewise.

    `reported` says that the operator was told of its messages going unanswered; `lane` is carried for
    the dispatcher, which knows the room by it.
    """

    client: ClientKey
    room_id: str
    name: str
    status: Status
    created_at: float
    updated_at: float
    reported: bool = False
    lane: Any = None
    settings: RoomSettings = USUAL_ROOM
    saved: bool = True
    looked_up: bool = True


class Approvals(Protocol):
    """Who may talk.  Answers come from memory; what it does not know yet it looks up."""

    def device(self, handshake: Handshake, address: str) -> Device | Deferred[Device]:
        """The device of this handshake, registered as pending if nobody knows it."""

    def known_device(self, client: ClientKey) -> Device | None:
        """The device if it is known, without asking anybody and without registering it."""

    def may_register(self) -> bool:
        """Is a device never seen before approved when it introduces itself?"""

    def pin(self, device: Device, uuid: str) -> None:
        """Bind an approved device to the deviceUUID it showed."""

    def proved(self, device: Device) -> None:
        """Note that a device that is not approved has shown a valid signature."""

    def code_of(self, client: ClientKey, room_id: str | None = None) -> str:
        """The short code by which an operator may name a device, or a room, that waits."""

    def room(self, client: ClientKey, room_id: str, name: str) -> Room | Deferred[Room]:
        """The room, registered as pending if nobody knows it."""


class Verifier(Protocol):
    """Checks signatures with the secrets of one bot, newest first; they may change at any time."""

    def verify(self, auth: Auth) -> int | None:
        """The index of the secret that signed this, or None."""


class Keys(Protocol):
    """The secrets of all bots."""

    def verifier_for(self, bot: str) -> Verifier:
        """What checks the signatures of this bot's phones."""

    def is_listed(self, bot: str) -> bool:
        """False for a bot that is not configured where others are: it has the secret of everybody else."""

    def signed(self, client: ClientKey, secret: int) -> Use:
        """Note that a client has begun to sign with another secret, by its index."""


@dataclass(frozen=True, slots=True)
class GateSettings:
    """The gate's numbers: seconds, and counts of remembered ids."""

    required: bool = True
    max_clock_skew: float = 300.0
    reconnect_window: float = 60.0
    ttl: float = 300.0
    per_client: int = 10_000
    total: int = 1_000_000
    twin_window: float = 1.0


class Gate:
    """Decides about packets.  `now` gives seconds since the epoch."""

    def __init__(
        self,
        *,
        approvals: Approvals,
        keys: Keys,
        settings: GateSettings,
        now: Callable[[], float],
    ) -> None:
        self._approvals = approvals
        self._keys = keys
        self._settings = settings
        self._now = now
        self._seen: dict[ClientKey, Seen] = {}
        self._recent = Recent(settings.twin_window, settings.total)
        self._remembered = 0
        self._serials = 0
        self._proof_of: Pass | None = None
        self._proof_at = 0
        self._proof: Auth | None = None

    @property
    def remembered(self) -> int:
        """How many ids and signatures are held in all."""
        return self._remembered

    @property
    def clients(self) -> int:
        """Of how many clients something is held."""
        return len(self._seen)

    def issue(self, device: Device) -> Pass:
        """A pass for a new connection of this device."""
        self._serials += 1
        return Pass(device.client, device, self._keys.verifier_for(device.client.bot), self._serials)

    def admit(self, device: Device, uuid: str, secret: int) -> Pass:
        """A pass for a connection whose lines are sealed, with this secret of its bot, by its index.

        Raises `Refused` when the device was approved with another uuid.
        """
        pass_ = self.issue(device)
        pass_.sealed = pin = pins.sealed(uuid)
        if device.uuid != pin:
            self._pin(device, pin)
        pass_.use = self._keys.signed(device.client, secret)
        pass_.use.at = self._now()
        return pass_

    def vouched(self, auth: Auth) -> bool:
        """Is this the valid signature of a device that is, or may at once be, approved?

        Looks only: nothing is remembered, for the packet is checked again once its handshake is done.
        """
        client = ClientKey(auth.bot, auth.device)
        device = self._approvals.known_device(client)
        approved = self._approvals.may_register() if device is None else device.status is Status.APPROVED
        if not approved or client.device.strip().lower() in NAMELESS:
            return False
        if not self._settings.required:
            return True
        fresh = abs(auth.timestamp / 1000 - self._now()) <= self._settings.max_clock_skew
        return fresh and self._keys.verifier_for(client.bot).verify(auth) is not None

    def check(self, pass_: Pass, auth: Auth | None, *, resendable: bool) -> bool:
        """Let a packet in, or raise `Refused`; the answer says whether it proves who is talking.

        Only a `resendable` packet may show a signature that the client's last connection has shown:
        scripts sign when they queue, and send again what a dead socket swallowed.  Proof is a valid
        signature that this connection was the first to show: one that another connection has shown
        may have been read off the wire.
        """
        if auth is None:
            return self._unsigned(pass_)
        client = pass_.client
        if auth.bot != client.bot or auth.device != client.device:
            claimed = ClientKey(auth.bot, auth.device)
            raise Refused(ErrorCode.WRONG_IDENTITY, f"auth names {claimed}, the handshake {client}")
        settings = self._settings
        if not settings.required:
            return True
        now = self._now()
        skew = auth.timestamp / 1000 - now
        if not -settings.max_clock_skew <= skew <= settings.max_clock_skew:
            raise Refused(
                ErrorCode.STALE,
                f"the phone's clock is {skew:+.0f} s off (allowed: {settings.max_clock_skew:g} s)",
            )
        pinned = pass_.device.uuid == auth.device_uuid
        if self._proof_of is pass_ and self._proof_at == auth.timestamp and self._proof == auth and pinned:
            # Packets signed within a millisecond carry the same auth: it was verified just now.
            return True
        secret = pass_.verifier.verify(auth)
        if secret is None:
            raise self._mismatch(client.bot)
        if not pinned:
            self._pin(pass_.device, auth.device_uuid)
        first = self._first_shown(pass_, auth, secret, resendable, now)
        if first:
            self._proof_of, self._proof_at, self._proof = pass_, auth.timestamp, auth
        return first

    def secrets_changed(self) -> None:
        """A secret may have been taken away: what was verified just now has to be verified again."""
        self._proof_of = self._proof = None

    def identify(self, pass_: Pass, chat: Chat, line: bytes) -> str | None:
        """The message's id, or None if this message was let in before.

        The id is unique within its client: channel and logId, or a digest of the line where the
        phone gave no logId.
        """
        seen = pass_.seen
        if seen is None or seen.forgotten:
            seen = self._adopt(pass_)
        now = self._now()
        name = chat.id or (f"{chat.channel_id}:{chat.log_id}" if chat.log_id else _digest(line))
        ids, settings = seen.ids, self._settings
        at = ids.get(name)
        if at is not None:
            if now - at <= settings.ttl:
                return None
            ids.move_to_end(name)
            ids[name] = now
            return name
        ids[name] = now
        self._remembered += 1
        if now >= seen.trim_at or len(ids) > settings.per_client or self._remembered > settings.total:
            self._trim_ids(seen, now)
        twin = not chat.id and self._recent.is_twin(pass_.client, chat, now)
        return None if twin else name

    def forget(self, pass_: Pass, name: str) -> None:
        """Do not know this message again: nobody can say yet whether it may run."""
        if pass_.seen is not None and pass_.seen.ids.pop(name, None) is not None:
            self._remembered -= 1

    def remember(
        self, client: ClientKey, name: str, at: float, *, serial: int, signature: int, signed_at: int
    ) -> None:
        """Know again a message that an earlier run let in, oldest first; `signature` is 0 without one.

        `at` in seconds since the epoch, `signed_at` in ms.
        """
        settings, now = self._settings, self._now()
        self._serials = max(self._serials, serial)
        seen = self._seen.get(client)
        if seen is None:
            seen = self._seen[client] = Seen()
        if serial > seen.serial:
            seen.previous, seen.serial = seen.serial, serial
        if now - at <= settings.ttl:
            self._remembered += name not in seen.ids
            seen.ids[name] = at
            if len(seen.ids) > settings.per_client or self._remembered > settings.total:
                self._trim_ids(seen, now)
        if signature and now - at <= 2 * settings.max_clock_skew:
            self._remembered += signature not in seen.signatures
            seen.signatures[signature] = (serial, at, signed_at)
            if len(seen.signatures) > settings.per_client or self._remembered > settings.total:
                self._evict_signature(seen)

    def sweep(self) -> int:
        """Forget what can no longer matter; the number of ids and signatures forgotten."""
        before, now = self._remembered, self._now()
        self._recent.turn_over(now)
        oldest_signature = now - 2 * self._settings.max_clock_skew
        for client, seen in list(self._seen.items()):
            self._trim_ids(seen, now)
            self._trim_signatures(seen, oldest_signature)
            if not (seen.ids or seen.signatures or seen.floor > oldest_signature * 1000):
                # A connection may still hold it: its next packet starts anew.
                seen.forgotten = True
                del self._seen[client]
        return before - self._remembered

    # -- signatures

    def _mismatch(self, bot: str) -> Refused:
        if self._keys.is_listed(bot):
            return Refused(
                ErrorCode.BAD_SIGNATURE, "the secret does not match (or a signed field was changed)"
            )
        return Refused(
            ErrorCode.UNKNOWN_BOT,
            f"bot {bot} has no secret of its own here, and the one of everybody else does not match",
        )

    def _unsigned(self, pass_: Pass) -> bool:
        if pass_.sealed is None:
            if self._settings.required:
                raise Refused(ErrorCode.NO_AUTH, "the packet has no auth; update the script or its secret")
        elif pass_.device.uuid != pass_.sealed:
            self._pin(pass_.device, pass_.sealed)  # it was approved while it was on
        return True

    def _pin(self, device: Device, uuid: str) -> None:
        if pins.follows(uuid, device.uuid):
            if device.status is Status.APPROVED:
                self._approvals.pin(device, uuid)
            elif not device.proven:
                self._approvals.proved(device)
        elif pins.is_sealed(device.uuid) and not pins.is_sealed(uuid):
            raise Refused(ErrorCode.OLD_DIALECT, OLD_DIALECT)
        elif device.uuid != uuid:
            raise Refused(
                ErrorCode.WRONG_IDENTITY,
                f"{device.client} was approved with another deviceUUID; approve it anew if that is right",
            )

    def _first_shown(self, pass_: Pass, auth: Auth, secret: int, resendable: bool, now: float) -> bool:
        seen = pass_.seen
        if seen is None or seen.forgotten:
            seen = self._adopt(pass_)
        # Half of a valid signature tells it apart as well, and takes a third of the memory.
        name = pass_.signature = int(auth.signature[:16], 16)
        shown = seen.signatures.get(name)
        if shown is None:
            if auth.timestamp <= seen.floor:
                raise Refused(
                    ErrorCode.STALE, "older than what is remembered of this phone; it sent too much"
                )
            if pass_.serial > seen.serial:
                # Only who shows something new is the client's latest connection: a thief who shows
                # what he has overheard does not come between the phone and what it sends again.
                seen.previous, seen.serial = seen.serial, pass_.serial
            seen.signatures[name] = (pass_.serial, now, auth.timestamp)
            self._remembered += 1
            if pass_.use.secret != secret:
                pass_.use = self._keys.signed(pass_.client, secret)
            pass_.use.at = now
            if len(seen.signatures) > self._settings.per_client or self._remembered > self._settings.total:
                self._trim_signatures(seen, now - 2 * self._settings.max_clock_skew)
                self._evict_signature(seen)
            return True
        serial, at, _ = shown
        if serial == pass_.serial:
            return True
        before = seen.serial if pass_.serial > seen.serial else seen.previous
        resent = serial == before and now - at <= self._settings.reconnect_window
        if resent and resendable:
            return False
        raise Refused(ErrorCode.REPLAY, "this signature was already used on another connection")

    def _evict_signature(self, seen: Seen) -> None:
        over = len(seen.signatures) > self._settings.per_client or self._remembered > self._settings.total
        if over and len(seen.signatures) > 1:
            # What is forgotten early must not be acceptable again: raise the lowest timestamp taken.
            _, (_, _, timestamp) = seen.signatures.popitem(last=False)
            self._remembered -= 1
            seen.floor = max(seen.floor, timestamp)

    def _trim_signatures(self, seen: Seen, before: float) -> None:
        while seen.signatures and next(iter(seen.signatures.values()))[1] < before:
            seen.signatures.popitem(last=False)
            self._remembered -= 1

    def _adopt(self, pass_: Pass) -> Seen:
        seen = self._seen.get(pass_.client)
        if seen is None:
            seen = self._seen[pass_.client] = Seen()
        pass_.seen = seen
        return seen

    # -- message ids

    def _trim_ids(self, seen: Seen, now: float) -> None:
        ids, limit = seen.ids, self._settings.per_client
        oldest = now - self._settings.ttl
        while ids and (
            len(ids) > limit
            or next(iter(ids.values())) < oldest
            or (self._remembered > self._settings.total and len(ids) > 1)
        ):
            ids.popitem(last=False)
            self._remembered -= 1
        seen.trim_at = now + _TRIM_INTERVAL


def _digest(line: bytes) -> str:
    """What names a message without a logId: nothing but itself."""
    return hashlib.blake2b(line, digest_size=16).hexdigest()
