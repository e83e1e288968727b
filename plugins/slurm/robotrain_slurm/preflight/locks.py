"""Locks on the shared disk: by them, jobs on several nodes build an environment and fetch data once."""

from collections.abc import Collection, Iterator

from robotrain.errors import Problem
from robotrain.messages import Messages

from robotrain_slurm.preflight.survey import MachineSurvey

make_problem = Messages(__file__)

LOCAL_OPTIONS = frozenset({"nolock", "local_lock=all", "local_lock=flock", "localflock"})
"""Options of NFS and Lustre with which a lock holds on one machine only."""


def check_locks(cache: str, survey: MachineSurvey) -> Iterator[Problem]:
    """Warn if other nodes do not see the locks of this machine, by how the disk is mounted here."""
    mount = survey.paths[cache].mount
    if why := explain_missing_locks(mount.kind, mount.list_options()):
        yield make_problem("slurm-locks-local", given=cache, why=why)


def explain_missing_locks(kind: str, options: Collection[str]) -> str:
    """Return why locks on a file system do not hold on other nodes; empty if they do, or if that is unknown."""
    if found := sorted(LOCAL_OPTIONS.intersection(options)):
        return f"The disk ({kind}) is mounted with {found[0]}: its locks hold on one machine only."
    if kind == "lustre" and "flock" not in options:
        return "The disk (lustre) is mounted without flock: it has no locks."
    return ""
