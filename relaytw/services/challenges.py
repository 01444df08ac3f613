"""Has 4.0 phones prove that they know their bot's secret, before anything else is believed of them.

The answer to `hello` is a challenge; the seal of the next line shows who knows the secret, and from then on
both ends seal what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from relaytw.messages import CloseReason, ErrorCode, Hello
from relaytw.metrics import Metrics
from relaytw.protocols import wire
from relaytw.protocols.conversation import Conversation, Ending


class _Candidates:
    """The keys that a connection may turn out to have, one pair for each secret that is valid."""

    __slots__ = ("keys", "opener", "secrets")

    def __init__(
        self, secrets: Sequence[bytes], hello: Hello, hello_line: bytes, nonce: bytes, said: bytes
    ) -> None:
        self.secrets = secrets
        self.keys = [wire.derive(secret, hello.nonce, nonce, hello_line, said) for secret in secrets]
        self.opener = wire.Opener([keys.phone for keys in self.keys])


class Challenges:
    """`secrets_of` gives a bot's valid secrets, newest first, `random_bytes` what nobody can guess."""

    def __init__(
        self,
        secrets_of: Callable[[str], Sequence[bytes]],
        random_bytes: Callable[[int], bytes],
        server_version: str,
        metrics: Metrics,
        now: Callable[[], float],
    ) -> None:
        self._secrets_of = secrets_of
        self._random_bytes = random_bytes
        self._server_version = server_version
        self._metrics = metrics
        self._now = now

    def put(self, conversation: Conversation, hello: Hello, line: bytes) -> None:
        """Challenge a phone whose `hello` came as this line; ends the conversation if we have no language."""
        if not set(wire.VERSIONS) & set(hello.versions):
            self._have_no_language(conversation)
            return
        conversation.hello = hello
        nonce = self._random_bytes(wire.NONCE_BYTES)
        said = wire.leave_open(wire.encode_challenge(nonce, self._server_version))
        secrets = self._secrets_of(hello.handshake.bot)
        conversation.opener = _Candidates(secrets, hello, line, nonce, said.removesuffix(b"\n"))
        conversation.link.check_seal = conversation.opener.opener.check
        conversation.link.say(said)

    def met(self, conversation: Conversation) -> None:
        """The phone has proven itself: seal what it is told from now on."""
        candidates: _Candidates = conversation.opener
        chosen = candidates.opener.chosen or 0
        conversation.wrap = wire.Sealer(candidates.keys[chosen].relay).seal
        candidates.keys.clear()

    def secret_of(self, conversation: Conversation, bot: str) -> int | None:
        """The index of the secret that the phone has proven to know; None if it was retired meanwhile."""
        candidates: _Candidates = conversation.opener
        shown, valid = candidates.secrets[candidates.opener.chosen or 0], self._secrets_of(bot)
        return valid.index(shown) if shown in valid else None

    def _have_no_language(self, conversation: Conversation) -> None:
        versions = ", ".join(map(str, wire.VERSIONS))
        why = f"this relay speaks version {versions}; update whichever of the two is older"
        self._metrics.errors[ErrorCode.UNSUPPORTED_VERSION] += 1
        conversation.say(wire.encode_unsupported(why, int(self._now() * 1000)))
        conversation.session.end(Ending(CloseReason.UNSUPPORTED_VERSION, why))
