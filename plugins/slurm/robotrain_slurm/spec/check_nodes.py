"""Rules of Slurm on a job of several nodes. Pure."""

from collections.abc import Iterator

from robotrain.errors import Problem
from robotrain.messages import Messages
from robotrain.model.job import NODES_FLAG, Job

from robotrain_slurm.settings import SlurmSettings

make_problem = Messages(__file__)


def check_nodes(job: Job, settings: SlurmSettings) -> Iterator[Problem]:
    """Check that each node can start the program: robotrain prepares a job once, for all of its nodes."""
    if (count := job.training_nodes) == 1:
        return
    given = str(count)
    if settings.container:
        yield make_problem("options-conflict.nodes-container", where=NODES_FLAG, given=given, count=count)
