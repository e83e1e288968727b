"""A model of an Azure ML workspace or registry: the typed source; the rules are those of contract C.3 and C.6."""

import re
from dataclasses import dataclass
from typing import ClassVar

from robotrain_sources.data_asset.asset import FORM, AssetError, Assets, read
from robotrain_sources.mlflow_run import artifact

__all__ = ["FORM", "AssetError", "ModelAsset", "parse"]

MODELS = Assets("models", "model", ("data", "data asset"))
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
        return MODELS.named(self.name, self.version, self.scope)


def parse(text: str) -> ModelAsset:
    """The model that `text` names. Raises AssetError."""
    try:
        return ModelAsset(*read(text, MODELS))
    except AssetError as refused:
        raise AssetError(refused.why, refused.instead or _as_artifact(text)) from None


def _as_artifact(text: str) -> str:
    """How the policy is had all the same where it is among the artifacts of a run; empty where it is not."""
    found = re.fullmatch(_ARTIFACTS, text)
    try:
        return f"--policy-model {artifact.parse(f'runs:/{found[1]}/{found[2]}')}" if found else ""
    except artifact.RunArtifactError:
        return ""
