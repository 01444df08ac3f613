"""Settings that are asked for with every message."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from relaytw.gate import Room
from relaytw.lanes import LaneKey
from relaytw.messages import ClientKey, Status
from relaytw.services.live_settings import REMEMBERED, LiveSettings
from relaytw.settings import USUAL_ROOM, BotSettings, RoomSettings


class LiveSettingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.applied: list[tuple[BotSettings, BotSettings]] = []
        self.live = LiveSettings()
        self.live.changed = lambda old, new: self.applied.append((old, new))

    def test_unknown(self) -> None:
        """A bot that nobody knows has the usual settings, however many of them there are."""
        for number in range(REMEMBERED + 10):
            self.assertEqual(self.live.settings_of(str(number)), BotSettings(str(number)))
        self.assertIs(self.live.settings_of("0"), self.live.settings_of("0"))
        self.assertLessEqual(len(self.live._usual), REMEMBERED)
        self.assertEqual((len(self.live), self.live.limit_of("0")), (0, None))

    def test_put(self) -> None:
        """What is put holds at once and is applied if it differs; to be forgotten is to be as usual."""
        self.live.settings_of("a")
        own, usual = BotSettings("a", per_bot=5), BotSettings("a")
        self.assertEqual([self.live.put(settings) for settings in (usual, own, own)], [False, True, False])
        self.assertEqual((self.live.settings_of("a"), self.live.limit_of("a")), (own, 5))
        self.assertEqual([self.live.forget("a"), self.live.forget("a")], [True, False])
        self.assertEqual(self.live.settings_of("a"), usual)
        self.assertEqual(self.applied, [(usual, own), (own, usual)])

    def test_width(self) -> None:
        """A room's width is its own while somebody keeps the room, else its bot's."""
        key = LaneKey("a", "phone", "1")
        room = Room(ClientKey("a", "phone"), "1", "room", Status.APPROVED, 0.0, 0.0)
        room.settings = RoomSettings(ordered=True)
        self.assertEqual(self.live.note(room), key)
        self.assertEqual(self.live.width_of(key), 1)
        self.live.put(BotSettings("a", per_room=5))
        self.assertEqual(self.live.width_of(key), 1)
        room.settings = RoomSettings(muted=True)
        self.assertEqual(self.live.width_of(key), 5)
        room.settings = RoomSettings(per_room=2)
        self.assertEqual(self.live.width_of(key), 2)
        del room
        self.assertEqual(self.live.width_of(key), 5)

    def test_no_settings_of_its_own(self) -> None:
        """A room whose settings are taken away is not kept."""
        room = Room(ClientKey("a", "phone"), "1", "room", Status.APPROVED, 0.0, 0.0)
        room.settings = RoomSettings(per_room=2)
        self.live.note(room)
        room.settings = USUAL_ROOM
        self.live.note(room)
        self.assertEqual((len(self.live._rooms), self.live.width_of(LaneKey("a", "phone", "1"))), (0, None))
