"""Setup of a run of LeRobot: Python environment, output folder, environment variables, cache of the Hub."""

import os
import shutil
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from robotrain_runtime.contract import checkpoint, event
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.container_plugin import PythonEnvironment
from robotrain_runtime.contract.document import Folders, JobDocument, JobSource
from robotrain_runtime.contract.event import StageEvent
from robotrain_runtime.contract.problem import Problems, make_data_problem

from robotrain_workloads.lerobot import backbones, image_weights, versions
from robotrain_workloads.lerobot.backbones import (
    BACKBONE_FLAG,
    COMMIT,
    REPOSITORY,
    get_repository_name,
    get_revision,
    get_snapshot_name,
    list_backbones,
)
from robotrain_workloads.lerobot.policy import CONFIG_FILE

CACHE_FOLDER = "hub"
MODULES_FOLDER = "hub_modules"
"""Where the libraries copy the code of repositories to, before they run it."""

TOKENIZER_FILE = "tokenizer_config.json"
CODE_SUFFIX = ".py"
NOT_CACHED_ERROR = "LocalEntryNotFoundError"
"""The error of the library of the Hub, offline."""
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


def find_output_problems(document: JobDocument, output: Path) -> Problems:
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
    cache = make_cache_variables(sources, work)
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


def make_cache_variables(sources: Iterable[JobSource], work: Path) -> dict[str, str]:
    """Return the environment variables of a job that brings backbones; none of another one.

    :param work: the run's folder.
    """
    if not list_backbones(sources):
        return {}
    return {"HF_HUB_CACHE": str(work / CACHE_FOLDER), "HF_MODULES_CACHE": str(work / MODULES_FOLDER)}


def fill_cache(data: Folders, work: Path, trusted: Collection[str] = ()) -> None:
    """Put the backbones into the cache of a run, as links to their files. Raise OSError.

    Python code is left out, so that none runs, unless the repository is trusted.

    :param data: the folder of each source.
    :param trusted: names of repositories.
    """
    for source in list_backbones(data):
        name = get_repository_name(source)
        commit = get_snapshot_name(source)
        repository_folder = work / CACHE_FOLDER / f"models--{name.replace('/', '--')}"
        for branch in {"main", _get_branch(source) or "main"}:
            path = repository_folder / "refs" / branch
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(commit, encoding="utf-8")
        snapshot = repository_folder / "snapshots" / commit
        if snapshot.is_dir():  # an earlier attempt had its data elsewhere
            shutil.rmtree(snapshot)
        _link_files(data[source].absolute(), snapshot, with_code=name in trusted)


def _link_files(folder: Path, snapshot: Path, *, with_code: bool) -> None:
    snapshot.mkdir(parents=True)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        if file.suffix == CODE_SUFFIX and not with_code:
            continue
        link_path = snapshot / file.relative_to(folder)
        link_path.parent.mkdir(parents=True, exist_ok=True)
        link_path.symlink_to(file)
    for tokenizer in list(snapshot.rglob(TOKENIZER_FILE)):
        config = tokenizer.with_name(CONFIG_FILE)
        if not config.is_file():  # offline, transformers 5.5 refuses a tokenizer without it (huggingface/lerobot#4131)
            config.write_text("{}", encoding="utf-8")


def _get_branch(source: JobSource) -> str:
    """Return the branch or tag that the backbone is given at, under which an option may name it too."""
    revision = get_revision(source)
    return "" if COMMIT.fullmatch(revision) else revision


def explain_missing_repository(error: BaseException) -> str:
    """Return a sentence if a library looked for a repository that the cache lacks; else empty.

    Only the files of another backbone may name it. The errors do not say which it is: the calls do.
    """
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if not any(type(cause).__name__ == NOT_CACHED_ERROR for cause in causes):
        return ""
    frames = (frame for cause in causes for frame, _ in traceback.walk_tb(cause.__traceback__))
    for local_variables in (frame.f_locals for frame in frames):
        name = local_variables.get("path_or_repo_id") or local_variables.get("repo_id")
        if isinstance(name, str) and REPOSITORY.fullmatch(name) and local_variables.get("repo_type") != "dataset":
            return f"LeRobot reads files of {name} that this job does not bring: {BACKBONE_FLAG} {name}"
    return ""
