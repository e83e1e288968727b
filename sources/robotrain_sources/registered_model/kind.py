"""Declares `registered_model` and `model_asset`: policies in the platform's registry, or in Azure ML's.

Two kinds, so that a platform can take the one and decline the other; one pair of flags, as the text tells them apart.
Artifacts of tracking runs share one of them.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from robotrain.capabilities import ANY, no
from robotrain.hookspecs import hook
from robotrain.source import SourceError, SourceKind

from robotrain_sources.mlflow_run import kind as mlflow_run
from robotrain_sources.registered_model import asset, version
from robotrain_sources.roles import INIT_POLICY, POLICY_MODEL

_MEANT = rf"\s*(?:(?i:models:)|(?!(?i:azureml|file|hf|runs|https?):){version.NAME}(?::|@(?!\d))[\w.+-]*\s*$)"
_MEANT_ASSET = r"(?i)\s*azureml:"
_ROLES = {"policy": POLICY_MODEL, "init_policy": INIT_POLICY}


def recognises(text: str) -> bool:
    """Whether the text looks like a name with a version, an alias or a stage."""
    return bool(re.match(_MEANT, text))


def parse(text: str, base: Path) -> version.RegisteredModel:
    """The version of a model that `text` names. Raises SourceError."""
    try:
        return version.parse(text)
    except version.RegisteredModelError as refused:
        raise SourceError(refused.why, refused.instead) from None


def recognises_asset(text: str) -> bool:
    """Whether the text looks like a name of Azure ML."""
    return bool(re.match(_MEANT_ASSET, text))


def parse_asset(text: str, base: Path) -> asset.ModelAsset:
    """The model of Azure ML that `text` names. Raises SourceError."""
    try:
        return asset.parse(text)
    except asset.AssetError as refused:
        raise SourceError(refused.why, refused.instead) from None


KIND = SourceKind(
    name=version.RegisteredModel.kind,
    title="registered models",
    schemes=("models",),
    form=version.FORM,
    example="models:/pusht-act/3",
    help="A model version of the registry that the platform tracks to; or azureml:NAME:VERSION.",
    roles=_ROLES,
    recognises=recognises,
    parse=parse,
    half="robotrain_sources.registered_model.container",
    requires="tracking",
)

MOUNTED = "A model of an Azure ML workspace is mounted by a job of that workspace, and nothing else has such a mount."

ASSET = SourceKind(
    name=asset.ModelAsset.kind,
    title="azureml models",
    schemes=("azureml",),
    form=asset.FORM,
    example="azureml:pusht-act:3",
    help="A model of an Azure ML workspace or registry.",
    roles=_ROLES,
    recognises=recognises_asset,
    parse=parse_asset,
    unsupported={
        ANY: no(MOUNTED, "download it (az ml model download) and name the folder in its place"),
        "init_policy": no(MOUNTED, "--init-from-policy-model https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"),
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Those that share the flag; the first is asked when a text tells nothing."""
    return (KIND, ASSET, mlflow_run.KIND)
