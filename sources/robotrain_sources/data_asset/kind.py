"""Declares `data_asset`: data assets of Azure ML."""

import re
from collections.abc import Iterable
from pathlib import Path

from robotrain.capabilities import ANY, no
from robotrain.hookspecs import hook
from robotrain.source import RoleFlag, SourceError, SourceKind

from robotrain_sources.data_asset import asset

_MEANT = r"(?i)\s*azureml:"


def recognises(text: str) -> bool:
    """Whether the text looks like a name of Azure ML."""
    return bool(re.match(_MEANT, text))


def parse(text: str, base: Path) -> asset.DataAsset:
    """The data asset that `text` names. Raises SourceError."""
    try:
        return asset.parse(text)
    except asset.AssetError as refused:
        raise SourceError(refused.why, refused.instead) from None


KIND = SourceKind(
    name=asset.DataAsset.kind,
    title="azureml data assets",
    schemes=("azureml",),
    form=asset.FORM,
    example="azureml:pusht-episodes:3",
    help="A LeRobot dataset registered as an Azure ML data asset, mounted by the platform.",
    roles={"dataset": RoleFlag("--dataset-asset", env=("DATASET_ASSETS",))},
    recognises=recognises,
    parse=parse,
    unsupported={
        ANY: no(
            "An Azure ML data asset is mounted by a job of its workspace, and nothing else has such a mount.",
            "--blob-url https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX",
        )
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """The kind of this folder."""
    return (KIND,)
