"""The native spec of this platform: the process to run, as `process.json`. It names no interpreter."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

FILE = "process.json"
SCHEMA = 1

STRAY = ("MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI")
"""Names that would send the run's tracking where another project's goes."""


class SpecError(ValueError):
    """A `process.json` that says no process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The process: `python -m module arguments…`, in `folder`.

    environment: added to the environment of whoever submits; without: taken from it. payload: the digest of what is
    unpacked. grace_seconds: how long a cancelled run has to save what it can and to tell tracking.
    """

    run: str
    folder: str
    payload: str
    module: str = "robotrain_runtime"
    arguments: tuple[str, ...] = ("run", "job.json")
    environment: Mapping[str, str]
    without: tuple[str, ...] = STRAY
    grace_seconds: float = 120
    schema: int = SCHEMA


def dump(spec: Spec) -> bytes:
    """The one form: equal specs are equal bytes."""
    return (json.dumps(dataclasses.asdict(spec), indent=1, sort_keys=True) + "\n").encode()


def load(content: bytes) -> Spec:
    """Read a spec. Raises SpecError."""
    try:
        data = json.loads(content)
        if data["schema"] != SCHEMA:
            raise SpecError(f"{FILE}: this robotrain reads schema {SCHEMA}, the file has {data['schema']!r}")
        return Spec(**data | {"arguments": tuple(data["arguments"]), "without": tuple(data["without"])})
    except (TypeError, KeyError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{FILE} does not describe a process: {error}") from None
