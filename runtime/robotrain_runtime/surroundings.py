"""What the programs of a run start with: an interpreter, and the names in their environment."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from robotrain_runtime import halves
from robotrain_runtime.document import JobDocument
from robotrain_runtime.environments import environment, uv
from robotrain_runtime.half import TRACKING_GIVEN, TRACKING_HALVES
from robotrain_runtime.stop import Stop


def python(document: JobDocument, say: Callable[[str], None], stop: Stop) -> Path:
    """The interpreter of the run's environment, which is built when it is not there. Raises Failed, Stopped."""
    placement = document.placement
    if placement.environment is not None:
        return environment.python_of(Path(placement.environment))
    wanted, cache = halves.environment_of(document), Path(placement.cache)
    built = environment.build(wanted.lock, wanted.python, cache, say, stop, placement.torch_backend)
    return environment.python_of(built)


def environ(document: JobDocument, added: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """This process's names without those of another Python, and those that our own programs need."""
    kept = {name: value for name, value in os.environ.items() if name not in environment.FOREIGN}
    path = os.pathsep.join(halves.python_path(document))
    found = uv.find(Path(document.placement.cache))
    own = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": path, **({"UV": str(found)} if found else {}), **tracking(document)}
    return {**kept, **own, **added}


def submission(document: JobDocument) -> str:
    """The platform's own id of this submission, the same for each of its attempts; empty where there is none."""
    return os.environ.get(document.placement.submission, "")


def tracking_run(document: JobDocument) -> str:
    """The tracking run that the platform made for this one; empty where it made none."""
    return os.environ.get(document.placement.tracking_run, "")


def tracking(document: JobDocument) -> dict[str, str]:
    """The names by which a program finds the halves that know tracking addresses; none where MLflow knows them all."""
    modules = [module for name, module in document.halves.items() if name.startswith(halves.TRACKING)]
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    return {TRACKING_HALVES: ",".join(modules), TRACKING_GIVEN: given} if modules else {}
