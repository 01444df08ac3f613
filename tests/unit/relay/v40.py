"""A whole relay with phones of dialect 4.0."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from relaytw.messages import Dialect
from relaytw.phone import Identity
from tests.unit.relay.harness import BOT, SECRET
from tests.unit.relay.journals import JournalTestCase
from tests.unit.relay.sealed import Sealed


class V40TestCase(JournalTestCase):
    def arrive(self, device: str = "phone-1", secret: str = SECRET, host: str = "10.0.0.7") -> Sealed:
        """A connection of a 4.0 phone over which nothing was said yet."""
        identity = Identity(BOT, device, Dialect.V40, secret.encode())
        phone = Sealed(self.world, self.relay.factory.buildProtocol(None), identity, host)
        self.phones.append(phone)
        return phone

    def on(self, device: str = "phone-1", resume: str | None = None) -> Sealed:
        """A 4.0 phone that has been let in."""
        phone = self.arrive(device).greet(resume=resume).prove()
        self.assertEqual(phone.greetings, [(True, True)])
        phone.heard()
        return phone

    def hold_syncs(self) -> list[Deferred[object]]:
        """Have the disk take its time from now on: what it is asked for, to be fired."""
        held: list[Deferred[object]] = []

        def in_thread(work: object) -> Deferred[object]:
            del work
            waiting: Deferred[object] = Deferred()
            held.append(waiting)
            return waiting

        self.journal._syncs._in_thread = in_thread
        return held
