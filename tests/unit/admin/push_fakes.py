"""What the admin API sees of pushes and tokens, as a test sets it."""

from __future__ import annotations

from typing import Any

from relaytw.admin.callers import Grant
from relaytw.errors import Unavailable


class FakePushing:
    """What is said without a question: tokens that a test has set, and what it lets answer."""

    def __init__(self) -> None:
        self.grants: dict[str, Grant] = {}
        self.away: str | None = None
        self.pushes: Any = None
        self.broadcasts: Any = None
        self.schedules: Any = None

    @property
    def tokens(self) -> Any:
        """The tokens."""
        return self

    def check(self, token: str) -> Grant | None:
        """As the relay does it."""
        if self.away is not None:
            raise Unavailable(self.away)
        return self.grants.get(token)
