"""Short codes: the same for the same, hard to choose, easy to read out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.codes import LENGTH, Codes, read_code
from relaytw.messages import ClientKey


class CodeTests(SynchronousTestCase):
    @given(st.text(), st.text(), st.text())
    def test_readable(self, bot: str, device: str, room: str) -> None:
        """Every code is read back as it is, in small letters and with spaces around it too."""
        codes = Codes("token")
        for code in (codes.device(ClientKey(bot, device)), codes.room(ClientKey(bot, device), room)):
            self.assertEqual(len(code), LENGTH)
            self.assertEqual(read_code(f" {code.lower()} "), code)

    def test_depends(self) -> None:
        """A code depends on every part of the name, on where one ends, and on the key."""
        codes = Codes("token")
        made = [
            codes.device(ClientKey("a", "bc")),
            codes.device(ClientKey("ab", "c")),
            codes.room(ClientKey("a", "b"), "c"),
            codes.room(ClientKey("a", "b"), "d"),
            Codes("other").device(ClientKey("a", "bc")),
        ]
        self.assertEqual(len(set(made)), len(made))
        self.assertEqual(Codes("token").device(ClientKey("a", "bc")), made[0])

    def test_no_code(self) -> None:
        """What is too short, too long, or has letters that are taken for others, is no code."""
        for text in ("", "K7QX", "K7QXMM", "K7QX0", "K7QXI", "봇봇봇봇봇", "K7 QX"):
            self.assertIsNone(read_code(text), text)
