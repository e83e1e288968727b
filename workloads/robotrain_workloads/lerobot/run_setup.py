"""Setup of a run of LeRobot: Python environment, output folder, environment variables."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import StageEvent
from robotrain_runtime.contract.problem import Problem, make_data_problem

from robotrain_workloads.lerobot import backbones, hub_cache, image_weights, versions

PYTHON = "3.12"
PLATFORM = "Linux-x86_64"
QUIET_VARIABLES = {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_COLOR": "1"}
OFFLINE_VARIABLES = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
EVENTS_FILE = "events.jsonl"
CHECKPOINTS_FOLDER = "checkpoints"


def make_environment(lock: str, version: object = None, gib: float = 9.0) -> PythonEnvironment:
    """Return the Python environment of a lock of a LeRobot version. `gib`: disk space of the built environment."""
    lerobot = versions.get_version(version)
    series = lerobot.name.rpartition(".")[0]
    return PythonEnvironment(
        lock=lerobot.get_lock(lock), python=PYTHON, gib=gib, platform=PLATFORM, required_packages={"lerobot": series}
    )


def resolve_output_folder(document: JobDocument, work: Path) -> Path:
    """Return the folder; a relative one lies below the run's own."""
    return Path(os.path.normpath(work / str(document.parameters["output_dir"] or "outputs")))


def get_checkpoints_folder(document: JobDocument, work: Path) -> Path:
    """Return the folder of checkpoints, also for one that is recovered from an earlier attempt."""
    return resolve_output_folder(document, work) / CHECKPOINTS_FOLDER


def find_output_problems(document: JobDocument, output: Path) -> Iterator[Problem | str]:
    """Yield problems of the output folder of a training: it may be new, or hold files of this run."""
    if output.exists() and not output.is_dir():
        yield make_data_problem(f"the output folder {output} is a file", "--output-dir FOLDER")
    elif not is_used(output):
        return
    elif other_run := next((manifest.run for manifest in _read_manifests(output) if manifest.run != document.run), ""):
        yield make_data_problem(
            f"the output folder {output} has checkpoints of the run {other_run}", "--output-dir NEW_FOLDER"
        )
    elif not is_own_output(Path(document.placement.work), output):
        submission = contract_document.read_submission_id(document)  # saved them, maybe on a machine that is gone
        saved_submissions = [
            manifest.submission for manifest in _read_manifests(output) if manifest.run == document.run
        ]
        if not submission or submission not in saved_submissions:
            yield make_data_problem(f"the output folder {output} is not empty", "--output-dir NEW_FOLDER")


def is_used(output: Path) -> bool:
    """Return whether the output folder holds files."""
    return output.is_dir() and any(output.iterdir())


def _read_manifests(output: Path) -> Iterator[checkpoint.CheckpointManifest]:
    for _, folder in checkpoint.list_checkpoints(output / CHECKPOINTS_FOLDER):
        if manifest := checkpoint.read_manifest(folder):
            yield manifest


def make_hub_environment(document: JobDocument, work: Path) -> dict[str, str]:
    """Return the environment variables of the libraries of the Hub. `work`: the run's own folder.

    A job that brings backbones reads them from the cache of its folder, and nothing else from the Hub.
    """
    sources = document.sources
    cache = hub_cache.make_cache_variables(sources, work)
    is_local = all(source.kind == "local_path" or backbones.is_weights(source) for source in sources)
    weights = image_weights.make_home_variables(sources, work)
    return {**QUIET_VARIABLES, **(OFFLINE_VARIABLES if is_local or cache else {}), **cache, **weights}


def is_own_output(work: Path, output: Path) -> bool:
    """Return whether the output folder's files are the run's own: an attempt that reached its work found it empty."""
    if work in output.parents:
        return True
    with suppress(OSError), (work / EVENTS_FILE).open(encoding="utf-8", errors="replace") as events_file:
        records = (event.parse_event(line.rstrip("\n")) for line in events_file if '"stage"' in line)
        return any(
            record and isinstance(record.event, StageEvent) and record.event.name == "work" for record in records
        )
    return False
