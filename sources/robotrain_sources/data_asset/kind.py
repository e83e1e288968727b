"""The source kind `data_asset`: data assets of Azure ML, and the rules of asset names.

Suggestions are made of a parsed name and version only, so they contain no secret.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, NoReturn

from robotrain.model.source import RoleFlag, SourceError, SourceKind
from robotrain.model.support import ANY, no
from robotrain.plugins.hookspecs import hook
from robotrain_runtime.contract.failure import suggest_normal_form
from robotrain_runtime.contract.parameter import MODEL_NAME_PATTERN

ASSET_FORM = "azureml:NAME:VERSION"
ASSET_HINT = r"(?i)\s*azureml:"

_NAME = MODEL_NAME_PATTERN
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


class AssetFamily(NamedTuple):
    """A family of assets with one form of names."""

    folder: str
    """The folder in full names."""
    noun: str
    other_family: tuple[str, str]
    """Folder and noun of the family it may be confused with."""
    datastore_suggestion: str = ""
    """The flag for a path in a datastore."""

    def format_asset(self, name: str, version: int, scope: str) -> str:
        """Return the printed form of one version."""
        if scope:
            return f"azureml://{scope}/{self.folder}/{name}/versions/{version}"
        return f"azureml:{name}:{version}"


DATA_ASSETS = AssetFamily(
    "data", "data asset", ("models", "model"), "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"
)


@dataclass(frozen=True)
class DataAsset:
    """One version of a data asset. scope: the workspace or registry it lies in; empty for that of the job."""

    kind: ClassVar[str] = "data_asset"

    name: str
    version: int
    scope: str = ""

    def __str__(self) -> str:
        return DATA_ASSETS.format_asset(self.name, self.version, self.scope)


def parse_data_asset(asset_text: str) -> DataAsset:
    """Return the data asset that `asset_text` names. Raise SourceError."""
    return DataAsset(*parse_asset_name(asset_text, DATA_ASSETS))


def parse_asset_name(asset_text: str, family: AssetFamily) -> tuple[str, int, str]:
    """Return name, version and scope of the asset that `asset_text` names. Raise SourceError."""
    # one spelling for resource ids: their case does not matter
    normal = re.sub(_FIXED, lambda word: f"providers/{_PROVIDER}" if "/" in word[0] else "resourcegroups", asset_text)
    normal = re.sub(r"^(?:azureml:)?/(?=subscriptions/)", "azureml://", normal)  # as the Azure CLI prints an id
    if long_match := re.fullmatch(rf"azureml://({_SCOPE})/{family.folder}/({_NAME})/versions/([^/]*)", normal):
        scope, name, version = long_match.groups()
        return name, _parse_version(version, f"azureml://{scope}/{family.folder}/{name}/versions/"), scope
    if short_match := re.fullmatch(_SHORT, asset_text):
        return short_match[1], _parse_version(short_match[2], f"azureml:{short_match[1]}:"), ""
    _raise_not_an_asset(normal, family)


def _parse_version(text: str, before: str) -> int:
    if re.fullmatch(_VERSION, text):
        return int(text)
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    suggestion = before + (digits if re.fullmatch(_VERSION, digits) else "VERSION")
    raise SourceError("A version is a whole number of at most 9 digits, without leading zeros.", suggestion)


def _suggest_asset(asset_text: str, family: AssetFamily) -> str:
    """Return the normal form of `asset_text`, or the suggestion of its error; empty if there is none."""
    return suggest_normal_form(lambda text: family.format_asset(*parse_asset_name(text, family)), asset_text)


def _raise_not_an_asset(asset_text: str, family: AssetFamily) -> NoReturn:
    lowercase_text, noun = asset_text.lower(), family.noun
    if asset_text != asset_text.strip():
        raise SourceError("There is white space around the name.", _suggest_asset(asset_text.strip(), family))
    if lowercase_text.startswith("azureml:") and not asset_text.startswith("azureml:"):
        raise SourceError(
            "`azureml:` is written in lower case.", _suggest_asset("azureml:" + asset_text[len("azureml:") :], family)
        )
    if unpinned := re.fullmatch(_UNPINNED, asset_text):
        reason = f"A {noun} needs a version: without one, or with a label, its content may change."
        raise SourceError(reason, f"azureml:{unpinned[1]}:VERSION")
    if lowercase_text.startswith("azureml://datastores/"):
        raise SourceError(
            f"A path in a datastore is not a {noun}: use the storage address behind it.", family.datastore_suggestion
        )
    if lowercase_text.startswith("azureml://"):
        _raise_wrong_full_name(asset_text, family)
    if lowercase_text.startswith("azureml:"):
        raise SourceError(f"A {noun} is {ASSET_FORM}; a name is letters, digits, `_`, `.` and `-`, 255 at most.")
    if re.fullmatch(rf"{_NAME}:[0-9]+", asset_text):
        raise SourceError(f"A {noun} starts with `azureml:`.", _suggest_asset(f"azureml:{asset_text}", family))
    raise SourceError(f"A {noun} has the form {ASSET_FORM}.")


def _raise_wrong_full_name(asset_text: str, family: AssetFamily) -> NoReturn:
    folder, noun = family.other_family
    if f"/{folder}/" in asset_text:
        raise SourceError(f"This names a {noun}, not a {family.noun}.")
    if "/labels/" in asset_text:
        raise SourceError("The version of a label may change: use `/versions/VERSION`.")
    if re.match(r"azureml://(?:jobs|[^?#]*/jobs)/", asset_text):
        raise SourceError(f"An output of a job is not a {family.noun}: register it first.")
    raise SourceError(
        f"A full name is azureml://SCOPE/{family.folder}/NAME/versions/VERSION, where SCOPE is registries/R, "
        "locations/L/workspaces/W or subscriptions/S/resourcegroups/G/workspaces/W."
    )


KIND = SourceKind(
    name=DataAsset.kind,
    title="azureml data assets",
    schemes=("azureml",),
    form=ASSET_FORM,
    example="azureml:pusht-episodes:3",
    help="A dataset registered as an Azure ML data asset, mounted by the platform.",
    roles={"dataset": RoleFlag("--dataset-asset", env=("DATASET_ASSETS",))},
    recognizes=lambda text: bool(re.match(ASSET_HINT, text)),
    parse=lambda text, base: parse_data_asset(text),
    unsupported={
        ANY: no(
            "An Azure ML data asset can only be mounted by a job of its workspace.",
            "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
        )
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
