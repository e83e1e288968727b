"""Locks on the shared disk: by them, jobs on several nodes build an environment and fetch data once."""

from collections.abc import Collection, Iterator
from pathlib import Path

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.store import files

make_problem = Messages(__file__)

LOCAL_OPTIONS = frozenset({"nolock", "local_lock=all", "local_lock=flock", "localflock"})
"""Options of NFS and Lustre with which a lock holds on one machine only."""


def check_locks(cache: Path) -> Iterator[Problem]:
    """Warn if other nodes do not see the locks of this machine, by how the disk is mounted here."""
    if why := explain_missing_locks(files.get_filesystem(cache), files.get_mount_options(cache)):
        yield make_problem("slurm-locks-local", given=str(cache), why=why)


def explain_missing_locks(kind: str, options: Collection[str]) -> str:
    """Return why locks on a file system do not hold on other nodes; empty if they do, or if that is unknown."""
    if found := sorted(LOCAL_OPTIONS.intersection(options)):
        return f"The disk ({kind}) is mounted with {found[0]}: its locks hold on one machine only."
    if kind == "lustre" and "flock" not in options:
        return "The disk (lustre) is mounted without flock: it has no locks."
    return ""
