"""`relayctl phone`: a simulated phone on the terminal."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure

from relaytw.cli.signing import approve, phone_options, signing_key
from relaytw.cli.target import Options
from relaytw.messages import Dialect
from relaytw.phone import Identity, SimulatedPhone
from relaytw.phone_v40 import simulated_phone
from relaytw.protocols.wire.phone import ErrorPacket, HandshakeComplete, ReplyPacket

Print = Callable[[str], None]
#: Seconds without a further reply after which everything is taken as answered.
QUIET = 1.5


@click.command()
@click.option("--bot", default="relayctl", show_default=True, help="The bot the phone serves.")
@click.option("--device", default="relayctl", show_default=True, help="The phone's device id.")
@click.option("--room", default="relayctl", show_default=True, help="The room that is talked in.")
@click.option("--channel-id", help="The room's channel id.  [default: none, as in older scripts]")
@click.option("--sender", default="relayctl", show_default=True, help="Who talks.")
@click.option("--user-hash", help="The user hash of who talks, such as an admin's.")
@click.option("--say", "text", help="Say this, print the reply, and leave: 0 when there was one, else 1.")
@click.option(
    "--timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds to wait for a reply.",
)
@phone_options
@click.pass_obj
def phone(options: Options, /, **given: Any) -> None:
    """Be a phone: type a line, see what the bot answers.

    Ctrl-D leaves.  What was typed is said in one room, signed with the relay's own secret.
    """
    bot, device, room = given["bot"], given["device"], given["room"]
    key = signing_key(options, bot, given["secret_file"], unsigned=given["unsigned"])
    if given["approve"]:
        approve(options, bot, device, [given["channel_id"] or room])
    identity = Identity(bot, device, Dialect(given["dialect"]), key.secret, key.salt)
    where = Where(room, given["channel_id"], given["sender"], given["user_hash"])
    from twisted.internet import reactor  # noqa: PLC0415 (importing it installs one, and takes its time)

    talk = Talk(reactor, identity, where, given["timeout"], click.echo, _complain)
    code = run(reactor, talk, given["host"], given["port"], given["text"])
    raise SystemExit(code)


@dataclass(frozen=True, slots=True)
class Where:
    """The room a phone talks in, and as whom."""

    room: str
    channel_id: str | None
    sender: str
    user_hash: str | None


#: Seconds in which a relay should close a connection that has nothing more to say.
FAREWELL = 1.0


@dataclass(slots=True)
class Talk:
    """What a person does with the phone; `done` fires with the exit code, `left` when it has hung up."""

    reactor: Any
    identity: Identity
    where: Where
    timeout: float
    show: Print
    complain: Print
    done: Deferred[int] = field(default_factory=Deferred)
    left: Deferred[None] = field(default_factory=Deferred)
    to_say: list[str] = field(default_factory=list)
    one_shot: bool = False
    leaving: bool = False
    phone: SimulatedPhone | None = None
    unanswered: int = 0
    _patience: IDelayedCall | None = None

    def greeted(self, phone: SimulatedPhone, answer: HandshakeComplete) -> None:
        """The relay has answered the handshake: say what waits to be said."""
        if not answer.success:
            self.complain(f"the relay turns this phone away: {answer.message}")
            self.finish(1)
            return
        if not answer.approved:
            bot, device = quote(self.identity.bot), quote(self.identity.device)
            self.complain(f"this phone is not approved yet: relayctl devices approve {bot} {device}")
        self.phone = phone
        waiting, self.to_say = self.to_say, []
        for line in waiting:
            self.say(line)

    def say(self, text: str) -> None:
        """Say one line, as soon as the relay has answered the handshake."""
        if self.phone is None:
            self.to_say.append(text)
            return
        where = self.where
        self.unanswered += 1
        self.phone.say(
            where.room, text, channel_id=where.channel_id, sender=where.sender, user_hash=where.user_hash
        )

    def replied(self, phone: SimulatedPhone, reply: ReplyPacket) -> None:
        """Print what the phone would type; one that was waiting for it already is not what it waits for."""
        self.unanswered = max(0, self.unanswered - 1)
        for line in (reply.text,) if reply.text is not None else reply.media:
            self.show(line)
        if not phone.is_answer:
            return
        if self.one_shot:
            self.finish(0)
        elif self.leaving and not self.unanswered and self._patience is not None and self._patience.active():
            # An answer of several texts comes a second apart.
            self._patience.cancel()
            self._patience = self.reactor.callLater(QUIET, self.finish, 0)

    def scolded(self, phone: SimulatedPhone, error: ErrorPacket) -> None:  # noqa: ARG002
        """Print what the relay did not like."""
        self.complain(f"the relay says {error.code}: {error.message}")

    def lost(self, phone: SimulatedPhone) -> None:  # noqa: ARG002
        """The connection is closed, by the relay unless we have done."""
        if not self.done.called:
            self.complain("the relay closed the connection (relayctl closes says why)")
            self.finish(1)
        self.leave()

    def leave(self) -> None:
        """Nothing is to be written any more."""
        if not self.left.called:
            self.left.callback(None)

    def end_of_input(self) -> None:
        """There is nothing more to say: wait for answers a while, then leave."""
        self.leaving = True
        if sys.stdin.isatty() or not (self.unanswered or self.to_say):
            self.finish(0)
        else:
            self._patience = self.reactor.callLater(self.timeout, self.impatient)

    def wait_for_one(self) -> None:
        """Leave at the first reply, or without one after the time-out."""
        self.one_shot = True
        self._patience = self.reactor.callLater(self.timeout, self.impatient)

    def impatient(self) -> None:
        """No answer within the time-out."""
        self.complain(
            f"no reply within {self.timeout:g} s.  Is there a command of this name, and is the room "
            "approved?  See: relayctl rooms list, relayctl status"
        )
        self.finish(1)

    def finish(self, code: int) -> None:
        """Hang up and leave with this exit code."""
        if self._patience is not None and self._patience.active():
            self._patience.cancel()
        if not self.done.called:
            self.done.callback(code)


class _Keyboard(LineReceiver):
    """Lines typed at the terminal."""

    delimiter = os.linesep.encode()

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def lineReceived(self, line: bytes) -> None:
        if text := line.decode("utf-8", "replace"):
            self._talk.say(text)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self._talk.end_of_input()


def run(reactor: Any, talk: Talk, host: str, port: int, text: str | None) -> int:
    """Connect, talk, and give the exit code."""
    codes: list[int] = []

    def finished(code: int) -> None:
        codes.append(code)
        if talk.phone is None or talk.left.called:
            reactor.callLater(0, reactor.stop)
            return
        # What was acknowledged last is still to be written; then the connection is closed.
        talk.left.addCallback(lambda _: reactor.stop() if reactor.running else None)
        reactor.callLater(FAREWELL, talk.leave)
        talk.phone.hang_up()

    def unreachable(failure: Failure) -> None:
        talk.complain(
            f"no relay listens at {host}:{port} ({failure.getErrorMessage()}).  "
            "Start one with `twistd -n relay`, or say where it is with --host and --port."
        )
        talk.finish(1)

    def begin() -> None:
        talk.done.addCallback(finished)
        endpoint = HostnameEndpoint(reactor, host, port)
        connected = connectProtocol(endpoint, simulated_phone(talk.identity, talk))
        connected.addCallbacks(lambda _: _begin(talk, text), unreachable)

    reactor.callWhenRunning(begin)
    reactor.run()
    return codes[0] if codes else 1


def _begin(talk: Talk, text: str | None) -> None:
    if text is not None:
        talk.say(text)
        talk.wait_for_one()
        return
    if sys.stdin.isatty():
        where, identity = talk.where, talk.identity
        talk.complain(
            f"You are {where.sender} in room {where.room}, on the phone {identity.device} of bot "
            f"{identity.bot} (dialect {identity.dialect}).  Try: # echo hi  (Ctrl-D leaves)"
        )
    if stat.S_ISREG(os.fstat(0).st_mode):
        # A regular file cannot be watched by epoll, and need not be: it is all there.
        for line in Path("/dev/stdin").read_text(encoding="utf-8", errors="replace").splitlines():
            talk.say(line)
        talk.end_of_input()
        return
    from twisted.internet.stdio import StandardIO  # noqa: PLC0415 (only where somebody types)

    StandardIO(_Keyboard(talk))


def _complain(text: str) -> None:
    click.echo(text, err=True)
