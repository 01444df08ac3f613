"""What may not enter: signatures that do not fit, devices and rooms that nobody approved."""

from __future__ import annotations

from typing import ClassVar

from relaytw.messages import CloseReason, Status
from relaytw.protocols import wire
from tests.unit.relay.harness import SECRET, RelayTestCase, Sections


class SignatureTests(RelayTestCase):
    def test_missing(self) -> None:
        """Chat without auth is refused, and not processed."""
        phone = self.proven()
        phone.send(phone.line("# echo 1", auth=None))
        self.assertEqual((phone.errors, phone.texts), (["no_auth"], []))

    def test_not_required(self) -> None:
        """Unless signatures are not required."""
        self.start({"auth": {"required": False}})
        phone = self.connect(secret="other").hello()
        phone.send(phone.line("# echo 1", auth=None))
        phone.say("# echo 2")
        self.assertEqual((phone.errors, phone.texts), ([], ["에코: 1", "에코: 2"]))

    def test_wrong(self) -> None:
        """A signature that does not fit what it signs is refused, whatever was changed."""
        phone = self.proven()
        auth = phone.sign()
        for forged in (
            auth._replace(signature="0" * 64),
            auth._replace(signature=""),
            auth._replace(signature=auth.signature.upper()),
            auth._replace(timestamp=auth.timestamp + 1),
            auth._replace(mac="02:00:00:00:00:01"),
            auth._replace(ip="10.0.0.8"),
            auth._replace(client_type="Other"),
        ):
            phone.say("# echo 1", auth=forged)
        self.assertEqual((phone.errors, phone.texts), (["bad_signature"] * 7, []))

    def test_stale(self) -> None:
        """So is one that is over five minutes old, or from a clock that is that far ahead."""
        phone = self.proven()
        for ago in (301, -301):
            phone.say("# echo 1", auth=phone.sign(ago))
        self.assertEqual((phone.errors, phone.texts), (["stale"] * 2, []))
        for ago in (299, -299):
            phone.say("# echo 1", auth=phone.sign(ago))
        self.assertEqual(len(phone.texts), 2)

    def test_other_identity(self) -> None:
        """So is what another bot's script or another device has signed, however validly."""
        phone, other = self.proven(), self.proven("phone-2")
        phone.say("# echo 1", auth=other.sign())
        self.assertEqual((phone.errors, phone.texts), (["wrong_identity"], []))

    def test_other_uuid(self) -> None:
        """An approved device is pinned to the deviceUUID of its first valid signature."""
        phone = self.proven()
        (device,) = self.devices()
        self.assertEqual(device.device_uuid, "uuid-phone-1")
        other = phone.sign()._replace(device_uuid="uuid-other")
        phone.say("# echo 1", auth=other._replace(signature=wire.sign(SECRET.encode(), "", other)))
        self.assertEqual((phone.errors, phone.texts), (["wrong_identity"], []))

    def test_replayed(self) -> None:
        """A pong that was read off the wire is of no use on another connection, nor chat after a minute."""
        phone = self.proven(answers=True)
        auth = phone.sign()
        line = phone.say("# echo 1", auth=auth)
        thief = self.connect(secret="other").hello()
        thief.pong(auth=auth)
        self.assertEqual(thief.errors, ["replay"])
        thief.send(line)
        self.advance(29)
        self.assertOpen(phone)
        self.advance(32)
        thief = self.connect(secret="other").hello()
        thief.send(line)
        self.assertEqual(thief.errors, ["replay"])
        self.assertOpen(phone)
        self.assertEqual((phone.texts, thief.texts), (["에코: 1"], []))

    def test_replayed_here(self) -> None:
        """The same message again on the same connection is a duplicate: not run, and no mistake."""
        phone = self.proven()
        line = phone.say("# echo 1")
        phone.send(line)
        self.assertEqual((phone.errors, phone.texts), ([], ["에코: 1"]))

    def test_signed_together(self) -> None:
        """Several packets may carry one signature: they were signed within one millisecond."""
        phone = self.proven()
        auth = phone.sign()
        for number in range(3):
            phone.say(f"# echo {number}", auth=auth)
        self.assertEqual((phone.errors, len(phone.texts)), ([], 3))


class OtherSecretTests(RelayTestCase):
    def test_stays(self) -> None:
        """A phone with another secret stays connected, and is told so with each packet."""
        phone = self.connect(secret="other").hello()
        for number in range(19):
            phone.say(f"# echo {number}")
        self.assertOpen(phone)
        self.assertEqual((phone.errors, phone.texts), (["bad_signature"] * 19, []))
        self.assertEqual(self.stages.metrics.errors["bad_signature"], 19)
        (info,) = self.relay.operator.phones()
        self.assertFalse(info.proven)

    def test_twenty(self) -> None:
        """Twenty bad packets in a row close it."""
        phone = self.connect(secret="other").hello()
        for number in range(25):
            phone.say(f"# echo {number}")
        self.assertClosed(phone, CloseReason.BAD_SIGNATURE, *["bad_signature"] * 20)

    def test_twenty_bad_lines(self) -> None:
        """So do twenty lines that are no packets."""
        phone = self.proven()
        phone.send(b"nonsense\n" * 25)
        self.assertClosed(phone, CloseReason.BAD_LINES, *["bad_line"] * 20)

    def test_a_good_one_between(self) -> None:
        """One good packet makes up for the bad ones before it."""
        phone = self.proven()
        for speak in (phone.pong, lambda: phone.say("fine"), phone.pong):
            phone.send(b"nonsense\n" * 19)
            speak()
        self.assertOpen(phone)
        self.assertEqual(len(phone.errors), 57)


class ApprovalTests(RelayTestCase):
    sections: ClassVar[Sections] = {"auth": {"approve_new_devices": False}}

    def test_pending(self) -> None:
        """An unknown device is pending: it is told so, it is pinged, and gets no replies."""
        phone = self.connect(answers=True).hello()
        self.assertEqual(phone.greetings, [(True, False)])
        phone.say("# echo 1")
        self.advance(100)
        self.assertOpen(phone)
        self.assertGreaterEqual(phone.pings, 3)
        self.assertEqual((phone.texts, self.stages.metrics.restricted), ([], 1))

    def test_approved_meanwhile(self) -> None:
        """Approving it takes effect on the connection that is there; what it said before stays unsaid."""
        phone = self.connect().hello()
        phone.say("# echo before")
        self.set_device(Status.APPROVED)
        phone.say("# echo after")
        self.assertEqual(phone.texts, ["에코: after"])
        (info,) = self.relay.operator.phones()
        self.assertIs(info.status, Status.APPROVED)

    def test_pending_again(self) -> None:
        """Taking the approval back does so too."""
        self.set_device(Status.APPROVED)
        phone = self.proven()
        self.set_device(Status.PENDING)
        phone.say("# echo 1")
        self.assertOpen(phone)
        self.assertEqual(phone.texts, [])

    def test_refused(self) -> None:
        """A device that was denied, revoked or blocked is told so in its answer, and closed."""
        for number, status in enumerate((Status.DENIED, Status.REVOKED, Status.BLOCKED), start=1):
            self.set_device(status)
            phone = self.connect().hello()
            self.assertEqual((phone.greetings, phone.errors), ([(False, False)], []))
            self.assertClosed(phone, CloseReason.NOT_APPROVED)
            self.assertEqual(self.stages.metrics.closes["not_approved"], number)

    def test_refused_meanwhile(self) -> None:
        """One that is connected is told and closed at once, and so is a newcomer in its name."""
        self.set_device(Status.APPROVED)
        phone, newcomer = self.proven(), self.connect().hello()
        self.set_device(Status.BLOCKED)
        for one in (phone, newcomer):
            self.assertClosed(one, CloseReason.NOT_APPROVED, "not_approved")

    def test_nameless(self) -> None:
        """A device that calls itself nothing is never approved."""
        self.start({"auth": {"approve_new_devices": True}})
        for device in ("", "unknown", "null"):
            phone = self.connect(device).hello()
            phone.say("# echo 1")
            self.assertEqual((phone.greetings, phone.texts), ([(True, False)], []))

    def test_pinned_anew(self) -> None:
        """A device that is approved anew may come with another deviceUUID."""
        self.set_device(Status.APPROVED)
        phone = self.proven()
        for status in (Status.PENDING, Status.APPROVED):
            self.set_device(status)
        other = phone.sign()._replace(device_uuid="uuid-other")
        phone.say("# echo 1", auth=other._replace(signature=wire.sign(SECRET.encode(), "", other)))
        self.assertEqual((phone.errors, phone.texts), ([], ["에코: 1"]))


class RoomTests(RelayTestCase):
    sections: ClassVar[Sections] = {"auth": {"approve_new_rooms": False}}

    def test_pending(self) -> None:
        """A room nobody approved is not answered; once it is approved it is, on the connection there is."""
        phone = self.proven()
        phone.say("# echo 1")
        (room,) = self.rooms()
        self.assertEqual((room.room_id, room.status, phone.texts), ("room", Status.PENDING, []))
        self.set_room(Status.APPROVED)
        phone.say("# echo 2")
        phone.say("# echo 3", room="other")
        self.assertEqual(phone.texts, ["에코: 2"])

    def test_blocked(self) -> None:
        """A room that is blocked is not answered any more."""
        phone = self.proven()
        for status in (Status.APPROVED, Status.BLOCKED):
            self.set_room(status)
            phone.say(f"# echo {status}")
        self.assertEqual(phone.texts, ["에코: approved"])
        self.assertEqual(self.stages.metrics.room_refused, 1)
