"""What docs/bridge.md says of the bridge script is what the script does."""

from __future__ import annotations

import json
import re

from twisted.trial.unittest import SynchronousTestCase

from relaytw.cli.bridge_script import read_script
from tests.unit.test_documentation import read, rows


class BridgeDocumentTests(SynchronousTestCase):
    def test_every_setting(self) -> None:
        """Each setting has a row with its default and its meaning, in order, and no row is of the past."""
        block = read_script().partition("var RELAY_SETTINGS = {\n")[2].partition("\n};\n")[0]
        settings = re.findall(r"^    (\w+): (.+?),?$", block, re.MULTILINE)
        described = rows(read("bridge.md"))["Settings"]
        self.assertEqual(list(described), [name for name, _ in settings])
        for name, value in settings:
            default, meaning = described[name]
            self.assertEqual(json.loads(default.strip("`")), json.loads(value), name)
            self.assertGreater(len(meaning.split()), 2, name)

    def test_every_line_of_the_log(self) -> None:
        """What the document quotes of the log stands in the script, up to what varies."""
        script = " ".join(read_script().split())
        table = read("bridge.md").partition("## What the log says")[2].partition("\n## ")[0]
        quoted = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
        self.assertGreater(len(quoted), 20)
        for line in quoted:
            for piece in re.split(r"\b[A-Z]{2,}\d*\b|…|\d\.\d\.\d|\bN\b|\breader\b|[(),:;]", line):
                self.assertIn(piece.strip(), script, line)
