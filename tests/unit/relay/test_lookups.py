"""Approvals that answer later, as those of a database do: what waits for them, and what does not."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.defer import Deferred, fail, succeed

from relaytw import texts
from relaytw.messages import CloseReason, Status
from relaytw.protocols.wire.phone import HandshakeComplete
from tests.unit.books import done
from tests.unit.relay.harness import RelayTestCase, Sections


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


class DatabaseTests(RelayTestCase):
    """A whole relay over a database that is slow, away, or edited by others."""

    sections: ClassVar[Sections] = {"auth": {"approve_new_devices": False, "approve_new_rooms": False}}

    def test_slow(self) -> None:
        """What a phone says while its device and its room are looked up is run once they are found."""
        self.set_device(Status.APPROVED)
        self.set_room(Status.APPROVED)
        self.start(self.sections)
        self.database.hold()
        self.stages.approvals.forget_absent()  # type: ignore[attr-defined]
        phone = self.connect().hello()
        phone.say("one")
        phone.say("two")
        self.assertEqual((phone.packets, self.heard_texts()), ([], []))
        for _ in range(9):
            self.database.let_go(1)
        self.assertEqual((phone.greetings, self.heard_texts()), ([(True, True)], ["one", "two"]))
        self.database.let_go()

    def test_too_slow(self) -> None:
        """A phone that nobody can look up in time is let in as one that waits, until that is known."""
        self.set_device(Status.APPROVED)
        self.set_room(Status.APPROVED)
        self.start(self.sections)
        self.database.hold()
        self.stages.approvals.forget_absent()  # type: ignore[attr-defined]
        phone = self.connect().hello()
        self.advance(3)
        phone.say("too early")
        self.assertEqual((phone.greetings, self.heard_texts()), ([(True, False)], []))
        self.database.let_go()
        phone.say("in time")
        self.assertEqual(self.heard_texts(), ["in time"])

    def test_away(self) -> None:
        """Without the database strangers wait, and phones that are known talk, on new connections too."""
        self.set_device(Status.APPROVED)
        self.set_room(Status.APPROVED)
        phone = self.proven()
        phone.say("before")
        self.database.go_away()
        phone.vanish()
        phone = self.proven()
        phone.say("meanwhile")
        stranger = self.connect("stranger").hello()
        self.assertEqual(stranger.greetings, [(True, False)])
        self.database.come_back()
        self.advance(8)
        self.assertEqual([row.client.device for row in self.devices() if row.saved], ["phone-1", "stranger"])
        self.assertEqual(self.heard_texts(), ["before", "meanwhile"])

    def test_edited(self) -> None:
        """What the back office writes reaches a phone that is on within five seconds."""
        phone = self.proven(answers=True)
        phone.say("unheard")
        for table in ("kb_bot_devices", "kb_rooms"):
            self.database.change(f"UPDATE {table} SET status = 'approved'")
            self.advance(5)
            phone.say(f"after {table}")
        self.assertEqual(self.heard_texts(), ["after kb_rooms"])
        self.database.change("UPDATE kb_bot_devices SET status = 'blocked', rejection_reason = 'lost'")
        self.advance(5)
        self.assertClosed(phone, CloseReason.NOT_APPROVED, "not_approved")
        again = self.connect().hello()
        [answer] = [packet for packet in again.packets if isinstance(packet, HandshakeComplete)]
        self.assertEqual(answer.message, texts.HANDSHAKE_REFUSED_BECAUSE.format(reason="lost"))

    def test_code(self) -> None:
        """A phone that waits is told the code by which it can be approved."""
        phone = self.connect().hello()
        [answer] = [packet for packet in phone.packets if isinstance(packet, HandshakeComplete)]
        [row] = self.devices()
        self.assertEqual(answer.message, texts.HANDSHAKE_PENDING_CODE.format(code=row.code))

    def test_survives(self) -> None:
        """A relay that is started anew knows who was approved, and what each is pinned to."""
        self.set_device(Status.APPROVED)
        self.set_room(Status.APPROVED)
        self.proven().vanish()
        self.start(self.sections)
        phone = self.connect()
        phone.say("without a handshake")
        self.assertEqual(self.heard_texts(), ["without a handshake"])
        [row] = self.devices()
        self.assertEqual(row.device_uuid, "uuid-phone-1")
