"""Relays with a journal that can be killed and looked into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from relaytw.store.journal_files import Inspection, inspect
from tests.unit.relay.harness import RelayTestCase

FOLDER = Path("relay-state/journal")


class JournalTestCase(RelayTestCase):
    def restart(self, sections: Any = None) -> None:
        """Kill the relay and start another in its place."""
        self.kill()
        self.start(sections or self.sections)

    def look(self) -> Inspection:
        """What the files hold, once what has ended is written."""
        self.advance(0)
        return inspect(FOLDER)

    @property
    def journal(self) -> Any:
        """The relay's journal."""
        return self.relay.getServiceNamed("journal")
