"""The container halves that a document names, imported; the runtime itself knows no workload and no source kind."""

import importlib
import typing
from pathlib import Path
from types import ModuleType

from robotrain_runtime import mounts
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.failure import REFUSED, Failed
from robotrain_runtime.half import Carrier, Environment, SourceHalf, TrackingHalf, WorkloadHalf

TRACKING = "tracking."


def workload(document: JobDocument) -> WorkloadHalf:
    """The half of the document's workload. Raises Failed."""
    return typing.cast(WorkloadHalf, _load(document, f"workload.{document.workload}"))


def environment_of(document: JobDocument) -> Environment:
    """The environment that the job runs in: as its workload's half says it of this very job, else of all. Raises
    Failed.
    """
    half = workload(document)
    say = getattr(half, "environment", None)
    return typing.cast(Environment, say(document)) if say else half.ENVIRONMENT


def left(document: JobDocument) -> str:
    """What its workload's runs leave, in the plural for people. Raises Failed."""
    return "checkpoints" if hasattr(workload(document), "checkpoints") else "results"


def source(document: JobDocument, asked: Source) -> SourceHalf:
    """The half of a source's kind. Raises Failed."""
    return typing.cast(SourceHalf, _load(document, f"source.{asked.kind}"))


def has(document: JobDocument, asked: Source) -> bool:
    """Whether the kind of a source has a half; one that the platform itself brings may have none."""
    return f"source.{asked.kind}" in document.halves


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
    """The environments beside that of the run: sources are fetched in them, and tracking is asked. Raises Failed."""
    wanted: dict[Path, Environment] = {}
    for asked in mounts.fetched(document):
        half = source(document, asked)
        name = carrier(half)
        if found := load_carrier(name).ENVIRONMENT if name else environment(half):
            wanted[found.lock] = found
    if tracked := tracking(document):
        wanted[tracked.ENVIRONMENT.lock] = tracked.ENVIRONMENT
    return list(wanted.values())


def tracking(document: JobDocument) -> TrackingHalf | None:
    """The half that takes the document's tracking address; None when MLflow knows it by itself. Raises Failed."""
    names = (name for name in document.halves if name.startswith(TRACKING))
    known = (typing.cast(TrackingHalf, _load(document, name)) for name in names)
    return next((half for half in known if half.takes(document.placement.tracking_uri)), None)


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
