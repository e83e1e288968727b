"""The structure of the source tree: packages, imports between folders, names. Files are read as text, none is run."""

import ast
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

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
VAGUE = """
of told tell said say says asked ask asks kept keep keeps left heard hear brought bring here there still
aside later apart tried usual named wrong look looks looking seen unseen put take taken taker made make
going whole way ways which whose what who once often beside alone own again ended begun sent shown show
given give held hold holds lacks lacking meant means found find unread unsaid unfit agreed handed carried
placed fit alike nearest close
"""
VAGUE_WORDS = frozenset(VAGUE.split())
"""Words that name nothing by themselves: no module or function is called by them alone."""
VAGUE_VARIABLES = frozenset(("one", "found", "given", "known", "why"))
"""Words that do not say what a variable holds."""
STANDARD_METHODS = frozenset({"close", "find"})
"""Methods that Python's own types and the engines of platforms name so: `file.close`, `PlatformEngine.find`."""


class Definition(NamedTuple):
    """A function, method or class, nested ones too."""

    name: str
    line: int
    is_class: bool
    is_method: bool
    parameters: tuple[str, ...]
    """The names of its positional arguments without `self`; the annotated fields of a class."""


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

    @property
    def definitions(self) -> Sequence[Definition]:
        """Every function, method and class."""
        return self._facts[0]

    @property
    def imports(self) -> Sequence[str]:
        """The dotted name of everything it imports, also inside functions and for type checkers only."""
        return self._facts[1]

    @cached_property
    def _facts(self) -> tuple[list[Definition], list[str]]:
        definitions, imports, methods = [], [], set[ast.AST]()
        for node in walk_statements(ast.parse(self.text)):  # a class comes before what is in it
            if isinstance(node, ast.ClassDef):
                methods.update(node.body)
                fields = tuple(statement.target.id for statement in node.body if isinstance(statement, ast.AnnAssign))
                definitions.append(Definition(node.name, node.lineno, True, False, fields))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = tuple(argument.arg for argument in node.args.args if argument.arg not in ("self", "cls"))
                definitions.append(Definition(node.name, node.lineno, False, node in methods, names))
            elif isinstance(node, ast.Import):
                imports += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imports += [f"{node.module}.{alias.name}" for alias in node.names]
        return definitions, imports


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


def read_tests(root: Path = ROOT) -> Sequence[Module]:
    """All modules of the tests."""
    return [Module(_dotted(path.relative_to(root)), path) for path in sorted((root / "tests").rglob("*.py"))]


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


def find_vague_names(modules: Iterable[Module]) -> list[str]:
    """Modules and functions that one vague word names."""
    names = []
    for module in modules:
        if VAGUE_WORDS.issuperset(module.name.rpartition(".")[2].strip("_").split("_")):
            names.append(module.name)
        for definition in module.definitions:
            is_standard = definition.is_method and definition.name in STANDARD_METHODS
            if not definition.is_class and definition.name.strip("_") in VAGUE_WORDS and not is_standard:
                names.append(f"{module.name}:{definition.line} {definition.name}")
    return names


def find_vague_variables(modules: Iterable[Module]) -> list[str]:
    """Variables and parameters that one vague word names. `given` and `why` are also fields of a problem."""
    named = []
    for module in modules:
        tree = ast.parse(module.text)
        bodies = (node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        fields = {statement.target for body in bodies for statement in body if isinstance(statement, ast.AnnAssign)}
        for node in ast.walk(tree):
            is_stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in fields
            if isinstance(node, ast.Name) and is_stored and node.id in VAGUE_VARIABLES:
                named.append(f"{module.name}:{node.lineno} {node.id}")
            elif isinstance(node, ast.arg) and node.arg in VAGUE_VARIABLES - {"given", "why"}:
                named.append(f"{module.name}:{node.lineno} {node.arg}")
    return named


def find_repeated_classes(modules: Iterable[Module]) -> dict[str, list[str]]:
    """Names of classes that two or more modules define."""
    classes: dict[str, set[str]] = defaultdict(set)
    for module in modules:
        for definition in module.definitions:
            if definition.is_class:
                classes[definition.name].add(module.name)
    return {name: sorted(where) for name, where in sorted(classes.items()) if len(where) > 1}
