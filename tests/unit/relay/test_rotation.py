"""Another secret for phones that are on: valid at once, beside the old one, until that is retired."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from twisted.internet.defer import execute

from relaytw.messages import CloseReason
from relaytw.services.secrets import SecretKeeper
from tests.unit.relay.harness import RelayTestCase, Sections
from tests.unit.relay.phones import Phone


class RotationTests(RelayTestCase):
    #: Without a secret in `[auth]` the relay has made one.
    sections: ClassVar[Sections] = {"auth": {"secret": None}}

    def setUp(self) -> None:
        super().setUp()
        self.use_no_threads()

    def use_no_threads(self) -> None:
        """What waits for the disk is done at once."""
        keeper = self.relay.operator.secrets
        assert isinstance(keeper, SecretKeeper)
        keeper._in_thread = execute
        self.keeper = keeper

    @property
    def secret(self) -> str:
        """What `relayctl secret show` prints."""
        return Path("relay-state/secret").read_text(encoding="utf-8").strip()

    def speaks(self, phone: Phone) -> bool:
        """Is this phone heard?"""
        phone.heard()
        phone.say("# echo 1")
        self.assertEqual(len(phone.texts) + len(phone.errors), 1)
        return bool(phone.texts)

    def test_live(self) -> None:
        """A phone that is on stays on beside one with the new secret, until its own is retired."""
        before = self.secret
        old = self.proven("phone-1", secret=before)
        self.successResultOf(self.keeper.rotate())
        new = self.proven("phone-2", secret=self.secret)
        self.assertTrue(self.speaks(old))
        self.assertTrue(self.speaks(new))
        (common,) = self.keeper.status().sets
        self.assertEqual((common.valid, common.new), (2, 1))
        self.assertEqual([(user.device, user.connected) for user in common.old], [("phone-1", True)])
        self.successResultOf(self.keeper.retire(force=True))
        self.assertClosed(old, CloseReason.OPERATOR)
        self.assertTrue(self.speaks(new))
        again = self.connect("phone-1", secret=before).hello()
        self.assertFalse(self.speaks(again))
        self.assertEqual(again.errors, ["bad_signature"])
        self.assertOpen(again)

    def test_changed_over(self) -> None:
        """A phone that was given the new secret comes back with it, and is no user of the old one."""
        old = self.proven(secret=self.secret)
        self.successResultOf(self.keeper.rotate())
        self.assertTrue(self.speaks(old))
        again = self.proven(secret=self.secret)
        self.assertTrue(old.closed)
        self.assertTrue(self.speaks(again))
        (common,) = self.keeper.status().sets
        self.assertEqual((common.new, common.old), (1, []))
        self.successResultOf(self.keeper.retire(force=False))
        self.assertTrue(self.speaks(again))

    def test_no_last_word(self) -> None:
        """What waits for a phone is not given to one whose secret was retired, nor is anything said later."""
        before = self.secret
        old = self.proven(secret=before)
        old.say("# wait")
        self.successResultOf(self.keeper.rotate())
        old.say("fine")
        self.successResultOf(self.keeper.retire(force=True))
        again = self.connect(secret=before).hello()
        self.let_go("the answer")
        again.pong()
        self.assertEqual((old.texts, again.texts, again.errors), ([], [], ["bad_signature"]))
        new = self.connect(secret=self.secret).hello()
        new.pong()
        self.assertEqual(new.texts, ["the answer"])

    def test_restart(self) -> None:
        """Both secrets are valid after a restart as well."""
        before = self.secret
        self.successResultOf(self.keeper.rotate())
        self.start(self.sections)
        self.use_no_threads()
        for number, secret in enumerate((before, self.secret)):
            self.assertTrue(self.speaks(self.proven(f"phone-{number}", secret=secret)))


class UnknownBotTests(RelayTestCase):
    sections: ClassVar[Sections] = {"auth": {"bots": {"Weather": {"secret": "of Weather"}}}}

    def test_common(self) -> None:
        """A bot that is not listed has the secret of everybody else; with another it is told apart."""
        self.assertTrue(self.proven())
        phone = self.connect("phone-2", secret="of Weather").hello()
        phone.say("# echo 1")
        self.assertEqual(phone.errors, ["unknown_bot"])
