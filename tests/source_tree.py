"""The structure of the source tree: packages, imports between folders, names. Files are read as text, none is run."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES: Mapping[str, str] = {
    "robotrain_runtime": "runtime/robotrain_runtime",
    "robotrain": "core/robotrain",
    "robotrain_sources": "sources/robotrain_sources",
    "robotrain_workloads": "workloads/robotrain_workloads",
    "robotrain_local": "plugins/local/robotrain_local",
    "robotrain_azure": "plugins/azure/robotrain_azure",
    "robotrain_osmo": "plugins/osmo/robotrain_osmo",
    "robotrain_azureml": "plugins/azureml/robotrain_azureml",
}
"""Each package of the product, with its folder."""
VAGUE_WORDS = frozenset(
    [
        "of",
        "told",
        "tell",
        "said",
        "say",
        "says",
        "asked",
        "ask",
        "asks",
        "kept",
        "keep",
        "keeps",
        "left",
        "heard",
        "hear",
        "brought",
        "bring",
        "here",
        "there",
        "still",
        "aside",
        "later",
        "apart",
        "tried",
        "usual",
        "named",
        "wrong",
        "look",
        "looks",
        "looking",
        "seen",
        "unseen",
        "put",
        "take",
        "taken",
        "taker",
        "made",
        "make",
        "going",
        "whole",
        "way",
        "ways",
        "which",
        "whose",
        "what",
        "who",
        "once",
        "often",
        "beside",
        "alone",
        "own",
        "again",
        "ended",
        "begun",
        "sent",
        "shown",
        "show",
        "given",
        "give",
        "held",
        "hold",
        "holds",
        "lacks",
        "lacking",
        "meant",
        "means",
        "found",
        "find",
        "unread",
        "unsaid",
        "unfit",
        "agreed",
        "handed",
        "carried",
        "placed",
        "fit",
        "alike",
        "nearest",
        "close",
    ]
)
"""Words that name nothing by themselves: no module or function is called by them alone."""
STANDARD_METHODS = frozenset({"close", "find"})
"""Methods that Python's own types and the platform interface name so: `file.close`, `Platform.find`."""


@dataclass(frozen=True)
class Module:
    """A module of the product: its dotted name and its file."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def folder(self) -> str:
        """The dotted name of the folder that holds the file."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    def definitions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
        """Every function, method and class, nested ones too."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield node

    def imports(self) -> Iterator[str]:
        """The dotted name of everything it imports, also inside functions and for type checkers only."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def read_modules(root: Path = ROOT) -> list[Module]:
    """All modules of the product below `root`."""
    return [
        Module(_dotted(path.relative_to((root / folder).parent)), path)
        for folder in PACKAGES.values()
        for path in sorted((root / folder).rglob("*.py"))
    ]


def _dotted(path: Path) -> str:
    parts = list(path.with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def folder_imports(modules: Iterable[Module], package: str) -> dict[str, dict[str, list[str]]]:
    """Which folder of a package imports which other, with the imports that do.

    Modules directly below the package, which are its entry points and its leaves, are left out.
    """
    inside = {module.name: module for module in modules if f"{module.name}.".startswith(f"{package}.")}
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for module in inside.values():
        for name in module.imports():
            target = inside.get(name) or inside.get(name.rpartition(".")[0])
            if target is None or package in (module.folder, target.folder) or module.folder == target.folder:
                continue
            found[module.folder][target.folder].append(f"{module.name} imports {target.name}")
    return found


def find_cycles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups of folders that import one another, directly or through others."""
    reached = {start: _reachable(start, edges) for start in edges}
    cycles = {
        tuple(sorted({start, *(other for other in seen if start in reached.get(other, ()))}))
        for start, seen in reached.items()
        if start in seen
    }
    return [list(cycle) for cycle in sorted(cycles)]


def _reachable(start: str, edges: Mapping[str, Iterable[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges.get(start, ()))
    while waiting:
        folder = waiting.pop()
        if folder not in seen:
            seen.add(folder)
            waiting.extend(edges.get(folder, ()))
    return seen


def is_vague(name: str) -> bool:
    """Whether a name consists of vague words only."""
    words = name.strip("_").split("_")
    return bool(words[0]) and all(word in VAGUE_WORDS for word in words)


def find_vague_names(modules: Iterable[Module]) -> list[str]:
    """Modules and functions that one vague word names."""
    found = []
    for module in modules:
        if is_vague(module.name.rpartition(".")[2]):
            found.append(module.name)
        methods = {
            id(node)
            for outer in module.definitions()
            if isinstance(outer, ast.ClassDef)
            for node in outer.body
            if getattr(node, "name", "") in STANDARD_METHODS
        }
        for node in module.definitions():
            if not isinstance(node, ast.ClassDef) and node.name.strip("_") in VAGUE_WORDS and id(node) not in methods:
                found.append(f"{module.name}:{node.lineno} {node.name}")
    return found


def find_repeated_classes(modules: Iterable[Module]) -> dict[str, list[str]]:
    """Names of classes that two or more modules define."""
    classes: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for node in module.definitions():
            if isinstance(node, ast.ClassDef):
                classes[node.name].add(module.name)
    return {name: sorted(where) for name, where in sorted(classes.items()) if len(where) > 1}
