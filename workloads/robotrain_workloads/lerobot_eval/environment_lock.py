"""Which environment an evaluation runs in: only ALOHA's simulation needs MuJoCo."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from robotrain_runtime.contract.document import Scalar

from robotrain_workloads.lerobot import version_parameters

if TYPE_CHECKING:
    from robotrain.model.job import Job


def choose_lock(parameters: Mapping[str, Scalar]) -> str:
    """Return the lock of a LeRobot version that a job needs."""
    return "aloha" if parameters["env"] == "aloha" else "eval"


def list_data_packages(job: "Job") -> dict[str, str]:
    """Return the data of the job's LeRobot, for its payload."""
    return version_parameters.list_data_packages(job, choose_lock(dict(job.parameters)))
