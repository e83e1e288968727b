"""The workload of `pretend_work`, which says where its checkpoints go: `place`, and how many are kept there."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pretend_work import *  # noqa: F403
from robotrain_runtime.contract.container_plugin import ArtifactTarget
from robotrain_runtime.contract.document import JobDocument, JobSource


def targets(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterator[ArtifactTarget]:
    parameters = document.parameters
    keep = parameters.get("keep")
    way = "--publish-url shelf:/another"
    yield ArtifactTarget(
        to=str(parameters["place"]),
        keep_last=keep and int(str(keep)),
        saves_step=lambda step: step in (20, 40, 60),
        suggestion=way,
    )
