"""What ends a 4.0 phone's way in, and what does not: meddling, secrets that change, slow approvals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.defer import execute

from relaytw.messages import CloseReason
from relaytw.protocols.wire import v40_phone as v40
from tests.unit.relay.harness import Sections
from tests.unit.relay.sealed import SealedTestCase
from tests.unit.relay.test_lookups import SlowTestCase

UNPROVEN = (CloseReason.BROKEN_SEAL, "bad_signature")


class HandshakeTests(SealedTestCase):
    def test_timeout(self) -> None:
        """Hello and proof have the hand-shake time-out between them: a hello alone buys nothing."""
        phone = self.sealed()
        self.advance(9)
        phone.greet()
        self.advance(0.9)
        self.assertOpen(phone)
        self.advance(0.2)
        self.assertClosed(phone, CloseReason.HANDSHAKE_TIMEOUT, "handshake_timeout")

    def test_unsealed(self) -> None:
        """After the challenge everything is sealed: open lines and older dialects end the connection."""
        lines = (
            b'{"v":4,"event":"proof","data":{}}\n',
            b'{"event":"ping","data":{}}\n',
            b"rubbish\n",
        )
        for number, line in enumerate(lines):
            phone = self.sealed(f"phone-{number}").greet()
            phone.send(line)
            self.assertClosed(phone, CloseReason.BROKEN_SEAL, "no_auth")
        phone = self.sealed("phone-9").greet()
        phone.hello()
        self.assertClosed(phone, CloseReason.BROKEN_SEAL, "no_auth")

    def test_something_else(self) -> None:
        """The first sealed line is the proof, and nothing else."""
        phone = self.sealed().greet().unlock()
        phone.tell(phone.chat("a-1", "too early"))
        self.assertClosed(phone, CloseReason.BAD_HANDSHAKE, "bad_handshake")
        self.assertEqual(self.heard_texts(), [])

    def test_again(self) -> None:
        """A second hello or proof, sealed or not, does not begin anything anew."""
        phone = self.sealed().on()
        phone.tell(v40.encode_proof())
        self.assertOpen(phone)
        self.assertEqual((phone.errors, len(phone.greetings)), (["bad_line"], 1))
        phone.heard()
        phone.send(phone.said[0])
        self.assertClosed(phone, CloseReason.BROKEN_SEAL, "no_auth")

    def test_replayed_connection(self) -> None:
        """The bytes of another connection, sent again, are worth nothing: the challenge is another."""
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "say it"))
        thief = self.sealed()
        for data in phone.said:
            thief.send(data)
        self.assertClosed(thief, *UNPROVEN)
        self.assertEqual(self.heard_texts(), ["say it"])
        self.assertOpen(phone)

    def test_reflected(self) -> None:
        """Lines of the relay itself are not taken from a phone."""
        phone = self.sealed().on()
        phone.send(phone.heard_lines[-1] + b"\n")
        self.assertClosed(phone, *UNPROVEN)

    def test_repeated(self) -> None:
        """A line that comes twice ends the connection, and runs once."""
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "once"))
        phone.send(phone.said[-1])
        self.assertClosed(phone, CloseReason.BROKEN_SEAL, "bad_sequence")
        self.assertEqual(self.heard_texts(), ["once"])

    def test_skipped(self) -> None:
        """So does one that is missing."""
        phone = self.sealed().on()
        assert phone.sealer is not None
        phone.sealer.seal(phone.chat("a-1", "lost on the way"))
        phone.tell(phone.chat("a-2", "after it"))
        self.assertClosed(phone, CloseReason.BROKEN_SEAL, "bad_sequence")
        self.assertEqual(self.heard_texts(), [])

    def test_unknown_event(self) -> None:
        """What is sealed and means nothing is ignored."""
        phone = self.sealed().on().tell(b'{"event":"later","data":{}}\n')
        self.assertOpen(phone)
        self.assertEqual((phone.errors, self.stages.metrics.unknown_events), ([], 1))

    def test_take_over(self) -> None:
        """With its proof the connection replaces an older one at once, and never before."""
        old = self.sealed().on()
        new = self.sealed().greet()
        self.assertOpen(old)
        new.prove()
        self.assertClosed(old, CloseReason.REPLACED)
        self.assertIs(self.stages.registry.live(self.key()), new.conversation)
        self.assertEqual(self.stages.registry.provisional, 0)


class PenaltyTests(SealedTestCase):
    sections: ClassVar[Sections] = {"penalty": {"connects_per_minute": 3, "grace": 0.0}}

    def test_too_often(self) -> None:
        """Who comes too often is told so in the clear, before anything is computed for it."""
        self.advance(61)
        for _ in range(3):
            self.sealed().greet().hang_up()
        phone = self.sealed().greet()
        self.assertClosed(phone, CloseReason.PENALTY, "penalty")
        self.assertTrue(phone.heard_lines[0].startswith(b'{"v":4,"event":"error"'))


class RotationTests(SealedTestCase):
    #: Without a secret in `[auth]` the relay has made one.
    sections: ClassVar[Sections] = {"auth": {"secret": None}}

    def setUp(self) -> None:
        super().setUp()
        keeper: Any = self.relay.operator.secrets
        keeper._in_thread = execute
        self.keeper = keeper

    @property
    def secret(self) -> str:
        """The newest one."""
        return Path("relay-state/secret").read_text(encoding="utf-8").strip()

    def test_both(self) -> None:
        """While a secret is being changed either fits, and it is known who uses which."""
        before = self.secret
        self.successResultOf(self.keeper.rotate())
        old = self.sealed("phone-1", secret=before).on()
        new = self.sealed("phone-2", secret=self.secret).on()
        self.assertEqual((old.greetings, new.greetings), ([(True, True)], [(True, True)]))
        (common,) = self.keeper.status().sets
        self.assertEqual((common.valid, common.new), (2, 1))
        self.assertEqual([user.device for user in common.old], ["phone-1"])
        for phone in (old, new):
            phone.tell(phone.chat("a-1", "heard"))
            self.assertEqual(phone.acks, ["a-1"])

    def test_retired(self) -> None:
        """Connections sealed with a secret that is retired are closed, and it lets nobody in again."""
        before = self.secret
        old = self.sealed("phone-1", secret=before).on()
        self.successResultOf(self.keeper.rotate())
        new = self.sealed("phone-2", secret=self.secret).on()
        self.successResultOf(self.keeper.retire(force=True))
        self.assertClosed(old, CloseReason.OPERATOR)
        self.assertOpen(new)
        self.assertClosed(self.sealed("phone-1", secret=before).on(), *UNPROVEN)

    def test_retired_meanwhile(self) -> None:
        """A secret that is retired between challenge and proof lets nobody in."""
        before = self.secret
        self.successResultOf(self.keeper.rotate())
        phone = self.sealed(secret=before).greet()
        self.successResultOf(self.keeper.retire(force=True))
        phone.prove()
        self.assertClosed(phone, *UNPROVEN)
        self.assertEqual(phone.greetings, [])

    def test_rotated_meanwhile(self) -> None:
        """A secret that grows old between challenge and proof is known for an old one."""
        phone = self.sealed(secret=self.secret).greet()
        self.successResultOf(self.keeper.rotate())
        phone.prove()
        self.assertEqual(phone.greetings, [(True, True)])
        self.successResultOf(self.keeper.retire(force=True))
        self.assertClosed(phone, CloseReason.OPERATOR)


class FullTests(SealedTestCase):
    sections: ClassVar[Sections] = {"limits": {"connections": 1}}

    def test_twin(self) -> None:
        """A phone whose old connection holds the last slot gets it by its proof."""
        old = self.sealed().on()
        new = self.sealed().on()
        self.assertClosed(old, CloseReason.REPLACED)
        self.assertEqual(new.greetings, [(True, True)])
        new.tell(new.chat("a-1", "here"))
        self.assertEqual(self.heard_texts(), ["here"])


class SlowApprovalTests(SlowTestCase, SealedTestCase):
    def test_held(self) -> None:
        """What comes while the approvals answer is held, and then worked in its order, seals and all."""
        approvals = self.slow()
        phone = self.sealed().on()
        phone.tell(phone.chat("a-1", "one"), phone.chat("a-2", "two"))
        phone.tell(phone.chat("a-3", "three"))
        self.assertEqual((phone.greetings, self.heard_texts()), ([], []))
        approvals.answer()
        self.assertEqual(phone.greetings, [(True, True)])
        self.assertEqual(self.heard_texts(), ["one", "two", "three"])
        self.assertEqual(phone.acks, ["a-1", "a-2", "a-3"])
