"""A secret that was retired, and the 4.0 phones that seal with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.defer import execute

from tests.unit.relay.harness import Sections
from tests.unit.relay.sealed import SealedTestCase


class ForgottenSignersTests(SealedTestCase):
    """More clients than the relay remembers the secrets of."""

    sections: ClassVar[Sections] = {"auth": {"secret": None, "signers": 1}}

    def test_closed(self) -> None:
        """Whoever seals with the retired secret is closed, though nobody remembers that it did."""
        keeper: Any = self.relay.operator.secrets
        keeper._in_thread = execute
        file = Path("relay-state/secret")
        old = self.sealed("phone-1", secret=file.read_text("utf-8").strip()).on()
        self.successResultOf(keeper.rotate())
        new = self.sealed("phone-2", secret=file.read_text("utf-8").strip()).on()
        self.successResultOf(keeper.retire(force=True))
        self.assertOpen(new)
        self.assertTrue(old.closed)
