"""The documents say what is so: every key, every default, every dependency, and code that runs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from twisted.trial.unittest import SynchronousTestCase

from relaytw.bots import Bot
from relaytw.config import load
from relaytw.config.bots import WebhookTarget
from relaytw.config.model import BotSecrets, Config
from relaytw.services.webhooks.payload import sign
from relaytw.tap import Options
from tests.unit.folders import OwnFolder

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_HEADING = re.compile(r"^#+ (.+)$")
_ROW = re.compile(r"^\| `([^`]+)` \| (.+?) \|(?: (.+) \|)?$")


def read(name: str) -> str:
    """A document."""
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> dict[str, dict[str, tuple[str, str]]]:
    """By heading: the rows of its tables whose first cell is code, as first cell to the other two."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    section: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            section = found[heading.group(1)] = {}
        elif row := _ROW.match(line):
            section[row.group(1)] = (row.group(2), row.group(3) or "")
    return found


def blocks(text: str, language: str) -> list[str]:
    """The blocks of code in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def sections() -> dict[str, type[BaseModel]]:
    """Every table of the configuration, by the heading that describes it."""
    found: dict[str, type[BaseModel]] = {
        '`[auth.bots."NAME"]`': BotSecrets,
        '`[bots.webhooks."NAME"]`': WebhookTarget,
    }
    for name, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        found[f"`[{name}]`"] = field.annotation
    return found


def stated(cell: str) -> Any:
    """The value that a cell of the column "default" states."""
    return None if cell == "none" else tomllib.loads("value = " + cell.strip("`"))["value"]


class ConfigurationTests(OwnFolder):
    def test_every_key(self) -> None:
        """Each key has a row in its section with its default and its meaning, and no row is of the past."""
        described = rows(read("configuration.md"))
        for heading, model in sections().items():
            self.assertIn(heading, described)
            self.assertEqual(list(described[heading]), list(model.model_fields), heading)
            defaults = model().model_dump(mode="json")
            for key, (default, meaning) in described[heading].items():
                self.assertEqual(stated(default), defaults[key], f"{heading} {key}")
                self.assertGreater(len(meaning.split()), 1, f"{heading} {key}")

    def test_no_table_is_missing(self) -> None:
        """A table within a table is described too: there are just those of single bots."""
        inner = [
            f"{section}.{key}"
            for section, model in Config.model_fields.items()
            if isinstance(model.annotation, type)
            for key, field in model.annotation.model_fields.items()
            if any(
                isinstance(part, type) and issubclass(part, BaseModel) for part in get_args(field.annotation)
            )
        ]
        self.assertEqual(inner, ["auth.bots", "bots.webhooks"])

    def test_flags(self) -> None:
        """Each option of `twistd relay` is described, and its key exists."""
        text = read("configuration.md").partition("### Flags")[2].partition("\n### ")[0]
        flags = set(re.findall(r"`(--[a-z-]+)", text))
        known = {f"--{name.rstrip('=')}" for name in Options().longOpt}
        self.assertEqual(flags, known - {"--help"})

    def test_environment(self) -> None:
        """The variables in the text are understood."""
        variables = dict(re.findall(r"^    (RELAYTW_\w+)='(.+)'$", read("configuration.md"), re.MULTILINE))
        self.assertGreaterEqual(len(variables), 3)
        config = load(None, variables, {})
        self.assertEqual(config.relay.listen, ("tcp:1490", "tcp:1491"))
        self.assertIn("Weather", config.auth.bots)

    def test_examples(self) -> None:
        """Every piece of configuration in the documents is valid."""
        path = self.enter_folder() / "relay.toml"
        count = 0
        for document in sorted(DOCS.rglob("*.md")):
            for block in blocks(document.read_text(encoding="utf-8"), "toml"):
                path.write_text(block, encoding="utf-8")
                load(path, {}, {})
                count += 1
        self.assertGreaterEqual(count, 2)


class BotsTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """Every example of a bot runs, its own tests included, and holds a bot."""
        examples = [block for block in blocks(read("bots.md"), "python") if "Bot" in block]
        self.assertGreaterEqual(len(examples), 4)
        for example in examples:
            names: dict[str, Any] = {"__name__": "example"}
            exec(compile(example, "docs/bots.md", "exec"), names)  # noqa: S102 (that is the test)
            self.assertIsInstance(names["bot"], Bot)
            self.assertTrue(names["bot"].commands or names["bot"].patterns)

    def test_signature(self) -> None:
        """The check of a webhook's signature accepts what the relay signs, and nothing else."""
        (example,) = [block for block in blocks(read("bots.md"), "python") if "is_genuine" in block]
        names: dict[str, Any] = {}
        exec(compile(example, "docs/bots.md", "exec"), names)  # noqa: S102 (that is the test)
        signature = f"sha256={sign(b's3cret', '1000', b'{}')}"
        headers = {"X-Relay-Timestamp": "1000", "X-Relay-Signature": signature}
        is_genuine = names["is_genuine"]
        self.assertTrue(is_genuine(b"s3cret", headers, b"{}", 1200.0))
        self.assertFalse(is_genuine(b"s3cret", headers, b"{} ", 1200.0))
        self.assertFalse(is_genuine(b"secret", headers, b"{}", 1200.0))
        self.assertFalse(is_genuine(b"s3cret", headers, b"{}", 1301.0))


class DependenciesTests(SynchronousTestCase):
    def test_every_dependency(self) -> None:
        """Each dependency has a line that says why, and no line is of the past."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        described = rows(read("dependencies.md"))
        for heading, needed in (
            ("To run", project["project"]["dependencies"]),
            ("To develop", project["project"]["optional-dependencies"]["dev"]),
            ("To build", project["build-system"]["requires"]),
        ):
            names = [re.split(r"[\[<>=~! ;]", requirement)[0] for requirement in needed]
            self.assertEqual(sorted(described[heading]), sorted(names), heading)
            for name, (why, _) in described[heading].items():
                self.assertGreater(len(why.split()), 2, name)


class ToolTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """What is read of a table is its rows of code, below their heading."""
        text = "# A\n| key | default |\n|---|---|\n| `x` | `1` | one \\| two |\n## B\n| `y` | none |\n"
        self.assertEqual(rows(text), {"A": {"x": ("`1`", "one \\| two")}, "B": {"y": ("none", "")}})
        self.assertEqual((stated("`1`"), stated("none"), stated("`[]`")), (1, None, []))

    def test_blocks(self) -> None:
        """What is read of a document are its blocks of one language."""
        self.assertEqual(blocks("```toml\na\n```\n```python\nb\n```\n", "python"), ["b\n"])
