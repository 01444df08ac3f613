"""Which device is which: pinning, devices without a name, and who is vouched for."""

from __future__ import annotations

from relaytw.messages import ClientKey, ErrorCode, Status
from tests.unit.doors import PHONE, Door, DoorCase


class PinningTests(DoorCase):
    def test_first_valid_signature_pins(self) -> None:
        """An approved device is bound to the deviceUUID it first shows; another one is refused."""
        door = Door()
        device = door.device()
        pass_ = door.connect()
        door.check(pass_, door.auth())
        self.assertEqual(device.uuid, "uuid")
        for again in (pass_, door.connect()):
            text = self.assert_refused(ErrorCode.WRONG_IDENTITY, door, again, door.auth(1, uuid="other"))
            self.assertIn("bot@phone", text)
        self.assertEqual(device.uuid, "uuid")

    def test_invalid_signature_does_not_pin(self) -> None:
        """Who cannot sign cannot take a device's place before it has come."""
        door = Door()
        device = door.device()
        pass_ = door.connect()
        self.assert_refused(ErrorCode.BAD_SIGNATURE, door, pass_, door.auth(uuid="other", secret=b"guessed"))
        self.assertIsNone(device.uuid)

    def test_refused_identity_leaves_nothing(self) -> None:
        """A valid signature under another deviceUUID is not remembered: it proved nobody."""
        door = Door()
        door.device().uuid = "uuid"
        self.assert_refused(ErrorCode.WRONG_IDENTITY, door, door.connect(), door.auth(uuid="other"))
        self.assertEqual(door.gate.remembered, 0)

    def test_pending(self) -> None:
        """A pending device may show what it likes; it is pinned by what it shows once approved."""
        door = Door()
        device = door.device(status=None)
        pass_ = door.connect()
        door.check(pass_, door.auth(0, uuid="one"))
        door.check(pass_, door.auth(1, uuid="two"))
        self.assertIsNone(device.uuid)
        door.approvals.set_device(PHONE, Status.APPROVED)
        door.check(pass_, door.auth(2, uuid="three"))
        self.assertEqual(device.uuid, "three")
        self.assert_refused(ErrorCode.WRONG_IDENTITY, door, pass_, door.auth(3, uuid="one"))

    def test_pinned_meanwhile(self) -> None:
        """A burst that began before the device was pinned by another connection is not let in further."""
        door = Door()
        device = door.device(status=None)
        pass_, auth = door.connect(), door.auth(uuid="other")
        door.check(pass_, auth)
        door.approvals.set_device(PHONE, Status.APPROVED)
        door.check(door.connect(), door.auth(1))
        self.assertEqual(device.uuid, "uuid")
        self.assert_refused(ErrorCode.WRONG_IDENTITY, door, pass_, auth)

    def test_approved_anew(self) -> None:
        """As the refusal says, approving the device anew lets it be pinned to another deviceUUID."""
        door = Door()
        device = door.device()
        pass_ = door.connect()
        door.check(pass_, door.auth())
        text = self.assert_refused(ErrorCode.WRONG_IDENTITY, door, pass_, door.auth(1, uuid="new"))
        self.assertIn("approve it anew", text)
        door.approvals.set_device(PHONE, Status.APPROVED)
        self.assertTrue(door.check(pass_, door.auth(2, uuid="new")))
        self.assertEqual(device.uuid, "new")


class VouchedTests(DoorCase):
    def test_approved(self) -> None:
        """A valid signature of an approved device is vouched for, and nothing is remembered of it."""
        door = Door(secrets=(b"new", b"secret"))
        door.device()
        self.assertTrue(door.gate.vouched(door.auth()))
        self.assertEqual((door.gate.remembered, door.gate.clients), (0, 0))
        self.assertTrue(door.check(door.connect(), door.auth(), resendable=False))

    def test_not_vouched(self) -> None:
        """A wrong secret or a clock that is off is not."""
        door = Door()
        door.device()
        self.assertFalse(door.gate.vouched(door.auth(secret=b"guessed")))
        self.assertTrue(door.gate.vouched(door.auth(-300_000)))
        self.assertFalse(door.gate.vouched(door.auth(-300_001)))
        self.assertFalse(door.gate.vouched(door.auth(300_001)))

    def test_status(self) -> None:
        """However well it signs, a device of any other status is not vouched for."""
        door = Door()
        for status in Status:
            client = ClientKey("bot", f"a {status} phone")
            door.device(client, status)
            self.assertIs(door.gate.vouched(door.auth(client=client)), status is Status.APPROVED)

    def test_never_seen(self) -> None:
        """A device never seen is vouched for where it would be approved at once, and not registered."""
        for approve in (False, True):
            door = Door(approve_new=approve)
            self.assertIs(door.gate.vouched(door.auth()), approve)
            self.assertFalse(door.gate.vouched(door.auth(secret=b"guessed")))
            self.assertEqual(door.approvals.devices(), [])

    def test_nameless(self) -> None:
        """A device whose id is no identity is never vouched for, as it can never be approved."""
        for required in (True, False):
            door = Door(approve_new=True, required=required)
            for name in ("", "unknown", "Unknown", "UNKNOWN", "null", "none", "undefined", " unknown ", " "):
                self.assertFalse(door.gate.vouched(door.auth(client=ClientKey("bot", name))), name)

    def test_not_required(self) -> None:
        """Where signatures are not required, being approved is enough."""
        door = Door(required=False)
        door.device()
        self.assertTrue(door.gate.vouched(door.auth(secret=b"guessed")))
        self.assertFalse(door.gate.vouched(door.auth(client=ClientKey("bot", "other"))))
