"""The names of rooms that are remembered: bounds, and tables that cannot be read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import ClientKey, Reply, Text
from relaytw.metrics import Metrics
from relaytw.services.room_names import RoomNames
from relaytw.testing import MemoryDatabase

PHONE, OTHER = ClientKey("bot", "phone"), ClientKey("bot", "other")


def reply(room: str, channel: str | None = None) -> Reply:
    return Reply(PHONE, room, channel, Text("x"), "trace")


class RoomNameTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = MemoryDatabase()
        self.names = self.make(100)

    def make(self, most: int) -> RoomNames:
        return RoomNames(self.database, Metrics(), most)

    def test_no_channel(self) -> None:
        """A text for a bare name is refused if two channels bear it; rooms without channels say nothing."""
        self.names.heard(PHONE, "family", "family")
        self.names.heard(PHONE, "1", "family")
        self.assertEqual(self.names.address(reply("family")), "family")
        self.names.heard(PHONE, "2", "family")
        self.assertIsNone(self.names.address(reply("family")))
        self.assertEqual(self.names.address(reply("family")._replace(client=OTHER)), "family")

    def test_unknown_channel(self) -> None:
        """A channel nobody has heard of does not get its text into another's room."""
        self.names.heard(PHONE, "1", "family")
        self.assertIsNone(self.names.address(reply("family", "9")))
        self.assertEqual(self.names.address(reply("elsewhere", "9")), "elsewhere")

    def test_bounded(self) -> None:
        """What was learnt longest ago is forgotten, whole phones first."""
        self.names = self.make(3)
        self.names.heard(OTHER, "1", "a")
        for channel in "1234":
            self.names.heard(PHONE, channel, "family")
        self.assertEqual(self.names.count, 3)
        self.assertEqual(self.names.address(reply("a")._replace(client=OTHER)), "a")

    def test_many_phones(self) -> None:
        """Phones that report nothing take no more room than so many names."""
        self.names = self.make(3)
        self.names.heard(OTHER, "1", "a")
        for number in range(10):
            self.names.expect(ClientKey("bot", f"phone {number}"))
        self.assertEqual(len(self.names._phones), 3)
        self.assertEqual(self.names.count, 0)

    def test_table_away(self) -> None:
        """A table that cannot be read is read when the phone comes again."""
        self.database.go_away()
        self.assertFalse(self.names.expect(PHONE))
        self.database.come_back()
        self.assertFalse(self.names.expect(PHONE))

    @given(st.lists(st.tuples(st.sampled_from("123"), st.sampled_from("abc")), max_size=12))
    def test_never_to_another(self, reports: list[tuple[str, str]]) -> None:
        """Whatever was reported, a text goes to the name its channel has now, and only if no other has it."""
        self.names = self.make(100)
        now: dict[str, str] = {}
        for channel, name in reports:
            self.names.heard(PHONE, channel, name)
            now[channel] = name
        for channel in "123":
            for name in "abc":
                went = self.names.address(reply(name, channel))
                if went is not None:
                    self.assertEqual({one for one, its in now.items() if its == went} - {channel}, set())
                    self.assertEqual(went, now.get(channel, name))
                elif channel in now:
                    self.assertIn(now[channel], [its for one, its in now.items() if one != channel])
