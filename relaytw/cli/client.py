"""Asks a relay's admin API over HTTP and says clearly why there is no answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click
import msgspec

from relaytw.admin.journal import DeadLetter, DeadLetterId, Journal
from relaytw.admin.modules import ModuleLoaded, ReloadModule
from relaytw.admin.outbox import Dropped, DropReplies, Held, HeldReply, SendText, Sent, Trace
from relaytw.admin.secrets import RetireSecret, SecretRetired, SecretRotated, SecretsStatus
from relaytw.admin.shapes import (
    MOST_ON_A_PAGE,
    Act,
    Bot,
    BotChange,
    Client,
    Close,
    Device,
    DeviceStatus,
    ErrorBody,
    Forgotten,
    Listing,
    Penalty,
    Person,
    Phone,
    RelayStatus,
    Room,
    RoomChange,
    RoomStatus,
)
from relaytw.admin.state import Cleared, Remembered, StateFilter
from relaytw.cli.target import Connect, Options, Target, find_target
from relaytw.messages import Status

__all__ = ["AdminClient", "AdminError", "Options", "Target", "admin_client", "find_target", "open_connection"]

#: Seconds to wait for the relay.
TIMEOUT = 10.0
#: Where the relay is told who is at the keyboard.
_ACTOR_HEADER = "X-Relaytw-Actor"

Shape = TypeVar("Shape")


class AdminError(click.ClickException):
    """The relay could not be asked, or refused; `code` is the API's name for it, if it has one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class Unreached(AdminError):
    """No relay answers."""


def open_connection(url: str) -> HTTPConnection:
    """A connection, not yet made, to `http://`, `https://` or `unix:PATH`.  Raises ValueError."""
    if url.startswith("unix:"):
        return _UnixConnection(url.removeprefix("unix:"))
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must look like http://127.0.0.1:8490 or unix:PATH")
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname, parts.port, timeout=TIMEOUT)


def admin_client(options: Options) -> AdminClient:
    """The client of the relay these options mean."""
    outside = options.outside
    return AdminClient(find_target(options), outside.connect or open_connection, outside.user())


class AdminClient:
    """The admin API of one relay, each question on a connection of its own; `user` is who asks."""

    def __init__(self, target: Target, connect: Connect = open_connection, user: str = "") -> None:
        self._target = target
        self._connect = connect
        self._user = user

    def status(self) -> RelayStatus:
        """The relay in one glance."""
        return self._get("/api/v1/status", RelayStatus)

    def phones(self) -> list[Phone]:
        """Every connected phone."""
        return self._get("/api/v1/phones", Listing[Phone]).items

    def disconnect(self, bot: str, device: str) -> None:
        """Close a phone's connection."""
        self._post("/api/v1/phones/disconnect", Client(bot, device))

    def devices(self, status: str | None = None, code: str | None = None) -> Iterator[list[Device]]:
        """The known devices, page by page."""
        return self._pages("/api/v1/devices", Listing[Device], {"status": status, "code": code})

    def set_device(
        self, bot: str, device: str, status: Status, *, register: bool = False, reason: str | None = None
    ) -> None:
        """Change a device's status; with `register` of one that was never seen, too."""
        self._post("/api/v1/devices/status", DeviceStatus(bot, device, status, register, reason))

    def rooms(self, status: str | None = None, code: str | None = None) -> Iterator[list[Room]]:
        """The known rooms, page by page."""
        return self._pages("/api/v1/rooms", Listing[Room], {"status": status, "code": code})

    def set_room(
        self,
        bot: str,
        device: str,
        room_id: str,
        status: Status,
        *,
        register: bool = False,
        reason: str | None = None,
    ) -> None:
        """Change a room's status; with `register` of one that was never heard of, too."""
        self._post("/api/v1/rooms/status", RoomStatus(bot, device, room_id, status, register, reason))

    def set_room_settings(self, change: RoomChange) -> None:
        """Change some of a room's settings."""
        self._post("/api/v1/rooms/settings", change)

    def audit(self) -> Iterator[list[Act]]:
        """What operators did, newest first, page by page."""
        return self._pages("/api/v1/audit", Listing[Act], {})

    def bots(self) -> list[Bot]:
        """Every bot that has settings of its own."""
        return self._get("/api/v1/bots", Listing[Bot]).items

    def set_bot(self, change: BotChange) -> None:
        """Change some of a bot's settings."""
        self._post("/api/v1/bots/settings", change)

    def closes(self) -> list[Close]:
        """The last connections that ended or were refused, newest last."""
        return self._get("/api/v1/closes", Listing[Close]).items

    def penalties(self) -> list[Penalty]:
        """Who is in the penalty box."""
        return self._get("/api/v1/penalties", Listing[Penalty]).items

    def lift_penalty(self, bot: str, device: str) -> None:
        """Let a client out of the penalty box."""
        self._post("/api/v1/penalties/lift", Client(bot, device))

    def journal(self) -> Journal:
        """The journal: its files, and what in them is not finished."""
        return self._get("/api/v1/journal", Journal)

    def dead_letters(self) -> list[DeadLetter]:
        """The messages that were given up, newest first."""
        return self._get("/api/v1/dead-letters", Listing[DeadLetter]).items

    def requeue(self, number: int) -> None:
        """Accept a message again that was given up."""
        self._post("/api/v1/dead-letters/requeue", DeadLetterId(number))

    def drop_dead_letter(self, number: int) -> None:
        """Forget a message that was given up."""
        self._post("/api/v1/dead-letters/drop", DeadLetterId(number))

    def modules(self) -> list[ModuleLoaded]:
        """Every module with bots."""
        return self._get("/api/v1/bots/modules", Listing[ModuleLoaded]).items

    def reload_modules(self, module: str | None) -> list[ModuleLoaded]:
        """Load one module anew, or all; what came of it."""
        answer = self._post("/api/v1/bots/reload", ReloadModule(module))
        return self._read(answer, Listing[ModuleLoaded]).items

    def state(self, which: StateFilter) -> list[Remembered]:
        """Whose conversations are remembered."""
        query = urlencode(msgspec.to_builtins(which), quote_via=quote)
        return self._get("/api/v1/state" + (f"?{query}" if query else ""), Listing[Remembered]).items

    def state_values(self, which: StateFilter) -> list[Remembered]:
        """The same with what is remembered."""
        return self._read(self._post("/api/v1/state/values", which), Listing[Remembered]).items

    def clear_state(self, which: StateFilter) -> int:
        """Forget conversations; how many."""
        return self._read(self._post("/api/v1/state/clear", which), Cleared).conversations

    def outbox(self) -> list[Held]:
        """For whom replies wait, and how many."""
        return self._get("/api/v1/outbox", Listing[Held]).items

    def held_for(self, bot: str, device: str) -> list[HeldReply]:
        """What waits for one phone, or for its acknowledgement."""
        query = urlencode({"bot": bot, "device": device}, quote_via=quote)
        return self._get(f"/api/v1/outbox/replies?{query}", Listing[HeldReply]).items

    def drop_replies(self, wanted: DropReplies) -> int:
        """Drop replies; how many."""
        return self._read(self._post("/api/v1/outbox/drop", wanted), Dropped).replies

    def trace(self, name: str) -> Trace:
        """What is known of a message and its replies."""
        return self._get(f"/api/v1/trace?{urlencode({'id': name}, quote_via=quote)}", Trace)

    def send(self, wanted: SendText) -> Sent:
        """Send a text, and say what has become of it."""
        return self._read(self._post("/api/v1/send", wanted, wanted.wait), Sent)

    def forget(self, user_hash: str) -> Forgotten:
        """Delete some of what a person said and was answered; to be asked again while there is more."""
        return self._read(self._post("/api/v1/forget", Person(user_hash)), Forgotten)

    def secrets(self) -> SecretsStatus:
        """How many secrets are valid for whom, and who signs with which."""
        return self._get("/api/v1/secrets", SecretsStatus)

    def rotate_secret(self) -> SecretRotated:
        """Have a new secret made; the old one stays valid."""
        return self._read(self._ask("POST", "/api/v1/secrets/rotate", None), SecretRotated)

    def retire_secret(self, *, force: bool) -> SecretRetired:
        """End the old secret; without `force` only if nobody is known to sign with it."""
        return self._read(self._post("/api/v1/secrets/retire", RetireSecret(force)), SecretRetired)

    def fetch(self, path: str, shape: type[Shape]) -> Shape:
        """What is answered at a path."""
        return self._get(path, shape)

    def post(self, path: str, body: msgspec.Struct, shape: type[Shape]) -> Shape:
        """What is answered to a body."""
        return self._read(self._post(path, body), shape)

    def _pages(
        self, path: str, shape: type[Listing[Shape]], query: dict[str, str | None]
    ) -> Iterator[list[Shape]]:
        asked = {name: value for name, value in query.items() if value is not None}
        asked["limit"] = str(MOST_ON_A_PAGE)
        while True:
            listing = self._get(f"{path}?{urlencode(asked, quote_via=quote)}", shape)
            yield listing.items
            if listing.next is None:
                return
            asked["after"] = listing.next

    def _get(self, path: str, shape: type[Shape]) -> Shape:
        return self._read(self._ask("GET", path, None), shape)

    def _read(self, data: bytes, shape: type[Shape]) -> Shape:
        try:
            return msgspec.json.decode(data, type=shape)
        except msgspec.DecodeError as error:
            raise AdminError(
                f"{self._target.admin_url} gave an answer this relayctl does not understand ({error}); "
                "is it a relay, and of the same version?"
            ) from error

    def _post(self, path: str, body: msgspec.Struct, patience: float = 0.0) -> bytes:
        try:
            data = msgspec.json.encode(body)
        except UnicodeEncodeError as error:
            raise AdminError("the names given are not valid text") from error
        return self._ask("POST", path, data, patience)

    def _ask(self, method: str, path: str, body: bytes | None, patience: float = 0.0) -> bytes:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if self._target.token is not None:
            headers["Authorization"] = f"Bearer {self._target.token}"
        if self._user:
            headers[_ACTOR_HEADER] = quote(self._user, safe="")
        try:
            connection = self._connect(self._target.admin_url)
            connection.timeout = TIMEOUT + patience
            try:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                status, data = response.status, response.read()
            finally:
                connection.close()
        except (OSError, HTTPException) as error:
            raise Unreached(self._unreachable(error)) from error
        except ValueError as error:
            raise AdminError(f"{self._target.admin_url} cannot be asked: {error}") from error
        if status not in (200, 202):
            raise self._refused(status, data)
        return data

    def _unreachable(self, error: Exception) -> str:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
        return (
            f"no relay answers at {self._target.admin_url} ({reason})\n"
            "Start one with `twistd -n relay`, or say where it is with --config, --state-dir or --url."
        )

    def _refused(self, status: int, data: bytes) -> AdminError:
        if status == 401:  # noqa: PLR2004 (HTTP's word for a missing or wrong token)
            return AdminError(self._no_token(), "unauthorized")
        try:
            detail = msgspec.json.decode(data, type=ErrorBody).error
        except msgspec.DecodeError:
            return AdminError(f"{self._target.admin_url} answered with HTTP status {status}; is it a relay?")
        return AdminError(detail.message, detail.code)

    def _no_token(self) -> str:
        where = self._target.token_file or self._target.state_dir / "admin-token"
        have = "has no token (or may not be read)" if self._target.token is None else "holds another token"
        return (
            f"{self._target.admin_url} wants the relay's admin token, and {where} {have}\n"
            "Point to the relay's own with --config, --state-dir or --token-file."
        )


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock: Any = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
