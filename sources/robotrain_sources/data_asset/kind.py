"""The source kind `data_asset`: data assets of Azure ML, and the rules of asset names."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from robotrain.model.source import RoleFlag, SourceError, SourceKind
from robotrain.model.support import ANY, no
from robotrain.plugins.hookspecs import hook
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
_VERSION = r"0|[1-9][0-9]{0,8}"
_FIXED = rf"(?i)(?<=/)(?:resourcegroups|providers/{re.escape(_PROVIDER)})(?=/)"


class AssetFamily(NamedTuple):
    """A family of assets with one form of names."""

    folder: str
    """The folder in full names."""
    noun: str

    def format_asset(self, name: str, version: int, scope: str) -> str:
        """Return the printed form of one version."""
        if scope:
            return f"azureml://{scope}/{self.folder}/{name}/versions/{version}"
        return f"azureml:{name}:{version}"


DATA_ASSETS = AssetFamily("data", "data asset")


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
    full_name = rf"azureml://({_SCOPE})/{family.folder}/({_NAME})/versions/({_VERSION})"
    if match := re.fullmatch(rf"{full_name}|azureml:({_NAME}):({_VERSION})", normal):
        scope, name, version, short_name, short_version = match.groups()
        return name or short_name, int(version or short_version), scope or ""
    raise SourceError(
        f"A {family.noun} is {ASSET_FORM} (a name is letters, digits, `_`, `.` and `-`, a version a whole number), or "
        f"azureml://SCOPE/{family.folder}/NAME/versions/VERSION, where SCOPE is registries/R, locations/L/workspaces/W "
        "or subscriptions/S/resourcegroups/G/workspaces/W."
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
