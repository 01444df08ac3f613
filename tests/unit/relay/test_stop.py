"""How a relay stops: running handlers first, then the connections, and nothing stays behind."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from relaytw.messages import CloseReason
from tests.unit.relay.harness import RelayTestCase


class StopTests(RelayTestCase):
    def test_connections(self) -> None:
        """Every connection is closed, in whatever state it is, and told nothing."""
        live, silent, doubted = self.proven(), self.connect("phone-2"), self.connect().hello()
        doubted.heard()
        stopped = self.stop()
        self.assertNoResult(stopped)
        self.advance(0)
        self.successResultOf(stopped)
        for phone in (live, silent, doubted):
            self.assertClosed(phone, CloseReason.SHUTDOWN)
            self.assertTrue(phone.wire.gone)
            self.assertEqual(phone.packets, [])
        self.assertIsNotNone(self.relay.operator.ready())

    def test_in_the_crowd(self) -> None:
        """So is everybody who waits for a slot."""
        self.start({"limits": {"connections": 2}})
        self.proven()
        phones = [self.connect("phone-2"), self.connect("phone-3"), self.connect("phone-4").hello()]
        stopped = self.stop()
        self.advance(0)
        self.successResultOf(stopped)
        for phone in phones:
            self.assertTrue(phone.closed)

    def test_running_handlers(self) -> None:
        """Handlers that run are let finish, and their answers still arrive before the end."""
        phone = self.proven()
        phone.say("# wait")
        stopped = self.stop()
        self.advance(1)
        self.assertNoResult(stopped)
        self.assertOpen(phone)
        self.let_go("last words")
        self.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(phone.texts, ["last words"])
        self.assertClosed(phone, CloseReason.SHUTDOWN)

    def test_handlers_that_hang(self) -> None:
        """They have thirty seconds; then they are cancelled."""
        phone = self.proven()
        phone.say("# wait")
        ((_, waiting),) = self.waiting
        stopped = self.stop()
        self.advance(29.9)
        self.assertNoResult(stopped)
        self.advance(0.1)
        self.advance(0)
        self.successResultOf(stopped)
        self.assertTrue(waiting.called)
        self.assertClosed(phone, CloseReason.SHUTDOWN)

    def test_deaf(self) -> None:
        """A phone that does not take its last words is cut off after five seconds, and waited for."""
        phone = self.proven()
        phone.wire.deaf = True
        phone.say("# echo 1")
        stopped = self.stop()
        self.advance(4.9)
        self.assertFalse(phone.wire.gone)
        self.assertNoResult(stopped)
        self.advance(0.2)
        self.advance(0)
        self.assertTrue(phone.wire.gone)
        self.successResultOf(stopped)

    def test_rest_of_an_answer(self) -> None:
        """Texts of an answer that were waiting for their second are written at once, media are not."""
        phone = self.proven()
        phone.say("# echo --repeat=3 last")
        self.assertEqual(len(phone.texts), 1)
        stopped = self.stop()
        self.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(phone.texts, [f"[{number}/3] 에코: last" for number in (1, 2, 3)])

    def test_idle(self) -> None:
        """A relay nobody has connected to stops at once."""
        self.successResultOf(self.stop())

    def test_late(self) -> None:
        """A socket that was accepted at the very end is closed as well."""
        self.successResultOf(self.stop())
        phone = self.connect()
        self.assertClosed(phone, CloseReason.SHUTDOWN)


class LeftTests(RelayTestCase):
    leftovers = True

    def test_nothing_new(self) -> None:
        """What comes while handlers finish is taken, not started, and not answered."""
        self.start({"limits": {"per_room": 1}})
        phone = self.proven()
        phone.say("# wait 1")
        phone.say("# wait 2")
        stopped = self.stop()
        phone.say("# echo 3")
        self.let_go("one")
        self.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(phone.texts, ["one"])
        self.assertEqual(self.heard_texts(), ["# wait 1"])

    def test_replies_that_wait(self) -> None:
        """Replies for phones that are away leave no timer."""
        phone = self.proven()
        phone.say("# wait")
        phone.vanish()
        self.let_go("late")
        self.assertEqual(self.stages.outbox.waiting, 1)
        self.successResultOf(self.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class CancelTests(RelayTestCase):
    def test_ignores_it(self) -> None:
        """A handler that ignores its cancellation does not keep the relay from stopping."""
        phone = self.proven()
        phone.say("# wait")
        ((_, waiting),) = self.waiting
        waiting.addErrback(lambda failure: failure.trap(CancelledError) and None)
        stopped = self.stop()
        self.advance(30)
        self.advance(0)
        self.successResultOf(stopped)
        self.assertClosed(phone, CloseReason.SHUTDOWN)
