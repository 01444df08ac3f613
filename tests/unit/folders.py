"""A folder that a test works in, and that is gone after it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase


class OwnFolder(SynchronousTestCase):
    """Names files in a folder of the system's, rather than in the one the tests are run from."""

    def mktemp(self) -> str:
        """A path where nothing is yet."""
        folder = tempfile.mkdtemp(prefix="relaytw-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return str(Path(folder) / "temp")

    def enter_folder(self) -> Path:
        """Go to an empty folder for the time of the test."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(folder)
        return folder
