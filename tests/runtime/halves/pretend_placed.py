"""The workload of `pretend_work`, which says where its checkpoints go: `place`, and how many are kept there."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pretend_work import *  # noqa: F403
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.target import Target


def targets(document: JobDocument, data: Mapping[Source, Path]) -> Iterator[Target]:
    given = document.parameters
    keep = given.get("keep")
    way = "--publish-url shelf:/another"
    yield Target(to=str(given["place"]), keep=keep and int(str(keep)), saves=lambda step: step in (20, 40, 60), way=way)
