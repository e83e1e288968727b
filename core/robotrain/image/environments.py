"""Which locked environments the jobs of a workload run in: its own, and those that its sources are fetched in."""

import hashlib
import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robotrain.problem import Problem, Rejected, Stage
from robotrain.source import SourceKind
from robotrain.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """An environment to bake. name: of the file that is its lock. python: its version, or a range of which any does.

    gib: the disk it needs.
    """

    name: str
    lock: bytes
    python: str
    gib: float

    @property
    def digest(self) -> str:
        """What a run finds it by."""
        return hashlib.sha256(self.lock).hexdigest()[:16]


def of(workload: Workload, kinds: Iterable[SourceKind]) -> list[Locked]:
    """Each once, the workload's own first: the one that it declares, also where some of its jobs choose another.

    Raises Rejected, OSError.
    """
    halves = [half for kind in kinds if kind.half and {*kind.roles} & {*workload.roles} for half in [kind.half]]
    found: dict[bytes, Locked] = {}
    for declared in filter(None, [_declared(workload.half), *map(_declared, halves)]):
        lock = Path(declared.lock).read_bytes()
        name = _free(Path(declared.lock), lock, found.values())
        found.setdefault(lock, Locked(name=name, lock=lock, python=declared.python, gib=declared.gib))
    return list(found.values())


def _declared(half: str) -> Any:
    """The `ENVIRONMENT` of a container half, or of what carries its sources; None when it has none."""
    module = _module(half)
    if carrier := getattr(module, "CARRIER", None):
        module = _module(carrier)
    return getattr(module, "ENVIRONMENT", None)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        title = f"the container half {name} cannot be imported: {error}"
        raise Rejected([Problem(code="half-missing", stage=Stage.USAGE, title=title)]) from None


def _free(path: Path, lock: bytes, others: Iterable[Locked]) -> str:
    """The file's own name; another lock that has it already gets company."""
    names: Iterator[str] = (other.name for other in others if other.lock != lock)
    return f"{path.stem}-{hashlib.sha256(lock).hexdigest()[:8]}{path.suffix}" if path.name in names else path.name
