"""The source kinds `registered_model`, `model_asset` and `mlflow_run`.

They are models of the platform's registry or of Azure ML, and artifacts of tracking runs. A platform may support one
without the other. They share their flags: the text tells them apart.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.source import SourceError, SourceKind
from robotrain.model.support import ANY, no
from robotrain.plugins.hookspecs import hook
from robotrain.redaction import holds_secret
from robotrain_runtime.contract.parameter import MODEL_NAME_PATTERN

from robotrain_sources.data_asset.kind import ASSET_FORM, ASSET_HINT, AssetFamily, parse_asset_name
from robotrain_sources.mlflow import reference
from robotrain_sources.role_flags import CHECKPOINT, INIT_POLICY, POLICY_MODEL, REFERENCE_MODEL

CONTAINER_PLUGIN = "robotrain_sources.mlflow.container"
MODEL_ASSETS = AssetFamily("models", "model")
_ADDRESS_HINT = r"\s*models:/[^/:@\s]+/[0-9]+\s*"
"""A version of a model, as MLflow and `robotrain status` name it."""
_ARTIFACTS = r"azureml://jobs/([^/]+)/outputs/artifacts/paths/(.+)"
"""Address of a job's tracking artifacts."""


@dataclass(frozen=True)
class ModelAsset:
    """One version of a model. `scope` is its workspace or registry; empty for the job's workspace."""

    kind: ClassVar[str] = "model_asset"

    name: str
    version: int
    scope: str = ""

    def __str__(self) -> str:
        return MODEL_ASSETS.format_asset(self.name, self.version, self.scope)


def parse_model_asset(model_text: str) -> ModelAsset:
    """Return the model that `model_text` names. Raise SourceError."""
    if re.fullmatch(_ADDRESS_HINT, model_text):  # as a run says what it registered: the registry is the workspace
        model = reference.parse_registered_model(model_text.strip())
        model_text = f"azureml:{model.name}:{model.version}"
    try:
        return ModelAsset(*parse_asset_name(model_text, MODEL_ASSETS))
    except SourceError as error:
        raise SourceError(error.why, error.suggestion or _suggest_run_artifact(model_text)) from None


def _suggest_run_artifact(artifact_text: str) -> str:
    """Return the flag for the artifacts of a run; empty for anything else."""
    match = re.fullmatch(_ARTIFACTS, artifact_text)
    try:
        return f"--policy-model {reference.parse_run_artifact(f'runs:/{match[1]}/{match[2]}')}" if match else ""
    except SourceError:
        return ""


_NAME = MODEL_NAME_PATTERN
_HINT = rf"\s*(?:(?i:models:)|(?!(?i:azureml|file|hf|runs|https?):){_NAME}(?::|@(?!\d))[\w.+-]*\s*$)"


_ROLES = {"policy": POLICY_MODEL, "reference": REFERENCE_MODEL, "init_policy": INIT_POLICY, "checkpoint": CHECKPOINT}


KIND = SourceKind(
    name=reference.RegisteredModel.kind,
    title="registered models",
    schemes=("models",),
    form=reference.MODEL_FORM,
    example="models:/pusht-act/3",
    help="A model version of the registry that the platform tracks to, or NAME:latest; or azureml:NAME:VERSION.",
    roles=_ROLES,
    recognizes=lambda text: bool(re.match(_HINT, text)),
    parse=lambda text, base: reference.parse_registered_model(text),
    container_plugin=CONTAINER_PLUGIN,
    pinned_by_platform=reference.names_latest_version,
    requires="tracking",
)

MOUNTED = "An Azure ML model can only be mounted by a job of its workspace."

ASSET_KIND = SourceKind(
    name=ModelAsset.kind,
    title="azureml models",
    schemes=("azureml",),
    form=ASSET_FORM,
    example="azureml:pusht-act:3",
    help="A model of an Azure ML workspace or registry.",
    roles=_ROLES,
    recognizes=lambda text: bool(re.match(ASSET_HINT, text)),
    parse=lambda text, base: parse_model_asset(text),
    unsupported={
        ANY: no(MOUNTED, "download it (az ml model download) and name the folder in its place"),
        "init_policy": no(MOUNTED, "--init-from-policy-model https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX"),
    },
)


_RUN_HINT = r"(?i)\s*(?:runs|mlflow-artifacts):"


def parse_run_source(artifact_text: str, base: Path) -> reference.RunArtifact:
    """Return the artifacts that `artifact_text` names. Raise SourceError."""
    if holds_secret(artifact_text):
        raise SourceError("The address seems to contain a secret, and a job must not contain secrets.")
    return reference.parse_run_artifact(artifact_text)


RUN_KIND = SourceKind(
    name=reference.RunArtifact.kind,
    title="artifacts of tracking runs",
    schemes=("runs",),
    form=reference.RUN_FORM,
    example="runs:/0123456789abcdef0123456789abcdef/checkpoints/000400",
    help="A policy or checkpoint among the artifacts of a run that is tracked where the job is.",
    roles={"policy": POLICY_MODEL, "reference": REFERENCE_MODEL, "checkpoint": CHECKPOINT},
    recognizes=lambda text: bool(re.match(_RUN_HINT, text)),
    parse=parse_run_source,
    container_plugin=CONTAINER_PLUGIN,
    requires="tracking",
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the kinds that share a flag; the first one is the default."""
    return (KIND, ASSET_KIND, RUN_KIND)
