"""How a request is refused."""

from __future__ import annotations

from collections.abc import Mapping


class Problem(Exception):
    """A request that is answered with an error: a status, a code for programs, a sentence for people."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}
