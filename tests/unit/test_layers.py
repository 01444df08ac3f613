"""Who may import whom: data flows one way, and so do the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]
REACTOR = "twisted.internet.reactor"
#: The stages, lowest first.  A stage may import itself and those of lower lines, never its neighbours.
STAGES: tuple[tuple[str, ...], ...] = (
    (
        "relaytw",
        "relaytw.daemons",
        "relaytw.messages",
        "relaytw.texts",
        "relaytw.metrics",
        "relaytw.permits",
        "relaytw.pins",
        "relaytw.logs",
        "relaytw.settings",
    ),
    ("relaytw.boxes", "relaytw.errors", "relaytw.signers", "relaytw.twins"),
    ("relaytw.pictures",),
    ("relaytw.seen",),
    (
        "relaytw.protocols",
        "relaytw.protocols.wire",
        "relaytw.protocols.conversation",
        "relaytw.registry",
        "relaytw.gate",
        "relaytw.penalty",
        "relaytw.recurrence",
        "relaytw.lanes",
        "relaytw.loop_guard",
        "relaytw.outbox",
        "relaytw.bots",
        "relaytw.codes",
        "relaytw.config",
    ),
    (
        "relaytw.protocols.session",
        "relaytw.admission",
        "relaytw.intake",
        "relaytw.credentials",
        "relaytw.phone",
        "relaytw.admin",
        "relaytw.store",
    ),
    ("relaytw.protocols.bridge", "relaytw.keyring", "relaytw.phone_v40", "relaytw.maintenance"),
    ("relaytw.services",),
    (
        "relaytw.cli",
        "relaytw.hooks",
        "relaytw.wiring",
        "relaytw.message_wiring",
        "relaytw.recording",
        "relaytw.bot_code",
        "relaytw.pushing",
    ),
    ("relaytw.assembly",),
    ("relaytw.tap", "relaytw.testing"),
    ("relaytw.pytest_plugin",),
)
#: What some stages must not know, wherever it stands.
FORBIDDEN: Mapping[str, tuple[str, ...]] = {
    "relaytw.protocols.wire": (REACTOR, "relaytw.store", "twisted"),
    "relaytw.gate": (REACTOR, "relaytw.store"),
    "relaytw.bots": (REACTOR, "relaytw.store"),
    "relaytw.messages": ("twisted",),
    "relaytw.errors": ("twisted",),
    "relaytw.cli": ("relaytw.services", "relaytw.store", "relaytw.gate", "relaytw.protocols.bridge"),
}
#: And what they may know of it all the same.
ALLOWED: Mapping[str, tuple[str, ...]] = {"relaytw.cli.journal": ("relaytw.store.journal_files",)}
#: Only these may meet the global reactor.
MEETS_REACTOR = ("relaytw.tap", "relaytw.cli")

Graph = Mapping[str, set[str]]


def within(module: str, package: str) -> bool:
    """Is this the package, or a module in it?"""
    return module == package or module.startswith(f"{package}.")


def stage_of(module: str) -> str | None:
    """The stage a module belongs to, None if nobody has placed it."""
    if module == "relaytw":
        return module
    names = [name for line in STAGES for name in line if name != "relaytw" and within(module, name)]
    return max(names, key=len, default=None)


def height(stage: str) -> int:
    """How high a stage stands."""
    return next(number for number, line in enumerate(STAGES) if stage in line)


def imports_of(source: str, package: str) -> Iterator[str]:
    """Whatever is imported anywhere in this source, in functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def read(root: Path) -> Graph:
    """Every module below `root` with what it imports; names of ours are cut to the module they are in."""
    sources = {_name(path, root): path for path in sorted((root / "relaytw").rglob("*.py"))}
    graph: dict[str, set[str]] = {}
    for name, path in sources.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imported = imports_of(path.read_text(encoding="utf-8"), package)
        graph[name] = {_module(target, sources) for target in imported}
    return graph


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(target: str, ours: Mapping[str, Path]) -> str:
    while target not in ours and within(target, "relaytw") and "." in target:
        target = target.rpartition(".")[0]
    return target


def faults(graph: Graph) -> list[str]:
    """Every import that goes the wrong way, in words."""
    found = [fault for module in graph for fault in _faults_of(module, graph[module])]
    return found + _cycles(graph)


def _faults_of(module: str, imported: set[str]) -> Iterator[str]:
    stage = stage_of(module)
    if stage is None:
        yield f"{module} has no place: name its stage in STAGES"
        return
    for target in sorted(imported):
        theirs = stage_of(target) if within(target, "relaytw") else None
        if theirs not in (None, stage) and height(str(theirs)) >= height(stage):
            yield f"{module} imports {target}, which stands no lower"
        forbidden = any(within(target, name) for name in FORBIDDEN.get(stage, ()))
        if forbidden and target not in ALLOWED.get(module, ()):
            yield f"{module} imports {target}, which it must not know"
        if within(target, REACTOR) and not any(within(module, name) for name in MEETS_REACTOR):
            yield f"{module} imports the global reactor"


def _cycles(graph: Graph) -> list[str]:
    try:
        TopologicalSorter({module: imported & graph.keys() for module, imported in graph.items()}).prepare()
    except CycleError as error:
        return ["a cycle: " + " -> ".join(error.args[1])]
    return []


class LayerTests(SynchronousTestCase):
    def test_imports(self) -> None:
        """No module imports what stands above it, what it must not know, or in a circle."""
        self.assertEqual(faults(read(ROOT)), [])

    def test_vocabulary(self) -> None:
        """Messages and errors know nothing of the relay but each other."""
        graph = read(ROOT)
        for module in ("relaytw.messages", "relaytw.errors"):
            ours = {target for target in graph[module] if within(target, "relaytw")}
            self.assertLessEqual(ours, {"relaytw.messages", "relaytw.errors"})

    def test_every_stage_is_there(self) -> None:
        """The table names modules that exist, so that it cannot be out of date unseen."""
        graph = read(ROOT)
        self.assertEqual({name for line in STAGES for name in line} - graph.keys(), set())

    def test_real_imports_are_read(self) -> None:
        """The imports are those of the source, in functions too, down to the module."""
        graph = read(ROOT)
        self.assertIn(REACTOR, graph["relaytw.tap"])
        self.assertIn("relaytw.protocols.wire.shapes", graph["relaytw.protocols.wire.reading"])
        self.assertIn("relaytw.messages", graph["relaytw.gate"])


class CheckTests(SynchronousTestCase):
    """Every rule can be broken, and is then said to be."""

    def assert_fault(self, graph: Graph, words: str) -> None:
        """A graph has one fault, told in these words."""
        self.assertEqual(len(faults(graph)), 1, faults(graph))
        self.assertIn(words, faults(graph)[0])

    def test_fine(self) -> None:
        """A stage may import itself and what stands below."""
        graph = {
            "relaytw.messages": {"enum"},
            "relaytw.gate": {"relaytw.messages", "twisted.internet.defer"},
            "relaytw.services.a": {"relaytw.services.b", "relaytw.gate"},
            "relaytw.services.b": set[str](),
            "relaytw.tap": {REACTOR, "relaytw.services.a"},
        }
        self.assertEqual(faults(graph), [])

    def test_upwards(self) -> None:
        """A stage above, or beside, is a fault; so is one above within the same package."""
        self.assert_fault({"relaytw.messages": {"relaytw.gate"}}, "stands no lower")
        self.assert_fault({"relaytw.gate": {"relaytw.outbox"}}, "stands no lower")
        self.assert_fault({"relaytw.protocols.session": {"relaytw.protocols.bridge"}}, "stands no lower")
        self.assert_fault({"relaytw.services.pings": {"relaytw.tap"}}, "stands no lower")

    def test_reactor(self) -> None:
        """The global reactor is for the start and for relayctl."""
        self.assert_fault({"relaytw.services.pings": {REACTOR}}, "imports the global reactor")
        self.assertEqual(len(faults({"relaytw.bots.builtin": {REACTOR}})), 2)
        self.assertEqual(faults({"relaytw.cli.phone": {REACTOR}}), [])

    def test_forbidden(self) -> None:
        """Some things must not be known even where they stand lower."""
        self.assert_fault({"relaytw.protocols.wire.reading": {"twisted.internet.defer"}}, "must not know")
        self.assert_fault({"relaytw.cli.status": {"relaytw.services.sessions"}}, "must not know")
        for module in ("relaytw.gate", "relaytw.bots.router", "relaytw.protocols.wire.reading"):
            self.assertTrue(
                any("must not know" in fault for fault in faults({module: {"relaytw.store.rooms"}}))
            )

    def test_cycle(self) -> None:
        """A circle within one stage is a fault."""
        graph = {"relaytw.services.a": {"relaytw.services.b"}, "relaytw.services.b": {"relaytw.services.a"}}
        self.assert_fault(graph, "a cycle: ")

    def test_placed(self) -> None:
        """A new module has to be given its place."""
        self.assert_fault({"relaytw.novelty": set()}, "name its stage")

    def test_every_form(self) -> None:
        """However something is imported, it is seen."""
        source = (
            "import relaytw.gate as g, os\nfrom relaytw import lanes\nfrom .b import c\nfrom .. import d\n"
            "def f():\n    from twisted.internet import reactor\n"
        )
        self.assertEqual(
            list(imports_of(source, "relaytw.store")),
            ["relaytw.gate", "os", "relaytw.lanes", "relaytw.store.b.c", "relaytw.d", REACTOR],
        )
