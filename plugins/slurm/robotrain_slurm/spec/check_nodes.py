"""Rules of Slurm on a job of several nodes. Pure."""

from collections.abc import Iterator

from robotrain.cluster.checks import make_unsupported_problem
from robotrain.errors import Problem
from robotrain.model.job import NODES_FLAG, Job

from robotrain_slurm.settings import SlurmSettings


def check_nodes(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check that each node can start the program: robotrain prepares a job once, for all of its nodes."""
    if (count := job.training_nodes) == 1:
        return
    given, alone = str(count), f"{NODES_FLAG} 1"
    if settings.container:
        title = f"a job of {count} nodes does not run in a container here"
        why = "The program of a job starts the other nodes with srun, which an image does not have."
        fix = "leave out --container"
        yield make_unsupported_problem("options-conflict", title, NODES_FLAG, given, why, fix, alone)
