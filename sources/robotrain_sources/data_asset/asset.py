"""A data asset: the typed source, and the rules of contract C.2 and C.6.

What is offered instead is made of a name and a version that were read, and nothing else of the text.
Standard library only, so that a container half can import it.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, NoReturn

FORM = "azureml:NAME:VERSION"

_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
_WORKSPACE = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_PROVIDER = "Microsoft.MachineLearningServices"
_SCOPE = (
    rf"subscriptions/[A-Za-z0-9-]{{1,64}}/resourcegroups/[A-Za-z0-9._()-]{{1,90}}(?:/providers/{_PROVIDER})?"
    rf"/workspaces/{_WORKSPACE}|locations/[A-Za-z0-9]{{1,64}}/workspaces/{_WORKSPACE}|registries/{_WORKSPACE}"
)
_LONG = rf"azureml://({_SCOPE})/data/({_NAME})/versions/([^/]*)"
_SHORT = rf"azureml:({_NAME}):([^:]*)"
_UNPINNED = rf"azureml:({_NAME})(?:@.*)?"
_VERSION = r"0|[1-9][0-9]{0,8}"
_FIXED = rf"(?i)(?<=/)(?:resourcegroups|providers/{re.escape(_PROVIDER)})(?=/)"


@dataclass(frozen=True, slots=True)
class DataAsset:
    """One version of a data asset. scope: the workspace or registry it lies in; empty for that of the job."""

    kind: ClassVar[str] = "data_asset"

    name: str
    version: int
    scope: str = ""

    def __str__(self) -> str:
        if self.scope:
            return f"azureml://{self.scope}/data/{self.name}/versions/{self.version}"
        return f"azureml:{self.name}:{self.version}"


class DataAssetError(ValueError):
    """Why a text names no data asset, and what to type instead where that is known."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.instead = instead


def parse(text: str) -> DataAsset:
    """The data asset that `text` names. Raises DataAssetError."""
    if long := re.fullmatch(_LONG, _spelled(text)):
        scope, name, version = long.groups()
        return DataAsset(name, _version(version, f"azureml://{scope}/data/{name}/versions/"), scope)
    if short := re.fullmatch(_SHORT, text):
        return DataAsset(short[1], _version(short[2], f"azureml:{short[1]}:"))
    _refuse(text)


def _spelled(text: str) -> str:
    """Resource ids ignore case; one spelling makes equal assets equal."""
    return re.sub(_FIXED, lambda word: f"providers/{_PROVIDER}" if "/" in word[0] else "resourcegroups", text)


def _version(text: str, before: str) -> int:
    if re.fullmatch(_VERSION, text):
        return int(text)
    known = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    instead = before + (known if re.fullmatch(_VERSION, known) else "VERSION")
    raise DataAssetError("A version is a whole number of at most 9 digits, without leading zeros.", instead)


def _offer(text: str) -> str:
    """The normal form of `text`, or of what it would take to mend it; empty when nothing is known."""
    try:
        return str(parse(text))
    except DataAssetError as refused:
        return refused.instead


def _refuse(text: str) -> NoReturn:
    lower = text.lower()
    if text != text.strip():
        raise DataAssetError("There is white space around the name.", _offer(text.strip()))
    if lower.startswith("azureml:") and not text.startswith("azureml:"):
        raise DataAssetError("`azureml:` is written in lower case.", _offer("azureml:" + text[len("azureml:") :]))
    if unpinned := re.fullmatch(_UNPINNED, text):
        why = "A data asset is named with its version; without one, or with a label, it would change under the job."
        raise DataAssetError(why, f"azureml:{unpinned[1]}:VERSION")
    if lower.startswith("azureml://datastores/"):
        why = "A path in a datastore is no data asset: type the storage address behind it."
        raise DataAssetError(why, "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX")
    if lower.startswith("azureml://"):
        _refuse_long(text)
    if lower.startswith("azureml:"):
        raise DataAssetError(f"A data asset is {FORM}; a name is letters, digits, `_`, `.` and `-`, 255 at most.")
    if re.fullmatch(rf"{_NAME}:[0-9]+", text):
        raise DataAssetError("A data asset starts with `azureml:`.", _offer(f"azureml:{text}"))
    raise DataAssetError(f"A data asset has the form {FORM}.")


def _refuse_long(text: str) -> NoReturn:
    if "/models/" in text:
        raise DataAssetError("This names a model, not a data asset.")
    if "/labels/" in text:
        raise DataAssetError("A label moves: name the version with `/versions/VERSION`.")
    raise DataAssetError(
        "A full name is azureml://SCOPE/data/NAME/versions/VERSION, where SCOPE is registries/R, "
        "locations/L/workspaces/W or subscriptions/S/resourcegroups/G/workspaces/W."
    )
