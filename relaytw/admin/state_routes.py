"""The routes of the admin API that are about what bots remember."""

from __future__ import annotations

from relaytw.admin.problems import Problem
from relaytw.admin.routes import Route
from relaytw.admin.shapes import Listing
from relaytw.admin.state import Cleared, Remembered, StateFilter, StateView


class StateApi:
    """Handlers over what the bots of one relay remember."""

    def __init__(self, view: StateView) -> None:
        self._view = view

    def routes(self) -> list[Route]:
        """Everything that can be asked of it."""
        return [
            Route("GET", "/api/v1/state", self.show, returns=Listing[Remembered], query=StateFilter),
            Route("POST", "/api/v1/state/values", self.values, StateFilter, Listing[Remembered], act=True),
            Route("POST", "/api/v1/state/clear", self.clear, StateFilter, Cleared, act=True),
        ]

    def show(self, wanted: StateFilter) -> Listing[Remembered]:
        """Whose conversations are remembered, how much it is, and until when; the first 1,000."""
        return Listing(list(self._view.conversations(wanted)))

    def values(self, wanted: StateFilter, actor: str) -> Listing[Remembered]:
        """The same with what is remembered; who looked is written down."""
        return Listing(list(self._view.with_values(wanted, actor)))

    def clear(self, wanted: StateFilter, actor: str) -> Cleared:
        """Forget these conversations."""
        count = self._view.clear(wanted, actor)
        if not count:
            raise Problem(404, "nothing_remembered", "no such conversation is remembered")
        return Cleared(count)
