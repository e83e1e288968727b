"""The submission spec, `slurm.json` in a plan: the batch jobs of a run, and what finds them in Slurm again."""

import os
from typing import Literal

from robotrain.cluster.spec import SubmissionSpecFile
from robotrain_runtime.contract.lazy_dataclass import lazy_dataclass

SUBMISSION_FILE = "slurm.json"
SCRIPT_FILE = "job.sbatch"
DOCUMENT_FILE = "job.json"
PAYLOAD_FILE = "payload.zip"
SEARCH_FILE = "find-python.sh"
STEPS_FOLDER = "steps"
"""In the run folder and the plan of a pipeline: a folder for each step, by its name."""
TRIALS_FOLDER = "trials"
"""In the run folder and the plan of a sweep: a folder for each trial, by its number in the array, from 1."""
JOBS_KEY, TRIALS_KEY = "jobs", "trials"
CLUSTER_KEY, CLUSTER_VARIABLE = "conf", "SLURM_CONF"
"""Of a reference: the variable that chooses the cluster, as it was at the submit."""
"""Keys of references: of a pipeline, `STEP=NUMBER` of all steps, between spaces; of a sweep, how many trials it has."""
SCHEMA = 1


@lazy_dataclass(frozen=True, kw_only=True)
class JobContainer:
    """The container that a job's program runs in; that of a job without one has no tool."""

    tool: Literal["", "pyxis", "apptainer"] = ""
    image: str = ""
    """As the tool names it."""
    mounts: tuple[str, ...] = ()
    """The files and folders of the node that are mounted under the same path; those that do not exist are left out."""
    folders: tuple[str, ...] = ()
    """Folders that are mounted, too, and are created if they do not exist."""


@lazy_dataclass(frozen=True, kw_only=True)
class BatchJob:
    """A job of Slurm: one batch script."""

    name: str
    """Its name in Slurm: the run, or RUN-STEP."""
    script: str
    """Its script in the plan."""
    comment: str = ""
    """Its comment in Slurm: `robotrain:NAME:TOKEN`, of which the token stands for what is sent."""
    folder: str
    """Its run folder."""
    step: str = ""
    """The step of a pipeline that it is."""
    needs: tuple[str, ...] = ()
    """The names of the jobs that must succeed before."""
    trials: tuple[str, ...] = ()
    """The names of the trials, of a job array."""
    container: JobContainer = JobContainer()

    @property
    def documents(self) -> list[str]:
        """The paths of its job documents in the plan: of an array, one for each trial, in their order."""
        root = os.path.dirname(self.script)
        folders = [os.path.join(root, TRIALS_FOLDER, str(number + 1)) for number in range(len(self.trials))]
        return [os.path.join(folder, DOCUMENT_FILE) for folder in folders or [root]]


@lazy_dataclass(frozen=True, kw_only=True)
class SlurmSpec:
    """How a run is submitted."""

    run: str
    folder: str
    """The run folder."""
    jobs: tuple[BatchJob, ...]
    """Each comes after those that it needs."""
    is_surely_shared: bool = False
    """Whether the user says that the nodes see its folders."""
    continuation: Literal["requeue", "node", "never"] = "requeue"
    stop_seconds: int = 120
    """The seconds before the time limit in which a checkpoint is saved."""
    staged: bool = False
    """Whether this machine fetches what the job needs before it is sent."""
    login: str = ""
    """The address of the login node that it is submitted on, by ssh; empty for this machine."""
    schema: int = SCHEMA

    @property
    def is_pipeline(self) -> bool:
        """Whether its jobs are steps, even if there is only one."""
        return bool(self.jobs[0].step)


SUBMISSION = SubmissionSpecFile(SlurmSpec, SUBMISSION_FILE, SCHEMA, "Slurm")
