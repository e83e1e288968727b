"""The cache of the Hub in a run's folder: it serves the job's backbones at their commits, without the internet.

Names in options and names that LeRobot's code fixes both resolve there. Standard library only.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.contract.document import JobSource

from robotrain_workloads.lerobot.backbones import (
    COMMIT,
    HUB_KIND,
    get_repository_name,
    get_snapshot_name,
    list_backbones,
)

CACHE_FOLDER = "hub"
MODULES_FOLDER = "hub_modules"
"""Where the libraries copy the code of repositories to, before they run it."""


def make_cache_variables(sources: Iterable[JobSource], work: Path) -> dict[str, str]:
    """Return the environment variables of a job that brings backbones; none of another one.

    :param work: the run's folder.
    """
    if not list_backbones(sources):
        return {}
    return {"HF_HUB_CACHE": str(work / CACHE_FOLDER), "HF_MODULES_CACHE": str(work / MODULES_FOLDER)}


def fill_cache(data: Mapping[JobSource, Path], work: Path) -> None:
    """Put the backbones into the cache of a run, as links to their folders. Raise OSError.

    :param data: the folder of each source.
    """
    for source in list_backbones(data):
        entry = work / CACHE_FOLDER / f"models--{get_repository_name(source).replace('/', '--')}"
        commit = get_snapshot_name(source)
        link, refs = entry / "snapshots" / commit, entry / "refs"
        for folder in (refs, link.parent):
            folder.mkdir(parents=True, exist_ok=True)
        for branch in {"main", _get_branch(source) or "main"}:
            path = refs / branch
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(commit, encoding="utf-8")
        link.unlink(missing_ok=True)  # an earlier attempt had its data elsewhere
        link.symlink_to(data[source].absolute())


def _get_branch(source: JobSource) -> str:
    """Return the branch or tag that the backbone is given at, under which an option may name it too."""
    _, _, revision = source.uri.partition("@") if source.kind == HUB_KIND else ("", "", "")
    return "" if COMMIT.fullmatch(revision) else revision
