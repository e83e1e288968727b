"""An artifact folder of a tracking run: the typed reference and its parser.

Standard library only: container plugins import it.
"""

import re
from functools import partial
from typing import ClassVar, NoReturn

from robotrain_runtime.contract.failure import SourceError, suggest_normal_form
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

FORM = "runs:/RUN_ID/PATH"

_RUN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}"
"""MLflow's own ids are hex digits; in a workspace of Azure ML a run has the name of its job."""
_PART = r"[A-Za-z0-9._=+~!(),-]+"
_ADDRESS = r"runs:/+([^/]*)/*(.*)"
_STORED = rf"(?i:mlflow-artifacts):/(?:/[^/@?#]*/|/*)\d+/({_RUN})/artifacts/([^?#]+)"
"""Where a server keeps artifacts, as its pages show it."""


@lazy_dataclass(frozen=True)
class RunArtifact:
    """A folder of artifacts; `path` has no slash at its ends."""

    kind: ClassVar[str] = "mlflow_run"

    run: str
    path: str

    def __str__(self) -> str:
        return f"runs:/{self.run}/{self.path}"


def parse_run_artifact(text: str) -> RunArtifact:
    """Return the folder that `text` names. Raise SourceError."""
    if text != text.strip():
        raise SourceError("There is white space around the address.", _suggest_artifact(text.strip()))
    match = re.fullmatch(_ADDRESS, text)
    if match is None:
        _raise_not_an_artifact(text)
    run, path = match[1], match[2].rstrip("/")
    if not re.fullmatch(_RUN, run):
        raise SourceError("The id of a run is letters, digits, `_` and `-`, 255 at most.")
    if not path:
        raise SourceError("The folder is missing: a run may hold several policies.", f"runs:/{run}/PATH")
    if text.startswith("runs://") or text.startswith(f"runs:/{run}//"):
        raise SourceError(
            f"One slash follows `runs:`, and one the id: {FORM}.", _suggest_artifact(f"runs:/{run}/{path}")
        )
    _check_path(path)
    return RunArtifact(run, path)


_suggest_artifact = partial(suggest_normal_form, parse_run_artifact)


def _check_path(path: str) -> None:
    parts = path.split("/")
    if not all(parts) or {".", ".."} & {*parts}:
        raise SourceError("No part of the path is empty, `.` or `..`.")
    if not all(re.fullmatch(_PART, part) for part in parts):
        raise SourceError("A part of the path is letters, digits and `._=+~!(),-`, without white space.")


def _raise_not_an_artifact(text: str) -> NoReturn:
    if re.match(r"(?i)runs:", text) and not text.startswith("runs:"):
        raise SourceError("`runs:` is written in lower case.", _suggest_artifact("runs:" + text[len("runs:") :]))
    if stored := re.fullmatch(_STORED, text):
        why = "This is where a server keeps artifacts; a job names them by their run."
        raise SourceError(why, _suggest_artifact(f"runs:/{stored[1]}/{stored[2]}"))
    raise SourceError(f"The artifacts of a tracking run have the form {FORM}.")
