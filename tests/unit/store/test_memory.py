"""Approvals in memory: who is registered, who can be approved, and how many may wait."""

from __future__ import annotations

from relaytw.store.memory import MemoryApprovals, approvable
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Dialect, Handshake, Status

PHONE = ClientKey("bot", "phone")
NAMELESS = ("", " ", "unknown", "Unknown", " UNKNOWN ", "null", "None", "undefined")


def handshake(client: ClientKey = PHONE, version: str = "3.3.0") -> Handshake:
    return Handshake(Dialect.V33, client.bot, client.device, version)


class ApprovalsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.approvals = self.make()

    def make(
        self, *, new_devices: bool = False, new_rooms: bool = False, pending_rows: int = 1000
    ) -> MemoryApprovals:
        return MemoryApprovals(
            approve_new_devices=new_devices,
            approve_new_rooms=new_rooms,
            now=self.clock.seconds,
            pending_rows=pending_rows,
        )


class DeviceTests(ApprovalsCase):
    def test_unknown_is_pending(self) -> None:
        """A device nobody knows is registered as pending, not pinned, with the time it came."""
        self.clock.advance(5)
        device = self.approvals.device(handshake(), "10.0.0.2:1")
        self.assertEqual((device.client, device.status, device.uuid), (PHONE, Status.PENDING, None))
        self.assertEqual((device.address, device.version, device.created_at), ("10.0.0.2:1", "3.3.0", 5.0))
        self.assertEqual(self.approvals.devices(), [device])

    def test_known(self) -> None:
        """A device that comes again is the same one, at its new address, with its status."""
        device = self.approvals.device(handshake(), "10.0.0.2:1")
        self.approvals.set_device(PHONE, Status.DENIED)
        again = self.approvals.device(handshake(version="3.3.1"), "10.0.0.3:1")
        self.assertIs(again, device)
        self.assertEqual((device.address, device.version), ("10.0.0.3:1", "3.3.1"))
        self.assertIs(device.status, Status.DENIED)

    def test_known_device_registers_nobody(self) -> None:
        """Asking for a device does not make it known."""
        self.assertIsNone(self.approvals.known_device(PHONE))
        self.assertEqual(self.approvals.devices(), [])
        device = self.approvals.device(handshake(), "10.0.0.2:1")
        self.assertIs(self.approvals.known_device(PHONE), device)

    def test_approve_new(self) -> None:
        """Where new devices are approved one never seen is; one that already waits stays pending."""
        self.assertFalse(self.approvals.may_register())
        approvals = self.make(new_devices=True)
        self.assertTrue(approvals.may_register())
        self.assertIs(approvals.device(handshake(), "a").status, Status.APPROVED)
        approvals.set_device(PHONE, Status.PENDING)
        self.assertIs(approvals.device(handshake(), "a").status, Status.PENDING)

    def test_nameless(self) -> None:
        """A device that calls itself nothing is never approved: not at once, and by nobody."""
        approvals = self.make(new_devices=True)
        for name in NAMELESS:
            client = ClientKey("bot", name)
            self.assertFalse(approvable(client))
            self.assertIs(approvals.device(handshake(client), "a").status, Status.PENDING, name)
            self.assertRaises(ValueError, approvals.set_device, client, Status.APPROVED, register=True)
            device = approvals.set_device(client, Status.BLOCKED)
            assert device is not None
            self.assertIs(device.status, Status.BLOCKED)
        self.assertTrue(approvable(ClientKey("bot", "unknown phone")))

    def test_change_is_shared(self) -> None:
        """Who holds the device sees its new status at once."""
        device = self.approvals.device(handshake(), "a")
        self.clock.advance(7)
        self.assertIs(self.approvals.set_device(PHONE, Status.APPROVED), device)
        self.assertEqual((device.status, device.updated_at), (Status.APPROVED, 7.0))

    def test_change_of_an_unknown_device(self) -> None:
        """A device nobody knows is changed only if it shall be registered."""
        self.assertIsNone(self.approvals.set_device(PHONE, Status.APPROVED))
        self.assertEqual(self.approvals.devices(), [])
        device = self.approvals.set_device(PHONE, Status.APPROVED, register=True)
        assert device is not None
        self.assertIs(device.status, Status.APPROVED)
        self.assertIs(self.approvals.device(handshake(), "a"), device)

    def test_pin(self) -> None:
        """A pin is kept while nobody decides anew, and let go when somebody does."""
        for status in Status:
            device = self.approvals.set_device(PHONE, Status.APPROVED, register=True)
            assert device is not None
            self.approvals.pin(device, "uuid")
            self.approvals.device(handshake(), "elsewhere")
            self.assertEqual(device.uuid, "uuid")
            self.approvals.set_device(PHONE, status)
            self.assertIsNone(device.uuid, status)

    def test_pending_are_bounded(self) -> None:
        """Unsigned handshakes cannot fill the table: of those never approved the oldest goes."""
        approvals = self.make(pending_rows=3)
        approvals.set_device(PHONE, Status.APPROVED, register=True)
        approvals.set_device(ClientKey("bot", "denied"), Status.DENIED, register=True)
        for number in range(10):
            approvals.device(handshake(ClientKey("bot", str(number))), "a")
            if number == 0:
                approvals.set_device(ClientKey("bot", "0"), Status.APPROVED)
        names = [device.client.device for device in approvals.devices()]
        self.assertEqual(names, ["phone", "denied", "0", "7", "8", "9"])

    def test_approved_unseen_are_bounded_too(self) -> None:
        """Unsigned handshakes cannot fill the memory where new devices are approved; a proof is kept."""
        approvals = self.make(new_devices=True, pending_rows=3)
        devices = [approvals.device(handshake(ClientKey("bot", str(n))), "") for n in range(2)]
        approvals.pin(devices[0], "uuid")
        devices += [approvals.device(handshake(ClientKey("bot", str(n))), "") for n in range(2, 9)]
        self.assertEqual([device.client.device for device in approvals.devices()], ["0", "6", "7", "8"])
        approvals.pin(devices[1], "uuid")
        self.assertIs(approvals.known_device(devices[1].client), devices[1])

    def test_registering_decided_devices_drops_nobody(self) -> None:
        """A device registered with a decision takes no place among those that wait for one."""
        approvals = self.make(pending_rows=1)
        waiting = approvals.device(handshake(ClientKey("bot", "waiting")), "a")
        approvals.set_device(PHONE, Status.APPROVED, register=True)
        approvals.set_room(PHONE, "1", Status.PENDING, register=True)
        approvals.set_room(PHONE, "2", Status.APPROVED, register=True)
        self.assertIn(waiting, approvals.devices())
        self.assertEqual([room.room_id for room in approvals.rooms()], ["1", "2"])


class RoomTests(ApprovalsCase):
    def test_unknown_is_pending(self) -> None:
        """A room nobody knows is registered as pending, for its client alone."""
        room = self.approvals.room(PHONE, "7", "family")
        self.assertEqual((room.room_id, room.name, room.status), ("7", "family", Status.PENDING))
        other = self.approvals.room(ClientKey("bot", "other"), "7", "family")
        self.approvals.set_room(PHONE, "7", Status.APPROVED)
        self.assertEqual((room.status, other.status), (Status.APPROVED, Status.PENDING))
        self.assertEqual(self.approvals.rooms(), [room, other])

    def test_renamed(self) -> None:
        """A room that is renamed is the same room under its new name."""
        room = self.approvals.room(PHONE, "7", "family")
        self.assertIs(self.approvals.room(PHONE, "7", "relatives"), room)
        self.assertEqual(room.name, "relatives")

    def test_approve_new(self) -> None:
        """Where new rooms are approved one never seen is; one that already waits stays pending."""
        approvals = self.make(new_rooms=True)
        self.assertIs(approvals.room(PHONE, "7", "family").status, Status.APPROVED)
        approvals.set_room(PHONE, "7", Status.PENDING)
        self.assertIs(approvals.room(PHONE, "7", "family").status, Status.PENDING)

    def test_change_of_an_unknown_room(self) -> None:
        """A room nobody knows is changed only if it shall be registered."""
        self.assertIsNone(self.approvals.set_room(PHONE, "7", Status.APPROVED))
        self.assertEqual(self.approvals.rooms(), [])
        self.clock.advance(7)
        room = self.approvals.set_room(PHONE, "7", Status.APPROVED, register=True)
        assert room is not None
        self.assertEqual((room.status, room.updated_at), (Status.APPROVED, 7.0))
        self.assertIs(self.approvals.room(PHONE, "7", "family"), room)
        self.assertEqual(room.name, "family")

    def test_pending_are_bounded(self) -> None:
        """Of the rooms never approved the oldest goes; those decided upon stay."""
        approvals = self.make(pending_rows=2)
        for number in range(4):
            approvals.room(PHONE, str(number), "room")
            if number == 0:
                approvals.set_room(PHONE, "0", Status.APPROVED)
        self.assertEqual([room.room_id for room in approvals.rooms()], ["0", "2", "3"])
