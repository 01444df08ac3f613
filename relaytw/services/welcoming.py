"""The words of a handshake's end: to the phone, and to the operator whose turn it may be."""

from __future__ import annotations

from shlex import quote

from twisted.logger import Logger

from relaytw import texts
from relaytw.gate import NAMELESS, Approvals, Device
from relaytw.messages import ClientKey, Dialect, Status
from relaytw.protocols import wire
from relaytw.protocols.conversation import Conversation


class Welcome:
    """Answers handshakes in the dialect they came in; texts may have so many characters."""

    def __init__(self, approvals: Approvals, server_version: str, text_chars: int) -> None:
        self._approvals = approvals
        self._server_version = server_version
        self._text_chars = text_chars
        self._log = Logger(namespace="relaytw.session")

    def say(self, conversation: Conversation, device: Device, line_bytes: int) -> None:
        """Let a phone in that may send lines of so many bytes."""
        approved = device.status is Status.APPROVED
        self._answer(conversation, True, approved, self._text(device), line_bytes)

    def refuse(self, conversation: Conversation, text: str) -> None:
        """Turn a phone away, with the reason."""
        self._answer(conversation, False, False, text, 0)

    def say_how_to_approve(self, device: Device) -> None:
        """Tell the operator how this device is approved, or why it never can be."""
        client = device.client
        if _is_nameless(client):
            self._log.warn(
                "{client} has no device id of its own and can never be approved; give its script one",
                client=client,
            )
            return
        if not device.saved:
            self._log.warn(
                "{client} is not approved as far as is known: the database has not answered", client=client
            )
        self._log.warn(
            "{client} waits for approval: relayctl devices approve {code} "
            "(or: relayctl devices approve {bot} {device})",
            client=client, code=self._approvals.code_of(client),
            bot=quote(client.bot), device=quote(client.device),
        )  # fmt: skip

    def _text(self, device: Device) -> str:
        if device.status is Status.APPROVED:
            return texts.HANDSHAKE_APPROVED
        if _is_nameless(device.client):
            return texts.HANDSHAKE_PENDING
        return texts.HANDSHAKE_PENDING_CODE.format(code=self._approvals.code_of(device.client))

    def _answer(
        self, conversation: Conversation, success: bool, approved: bool, text: str, line_bytes: int
    ) -> None:
        version = self._server_version
        if conversation.link.dialect is Dialect.V40:
            answer = wire.encode_welcome(
                success=success, approved=approved, message=text, server_version=version,
                line_bytes=line_bytes, text_chars=self._text_chars,
            )  # fmt: skip
        else:
            answer = wire.encode_handshake_complete(
                success=success, approved=approved, message=text, server_version=version
            )
        conversation.say(answer)


def _is_nameless(client: ClientKey) -> bool:
    return client.device.strip().lower() in NAMELESS
