"""The trials of a sweep, compared with the largest job array that the cluster takes."""

import re
from collections.abc import Iterator

from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.run_folder.scheduler_plan import SchedulerSpec
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm

make_problem = Messages(__file__)


def check_array_size(at: Transport, spec: SchedulerSpec) -> Iterator[Problem]:
    """Check that the indices of a job array, from 1 to its number of trials, are below the cluster's limit."""
    count = max(len(job.trials) for job in spec.jobs)
    try:
        found = re.search(r"(?m)^MaxArraySize\s*=\s*(\d+)", run_slurm(at, "scontrol", "show", "config"))
    except SlurmRefused:  # it is not shown to everybody: sbatch refuses an array that is too large
        return
    most = max(int(found[1]) - 1, 0) if found else count
    if count <= most:
        return
    fewer = Suggestion(f"--sampler random --samples {most}", "tries some of the combinations") if most else ""
    yield make_problem("sweep-too-large", fewer, most=most, count=count)
