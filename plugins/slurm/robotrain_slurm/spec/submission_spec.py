"""The submission spec, `slurm.json` in a plan: what only Slurm has of the batch jobs of a run."""

import os
from dataclasses import dataclass
from typing import Any, Literal

from robotrain.errors import Rejected, Stage
from robotrain.run_folder.scheduler_plan import SchedulerJob, make_spec_file
from robotrain_runtime.contract.json_values import convert_json

SUBMISSION = make_spec_file("slurm", "Slurm")
SCRIPT_FILE = "job.sbatch"
OUTPUT_FILE = "slurm.txt"
"""In the run folder: what the batch script prints itself."""
CLUSTER_VARIABLE = "SLURM_CONF"
"""The variable that chooses the cluster."""


@dataclass(frozen=True, kw_only=True)
class JobContainer:
    """The container that a job's program runs in; that of a job without one has no tool."""

    tool: Literal["", "pyxis", "apptainer"] = ""
    image: str = ""
    """As the tool names it."""
    mounts: tuple[str, ...] = ()
    """The files and folders of the node that are mounted under the same path; those that do not exist are left out."""
    folders: tuple[str, ...] = ()
    """Folders that are mounted, too, and are created if they do not exist."""


@dataclass(frozen=True, kw_only=True)
class BatchValues:
    """What only Slurm has of a job: `SchedulerJob.own`."""

    container: JobContainer
    continuation: Literal["requeue", "node", "never"]
    stop_seconds: int
    """The seconds before the time limit in which a checkpoint is saved."""
    is_staged: bool
    """Whether this machine fetches what the job needs before it is sent."""
    is_surely_shared: bool
    """Whether the user says that the nodes see its folders."""


def read_own(job: SchedulerJob) -> BatchValues:
    """Return what only Slurm has of a job. Raise Rejected if the plan is damaged."""
    errors: list[str] = []
    batch_values: Any = convert_json(BatchValues, job.own, "own", errors)
    if errors:
        raise Rejected([SUBMISSION.make_damaged_plan_problem(Stage.PREFLIGHT, f"{'; '.join(errors)}.")])
    typed_values: BatchValues = batch_values
    return typed_values


def get_script(job: SchedulerJob) -> str:
    """Return the path of a job's batch script in the plan."""
    return os.path.join(job.path, SCRIPT_FILE)


def format_comment(job: SchedulerJob) -> str:
    """Return the comment of a job in Slurm, by which it is found again."""
    return f"robotrain:{job.name}:{job.token}"
