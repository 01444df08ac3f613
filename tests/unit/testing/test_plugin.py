"""The pytest plug-in, in sessions of pytest of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.unit.folders import OwnFolder

ROOT = Path(__file__).parents[3]


class PluginTests(OwnFolder):
    def pytest(self, *arguments: str) -> tuple[int, str]:
        """Run pytest in the test's folder; its exit code, and what it says."""
        plugin = ("-p", "relaytw.pytest_plugin", "-p", "no:twisted", "-p", "no:relaytw")
        known = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(  # noqa: S603 (our own command)
            [sys.executable, "-m", "pytest", "-q", *plugin, *arguments],
            env=known, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def test_examples(self) -> None:
        """The examples with tests of their own pass them."""
        folder = self.enter_folder()
        for path in (ROOT / "examples").glob("*.py"):
            shutil.copy(path, folder)
        code, said = self.pytest()
        self.assertEqual(code, 0, said)
        self.assertIn("12 passed", said)

    def test_tutorial(self) -> None:
        """The first bot of the tutorial passes the test that stands there for it."""
        bot, test = re.findall(
            r"^```python\n(.*?)^```$",
            (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"),
            re.MULTILINE | re.DOTALL,
        )
        folder = self.enter_folder()
        (folder / "greeter.py").write_text(bot, encoding="utf-8")
        (folder / "test_greeter.py").write_text(test, encoding="utf-8")
        code, said = self.pytest()
        self.assertEqual(code, 0, said)
        self.assertIn("1 passed", said)

    def test_documents(self) -> None:
        """The tests in the documents pass."""
        text = (ROOT / "docs" / "bots.md").read_text(encoding="utf-8")
        example = next(
            b
            for b in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
            if "relay_bot" in b
        )
        (self.enter_folder() / "test_bot.py").write_text(example, encoding="utf-8")
        code, said = self.pytest()
        self.assertEqual(code, 0, said)
        self.assertIn("4 passed", said)

    def test_failures(self) -> None:
        """A handler that fails unexpectedly fails its test, with the line that it failed in."""
        (self.enter_folder() / "test_bot.py").write_text(
            "from relaytw.bots import Bot\nbot = Bot()\n"
            "@bot.command('# fail')\ndef fail(message):\n    1 / 0  # here\n"
            "def test_now(relay_bot):\n    relay_bot(bot).phone().say('# fail')\n",
            encoding="utf-8",
        )
        code, said = self.pytest()
        self.assertEqual(code, 1)
        self.assertIn("1 / 0  # here", said)
        self.assertIn("HandlerFailed", said)

    def test_in_nobodys_way(self) -> None:
        """Tests that do not ask for it get nothing of the relay; the kit itself needs no pytest."""
        (self.enter_folder() / "test_other.py").write_text(
            "import sys\ndef test_other():\n"
            "    loaded = {'twisted', 'relaytw.testing', 'relaytw.bots', 'sqlalchemy'} & set(sys.modules)\n"
            "    assert not loaded\n",
            encoding="utf-8",
        )
        code, said = self.pytest()
        self.assertEqual(code, 0, said)
        unwanted = "{'pytest', 'twisted.internet.reactor'} & set(sys.modules)"
        script = f"import sys, relaytw.testing; assert not {unwanted}"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)  # noqa: S603
        self.assertEqual(done.returncode, 0)
