"""The cache of the Hub in a run's folder: it serves the job's backbones at their commits, without the internet.

Names in options and names that LeRobot's code fixes both resolve there. Standard library only.
"""

import shutil
import traceback
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from robotrain_runtime.contract.document import JobSource

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


def make_cache_variables(sources: Iterable[JobSource], work: Path) -> dict[str, str]:
    """Return the environment variables of a job that brings backbones; none of another one.

    :param work: the run's folder.
    """
    if not list_backbones(sources):
        return {}
    return {"HF_HUB_CACHE": str(work / CACHE_FOLDER), "HF_MODULES_CACHE": str(work / MODULES_FOLDER)}


def fill_cache(data: Mapping[JobSource, Path], work: Path, trusted: Collection[str] = ()) -> None:
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
