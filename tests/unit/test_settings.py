"""What may be set for a bot and a room, and which of several numbers holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from relaytw.settings import (
    LEAST_LINE_BYTES,
    MOST_ADMINS,
    MOST_LINE_BYTES,
    BotSettings,
    RoomSettings,
    line_limit,
)

USUAL = BotSettings("bot")
MIB = 1024 * 1024


class FaultTests(SynchronousTestCase):
    def assert_fault(self, name: str, **changes: Any) -> None:
        """These settings have one fault, in the field of this name."""
        self.assertEqual(list(replace(USUAL, **changes).faults()), [name], changes)

    def test_usual(self) -> None:
        """What a bot has from the start is fine, and so is the most of everything."""
        self.assertEqual(USUAL.faults(), {})
        most = BotSettings(
            "bot", "!" * 10, frozenset({"a" * 100}), 10_000, 10_000, None, MOST_LINE_BYTES, 10_000
        )
        self.assertEqual(most.faults(), {})

    def test_prefix(self) -> None:
        """A prefix is a short piece of visible text: nobody could type an empty or blank one."""
        for prefix in ("", " ", "a b", "!" * 11, "\t", "!\n", "\u3000", "\x00"):
            self.assert_fault("prefix", prefix=prefix)
        for prefix in ("!", "봇아", "🤖", "."):
            self.assertEqual(replace(USUAL, prefix=prefix).faults(), {})

    def test_numbers(self) -> None:
        """Numbers have bounds, so that no slip of the pen stops a bot or fills the memory."""
        self.assert_fault("per_bot", per_bot=0)
        self.assert_fault("per_room", per_room=10_001)
        self.assert_fault("line_bytes", line_bytes=LEAST_LINE_BYTES - 1)
        self.assert_fault("line_bytes", line_bytes=MOST_LINE_BYTES + 1)
        self.assert_fault("image_width", image_width=0)

    def test_admins(self) -> None:
        """Admins are hashes: none is empty, or padded, and there are not too many."""
        for admins in ({""}, {" x"}, {"x" * 101}, {str(n) for n in range(MOST_ADMINS + 1)}):
            self.assert_fault("admins", admins=frozenset(admins))


class WidthTests(SynchronousTestCase):
    def test_who_decides(self) -> None:
        """The room's own number counts before its bot's; an ordered room runs one at a time."""
        bot = replace(USUAL, per_room=5)
        self.assertIsNone(RoomSettings().width(USUAL))
        self.assertEqual(RoomSettings().width(bot), 5)
        self.assertEqual(RoomSettings(per_room=2).width(bot), 2)
        self.assertEqual(RoomSettings(per_room=2, ordered=True).width(bot), 1)


class LineLimitTests(SynchronousTestCase):
    def test_who_decides(self) -> None:
        """The device's number counts before its bot's, and that before the usual one."""
        bot = replace(USUAL, line_bytes=5 * MIB)
        self.assertEqual(line_limit(None, USUAL, MIB, trusted=True), MIB)
        self.assertEqual(line_limit(None, bot, MIB, trusted=True), 5 * MIB)
        self.assertEqual(line_limit(9 * MIB, bot, MIB, trusted=True), 9 * MIB)
        self.assertEqual(line_limit(2048, bot, MIB, trusted=True), 2048)

    def test_bounds(self) -> None:
        """Whatever stands in a table: a limit lets a handshake through and does not fill the memory."""
        self.assertEqual(line_limit(0, USUAL, MIB, trusted=True), LEAST_LINE_BYTES)
        self.assertEqual(line_limit(-5, USUAL, MIB, trusted=True), LEAST_LINE_BYTES)
        self.assertEqual(line_limit(10**12, USUAL, MIB, trusted=True), MOST_LINE_BYTES)

    def test_strangers(self) -> None:
        """Who is not trusted may be given less than usual, and never more."""
        self.assertEqual(line_limit(9 * MIB, USUAL, MIB, trusted=False), MIB)
        self.assertEqual(line_limit(2048, USUAL, MIB, trusted=False), 2048)
