"""The structure of the source tree: packages, and imports between folders. Files are read as text, none is run."""

import ast
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
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
    "robotrain_slurm": "plugins/slurm/robotrain_slurm",
}
"""Each package of the product, with its folder."""


@dataclass(frozen=True)
class Module:
    """A module of the product: its dotted name and its file. It is parsed once, and its tree is not kept."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def folder(self) -> str:
        """The dotted name of the folder that holds the file."""
        return self.name if self.is_package else self.name.rpartition(".")[0]

    @cached_property
    def imports(self) -> Sequence[str]:
        """The dotted name of everything it imports, also inside functions and for type checkers only."""
        imports: list[str] = []
        for node in walk_statements(ast.parse(self.text)):
            if isinstance(node, ast.Import):
                imports += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imports += [f"{node.module}.{alias.name}" for alias in node.names]
        return imports


def walk_statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every statement, without the expressions in it, which are most of the nodes."""
    waiting: deque[ast.AST] = deque(tree.body)
    while waiting:
        node = waiting.popleft()
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inside = getattr(node, field, ())
            waiting.extend(inside if isinstance(inside, list) else ())  # the body of a lambda is none


@cache
def read_modules(root: Path = ROOT) -> Sequence[Module]:
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
    imports: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for module in inside.values():
        for name in module.imports:
            target = inside.get(name) or inside.get(name.rpartition(".")[0])
            if target is None or package in (module.folder, target.folder) or module.folder == target.folder:
                continue
            imports[module.folder][target.folder].append(f"{module.name} imports {target.name}")
    return imports


def file_imports(modules: Iterable[Module]) -> dict[str, list[str]]:
    """Which file imports which other, wherever the import stands; the `__init__` of a package is left out."""
    inside = {module.name: module for module in modules if not module.is_package}
    imports: dict[str, list[str]] = defaultdict(list)
    for module in inside.values():
        for name in module.imports:
            target = inside.get(name) or inside.get(name.rpartition(".")[0])
            if target is not None and target is not module:
                imports[module.name].append(target.name)
    return imports


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
