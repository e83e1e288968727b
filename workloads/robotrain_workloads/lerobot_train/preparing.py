"""What is made of the datasets of a job before it trains: one of several, and of each what the trainer can read."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Preparation

from robotrain_workloads.lerobot_train import comparing, dataset, made
from robotrain_workloads.lerobot_train.versions import LEROBOT

PROGRAM = "robotrain_workloads.lerobot_train.making"
FORMAT = 1
"""Counts up when something else would be made of the same data."""
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TQDM_DISABLE": "1",
    "NO_COLOR": "1",
}


def prepare(document: JobDocument, data: Mapping[Source, Path], digests: Mapping[Source, str]) -> Preparation | None:
    """The program that makes it; None when the one dataset is trained on as it is. Raises OSError, ValueError."""
    sources = comparing.datasets(document, data)
    infos = [dataset.info(data[source], source.uri) for source in sources]
    if len(sources) < 2 and not any(dataset.is_old(found) or made.booleans(found) for found in infos):
        return None
    return Preparation(
        sources=tuple(dict.fromkeys(sources)),
        key=_key([digests.get(source, "") for source in sources]),
        arguments=(
            *("-m", PROGRAM, f"--cache={document.placement.cache}"),
            *(part for source in sources for part in ("--dataset", str(data[source]), source.uri)),
        ),
        environ=QUIET,
    )


def _key(digests: list[str]) -> str:
    """Empty when the data of one is not known."""
    if not all(digests):
        return ""
    return hashlib.sha256(json.dumps([FORMAT, LEROBOT, digests]).encode()).hexdigest()
