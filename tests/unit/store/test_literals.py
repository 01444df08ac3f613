"""Values in the text of a statement: nothing in a value ends it, and every row is in some statement."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from relaytw.messages import Status
from relaytw.store.literals import STATEMENT_CHARS, literal, statements_of

_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
#: A string as MySQL reads it: up to the first quote that no backslash stands before.
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)


class LiteralTests(SynchronousTestCase):
    def test_plain_values(self) -> None:
        """Numbers stand as they are, None is NULL, text is quoted and escaped."""
        values: list[Any] = [None, True, False, 7, -1.5, "it's", "a\\b", "", Status.PENDING]
        written = ["NULL", "1", "0", "7", "-1.5", r"'it\'s'", r"'a\\b'", "''", "'pending'"]
        self.assertEqual([literal(value) for value in values], written)

    def test_anything_else(self) -> None:
        """What is no value of a row is a mistake, rather than its text."""
        for value in (b"bytes", [1], object()):
            self.assertRaises(TypeError, literal, value)

    @given(st.text())
    def test_nothing_ends_a_text(self, text: str) -> None:
        """Whatever a stranger writes stays within its quotes, and reads as it was."""
        found = _STRING.fullmatch(literal(text))
        assert found is not None
        self.assertEqual(re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL), text)

    @given(st.lists(st.tuples(_VALUES, _VALUES), max_size=5))
    def test_every_row(self, rows: list[tuple[Any, ...]]) -> None:
        """Few rows make one statement, no rows none."""
        texts = list(statements_of("INSERT ", rows))
        self.assertEqual(len(texts), 1 if rows else 0)
        for text in texts:
            self.assertTrue(text.startswith("INSERT ("))

    def test_long_rows(self) -> None:
        """Rows that are long together stand in several statements, none of them longer than need be."""
        rows = [("x" * 65_000,)] * 10
        texts = list(statements_of("INSERT ", rows))
        self.assertEqual(sum(text.count("(") for text in texts), 10)
        self.assertGreater(len(texts), 2)
        self.assertLess(max(map(len, texts)), STATEMENT_CHARS + 100)
