"""The trial of a sweep: an element of a job array, which works in a folder of its own."""

import os
from pathlib import Path

JOB_VARIABLE, ARRAY_VARIABLE, TASK_VARIABLE = "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"
TRIALS_FOLDER = "trials"


def get_job_name() -> str:
    """Return the number of this job, as Slurm's commands take it: that of an element of an array is `12_3`.

    The number of its last element alone stands for the whole array, which `scontrol requeue` would start again.
    """
    task = os.environ.get(TASK_VARIABLE)
    return f"{os.environ[ARRAY_VARIABLE]}_{task}" if task else os.environ[JOB_VARIABLE]


def enter_trial() -> None:
    """Change to the folder of the trial that this job is, if it is one."""
    if task := os.environ.get(TASK_VARIABLE):
        os.chdir(Path(TRIALS_FOLDER, task))
