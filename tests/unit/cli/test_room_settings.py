"""`relayctl rooms set`, `mute` and `unmute` against an invented relay."""

from __future__ import annotations

from typing import Any

from relaytw.admin.shapes import Room
from relaytw.messages import Status
from relaytw.settings import ChatLogPolicy
from tests.unit.cli.fakes import CliTestCase

PATH = "/api/v1/rooms/settings"
NAMES = ("bot", "phone", "a=b")


class RoomSettingsTests(CliTestCase):
    def sent(self, *arguments: str) -> Any:
        """What relayctl asks for when it is run like that."""
        self.relay.says("POST", PATH, {})
        self.ok("rooms", *arguments)
        method, path, body = self.relay.asked[-1]
        self.assertEqual((method, path), ("POST", PATH))
        return body

    def test_set(self) -> None:
        """Each setting is read as its kind; a room's name may look like a setting that there is not."""
        body = self.sent("set", *NAMES, "per_room=2", "ordered=yes", "chat_log=metadata", "retention_days=7")
        self.assertEqual(
            body,
            {
                "bot": "bot", "device": "phone", "room_id": "a=b", "per_room": 2, "ordered": True,
                "chat_log": "metadata", "retention_days": 7,
            },
        )  # fmt: skip

    def test_default(self) -> None:
        """A setting is taken back by name."""
        body = self.sent("set", *NAMES, "per_room=default", "chat_log=default", "--new")
        self.assertEqual((body["per_room"], body["chat_log"], body["register"]), (None, None, True))

    def test_mute(self) -> None:
        """A room is muted and unmuted by a verb of its own."""
        self.assertTrue(self.sent("mute", *NAMES)["muted"])
        self.assertFalse(self.sent("unmute", *NAMES)["muted"])

    def test_code(self) -> None:
        """A room that waits may be named by its code."""
        room = Room("bot", "phone", "100", "family", Status.PENDING, 0.0, 0.0, code="K4W4C")
        self.relay.items("/api/v1/rooms?code=K4W4C&limit=1000", room)
        self.assertEqual(self.sent("mute", "K4W4C")["room_id"], "100")

    def test_not_understood(self) -> None:
        """What cannot be read is not asked for, and the keys that there are are named."""
        for words, complaint in (
            (("set", *NAMES), "KEY out of: per_room, ordered, muted, chat_log, retention_days"),
            (("set", *NAMES, "per_room=many"), "must be a whole number, or default"),
            (("set", *NAMES, "ordered=maybe"), "must be yes or no"),
            (("set", "bot", "phone", "muted=yes"), "name it by its CODE, or by BOT, DEVICE and ROOM_ID"),
        ):
            self.assertIn(complaint, self.fails("rooms", *words, code=2), words)
        self.assertEqual(self.relay.asked, [])

    def test_list(self) -> None:
        """The list tells what of a room is not the usual."""
        plain = Room("bot", "phone", "1", "one", Status.APPROVED, 0.0, 0.0)
        special = Room(
            "bot", "phone", "2", "two", Status.APPROVED, 0.0, 0.0,
            per_room=2, ordered=True, muted=True, chat_log=ChatLogPolicy.NONE, retention_days=7,
        )  # fmt: skip
        self.relay.items("/api/v1/rooms?limit=1000", plain, special)
        _, first, second = self.ok("rooms", "list").splitlines()
        self.assertIn(" - ", first)
        self.assertIn("muted, ordered, 2 at a time, logs none, keeps 7 d", second)
