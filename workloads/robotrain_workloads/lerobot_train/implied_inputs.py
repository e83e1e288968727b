"""The sources that a training implies: `implied_sources` of its container plugin, without the rest of it.

What a new policy reads stands in the tables of its LeRobot: a plan of one imports no more.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain_runtime.contract.document import JobDocument, JobSource

from robotrain_workloads.lerobot import image_weights, lineage
from robotrain_workloads.lerobot.backbones import BACKBONE_ROLE
from robotrain_workloads.lerobot.trained_model import choose_model


def implied_sources(document: JobDocument, described: Mapping[JobSource, Path]) -> Mapping[str, Sequence[str]]:
    """Return the backbones and tokenizers that the policy reads, and its weights, that no source brings."""
    begin, texts = lineage.find_start_source(document.sources), list[str]()
    if begin is not None or choose_model(document.parameters, {}).facts.repositories:
        from robotrain_workloads.lerobot import policy_repositories  # costs start-up

        texts += policy_repositories.list_implied(document, described, begin).get(BACKBONE_ROLE, ())
    texts += image_weights.list_implied(document, begin, find_dataset_root(described))
    return {BACKBONE_ROLE: texts} if texts else {}


def find_dataset_root(data: Mapping[JobSource, Path]) -> Path | None:
    """Return the dataset to train on; several are merged into one before."""
    return next((folder for source, folder in data.items() if source.role == "dataset"), None)
