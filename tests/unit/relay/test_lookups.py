"""Approvals that answer later, as those of a database do: what waits for them, and what does not."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from relaytw.messages import CloseReason, Status
from tests.unit.books import done
from tests.unit.relay.harness import RelayTestCase


class SlowApprovals:
    """Knows what the relay's own approvals know, but says it when the test lets it."""

    def __init__(self, real: Any, operator: Any) -> None:
        self._real = real
        self._operator = operator
        self.asked: list[tuple[Deferred[Any], Any]] = []
        self.told: set[Any] = set()
        self.rooms: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def device(self, handshake: Any, address: str) -> Any:
        device = self._real.device(handshake, address)
        if handshake.key in self.told:
            return device
        later: Deferred[Any] = Deferred()
        self.asked.append((later, device))
        return later

    def room(self, client: Any, room_id: str, name: str) -> Any:
        return self.rooms.get(room_id) or self._real.room(client, room_id, name)

    def set_room(self, client: Any, room_id: str, status: Status, *, register: bool = False) -> Any:
        """The room, once the operator has decided about it."""
        done(self._operator.set_room(client, room_id, status, register=register))
        return self._real.room(client, room_id, room_id)

    def answer(self) -> None:
        """Say what was asked."""
        asked, self.asked = self.asked, []
        for later, device in asked:
            self.told.add(device.client)
            later.callback(device)


class SlowTestCase(RelayTestCase):
    def slow(self) -> SlowApprovals:
        """Make the approvals of this relay slow."""
        approvals: Any = SlowApprovals(self.stages.approvals, self.relay.operator)
        object.__setattr__(self.stages, "approvals", approvals)
        acceptance: Any = self.stages.acceptance
        acceptance._approvals = approvals
        return approvals  # type: ignore[no-any-return]


class DeviceTests(SlowTestCase):
    def test_held_and_then_processed(self) -> None:
        """What a phone says while it is looked up is run as soon as the answer is there."""
        approvals = self.slow()
        phone = self.connect().hello()
        phone.say("held")
        self.assertEqual((phone.packets, self.heard_texts()), ([], []))
        approvals.answer()
        self.assertEqual(self.heard_texts(), ["held"])

    def test_no_answer(self) -> None:
        """An answer that does not come closes, and does not claim that the relay is full."""
        self.slow()
        phone = self.connect().hello()
        self.advance(10)
        self.assertClosed(phone, CloseReason.INTERNAL, "internal")

    def test_no_such_luck(self) -> None:
        """A lookup that fails closes too, with its traceback in the log."""
        approvals = self.slow()
        phone = self.connect().hello()
        approvals.asked[0][0].errback(KeyError())
        self.assertClosed(phone, CloseReason.INTERNAL, "internal")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class CrowdedTests(SlowTestCase):
    sections = {"limits": {"connections": 1}}  # noqa: RUF012 (the harness declares it)

    def test_and_then_no_slot(self) -> None:
        """Who is known but finds no slot waits on for one, and gets it."""
        silent = self.connect("silent")
        self.advance(0.5)
        approvals = self.slow()
        phone = self.connect().hello()
        approvals.answer()
        self.assertOpen(phone)
        self.advance(0.6)
        self.assertClosed(silent, CloseReason.DISPLACED)
        self.assertOpen(phone)
        self.assertEqual(len(phone.greetings), 1)


class RoomTests(SlowTestCase):
    def test_answered_at_once(self) -> None:
        """A room whose answer has come by the time it is asked for is judged like any other."""
        phone, approvals = self.proven(), self.slow()
        blocked = approvals.set_room(self.key(), "room", Status.BLOCKED, register=True)
        approvals.rooms["room"] = succeed(blocked)
        phone.say("secret")
        self.assertEqual(self.heard_texts(), [])
        approvals.rooms["room"] = succeed(approvals.set_room(self.key(), "room", Status.APPROVED))
        phone.say("hello")
        self.assertEqual(self.heard_texts(), ["hello"])

    def test_order_is_kept(self) -> None:
        """Messages of a room that is looked up wait in their order; another room's do not wait."""
        phone, approvals = self.proven(), self.slow()
        later: Deferred[Any] = Deferred()
        approvals.rooms["room"] = later
        for text in ("one", "two"):
            phone.say(text)
        phone.say("elsewhere", room="other")
        self.assertEqual(self.heard_texts(), ["elsewhere"])
        later.callback(approvals.set_room(self.key(), "room", Status.APPROVED, register=True))
        self.assertEqual(self.heard_texts(), ["elsewhere", "one", "two"])

    def test_failed(self) -> None:
        """A room that cannot be looked up is not answered; the failure is logged once."""
        phone, approvals = self.proven(), self.slow()
        approvals.rooms["room"] = fail(KeyError())
        phone.say("hello")
        self.assertEqual(self.heard_texts(), [])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
