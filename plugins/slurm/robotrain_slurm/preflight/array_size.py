"""The trials of a sweep, compared with the largest job array that the cluster takes."""

import re
from collections.abc import Iterator

from robotrain.cluster.checks import make_preflight_problem
from robotrain.errors import Problem, Suggestion

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.spec.submission_spec import SlurmSpec


def check_array_size(spec: SlurmSpec) -> Iterator[Problem]:
    """Check that the indices of a job array, from 1 to its number of trials, are below the cluster's limit."""
    count = max(len(job.trials) for job in spec.jobs)
    try:
        found = re.search(r"(?m)^MaxArraySize\s*=\s*(\d+)", run_slurm("scontrol", "show", "config"))
    except SlurmRefused:  # it is not shown to everybody: sbatch refuses an array that is too large
        return
    most = max(int(found[1]) - 1, 0) if found else count
    if count <= most:
        return
    title = f"the cluster takes at most {most} trials in a job array, and the sweep has {count}"
    why = "Its limit is MaxArraySize in `scontrol show config`."
    fewer = Suggestion(f"--sampler random --samples {most}", "tries some of the combinations") if most else ""
    own = Suggestion("--points FILE.csv", "a list of the trials: this machine sends each as a run of its own")
    yield make_preflight_problem("sweep-too-large", title, "", "", why, fewer, own)
