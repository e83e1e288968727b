"""A version of a registered model, and its latest version: the typed references and their parsers.

Standard library only: container plugins import it.
"""

import re
from functools import partial
from typing import ClassVar, NoReturn

from robotrain_runtime.contract.failure import SourceError, suggest_normal_form
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

MODEL_FORM = "NAME:VERSION"

NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
_VERSION = r"0|[1-9][0-9]{0,8}"
_ADDRESS = rf"models:/({NAME_PATTERN})/([^/]*)"
_SHORT = rf"({NAME_PATTERN}):([^:/]*)"
_STAGE = "(?i:latest|none|staging|production|archived)"
_MOVING = rf"(?:models:/)?({NAME_PATTERN})@.*|models:/({NAME_PATTERN})/{_STAGE}|({NAME_PATTERN}):{_STAGE}"
_OTHER_SCHEME = r"(?i)[a-z][a-z0-9+.-]*:/"


@lazy_dataclass(frozen=True)
class RegisteredModel:
    """One version of a registered model. `str()` is its address as MLflow knows it."""

    kind: ClassVar[str] = "registered_model"

    name: str
    version: int

    def __str__(self) -> str:
        return f"models:/{self.name}/{self.version}"


LATEST = "latest"
LATEST_FORM = f"models:/NAME/{LATEST}"
LATEST_HINT = (
    rf"(?!(?i:azureml|file|hf|runs|https?):)(?:models:/({NAME_PATTERN})(?:/{LATEST})?/?|({NAME_PATTERN}):{LATEST})"
)


@lazy_dataclass(frozen=True)
class LatestModel:
    """The latest version of a registered model, whichever that is when the job is submitted."""

    kind: ClassVar[str] = "latest_model"

    name: str
    version: ClassVar[str] = LATEST

    def __str__(self) -> str:
        return f"models:/{self.name}/{LATEST}"


def parse_latest_model(text: str) -> LatestModel:
    """Return the model that `text` names. Raise SourceError."""
    if match := re.fullmatch(LATEST_HINT, text):
        return LatestModel(match[1] or match[2])
    suggestion = suggest_normal_form(parse_latest_model, text.strip()) if text != text.strip() else ""
    raise SourceError(f"The latest version of a registered model has the form {LATEST_FORM}.", suggestion)


def parse_pinned_model(uri: str, pin: str) -> RegisteredModel | LatestModel:
    """Return the version that a source of either kind names; the latest one if it is not pinned. Raise SourceError."""
    if not uri.endswith(f"/{LATEST}"):
        return parse_registered_model(uri)
    model = parse_latest_model(uri)
    return parse_registered_model(f"models:/{model.name}/{pin}") if pin else model


def parse_registered_model(text: str) -> RegisteredModel:
    """Return the version that `text` names. Raise SourceError."""
    if text != text.strip():
        raise SourceError("There is white space around the name.", _suggest_model(text.strip()))
    if moving := re.fullmatch(_MOVING, text):
        why = "`latest`, an alias and a stage move from version to version: the model would change under the job."
        raise SourceError(why, f"{moving[moving.lastindex or 0]}:VERSION")
    if re.match(r"(?i)azureml:", text):  # else `azureml` would be the name
        raise SourceError("This is a name of Azure ML, not of the registry that the platform tracks to.")
    if match := re.fullmatch(_ADDRESS, text) or re.fullmatch(_SHORT, text):
        return RegisteredModel(match[1], _parse_version(match[1], match[2]))
    _raise_not_a_model(text)


_suggest_model = partial(suggest_normal_form, parse_registered_model)


def _parse_version(name: str, text: str) -> int:
    if re.fullmatch(_VERSION, text):
        return int(text)
    known = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    instead = f"{name}:{known if re.fullmatch(_VERSION, known) else 'VERSION'}"
    why = "A version is a whole number of at most 9 digits, without leading zeros."
    raise SourceError(why, instead)


def _raise_not_a_model(text: str) -> NoReturn:
    if re.match(r"(?i)models:", text) and not text.startswith("models:"):
        raise SourceError("`models:` is written in lower case.", _suggest_model("models:" + text[len("models:") :]))
    if re.match(r"(?i)runs:/", text):
        raise SourceError("An artifact of a tracking run is no registered model.")
    if re.match(_OTHER_SCHEME, text) and not text.startswith("models:"):
        raise SourceError("An address is no registered model.")
    if re.fullmatch(rf"(?:models:/)?{NAME_PATTERN}/?", text):
        raise SourceError("A model needs a version: without one its content may change.")
    raise SourceError(
        f"A registered model is {MODEL_FORM} or models:/NAME/VERSION; "
        "a name is letters, digits, `_`, `.` and `-`, 255 at most."
    )
