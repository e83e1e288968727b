"""A data asset: the typed source, and the rules of contract C.2 and C.6, which hold for every asset of Azure ML.

What is offered instead is made of a name and a version that were read, and nothing else of the text.
Standard library only, so that a container half can import it.
"""

import re
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, NoReturn

FORM = "azureml:NAME:VERSION"

_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}"
_WORKSPACE = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_PROVIDER = "Microsoft.MachineLearningServices"
_SCOPE = (
    rf"subscriptions/[A-Za-z0-9-]{{1,64}}/resourcegroups/[A-Za-z0-9._()-]{{1,90}}(?:/providers/{_PROVIDER})?"
    rf"/workspaces/{_WORKSPACE}|locations/[A-Za-z0-9]{{1,64}}/workspaces/{_WORKSPACE}|registries/{_WORKSPACE}"
)
_SHORT = rf"azureml:({_NAME}):([^:]*)"
_UNPINNED = rf"azureml:({_NAME})(?:@.*)?"
_VERSION = r"0|[1-9][0-9]{0,8}"
_FIXED = rf"(?i)(?<=/)(?:resourcegroups|providers/{re.escape(_PROVIDER)})(?=/)"


class Assets(NamedTuple):
    """A kind of assets: the folder of their full names, what one is called, and what another kind's folder holds.

    stored: what to type in place of a path in a datastore.
    """

    folder: str
    noun: str
    another: tuple[str, str]
    stored: str = ""

    def named(self, name: str, version: int, scope: str) -> str:
        """The printed form of one version."""
        if scope:
            return f"azureml://{scope}/{self.folder}/{name}/versions/{version}"
        return f"azureml:{name}:{version}"


DATA = Assets(
    "data", "data asset", ("models", "model"), "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
)


@dataclass(frozen=True, slots=True)
class DataAsset:
    """One version of a data asset. scope: the workspace or registry it lies in; empty for that of the job."""

    kind: ClassVar[str] = "data_asset"

    name: str
    version: int
    scope: str = ""

    def __str__(self) -> str:
        return DATA.named(self.name, self.version, self.scope)


class AssetError(ValueError):
    """Why a text names no asset, and what to type instead where that is known."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.instead = instead


def parse(text: str) -> DataAsset:
    """The data asset that `text` names. Raises AssetError."""
    return DataAsset(*read(text, DATA))


def read(text: str, assets: Assets) -> tuple[str, int, str]:
    """Name, version and scope of the asset that `text` names. Raises AssetError."""
    if long := re.fullmatch(rf"azureml://({_SCOPE})/{assets.folder}/({_NAME})/versions/([^/]*)", _spelled(text)):
        scope, name, version = long.groups()
        return name, _version(version, f"azureml://{scope}/{assets.folder}/{name}/versions/"), scope
    if short := re.fullmatch(_SHORT, text):
        return short[1], _version(short[2], f"azureml:{short[1]}:"), ""
    _refuse(text, assets)


def _spelled(text: str) -> str:
    """Resource ids ignore case; one spelling makes equal assets equal."""
    return re.sub(_FIXED, lambda word: f"providers/{_PROVIDER}" if "/" in word[0] else "resourcegroups", text)


def _version(text: str, before: str) -> int:
    if re.fullmatch(_VERSION, text):
        return int(text)
    known = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    instead = before + (known if re.fullmatch(_VERSION, known) else "VERSION")
    raise AssetError("A version is a whole number of at most 9 digits, without leading zeros.", instead)


def _offer(text: str, assets: Assets) -> str:
    """The normal form of `text`, or of what it would take to mend it; empty when nothing is known."""
    try:
        return assets.named(*read(text, assets))
    except AssetError as refused:
        return refused.instead


def _refuse(text: str, assets: Assets) -> NoReturn:
    lower, noun = text.lower(), assets.noun
    if text != text.strip():
        raise AssetError("There is white space around the name.", _offer(text.strip(), assets))
    if lower.startswith("azureml:") and not text.startswith("azureml:"):
        raise AssetError("`azureml:` is written in lower case.", _offer("azureml:" + text[len("azureml:") :], assets))
    if unpinned := re.fullmatch(_UNPINNED, text):
        why = f"A {noun} is named with its version; without one, or with a label, it would change under the job."
        raise AssetError(why, f"azureml:{unpinned[1]}:VERSION")
    if lower.startswith("azureml://datastores/"):
        raise AssetError(f"A path in a datastore is no {noun}: type the storage address behind it.", assets.stored)
    if lower.startswith("azureml://"):
        _refuse_long(text, assets)
    if lower.startswith("azureml:"):
        raise AssetError(f"A {noun} is {FORM}; a name is letters, digits, `_`, `.` and `-`, 255 at most.")
    if re.fullmatch(rf"{_NAME}:[0-9]+", text):
        raise AssetError(f"A {noun} starts with `azureml:`.", _offer(f"azureml:{text}", assets))
    raise AssetError(f"A {noun} has the form {FORM}.")


def _refuse_long(text: str, assets: Assets) -> NoReturn:
    folder, noun = assets.another
    if f"/{folder}/" in text:
        raise AssetError(f"This names a {noun}, not a {assets.noun}.")
    if "/labels/" in text:
        raise AssetError("A label moves: name the version with `/versions/VERSION`.")
    if re.match(r"azureml://(?:jobs|[^?#]*/jobs)/", text):
        raise AssetError(f"An output of a job is no {assets.noun} until it is registered as one.")
    raise AssetError(
        f"A full name is azureml://SCOPE/{assets.folder}/NAME/versions/VERSION, where SCOPE is registries/R, "
        "locations/L/workspaces/W or subscriptions/S/resourcegroups/G/workspaces/W."
    )
