"""The runtime's calls of a workload's container plugin for a document."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from robotrain.testing.workload_kit import read_named_files
from robotrain_runtime.contract import document, plugin_loader
from robotrain_runtime.contract.container_plugin import DataPreparation
from robotrain_runtime.contract.document import JobDocument

NUMBERS = ("observation.state", "observation.environment_state", "action")
FEATURES = {name: {"dtype": "float32", "shape": [2]} for name in NUMBERS}


def record_dataset(folder: Path, version: str = "v3.0") -> Path:
    """As much of a dataset as is read before a training begins."""
    (folder / "meta").mkdir(parents=True)
    values = {"codebase_version": version, "total_episodes": 2, "total_frames": 20, "total_tasks": 1, "fps": 10}
    (folder / "meta/info.json").write_text(json.dumps({**values, "features": FEATURES}))
    return folder


def write_policy(folder: Path) -> Path:
    """As much of a policy as is read before it is evaluated."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"type": "act"}))
    return folder


def normalise_names(read_arrived: JobDocument) -> JobDocument:
    """The same with what only tells one job from another made equal: the digest and the names with it."""
    text = (
        document.format_document(read_arrived).replace(read_arrived.run, "this-run").replace(read_arrived.job, "0" * 64)
    )
    return document.parse_document(text)


def execute(read_arrived: JobDocument, data: Path, old: Path, policy: Path) -> dict[str, Any]:
    """By what it is: what is made of the data, the command, what is tracked, what a registered model is told, where
    checkpoints go, the GPUs that are asked for, and what is said of an old dataset.
    """
    job = normalise_names(read_arrived)
    work = data.parent / "work"  # what the work needs there is made
    lock = job.program_lock or "numpy==2.0"  # without one, the program's interpreter is asked for its packages
    job = replace(job, placement=replace(job.placement, work=str(work)), program_lock=lock)
    container_plugin: Any = plugin_loader.load_workload_plugin(job)
    weights = data.parent / "weights.pth"
    weights.touch()
    own = {"policy": policy, "reference": policy, "backbone": weights}
    there, before = ({source: own.get(source.role, folder) for source in job.sources} for folder in (data, old))
    digests = dict.fromkeys(job.sources, "1" * 64)
    return {
        "prepared": container_plugin.prepare(job, there, digests),
        "command": read_named_files(container_plugin.work(job, there, work), work),
        "tracked": container_plugin.tracked(job),
        "registered": container_plugin.publishing(job, there),
        "published": [(target.to, target.keep_last) for target in container_plugin.targets(job, there)],
        "GPUs": container_plugin.gpus(job),
        "compared": list(container_plugin.compare(job, before)),
    }


def prepare_data(read_arrived: JobDocument, data: Path) -> DataPreparation | None:
    """What is made of its datasets before the training begins."""
    made: DataPreparation | None = plugin_loader.load_workload_plugin(read_arrived).prepare(
        read_arrived, dict.fromkeys(read_arrived.sources, data), {}
    )
    return made
