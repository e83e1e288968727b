"""Locks on the shared disk: by them, jobs on several nodes build an environment and fetch data once."""

from collections.abc import Collection, Iterator
from pathlib import Path

from robotrain.cluster.checks import make_preflight_problem
from robotrain.errors import Problem, Suggestion
from robotrain.store import files

LOCAL_OPTIONS = frozenset({"nolock", "local_lock=all", "local_lock=flock", "localflock"})
"""Options of NFS and Lustre with which a lock holds on one machine only."""


def check_locks(cache: Path) -> Iterator[Problem]:
    """Warn if other nodes do not see the locks of this machine, by how the disk is mounted here."""
    if why := explain_missing_locks(files.get_filesystem(cache), files.get_mount_options(cache)):
        title = "jobs that start on two nodes at the same moment may build the same environment at the same time"
        staged = Suggestion("--stage", "this machine builds it, before the job is sent")
        another = Suggestion("--cache-dir FOLDER", "on a disk whose locks all nodes see")
        yield make_preflight_problem(
            "slurm-locks-local", title, "--cache-dir", str(cache), why, staged, another, severity="warning"
        )


def explain_missing_locks(kind: str, options: Collection[str]) -> str:
    """Return why locks on a file system do not hold on other nodes; empty if they do, or if that is unknown."""
    if found := sorted(LOCAL_OPTIONS.intersection(options)):
        return f"The disk ({kind}) is mounted with {found[0]}: its locks hold on one machine only."
    if kind == "lustre" and "flock" not in options:
        return "The disk (lustre) is mounted without flock: it has no locks."
    return ""
