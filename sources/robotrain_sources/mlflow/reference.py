"""Registered models, and artifacts of a run: typed references and their parsers.

Standard library only: container plugins import it.
"""

import re
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NoReturn

from robotrain_runtime.contract.failure import SourceError, suggest_normal_form
from robotrain_runtime.contract.parameter import MODEL_NAME_PATTERN

MODEL_FORM = "NAME:VERSION"

_VERSION = r"0|[1-9][0-9]{0,8}"
_MODEL_ADDRESS = rf"models:/({MODEL_NAME_PATTERN})/([^/]*)"
_SHORT = rf"({MODEL_NAME_PATTERN}):([^:/]*)"
LATEST = "latest"
_NAME = MODEL_NAME_PATTERN
_LATEST_FORMS = rf"models:/({_NAME})(?:/{LATEST})?/?|({_NAME}):{LATEST}"
_STAGE = "(?i:latest|none|staging|production|archived)"
_MOVING = rf"(?:models:/)?({_NAME})@.*|models:/({_NAME})/{_STAGE}|({_NAME}):{_STAGE}"
_OTHER_SCHEME = r"(?i)[a-z][a-z0-9+.-]*:/"


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
    if text != text.strip():
        raise SourceError("There is white space around the name.", _suggest_model(text.strip()))
    if re.match(r"(?i)azureml:", text):  # else `azureml` would be the name
        raise SourceError("This is a name of Azure ML, not of the registry that the platform tracks to.")
    if latest := re.fullmatch(_LATEST_FORMS, text):
        return RegisteredModel(latest[1] or latest[2], LATEST)
    if moving_match := re.fullmatch(_MOVING, text):
        reason = "An alias and a stage move from version to version: the model would change under the job."
        raise SourceError(reason, f"{moving_match[moving_match.lastindex or 0]}:VERSION")
    if match := re.fullmatch(_MODEL_ADDRESS, text) or re.fullmatch(_SHORT, text):
        return RegisteredModel(match[1], _parse_version(match[1], match[2]))
    _raise_not_a_model(text)


_suggest_model = partial(suggest_normal_form, parse_registered_model)


def _parse_version(name: str, text: str) -> str:
    if re.fullmatch(_VERSION, text):
        return text
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    suggestion = f"{name}:{digits if re.fullmatch(_VERSION, digits) else 'VERSION'}"
    reason = "A version is a whole number of at most 9 digits, without leading zeros."
    raise SourceError(reason, suggestion)


def _raise_not_a_model(model_text: str) -> NoReturn:
    if re.match(r"(?i)models:", model_text) and not model_text.startswith("models:"):
        raise SourceError(
            "`models:` is written in lower case.", _suggest_model("models:" + model_text[len("models:") :])
        )
    if re.match(r"(?i)runs:/", model_text):
        raise SourceError("An artifact of a tracking run is no registered model.")
    if re.match(_OTHER_SCHEME, model_text) and not model_text.startswith("models:"):
        raise SourceError("An address is no registered model.")
    if re.fullmatch(rf"{MODEL_NAME_PATTERN}/?", model_text):
        raise SourceError(f"A model needs a version, or `{LATEST}` for that of the moment of submission.")
    raise SourceError(
        f"A registered model is {MODEL_FORM}, models:/NAME/VERSION or models:/NAME/{LATEST}; "
        "a name is letters, digits, `_`, `.` and `-`, 255 at most."
    )


RUN_FORM = "runs:/RUN_ID/PATH"

_RUN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}"
"""MLflow's own ids are hex digits; in a workspace of Azure ML a run has the name of its job."""
_PATH_PART = r"[A-Za-z0-9._=+~!(),-]+"
_RUN_ADDRESS = r"runs:/+([^/]*)/*(.*)"
_STORED_ARTIFACTS = rf"(?i:mlflow-artifacts):/(?:/[^/@?#]*/|/*)\d+/({_RUN})/artifacts/([^?#]+)"
"""Where a server keeps artifacts, as its pages show it."""


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
    if artifact_text != artifact_text.strip():
        raise SourceError("There is white space around the address.", _suggest_artifact(artifact_text.strip()))
    match = re.fullmatch(_RUN_ADDRESS, artifact_text)
    if match is None:
        _raise_not_an_artifact(artifact_text)
    run, path = match[1], match[2].rstrip("/")
    if not re.fullmatch(_RUN, run):
        raise SourceError("The id of a run is letters, digits, `_` and `-`, 255 at most.")
    if not path:
        raise SourceError("The folder is missing: a run may hold several policies.", f"runs:/{run}/PATH")
    if artifact_text.startswith("runs://") or artifact_text.startswith(f"runs:/{run}//"):
        raise SourceError(
            f"One slash follows `runs:`, and one the id: {RUN_FORM}.", _suggest_artifact(f"runs:/{run}/{path}")
        )
    parts = path.split("/")
    if not all(parts) or {".", ".."} & {*parts}:
        raise SourceError("No part of the path is empty, `.` or `..`.")
    if not all(re.fullmatch(_PATH_PART, part) for part in parts):
        raise SourceError("A part of the path is letters, digits and `._=+~!(),-`, without white space.")
    return RunArtifact(run, path)


_suggest_artifact = partial(suggest_normal_form, parse_run_artifact)


def _raise_not_an_artifact(artifact_text: str) -> NoReturn:
    if re.match(r"(?i)runs:", artifact_text) and not artifact_text.startswith("runs:"):
        raise SourceError(
            "`runs:` is written in lower case.", _suggest_artifact("runs:" + artifact_text[len("runs:") :])
        )
    if stored_match := re.fullmatch(_STORED_ARTIFACTS, artifact_text):
        reason = "This is where a server keeps artifacts; a job names them by their run."
        raise SourceError(reason, _suggest_artifact(f"runs:/{stored_match[1]}/{stored_match[2]}"))
    raise SourceError(f"The artifacts of a tracking run have the form {RUN_FORM}.")
