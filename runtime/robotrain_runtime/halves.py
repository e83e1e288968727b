"""The container halves that a document names, imported; the runtime itself knows no workload and no source kind."""

import importlib
import typing
from pathlib import Path
from types import ModuleType

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.failure import REFUSED, Failed
from robotrain_runtime.half import Environment, SourceHalf, WorkloadHalf


def workload(document: JobDocument) -> WorkloadHalf:
    """The half of the document's workload. Raises Failed."""
    return typing.cast(WorkloadHalf, _load(document, f"workload.{document.workload}"))


def source(document: JobDocument, asked: Source) -> SourceHalf:
    """The half of a source's kind. Raises Failed."""
    return typing.cast(SourceHalf, _load(document, f"source.{asked.kind}"))


def environment(half: SourceHalf) -> Environment | None:
    """The environment that a source half's programs run in; None for that of the run."""
    return typing.cast(Environment | None, getattr(half, "ENVIRONMENT", None))


def python_path(document: JobDocument) -> list[str]:
    """The folders that a child imports the runtime and the halves from: one, when they came as a payload."""
    modules = ["robotrain_runtime", *document.halves.values()]
    return list(dict.fromkeys(str(_root(importlib.import_module(name))) for name in modules))


def _load(document: JobDocument, name: str) -> ModuleType:
    module = document.halves.get(name)
    if module is None:
        raise Failed(f"the job document names no half for {name}", REFUSED)
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Failed(f"{name} cannot be imported as {module}: {error}", REFUSED) from error


def _root(module: ModuleType) -> Path:
    file = Path(module.__file__ or "")
    depth = module.__name__.count(".") + (file.name == "__init__.py")
    return file.absolute().parents[depth]
