"""Declares `registered_model` and `model_asset`: policies in the platform's registry, or in Azure ML's.

Two kinds, so that a platform can take the one and decline the other; one pair of flags, as the text tells them apart.
Artifacts of tracking runs share one of them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.capabilities import ANY, no
from robotrain.model.source import SourceError, SourceKind
from robotrain.plugins.hookspecs import hook

from robotrain_sources.data_asset import kind
from robotrain_sources.data_asset.kind import AssetError, AssetFamily, parse_asset_name
from robotrain_sources.mlflow_run import kind as mlflow_run
from robotrain_sources.mlflow_run import reference
from robotrain_sources.registered_model import reference as registered_model_reference
from robotrain_sources.role_flags import INIT_POLICY, POLICY_MODEL

MODEL_ASSETS = AssetFamily("models", "model", ("data", "data asset"))
_ARTIFACTS = r"azureml://jobs/([^/]+)/outputs/artifacts/paths/(.+)"
"""What tracking keeps of a job."""


@dataclass(frozen=True, slots=True)
class ModelAsset:
    """One version of a model. scope: the workspace or registry it lies in; empty for that of the job."""

    kind: ClassVar[str] = "model_asset"

    name: str
    version: int
    scope: str = ""

    def __str__(self) -> str:
        return MODEL_ASSETS.format_asset(self.name, self.version, self.scope)


def parse_model_asset(text: str) -> ModelAsset:
    """The model that `text` names. Raises AssetError."""
    try:
        return ModelAsset(*parse_asset_name(text, MODEL_ASSETS))
    except AssetError as refused:
        raise AssetError(refused.why, refused.suggestion or _suggest_run_artifact(text)) from None


def _suggest_run_artifact(text: str) -> str:
    """How the policy is had all the same where it is among the artifacts of a run; empty where it is not."""
    found = re.fullmatch(_ARTIFACTS, text)
    try:
        return f"--policy-model {reference.parse_run_artifact(f'runs:/{found[1]}/{found[2]}')}" if found else ""
    except reference.RunArtifactError:
        return ""


_HINT = rf"\s*(?:(?i:models:)|(?!(?i:azureml|file|hf|runs|https?):){registered_model_reference.NAME_PATTERN}(?::|@(?!\d))[\w.+-]*\s*$)"
_ASSET_HINT = r"(?i)\s*azureml:"
_ROLES = {"policy": POLICY_MODEL, "init_policy": INIT_POLICY}


def recognizes(text: str) -> bool:
    """Whether the text looks like a name with a version, an alias or a stage."""
    return bool(re.match(_HINT, text))


def parse_source(text: str, base: Path) -> registered_model_reference.RegisteredModel:
    """The version of a model that `text` names. Raises SourceError."""
    try:
        return registered_model_reference.parse_registered_model(text)
    except registered_model_reference.RegisteredModelError as refused:
        raise SourceError(refused.why, refused.suggestion) from None


def recognizes_asset(text: str) -> bool:
    """Whether the text looks like a name of Azure ML."""
    return bool(re.match(_ASSET_HINT, text))


def parse_asset_source(text: str, base: Path) -> ModelAsset:
    """The model of Azure ML that `text` names. Raises SourceError."""
    try:
        return parse_model_asset(text)
    except kind.AssetError as refused:
        raise SourceError(refused.why, refused.suggestion) from None


KIND = SourceKind(
    name=registered_model_reference.RegisteredModel.kind,
    title="registered models",
    schemes=("models",),
    form=registered_model_reference.MODEL_FORM,
    example="models:/pusht-act/3",
    help="A model version of the registry that the platform tracks to; or azureml:NAME:VERSION.",
    roles=_ROLES,
    recognizes=recognizes,
    parse=parse_source,
    container_plugin="robotrain_sources.registered_model.container",
    requires="tracking",
)

MOUNTED = "A model of an Azure ML workspace is mounted by a job of that workspace, and nothing else has such a mount."

ASSET_KIND = SourceKind(
    name=ModelAsset.kind,
    title="azureml models",
    schemes=("azureml",),
    form=kind.ASSET_FORM,
    example="azureml:pusht-act:3",
    help="A model of an Azure ML workspace or registry.",
    roles=_ROLES,
    recognizes=recognizes_asset,
    parse=parse_asset_source,
    unsupported={
        ANY: no(MOUNTED, "download it (az ml model download) and name the folder in its place"),
        "init_policy": no(MOUNTED, "--init-from-policy-model https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"),
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Those that share the flag; the first is asked when a text tells nothing."""
    return (KIND, ASSET_KIND, mlflow_run.KIND)
