"""A batch job, sent once."""

import re
from pathlib import Path

from robotrain_slurm.client.commands import SlurmAway, run_slurm
from robotrain_slurm.spec.submission_spec import BatchJob


def send_job(job: BatchJob, root: Path, *options: str) -> str:
    """Send a batch job and return its number. Raise SlurmRefused, SlurmAway.

    :param root: the run folder, with the script.
    :param options: those of sbatch that only this submit knows, such as `--dependency`.
    """
    answer = run_slurm("sbatch", "--parsable", *options, str(root / job.script), folder=str(root))
    found = re.search(r"^(\d+)(?:;\S+)?\s*$", answer, re.MULTILINE)
    if not found:
        raise SlurmAway("sbatch did not print the number of the job.")
    return found[1]
