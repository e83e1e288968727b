"""A model of an Azure ML workspace or registry: the typed source; the rules are those of contract C.3 and C.6."""

from dataclasses import dataclass
from typing import ClassVar

from robotrain_sources.data_asset.asset import FORM, AssetError, Assets, read

__all__ = ["FORM", "AssetError", "ModelAsset", "parse"]

MODELS = Assets("models", "model", ("data", "data asset"))


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
    return ModelAsset(*read(text, MODELS))
