"""The container halves that a document names, imported; the runtime itself knows no workload and no source kind."""

import importlib
import typing
from pathlib import Path
from types import ModuleType

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.failure import REFUSED, Failed
from robotrain_runtime.half import Carrier, Environment, SourceHalf, WorkloadHalf


def workload(document: JobDocument) -> WorkloadHalf:
    """The half of the document's workload. Raises Failed."""
    return typing.cast(WorkloadHalf, _load(document, f"workload.{document.workload}"))


def source(document: JobDocument, asked: Source) -> SourceHalf:
    """The half of a source's kind. Raises Failed."""
    return typing.cast(SourceHalf, _load(document, f"source.{asked.kind}"))


def environment(half: SourceHalf) -> Environment | None:
    """The environment that a source half's programs run in; None for that of the run."""
    return typing.cast(Environment | None, getattr(half, "ENVIRONMENT", None))


def carrier(half: SourceHalf) -> str:
    """The module that brings the sources of a half together with others; empty when the half brings its own."""
    return str(getattr(half, "CARRIER", ""))


def load_carrier(name: str) -> Carrier:
    """The module of that name. Raises Failed."""
    return typing.cast(Carrier, _import(name, "a source kind"))


def environments(document: JobDocument) -> list[Environment]:
    """The environments that the sources of a document are fetched in, beside that of the run. Raises Failed."""
    wanted: dict[Path, Environment] = {}
    for asked in document.sources:
        half = source(document, asked)
        name = carrier(half)
        if found := load_carrier(name).ENVIRONMENT if name else environment(half):
            wanted[found.lock] = found
    return list(wanted.values())


def python_path(document: JobDocument) -> list[str]:
    """The folders that a child imports the runtime and the halves from: one, when they came as a payload."""
    modules = ["robotrain_runtime", *document.halves.values()]
    return list(dict.fromkeys(str(_root(importlib.import_module(name))) for name in modules))


def _load(document: JobDocument, name: str) -> ModuleType:
    module = document.halves.get(name)
    if module is None:
        raise Failed(f"the job document names no half for {name}", REFUSED, "configuration")
    return _import(module, name)


def _import(module: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Failed(f"{what} cannot be imported as {module}: {error}", REFUSED, "configuration") from error


def _root(module: ModuleType) -> Path:
    file = Path(module.__file__ or "")
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    return file.absolute().parents[depth]
