"""Registered models, and artifacts of a run: typed references and their parsers.

Standard library only: container plugins import it.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

from robotrain_runtime.contract.failure import SourceError
from robotrain_runtime.contract.parameter import MODEL_NAME_PATTERN

MODEL_FORM = "NAME:VERSION"

LATEST = "latest"
_NAME, _VERSION = MODEL_NAME_PATTERN, r"0|[1-9][0-9]{0,8}"
_MODEL = rf"models:/({_NAME})(?:/({_VERSION})|(?:/{LATEST})?/?)|(?!azureml:)({_NAME}):({_VERSION}|{LATEST})"


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a registered model, or its latest one when the job is submitted. `str()` is its address as MLflow
    knows it.
    """

    kind: ClassVar[str] = "registered_model"

    name: str
    version: str
    """A number, or `latest`."""

    def __str__(self) -> str:
        return f"models:/{self.name}/{self.version}"


def names_latest_version(uri: str) -> bool:
    """Return whether the address of a registered model names no version, so that a pin says which one is meant."""
    return uri.endswith(f"/{LATEST}")


def parse_pinned_model(uri: str, pin: str) -> RegisteredModel:
    """Return the version that a source names; of the latest one that which it is pinned to. Raise SourceError."""
    model = parse_registered_model(uri)
    return parse_registered_model(f"models:/{model.name}/{pin}") if pin and model.version == LATEST else model


def parse_registered_model(text: str) -> RegisteredModel:
    """Return the version that `text` names. Raise SourceError."""
    match = re.fullmatch(_MODEL, text)
    if match is None:
        raise SourceError(
            f"A registered model is {MODEL_FORM}, models:/NAME/VERSION or models:/NAME/{LATEST}: a name is letters, "
            "digits, `_`, `.` and `-`, 255 at most, and a version a whole number; an alias or a stage would change "
            "under the job."
        )
    return RegisteredModel(match[1] or match[3], match[2] or match[4] or LATEST)


RUN_FORM = "runs:/RUN_ID/PATH"

_RUN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}"
"""MLflow's own ids are hex digits; in a workspace of Azure ML a run has the name of its job."""
_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9._=+~!(),-]+"
_ARTIFACT = rf"runs:/({_RUN})/({_PART}(?:/{_PART})*)/*"


@dataclass(frozen=True)
class RunArtifact:
    """A folder of artifacts; `path` has no slash at its ends."""

    kind: ClassVar[str] = "mlflow_run"

    run: str
    path: str

    def __str__(self) -> str:
        return f"runs:/{self.run}/{self.path}"


def parse_run_artifact(artifact_text: str) -> RunArtifact:
    """Return the folder that `artifact_text` names. Raise SourceError."""
    match = re.fullmatch(_ARTIFACT, artifact_text)
    if match is None:
        raise SourceError(
            f"The artifacts of a tracking run have the form {RUN_FORM}: the id of a run is letters, digits, `_` and "
            "`-`, and a part of the path letters, digits and `._=+~!(),-`."
        )
    return RunArtifact(match[1], match[2])
