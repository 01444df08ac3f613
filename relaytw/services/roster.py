"""The phones that are on, as messages and operators see them, and what operators do to them."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from relaytw.gate import Device
from relaytw.messages import ClientKey, CloseReason, ErrorCode, PhoneInfo, Status
from relaytw.protocols.conversation import Conversation, Ending
from relaytw.registry import Registry
from relaytw.settings import SettingsOf, line_limit


class Roster:
    """Snapshots of live phones, and the lines they may send: of `line_bytes` unless set otherwise.

    `now` gives seconds since the epoch, `clock` is the sessions' own.
    """

    def __init__(
        self,
        registry: Registry[Conversation],
        clock: IReactorTime,
        now: Callable[[], float],
        settings_of: SettingsOf,
        line_bytes: int,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._now = now
        self._settings_of = settings_of
        self._line_bytes = line_bytes

    def clients(self) -> list[ClientKey]:
        """Every client that is on."""
        return [one.key for one in self._registry.everyone() if one.key is not None]

    def is_on(self, client: ClientKey) -> bool:
        """Has this client a connection, proven or not?"""
        return bool(self._connections(client))

    def status_changed(self, client: ClientKey, status: Status) -> None:
        """A device's status was changed: its live connections follow."""
        for conversation in self._connections(client):
            self.limit_lines(conversation)
            if status.refused:
                reason = conversation.pass_.device.reason
                text = f"the device is {status}: {reason}" if reason else f"the device is {status}"
                conversation.session.end(Ending(CloseReason.NOT_APPROVED, text, ErrorCode.NOT_APPROVED))

    def settings_changed(self, bot: str) -> None:
        """A bot's settings were changed: its live connections follow."""
        for conversation in self._registry.everyone():
            if conversation.key is not None and conversation.key.bot == bot:
                for one in self._connections(conversation.key):
                    self.limit_lines(one)

    def limit_lines(self, conversation: Conversation) -> int:
        """Let an introduced phone send lines as long as its device and its bot may: of so many bytes.

        Anybody may use a phone's name: only an approved one gets more than the usual.
        """
        device: Device = conversation.pass_.device
        trusted = device.status is Status.APPROVED
        settings = self._settings_of(device.client.bot)
        limit = line_limit(device.line_bytes, settings, self._line_bytes, trusted=trusted)
        conversation.link.limit_lines(limit)
        return limit

    def close_forgotten_seals(self) -> None:
        """Close whoever seals with a secret that nobody remembers, or that is not valid any more."""
        for conversation in list(self._registry.everyone()):
            pass_ = conversation.pass_
            if pass_ is not None and pass_.sealed is not None and pass_.use.secret < 0:
                conversation.session.end(Ending(CloseReason.OPERATOR, "its secret was retired"))

    def disconnect(self, client: ClientKey) -> bool:
        """Close a client's connection; False if it is not connected."""
        conversation = self._registry.live(client)
        if conversation is None:
            return False
        conversation.session.end(Ending(CloseReason.OPERATOR, "closed by an operator"))
        return True

    def phone(self, client: ClientKey) -> PhoneInfo | None:
        """A snapshot of this client's phone, None if it is not connected."""
        conversation = self._registry.live(client)
        return self._snapshot(conversation) if conversation is not None else None

    def phones(self) -> list[PhoneInfo]:
        """A snapshot of every live phone."""
        infos = map(self._snapshot, self._registry.everyone())
        return [info for info in infos if info is not None]

    def _connections(self, client: ClientKey) -> list[Conversation]:
        live = self._registry.live(client)
        return [*([live] if live else []), *self._registry.doubted(client)]

    def _snapshot(self, conversation: Conversation) -> PhoneInfo | None:
        handshake = conversation.handshake
        if handshake is None or conversation.pass_ is None:
            return None
        device: Device = conversation.pass_.device
        width, settings = device.image_width, self._settings_of(device.client.bot)
        trusted = device.status is Status.APPROVED
        behind = self._now() - self._clock.seconds()
        return PhoneInfo(
            client=handshake.key,
            dialect=handshake.dialect,
            version=handshake.version,
            address=conversation.peer,
            device_info=handshake.device_info,
            status=device.status,
            connected_at=behind + conversation.connected_at,
            last_heard=behind + (conversation.last_heard or conversation.connected_at),
            round_trip_ms=conversation.round_trip_ms,
            monitoring=conversation.monitoring,
            messages=conversation.messages,
            proven=conversation.proven,
            image_width=settings.image_width if width is None else width,
            line_bytes=line_limit(device.line_bytes, settings, self._line_bytes, trusted=trusted),
        )


def named(conversation: Conversation) -> str:
    """A connection as its operator may recognise it: its address, and what the phone says it is."""
    info = conversation.handshake.device_info if conversation.handshake else ""
    return f"{conversation.peer} ({info})" if info else conversation.peer
